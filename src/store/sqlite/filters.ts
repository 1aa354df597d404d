import { leastIdSince } from './numbering.js';
import type { DeliveryFilter } from '../deliveries.js';
import type { RecordedFilter } from '../filters.js';
import type { ItemConditions, ReleaseFilter } from '../items.js';

export type Condition = readonly [sql: string, ...values: unknown[]];

/** Greater than every id that a cursor can hold. */
export const ABOVE_ALL_IDS = Number.MAX_SAFE_INTEGER;

/** Joins conditions with AND; false leaves one out. */
export function allOf(conditions: readonly (Condition | false)[]): { where: string; values: unknown[] } {
  const used = conditions.filter((condition) => condition !== false);
  return { where: used.map(([sql]) => sql).join(' AND '), values: used.flatMap(([, ...values]) => values) };
}

/** No delivery that the filter matches has a lower id. */
export function leastMatchingId({ since }: DeliveryFilter): number {
  return since === undefined ? 0 : leastIdSince(since);
}

/** A filter whose matches are in one range of one index. */
export interface RangeFilter extends DeliveryFilter {
  /** Of the pending deliveries, only those that are in flight since they were recorded; left out: only the others. */
  readonly isInFlight?: boolean;
}

/**
 * The range of `deliveries d` that a list reads, in the order of an index, from `from` up to and without `to`. (Only one
 * lower bound: of two, SQLite uses the first for the index.)
 */
export function deliveryRange(
  { status, target, isInFlight = false }: RangeFilter,
  from: number,
  to: number,
): (Condition | false)[] {
  const idRange: Condition = ['d.id >= ? AND d.id < ?', from, to];
  // The indexes of pending deliveries are by target.
  if (status === 'pending') {
    const place: Condition = isInFlight ? ['d.blocked < 0'] : ['d.blocked >= 0'];
    return [["d.status = 'pending'"], place, ...(target === undefined ? [] : [ofTarget(target)]), idRange];
  }
  return [
    idRange,
    status !== undefined && ['d.status = ?', status],
    // The condition of the partial index, without which SQLite does not use it.
    status !== undefined && status !== 'delivered' && ["d.status <> 'delivered' AND d.status <> 'pending'"],
  ];
}

function ofTarget(id: string): Condition {
  return ['d.target = (SELECT number FROM targets WHERE id = ?)', id];
}

/** The columns that a `RecordedFilter` refers to. */
interface RecordedColumns {
  readonly channel: string;
  readonly event: string;
  readonly recordedAt: string;
}

/** Of `deliveries d` alone, so that a range can be counted without its webhooks. */
const DELIVERY_COLUMNS: RecordedColumns = {
  channel: 'd.channel',
  event: '(SELECT event FROM webhooks WHERE id = d.webhook_id)',
  recordedAt: 'd.created_at',
};
/** Of `sightings s` and its webhook `w`. */
const ITEM_COLUMNS: RecordedColumns = { channel: 'w.channel', event: 'w.event', recordedAt: 'w.received_at' };

function recordedConditions(
  { channel, event, since, until }: RecordedFilter,
  columns: RecordedColumns,
): (Condition | false)[] {
  return [
    channel !== undefined && [`${columns.channel} = ?`, channel],
    event !== undefined && [`${columns.event} GLOB ?`, eventPattern(event)],
    since !== undefined && [`${columns.recordedAt} >= ?`, since],
    until !== undefined && [`${columns.recordedAt} < ?`, until],
  ];
}

/** The conditions on a row of `webhooks w`. */
export function webhookConditions(filter: RecordedFilter): (Condition | false)[] {
  return recordedConditions(filter, ITEM_COLUMNS);
}

/** The conditions on a row of `deliveries d` inside `deliveryRange`. */
export function deliveryConditions(filter: DeliveryFilter): (Condition | false)[] {
  return [filter.target !== undefined && ofTarget(filter.target), ...recordedConditions(filter, DELIVERY_COLUMNS)];
}

/** `messages.post` matches itself; `messages` and `messages.*` match every method. */
function eventPattern(event: string): string {
  const [type = '', method = '*'] = event.split('.');
  return `${type}.${method}`;
}

/**
 * The conditions on a row of `sightings s` and its webhook `w`.
 * @param keys the keys of the filter's message id; null: it has none
 */
export function itemConditions(filter: ItemConditions, keys: readonly Buffer[] | null): (Condition | false)[] {
  const { verdict, rule, resync, messagesOnly } = filter;
  return [
    messagesOnly === true && ["s.carrier = 'messages' AND s.message_id IS NOT NULL"],
    keys !== null && [`s.message_key IN (${keys.map(() => '?').join()})`, ...keys],
    verdict !== undefined && ['s.verdict = ?', verdict],
    rule !== undefined && ['s.rule = ?', rule],
    ...recordedConditions(filter, ITEM_COLUMNS),
    resync !== undefined && [
      `EXISTS (SELECT 1 FROM resync_messages m JOIN resyncs r ON r.number = m.resync
         WHERE m.key = s.message_key AND r.id = ?)`,
      resync,
    ],
  ];
}

/** The conditions on a held row of `sightings s` and its webhook `w` that a release takes. */
export function releaseConditions(filter: ReleaseFilter, keys: readonly Buffer[] | null): (Condition | false)[] {
  return [filter.verdict === undefined && ["s.verdict <> 'duplicate'"], ...itemConditions(filter, keys)];
}
