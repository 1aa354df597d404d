import type { ItemRow } from '../rules/item-views.js';

/** A judged item of a stored webhook. */
export interface SightingRow extends ItemRow {
  readonly message_key: Buffer | null;
}

/** The columns of a `SightingRow`, from `sightings s` and its webhook `w`. */
export const SIGHTING_COLUMNS = `s.webhook_id, s.position, s.message_key, w.channel, s.message_id, w.event, s.carrier,
  s.verdict, s.rule, s.held, w.received_at, w.audit`;

/**
 * The sightings of a message are found in two places. The index by message leaves out rule 10 (new messages), which are
 * most of all sightings: the ledger row of the message points to that one.
 */
export const INDEXED_BY_MESSAGE = 'sightings s INDEXED BY sightings_by_message';
/** The condition of the partial index. */
export const IS_INDEXED_BY_MESSAGE = 's.rule <> 10';
/** The sighting that the index leaves out, by its place in the ledger: `webhookId` and `position`. */
export const FIRST_PLACE = 's.webhook_id = ? AND s.position = ? AND s.rule = 10';
