import type { ItemFilter } from '../items.js';
import type { RecordedFilter } from '../filters.js';
import type { ItemPlace } from '../rules/ids.js';
import type { ItemRow } from '../rules/item-views.js';
import type { Queries } from './queries.js';
import { allOf, recordedConditions } from './filters.js';
import type { Params, RecordedColumns } from './filters.js';

/** A judged item of a stored webhook. */
export interface SightingRow extends ItemRow {
  /** A `uuid` as PostgreSQL returns it. */
  readonly message_key: string | null;
}

/** The columns of a `SightingRow`, from `gateway.sightings s` and its webhook `w`. */
export const SIGHTING_COLUMNS = `s.webhook_id, s.position, s.message_key, w.channel, s.message_id, w.event, s.carrier,
  s.verdict, s.rule, s.held, w.received_at, w.audit`;
/**
 * LIMIT 1 makes each row look up its webhook, so that rows come in the order of the index of items and a list stops at its
 * limit. Without it the planner sometimes reads all webhooks of several days.
 */
export const WITH_WEBHOOK = `CROSS JOIN LATERAL (
    SELECT o.id, o.channel, o.event, o.received_at, o.audit FROM gateway.webhooks o WHERE o.id = s.webhook_id LIMIT 1
  ) w`;
export const SIGHTING_TABLES = `gateway.sightings s ${WITH_WEBHOOK}`;
export const NEWEST_FIRST = 'ORDER BY s.webhook_id DESC, s.position DESC';

/** Of `gateway.sightings s` and its webhook `w`. */
const ITEM_COLUMNS: RecordedColumns = {
  channel: 'w.channel',
  event: 'w.event',
  recordedAt: 'w.received_at',
  id: 'w.id',
};

/** The conditions on a row of `gateway.webhooks w`. */
export function webhookConditions(filter: RecordedFilter, params: Params): string[] {
  return recordedConditions(filter, ITEM_COLUMNS, params);
}

/** The conditions on a row of `gateway.sightings s` and its webhook `w`, without those on its message id. */
export function itemConditions(filter: ItemFilter, params: Params): string[] {
  const { verdict, rule, resync, messagesOnly, held } = filter;
  const conditions = webhookConditions(filter, params);
  if (messagesOnly === true) conditions.push("s.carrier = 'messages' AND s.message_id IS NOT NULL");
  if (verdict !== undefined) conditions.push(`s.verdict = ${params.add(verdict)}`);
  if (rule !== undefined) conditions.push(`s.rule = ${params.add(rule)}`);
  if (held !== undefined) conditions.push(held ? 's.held' : 'NOT s.held');
  if (resync !== undefined)
    conditions.push(
      `EXISTS (SELECT FROM gateway.resync_messages m JOIN gateway.resyncs r ON r.number = m.resync
         WHERE m.key = s.message_key AND r.id = ${params.add(resync)})`,
    );
  return conditions;
}

/** Items below this place. The first condition limits the days that are read. */
export function before({ webhookId, position }: ItemPlace, params: Params): string[] {
  const id = params.add(webhookId);
  return [`s.webhook_id <= ${id}`, `(s.webhook_id, s.position) < (${id}, ${params.add(position)})`];
}

/** What items under some message ids are narrowed to. */
export interface OfKeys {
  readonly keys: readonly string[];
  readonly conditions: readonly string[];
  readonly limit: number;
}

/**
 * The newest items under some message ids. They are in two places: the index by message leaves out rule 10 (new messages),
 * which judges most items, and the ledger row of a message points to that one. Votes share the id of their poll and can be many thousands,
 * so each id is read from its newest item on.
 */
export async function sightingsOf(
  queries: Queries,
  { keys, conditions, limit }: OfKeys,
  params: Params,
): Promise<SightingRow[]> {
  if (keys.length === 0) return [];
  const [all, most] = [params.add(keys), params.add(limit)];
  const where = allOf(conditions);
  return await queries.all<SightingRow>(
    `SELECT s.webhook_id, s.position, s.message_key, s.channel, s.message_id, s.event, s.carrier, s.verdict, s.rule, s.held,
       s.received_at, s.audit
     FROM (
       SELECT o.* FROM unnest(${all}::uuid[]) AS k(key) CROSS JOIN LATERAL (
         SELECT ${SIGHTING_COLUMNS} FROM ${SIGHTING_TABLES}
         WHERE s.message_key = k.key AND s.rule <> 10 AND ${where} ${NEWEST_FIRST} LIMIT ${most}
       ) o
       UNION ALL
       SELECT ${SIGHTING_COLUMNS} FROM gateway.ledger l
         CROSS JOIN LATERAL (
           SELECT o.webhook_id, o.position, o.message_key, o.message_id, o.carrier, o.verdict, o.rule, o.held
           FROM gateway.sightings o WHERE o.webhook_id = l.webhook_id AND o.position = l.position AND o.rule = 10 LIMIT 1
         ) s
         ${WITH_WEBHOOK}
       WHERE l.key = ANY(${all}::uuid[]) AND ${where}
     ) s ${NEWEST_FIRST} LIMIT ${most}`,
    ...params.values,
  );
}
