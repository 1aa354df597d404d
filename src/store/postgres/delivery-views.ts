import type { Attempt, DeliveryStatus } from '../../model.js';
import { deliveryViewOf } from '../rules/delivery-views.js';
import type { StoredDelivery } from '../rules/delivery-views.js';
import { decodeCursor, encodeCursor, parseDeliveryId } from '../rules/ids.js';
import { paged } from '../rules/paging.js';
import type { Database } from './database.js';
import { carriedAt, leastIdSince } from './carried-ids.js';
import { allOf, deliveryConditions, Params, settledConditions, targetCondition } from './filters.js';
import { frontsOf } from './lane-order.js';
import { endOfIds } from './numbers.js';
import type { DeliveryDetail, DeliveryFilter, DeliveryView } from '../deliveries.js';
import type { Page, PageRequest } from '../paging.js';

export interface DeliveryRow {
  readonly id: number;
  readonly status: DeliveryStatus;
  readonly target_id: string;
  readonly channel: string;
  readonly event: string;
  readonly verdicts: string;
  readonly blocked: number;
  readonly due_at: number | null;
  readonly leased_until: number | null;
  readonly attempts: number;
  readonly created_at: number;
  readonly settled_at: number | null;
  readonly last_error: string | null;
  readonly enabled: boolean;
  readonly breaker: string | null;
  readonly released: boolean;
  readonly webhook_id: number;
  readonly positions: number[] | null;
  readonly bytes: number;
  readonly lanes: number;
  readonly newest_message_at: number | null;
  readonly max_age_seconds: number | null;
}

/** The same columns of both tables, as far as a `DeliveryRow` needs them. */
const SHARED = `d.attempts, d.created_at, d.last_error, d.released, d.webhook_id, d.positions, d.lanes, d.newest_message_at, d.body`;
const OF_QUEUE = `d.id, 'pending' AS status, d.target, d.channel, d.verdicts, d.blocked, d.due_at, d.lease, d.leased_until,
  NULL::bigint AS settled_at, ${SHARED}`;
const OF_HISTORY = `d.id, d.status, d.target, d.channel, d.verdicts, 0 AS blocked, NULL::bigint AS due_at, NULL::bigint AS lease,
  0::bigint AS leased_until, d.settled_at, ${SHARED}`;

type Table = 'queue' | 'history';
const COLUMNS_OF: Readonly<Record<Table, string>> = { queue: OF_QUEUE, history: OF_HISTORY };

/** Ids from one on, up to another one that is not among them. */
interface IdRange {
  readonly from: number;
  readonly before: number;
}

/** Deliveries that the first statement of a list looks at; each further one looks at four times as many, up to the most. */
const FIRST_SLICE = 1000;
const LARGEST_SLICE = 64_000;

/** The columns of a `DeliveryRow`, from DELIVERY_TABLES. */
export const DELIVERY_COLUMNS = `d.id, d.status, t.id AS target_id, d.channel, w.event, d.verdicts, d.blocked, d.due_at,
  CASE WHEN d.lease IS NOT NULL THEN d.leased_until END AS leased_until, d.attempts, d.created_at, d.settled_at, d.last_error,
  t.enabled, b.state AS breaker, d.released, d.webhook_id, d.positions,
  octet_length(coalesce(d.body, w.body)) AS bytes, cardinality(d.lanes) AS lanes, d.newest_message_at, t.max_age_seconds`;
const JOINED = `JOIN gateway.webhooks w ON w.id = d.webhook_id JOIN gateway.targets t ON t.number = d.target
  LEFT JOIN gateway.breakers b ON b.target = d.target`;
export const DELIVERY_TABLES = `gateway.deliveries d ${JOINED}`;

const DETAIL = `SELECT ${DELIVERY_COLUMNS}, d.log, coalesce(d.body, w.body) AS body FROM ${DELIVERY_TABLES} WHERE d.id = $1`;

const AT = `SELECT ${DELIVERY_COLUMNS} FROM ${DELIVERY_TABLES} WHERE d.id = ANY($1::bigint[]) ORDER BY d.id`;

