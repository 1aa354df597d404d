import type { Verdict } from '../../model.js';
import { encodeNumber, itemId } from '../rules/ids.js';
import type { ItemView, MessageView } from '../items.js';

/** A sighting is one judged item of a stored webhook. */
export interface SightingRow {
  webhook_id: number;
  position: number;
  message_key: Buffer | null;
  channel: string;
  message_id: string | null;
  event: string;
  carrier: string;
  verdict: Verdict;
  rule: number;
  held: number;
  received_at: number;
  audit: string | null;
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

export function itemView(row: SightingRow): ItemView {
  return {
    id: itemId({ webhookId: row.webhook_id, position: row.position }),
    webhookId: encodeNumber(row.webhook_id),
    position: row.position,
    channel: row.channel,
    event: row.event,
    carrier: row.carrier,
    messageId: row.message_id,
    verdict: row.verdict,
    rule: row.rule,
    held: row.held === 1,
    seenAt: row.received_at,
    auditId: row.audit,
  };
}

export function messageView(row: SightingRow): MessageView {
  return { ...itemView(row), messageId: row.message_id ?? '' };
}
