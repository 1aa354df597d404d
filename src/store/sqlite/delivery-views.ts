import type { Attempt, DeliveryStatus, DeliveryWait, Verdict } from '../../model.js';
import { decodeCursor, deliveryId, encodeCursor, parseDeliveryId } from '../rules/ids.js';
import type { Db } from './database.js';
import type { Leases } from './leases.js';
import { ABOVE_ALL_IDS, allOf, deliveryRange, deliveryConditions, leastMatchingId } from './filters.js';
import { paged } from './paging.js';
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
}

export const DELIVERY_COLUMNS = `d.id, d.status, t.id AS target_id, d.channel, w.event, d.verdicts, d.blocked, d.due_at,
  d.attempts, d.created_at, d.settled_at, d.last_error, d.log, d.released, t.enabled,
  (SELECT state FROM breakers b WHERE b.target = d.target) AS breaker`;
export const DELIVERY_TABLES =
  'deliveries d JOIN webhooks w ON w.id = d.webhook_id JOIN targets t ON t.number = d.target';

/** Lists of deliveries, and single ones; reads only. */
export class DeliveryViews {
  readonly #db: Db;
  readonly #leases: Leases;

  constructor(db: Db, leases: Leases) {
    this.#db = db;
    this.#leases = leases;
  }

  /** Newest first. */
  async list(filter: DeliveryFilter, { limit, cursor }: PageRequest): Promise<Page<DeliveryView>> {
    const [before = ABOVE_ALL_IDS] = cursor === null ? [] : decodeCursor(cursor, 1);
    const rows: DeliveryRow[] = [];
    for (const [at, each] of this.#byTarget(filter).entries()) {
      if (at > 0) await yieldToCommits();
      rows.push(...(await this.#newestFirst(before, each, limit + 1)));
    }
    rows.sort((one, other) => other.id - one.id);
    return paged(
      rows,
      limit,
      (row) => deliveryView(row, this.#leases),
      (row) => encodeCursor(row.id),
    );
  }

  /**
   * The index of pending deliveries is by target, so a list of all reads it target by target. Removed targets have some only
   * until their removal is complete.
   */
  #byTarget(filter: DeliveryFilter): readonly DeliveryFilter[] {
    if (filter.status !== 'pending' || filter.target !== undefined) return [filter];
    const ids = this.#db
      .prepare<[], string>(
        'SELECT id FROM targets WHERE removed_at IS NULL OR number IN (SELECT target FROM removals WHERE target IS NOT NULL)',
      )
      .pluck()
      .all();
    return ids.map((target) => ({ ...filter, target }));
  }

  /** Reads in slices, because the filter may match few of millions of deliveries. */
  async #newestFirst(end: number, filter: DeliveryFilter, limit: number): Promise<DeliveryRow[]> {
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
  #startOfSlice(before: number, filter: DeliveryFilter): number | null {
    const { where, values } = allOf(deliveryRange(filter, leastMatchingId(filter), before));
    const select = this.#db.prepare<unknown[], number>(
      `SELECT d.id FROM deliveries d WHERE ${where} ORDER BY d.id DESC LIMIT 1 OFFSET ${ROWS_PER_SLICE - 1}`,
    );
    return select.pluck().get(...values) ?? null;
  }

  #rowsOfSlice(from: number, before: number, filter: DeliveryFilter, limit: number): DeliveryRow[] {
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
    return row
      ? { ...deliveryView(row, this.#leases), body: row.body.toString('utf8'), log: JSON.parse(row.log) as Attempt[] }
      : null;
  }

  /** Without its body and log. */
  summary(id: number): DeliveryView | null {
    const row = this.#db
      .prepare<[number], DeliveryRow>(`SELECT ${DELIVERY_COLUMNS} FROM ${DELIVERY_TABLES} WHERE d.id = ?`)
      .get(id);
    return row ? deliveryView(row, this.#leases) : null;
  }
}

function waitOf({ blocked, enabled, breaker }: DeliveryRow): DeliveryWait | null {
  if (blocked > 0) return 'earlier_delivery';
  if (enabled === 0) return 'target_enabled';
  return breaker === 'open' ? 'breaker' : null;
}

/** While a delivery is in flight, its next attempt is due when its lease ends (I5). */
export function deliveryView(row: DeliveryRow, leases: Leases): DeliveryView {
  const dueAt = leases.get(row.id)?.until ?? row.due_at;
  return {
    id: deliveryId(row.id),
    status: row.status,
    target: row.target_id,
    channel: row.channel,
    event: row.event,
    verdicts: row.verdicts.split(',') as Verdict[],
    attempts: row.attempts,
    createdAt: row.created_at,
    nextAttemptAt: row.status === 'pending' && row.blocked === 0 ? dueAt : null,
    waitsFor: row.status === 'pending' ? waitOf(row) : null,
    settledAt: row.settled_at,
    lastError: row.last_error,
    released: row.released === 1,
  };
}

export function waitingView(row: DeliveryRow, leases: Leases): WaitingDelivery {
  return { ...deliveryView(row, leases), underWay: leases.get(row.id) !== undefined };
}