/** Lists of deliveries, and single ones; reads only. */
export class PostgresDeliveryViews {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Newest first. Reads the queue before the history, so that a delivery settled in between is in one of them. */
  async list(filter: DeliveryFilter, { limit, cursor }: PageRequest): Promise<Page<DeliveryView>> {
    const { since, until } = filter;
    const [before = Number.MAX_SAFE_INTEGER] = cursor === null ? [] : decodeCursor(cursor, 1);
    const range = {
      from: since === undefined ? 0 : leastIdSince(since, await carriedAt(this.#db)),
      before: until === undefined ? before : Math.min(before, endOfIds(until)),
    };
    const found = new Map<number, DeliveryRow>();
    for (const table of tablesOf(filter.status))
      for (const row of await this.#newestIn(table, filter, range, limit + 1)) found.set(row.id, row);
    const page = paged(
      [...found.values()].sort((one, other) => other.id - one.id),
      limit,
      (row) => row,
      (row) => encodeCursor(row.id),
    );
    return { ...page, data: await this.viewsOf(page.data) };
  }

  /** In slices, because the filter may match few of millions of deliveries. */
  async #newestIn(table: Table, filter: DeliveryFilter, all: IdRange, limit: number): Promise<DeliveryRow[]> {
    const rows: DeliveryRow[] = [];
    for (let [range, size] = [all, FIRST_SLICE]; ; size = Math.min(size * 4, LARGEST_SLICE)) {
      const start = await this.#startOfSlice(table, filter, range, size);
      const slice = { ...range, from: start ?? range.from };
      rows.push(...(await this.#rowsOfSlice(table, filter, slice, limit - rows.length)));
      if (start === null || rows.length >= limit) return rows;
      range = { ...range, before: start };
    }
  }

  /** The first id of the last slice of a range; null: what is left of it fits into one slice. */
  async #startOfSlice(table: Table, filter: DeliveryFilter, range: IdRange, size: number): Promise<number | null> {
    const params = new Params();
    const conditions = [...sourceOf(table, filter, params), ...within(range, params)];
    const row = await this.#db.one<{ id: number }>(
      `SELECT d.id FROM gateway.${table} d WHERE ${allOf(conditions)} ORDER BY d.id DESC LIMIT 1 OFFSET ${size - 1}`,
      ...params.values,
    );
    return row?.id ?? null;
  }

  /** The rows are found by their ids before anything is joined. */
  async #rowsOfSlice(table: Table, filter: DeliveryFilter, slice: IdRange, limit: number): Promise<DeliveryRow[]> {
    const params = new Params();
    const conditions = [
      ...sourceOf(table, filter, params),
      ...deliveryConditions(filter, params),
      ...within(slice, params),
    ];
    return await this.#db.all<DeliveryRow>(
      `SELECT ${DELIVERY_COLUMNS} FROM (
         SELECT ${COLUMNS_OF[table]} FROM gateway.${table} d WHERE ${allOf(conditions)} ORDER BY d.id DESC LIMIT ${params.add(limit)}
       ) d ${JOINED} ORDER BY d.id DESC`,
      ...params.values,
    );
  }

  async detail(publicId: string): Promise<DeliveryDetail | null> {
    const id = parseDeliveryId(publicId);
    const row = id === null ? undefined : await this.#db.one<DeliveryRow & { body: Buffer; log: string }>(DETAIL, id);
    if (!row) return null;
    const [view] = await this.viewsOf([row]);
    return view ? { ...view, body: row.body.toString('utf8'), log: JSON.parse(row.log) as Attempt[] } : null;
  }

  /** The deliveries with these ids, in the order of recording. */
  async viewsAt(ids: readonly number[]): Promise<DeliveryView[]> {
    return await this.viewsOf(await this.#db.all<DeliveryRow>(AT, ids));
  }

  async viewsOf(rows: readonly DeliveryRow[]): Promise<DeliveryView[]> {
    const waiting = rows.filter(({ blocked }) => blocked > 0);
    const fronts = await frontsOf(
      this.#db,
      waiting.map(({ id }) => id),
    );
    return rows.map((row) => deliveryViewOf(storedDelivery(row), fronts.get(row.id) ?? null));
  }
}

/** The tables that may have deliveries of this status. */
function tablesOf(status: DeliveryStatus | undefined): readonly Table[] {
  if (status === undefined) return ['queue', 'history'];
  return [status === 'pending' ? 'queue' : 'history'];
}

/** The conditions on a row `d` of a table that the smallest index for this filter has, without those on its id. */
function sourceOf(table: Table, { status, target }: DeliveryFilter, params: Params): string[] {
  if (table === 'queue') return target === undefined ? [] : [targetCondition(target, params)];
  return status === undefined || status === 'pending' ? [] : settledConditions(status);
}

function within({ from, before }: IdRange, params: Params): string[] {
  return [`d.id >= ${params.add(from)}`, `d.id < ${params.add(before)}`];
}

/** A row as the rules of views take it. */
export function storedDelivery(row: DeliveryRow): StoredDelivery {
  return {
    id: row.id,
    status: row.status,
    targetId: row.target_id,
    channel: row.channel,
    event: row.event,
    verdicts: row.verdicts,
    blocked: row.blocked,
    dueAt: row.due_at,
    leasedUntil: row.leased_until,
    attempts: row.attempts,
    createdAt: row.created_at,
    settledAt: row.settled_at,
    lastError: row.last_error,
    isTargetEnabled: row.enabled,
    breaker: row.breaker,
    released: row.released,
    webhookId: row.webhook_id,
    positions: row.positions,
    bytes: row.bytes,
    lanes: row.lanes,
    newestMessageAt: row.newest_message_at,
    maxAgeSeconds: row.max_age_seconds,
  };
}
