import type { Attempt, DeliveryStatus } from '../../model.js';
import { deliveryViewOf } from '../rules/delivery-views.js';
import type { StoredDelivery } from '../rules/delivery-views.js';
import { decodeCursor, encodeCursor, parseDeliveryId } from '../rules/ids.js';
import { paged } from '../rules/paging.js';
import type { Database } from './database.js';
import { allOf, deliveryConditions, Params, settledConditions } from './filters.js';
import { frontsOf } from './lane-order.js';
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

  /** Newest first: the first rows of each table, by the index of ids, before anything is joined. */
  async list(filter: DeliveryFilter, { limit, cursor }: PageRequest): Promise<Page<DeliveryView>> {
    const params = new Params();
    const conditions = deliveryConditions(filter, params);
    if (cursor !== null) conditions.push(`d.id < ${params.add(decodeCursor(cursor, 1)[0] ?? 0)}`);
    const end = `ORDER BY d.id DESC LIMIT ${params.add(limit + 1)}`;
    const found = newestOf(filter.status, conditions, end).map((sql) => `(${sql})`);
    const rows = await this.#db.all<DeliveryRow>(
      `SELECT ${DELIVERY_COLUMNS} FROM (SELECT * FROM (${found.join(' UNION ALL ')}) d ${end}) d ${JOINED} ORDER BY d.id DESC`,
      ...params.values,
    );
    const page = paged(
      rows,
      limit,
      (row) => row,
      (row) => encodeCursor(row.id),
    );
    return { ...page, data: await this.viewsOf(page.data) };
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

/** A query for each table that may have deliveries of this status. @param end the order and the limit of each */
function newestOf(status: DeliveryStatus | undefined, conditions: readonly string[], end: string): string[] {
  const settled = status === undefined || status === 'pending' ? [] : settledConditions(status);
  const pendingOnes = `SELECT ${OF_QUEUE} FROM gateway.queue d WHERE ${allOf(conditions)} ${end}`;
  const settledOnes = `SELECT ${OF_HISTORY} FROM gateway.history d WHERE ${allOf([...settled, ...conditions])} ${end}`;
  if (status === undefined) return [pendingOnes, settledOnes];
  return status === 'pending' ? [pendingOnes] : [settledOnes];
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
