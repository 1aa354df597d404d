import type { Attempt, DeliveryStatus } from '../../model.js';
import { inSlices } from '../../event-loop.js';
import { finish } from '../../slices.js';
import { deliveryViewOf, waitingViewOf } from '../rules/delivery-views.js';
import type { StoredDelivery } from '../rules/delivery-views.js';
import { decodeCursor, encodeCursor, parseDeliveryId } from '../rules/ids.js';
import { KEY_BYTES } from '../rules/keys.js';
import type { Db } from './database.js';
import type { Leases } from './leases.js';
import { ABOVE_ALL_IDS, allOf, deliveryRange, deliveryConditions, leastMatchingId } from './filters.js';
import type { LaneOrder } from './lane-order.js';
import type { RangeFilter } from './filters.js';
import { paged } from '../rules/paging.js';
import { ROWS_PER_SLICE, yieldToCommits } from './slices.js';
import type { DeliveryDetail, DeliveryFilter, DeliveryView, WaitingDelivery } from '../deliveries.js';
import type { Page, PageRequest } from '../paging.js';

export interface DeliveryRow {
  id: number;
  status: DeliveryStatus;
  target_id: string;
  channel: string;
  event: string;
  verdicts: string;
  blocked: number;
  due_at: number;
  attempts: number;
  created_at: number;
  settled_at: number | null;
  last_error: string | null;
  log: string;
  enabled: number;
  breaker: string | null;
  released: number;
  webhook_id: number;
  positions: string | null;
  bytes: number;
  lane_bytes: number;
  newest_message_at: number | null;
  max_age_seconds: number | null;
}

export const DELIVERY_COLUMNS = `d.id, d.status, t.id AS target_id, d.channel, w.event, d.verdicts, d.blocked, d.due_at,
  d.attempts, d.created_at, d.settled_at, d.last_error, d.log, d.released, t.enabled,
  d.webhook_id, d.positions, length(coalesce(d.body, w.body)) AS bytes, length(d.chats) AS lane_bytes,
  d.newest_message_at, t.max_age_seconds, (SELECT state FROM breakers b WHERE b.target = d.target) AS breaker`;
export const DELIVERY_TABLES =
  'deliveries d JOIN webhooks w ON w.id = d.webhook_id JOIN targets t ON t.number = d.target';

/** Lists of deliveries, and single ones; reads only. */
export class DeliveryViews {
  readonly #db: Db;
  readonly #leases: Leases;
  readonly #order: LaneOrder;

  constructor(db: Db, leases: Leases, order: LaneOrder) {
    this.#db = db;
    this.#leases = leases;
    this.#order = order;
  }

  /** Newest first. */
  async list(filter: DeliveryFilter, { limit, cursor }: PageRequest): Promise<Page<DeliveryView>> {
    const [before = ABOVE_ALL_IDS] = cursor === null ? [] : decodeCursor(cursor, 1);
    const found = new Map<number, DeliveryRow>();
    for (const [at, each] of this.#ranges(filter).entries()) {
      if (at > 0) await yieldToCommits();
      for (const row of await this.#newestFirst(before, each, limit + 1)) found.set(row.id, row);
    }
    const rows = [...found.values()].sort((one, other) => other.id - one.id);
    const page = paged(
      rows,
      limit,
      (row) => row,
      (row) => encodeCursor(row.id),
    );
    const data: DeliveryView[] = [];
    for (const row of page.data) data.push(deliveryView(row, this.#leases, await inSlices(this.#order.frontOf(row))));
    return { ...page, data };
  }

  /**
   * The indexes of pending deliveries are by target, so a list of all reads them target by target. Removed targets have some
   * only until their removal is complete.
   */
  #ranges(filter: DeliveryFilter): readonly RangeFilter[] {
    if (filter.status !== 'pending') return [filter];
    if (filter.target !== undefined) {
      const ofOne = this.#db.prepare<[string], number>('SELECT number FROM targets WHERE id = ?').pluck();
      return this.#rangesOf(filter, ofOne.get(filter.target) ?? 0);
    }
    const targets = this.#db
      .prepare<[], { id: string; number: number }>(
        `SELECT id, number FROM targets
         WHERE removed_at IS NULL OR number IN (SELECT target FROM removals WHERE target IS NOT NULL)`,
      )
      .all();
    return targets.flatMap(({ id, number }) => this.#rangesOf({ ...filter, target: id }, number));
  }

  /**
   * Deliveries in flight that were leased as they were recorded are in an index of their own. It is read first: meanwhile some
   * of them may be returned to the other one, and never the other way.
   */
  #rangesOf(filter: DeliveryFilter, target: number): readonly RangeFilter[] {
    return this.#leases.of(target).born.size === 0 ? [filter] : [{ ...filter, isInFlight: true }, filter];
  }

  /** Reads in slices, because the filter may match few of millions of deliveries. */
  async #newestFirst(end: number, filter: RangeFilter, limit: number): Promise<DeliveryRow[]> {
    const rows: DeliveryRow[] = [];
    let before = end;
    for (;;) {
      const start = this.#startOfSlice(before, filter);
      const from = start ?? leastMatchingId(filter);
      rows.push(...this.#rowsOfSlice(from, before, filter, limit - rows.length));
      if (start === null || rows.length >= limit) return rows;
      before = start;
      await yieldToCommits();
    }
  }

  /** The first id of the slice that ends below `before`; null: the rows that are left fit into one slice. */
  #startOfSlice(before: number, filter: RangeFilter): number | null {
    const { where, values } = allOf(deliveryRange(filter, leastMatchingId(filter), before));
    const select = this.#db.prepare<unknown[], number>(
      `SELECT d.id FROM deliveries d WHERE ${where} ORDER BY d.id DESC LIMIT 1 OFFSET ${ROWS_PER_SLICE - 1}`,
    );
    return select.pluck().get(...values) ?? null;
  }

