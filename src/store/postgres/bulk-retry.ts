import { isLeftOut } from '../rules/held-items.js';
import type { DeliveryStatus, Verdict } from '../../model.js';
import type { RetryFilter } from '../deliveries.js';
import { NO_BOUNDS, RETRIES_PER_STEP } from '../rules/bulk-work.js';
import type { Bounds, BulkCursor, Scanned, Stepped } from '../rules/bulk-work.js';
import type { Base } from './base.js';
import { ROWS_PER_SLICE } from './bulk-operation.js';
import type { BulkOperation } from './bulk-operation.js';
import type { Queries, Transaction } from './queries.js';
import type { PostgresDeliveries } from './deliveries.js';
import { allOf, deliveryConditions, Params, settledConditions } from './filters.js';
import { releasedSince } from './left-out-items.js';
import type { LeftOutRow } from './left-out-items.js';
import { endOfIds, leastId, takeNumbers } from './numbers.js';
import type { RegistryState } from './registry-cache.js';

interface SettledRow extends LeftOutRow {
  readonly target_id: string;
  readonly channel: string;
  readonly status: DeliveryStatus;
}

/** The ids of a slice: those above `after`, up to `end`; null: all that follow. */
interface IdRange {
  readonly after: number;
  readonly end: number | null;
}

/** Of targets that were not removed. */
const SETTLED = `SELECT d.id, d.target, t.id AS target_id, d.channel, d.status, d.webhook_id, d.positions, d.verdicts
  FROM gateway.history d JOIN gateway.targets t ON t.number = d.target AND t.removed_at IS NULL`;
/** Deliveries settled later are not part of a job, such as those that it has retried itself. */
const STILL_SETTLED = `${SETTLED} WHERE d.id = ANY($1::bigint[]) AND d.id >= $2 AND d.id <= $3 AND d.settled_at <= $4 ORDER BY d.id`;

/**
 * Sends settled deliveries again, in the order of recording, so that a chat keeps its order (I6). One that was left out, and
 * whose items were released since, is skipped: the release has sent them.
 */
export class BulkRetry implements BulkOperation<RetryFilter> {
  readonly start = [0];
  readonly #base: Base;
  readonly #deliveries: Pick<PostgresDeliveries, 'requeue'>;

  constructor(base: Base, deliveries: Pick<PostgresDeliveries, 'requeue'>) {
    this.#base = base;
    this.#deliveries = deliveries;
  }

  checkFilter({ target }: RetryFilter, registry: RegistryState): Promise<void> {
    if (target !== undefined) registry.requireTarget(target);
    return Promise.resolve();
  }

  async scan(filter: RetryFilter, [after = 0]: BulkCursor): Promise<Scanned> {
    const { db } = this.#base;
    const end = await endOfSlice(db, filter, NO_BOUNDS, after);
    const rows = await rowsOfSlice(db, filter, NO_BOUNDS, { after, end });
    return {
      found: (await unsentOf(db, rows)).map(({ id, target_id: target, verdicts }) => ({
        place: [id],
        verdicts: verdicts.split(',') as Verdict[],
        targets: [target],
      })),
      next: end === null ? null : [end],
    };
  }

  async step(tx: Transaction, filter: RetryFilter, bounds: Bounds, [after = 0]: BulkCursor): Promise<Stepped> {
    const end = await endOfSlice(tx, filter, bounds, after);
    const found = await rowsOfSlice(tx, filter, bounds, { after, end }, RETRIES_PER_STEP);
    const last = found.length === RETRIES_PER_STEP ? (found.at(-1)?.id ?? null) : end;
    const { done, skipped } = await this.#retry(tx, found, bounds);
    return { done, skipped, deliveries: done, next: last === null ? null : [last] };
  }

  /** @param found as they were read without the locks */
  async #retry(tx: Transaction, found: readonly SettledRow[], { madeAt }: Bounds) {
    const ids = found.map(({ id }) => id);
    if (ids.length === 0) return { done: 0, skipped: 0 };
    await tx.lockChannels(found.map(({ channel }) => channel));
    const { registry: cache, now: clock } = this.#base;
    const now = clock();
    const [registry, rows, numbers] = await Promise.all([
      cache.in(tx),
      tx.all<SettledRow>(STILL_SETTLED, ids, ids[0] ?? 0, ids.at(-1) ?? 0, madeAt),
      takeNumbers(tx, ids.length, now),
    ]);
    const unsent = await unsentOf(tx, rows);
    const again = unsent.map(({ id }) => id);
    const done = again.length === 0 ? 0 : await this.#deliveries.requeue(tx, registry, again, numbers, now);
    return { done, skipped: rows.length - unsent.length };
  }
}

/** The last id of the next slice; null: the rows that are left fit into one. */
async function endOfSlice(
  queries: Queries,
  filter: RetryFilter,
  bounds: Bounds,
  after: number,
): Promise<number | null> {
  const params = new Params();
  const conditions = rangeConditions(filter, bounds, { after, end: null }, params);
  const row = await queries.one<{ id: number }>(
    `SELECT d.id FROM gateway.history d WHERE ${allOf(conditions)} ORDER BY d.id LIMIT 1 OFFSET ${ROWS_PER_SLICE - 1}`,
    ...params.values,
  );
  return row?.id ?? null;
}

async function rowsOfSlice(
  queries: Queries,
  filter: RetryFilter,
  bounds: Bounds,
  range: IdRange,
  limit = ROWS_PER_SLICE,
): Promise<SettledRow[]> {
  const params = new Params();
  const conditions = [
    ...rangeConditions(filter, bounds, range, params),
    ...deliveryConditions(filter, params),
    `d.settled_at <= ${params.add(bounds.madeAt)}`,
  ];
  return await queries.all<SettledRow>(
    `${SETTLED} WHERE ${allOf(conditions)} ORDER BY d.id LIMIT ${params.add(limit)}`,
    ...params.values,
  );
}

/** The range of `gateway.history d` that a slice reads, in the order of one index. */
function rangeConditions(filter: RetryFilter, { number }: Bounds, { after, end }: IdRange, params: Params): string[] {
  const { since = 0, until } = filter;
  const least = Math.max(after + 1, leastId(since));
  const below = Math.min(number, until === undefined ? number : endOfIds(until));
  const last = end === null ? [] : [`d.id <= ${params.add(end)}`];
  return [`d.id >= ${params.add(least)}`, `d.id < ${params.add(below)}`, ...last, ...settledConditions(filter.status)];
}

/** All but those that were left out and whose items were all released since. */
async function unsentOf(queries: Queries, rows: readonly SettledRow[]): Promise<SettledRow[]> {
  const leftOut = rows.filter(({ status }) => isLeftOut(status));
  const released = await releasedSince(queries, leftOut);
  return rows.filter(({ id }) => !released.has(id));
}
