import { CARRIED_AT } from './carried-ids.js';
import type { DeliveryStatus } from '../../model.js';
import type { DeliveryFilter } from '../deliveries.js';
import type { RecordedFilter } from '../filters.js';
import type { Param } from './queries.js';
import { endOfIds, leastCarriedId, leastId } from './numbers.js';

/** The parameters of a statement whose conditions depend on a filter. */
export class Params {
  readonly values: Param[] = [];

  /** Adds a value. Returns its place: `$3`. */
  add(value: Param): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

/** The columns that a `RecordedFilter` refers to. */
export interface RecordedColumns {
  readonly channel: string;
  readonly event: string;
  readonly recordedAt: string;
  /** An id of a row that was recorded at that time. */
  readonly id: string;
}

/** `leastIdSince` in SQL. It is evaluated once, before partitions are chosen. */
export function leastIdSinceSql(time: number, params: Params): string {
  return `(SELECT CASE WHEN EXISTS (SELECT FROM gateway.meta WHERE key = '${CARRIED_AT}' AND value::bigint >= ${params.add(time)}::bigint)
    THEN ${params.add(leastCarriedId(time))}::bigint ELSE ${params.add(leastId(time))}::bigint END)`;
}

/** Joins conditions with AND. */
export function allOf(conditions: readonly string[]): string {
  return conditions.length === 0 ? 'true' : conditions.join(' AND ');
}

/**
 * The conditions of a filter. A time is a condition on the id as well, so that partitions of other days are not read.
 */
export function recordedConditions(
  { channel, event, since, until }: RecordedFilter,
  columns: RecordedColumns,
  params: Params,
): string[] {
  const conditions: string[] = [];
  if (channel !== undefined) conditions.push(`${columns.channel} = ${params.add(channel)}`);
  if (event !== undefined) conditions.push(eventCondition(event, columns.event, params));
  if (since !== undefined) {
    conditions.push(
      `${columns.recordedAt} >= ${params.add(since)}`,
      `${columns.id} >= ${leastIdSinceSql(since, params)}`,
    );
  }
  if (until !== undefined) {
    conditions.push(`${columns.recordedAt} < ${params.add(until)}`, `${columns.id} < ${params.add(endOfIds(until))}`);
  }
  return conditions;
}

/** `messages.post` matches itself; `messages` and `messages.*` match every method. */
function eventCondition(event: string, column: string, params: Params): string {
  const [type = '', method = '*'] = event.split('.');
  if (method === '*') return `starts_with(${column}, ${params.add(`${type}.`)})`;
  return `${column} = ${params.add(`${type}.${method}`)}`;
}

const EVENT = '(SELECT w.event FROM gateway.webhooks w WHERE w.id = d.webhook_id)';

/** The conditions on a row `d` of `gateway.queue` or `gateway.history`, without that on its status. */
export function deliveryConditions({ target, ...recorded }: DeliveryFilter, params: Params): string[] {
  const columns = { channel: 'd.channel', event: EVENT, recordedAt: 'd.created_at', id: 'd.id' };
  const conditions = recordedConditions(recorded, columns, params);
  if (target !== undefined) conditions.push(targetCondition(target, params));
  return conditions;
}

/** The condition on the target of a row `d` of `gateway.queue` or `gateway.history`. */
export function targetCondition(id: string, params: Params): string {
  return `d.target = (SELECT t.number FROM gateway.targets t WHERE t.id = ${params.add(id)})`;
}

/** The condition on the status of a row of `gateway.history d`. As a literal, so that the index of rare statuses is used. */
export function settledConditions(status: Exclude<DeliveryStatus, 'pending'>): string[] {
  return status === 'delivered' ? [`d.status = '${status}'`] : [`d.status = '${status}'`, "d.status <> 'delivered'"];
}