  #rowsOfSlice(from: number, before: number, filter: RangeFilter, limit: number): DeliveryRow[] {
    const { where, values } = allOf([...deliveryRange(filter, from, before), ...deliveryConditions(filter)]);
    return this.#db
      .prepare<unknown[], DeliveryRow>(
        `SELECT ${DELIVERY_COLUMNS} FROM ${DELIVERY_TABLES} WHERE ${where} ORDER BY d.id DESC LIMIT ?`,
      )
      .all(...values, limit);
  }

  detail(publicId: string): DeliveryDetail | null {
    const row = this.#db
      .prepare<[number | null], DeliveryRow & { body: Buffer }>(
        `SELECT ${DELIVERY_COLUMNS}, coalesce(d.body, w.body) AS body FROM ${DELIVERY_TABLES} WHERE d.id = ?`,
      )
      .get(parseDeliveryId(publicId));
    return row ? { ...this.#view(row), body: row.body.toString('utf8'), log: JSON.parse(row.log) as Attempt[] } : null;
  }

  /** Without its body and log. */
  summary(id: number): DeliveryView | null {
    const row = this.#db
      .prepare<[number], DeliveryRow>(`SELECT ${DELIVERY_COLUMNS} FROM ${DELIVERY_TABLES} WHERE d.id = ?`)
      .get(id);
    return row ? this.#view(row) : null;
  }

  #view(row: DeliveryRow): DeliveryView {
    return deliveryView(row, this.#leases, finish(this.#order.frontOf(row)));
  }
}

/** @param front the delivery at the front of the lanes in which it waits; null: it does not wait there */
export function deliveryView(row: DeliveryRow, leases: Leases, front: number | null): DeliveryView {
  return deliveryViewOf(storedDelivery(row, leases), front);
}

export function waitingView(row: DeliveryRow, leases: Leases, front: number | null): WaitingDelivery {
  return waitingViewOf(storedDelivery(row, leases), front);
}

function storedDelivery(row: DeliveryRow, leases: Leases): StoredDelivery {
  return {
    id: row.id,
    status: row.status,
    targetId: row.target_id,
    channel: row.channel,
    event: row.event,
    verdicts: row.verdicts,
    blocked: row.blocked,
    dueAt: row.due_at,
    leasedUntil: leases.get(row.id)?.until ?? null,
    attempts: row.attempts,
    createdAt: row.created_at,
    settledAt: row.settled_at,
    lastError: row.last_error,
    isTargetEnabled: row.enabled === 1,
    breaker: row.breaker,
    released: row.released === 1,
    webhookId: row.webhook_id,
    positions: row.positions === null ? null : (JSON.parse(row.positions) as number[]),
    bytes: row.bytes,
    lanes: row.lane_bytes / KEY_BYTES,
    newestMessageAt: row.newest_message_at,
    maxAgeSeconds: row.max_age_seconds,
  };
}
