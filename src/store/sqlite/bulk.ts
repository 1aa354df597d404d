import type { Verdict } from '../../model.js';
import { BYTES_PER_STEP, RELEASES_PER_STEP, RETRIES_PER_STEP, steppedReleases } from '../rules/bulk-work.js';
import type { Bounds, BulkCursor, Scanned, Stepped } from '../rules/bulk-work.js';
import { noSuchResync } from '../rules/registrations.js';
import { isNotHeld } from '../rules/release.js';
import type { Db } from './database.js';
import {
  allOf,
  ABOVE_ALL_IDS,
  deliveryRange,
  deliveryConditions,
  leastMatchingId,
  releaseConditions,
} from './filters.js';
import { ROWS_PER_SLICE } from './slices.js';
import type { Condition } from './filters.js';
import type { SettledRow, DeliveryTables } from './delivery-tables.js';
import type { RegistryTables } from './registry-tables.js';
import { HELD_COLUMNS } from './held-items.js';
import type { HeldRow, HeldItems } from './held-items.js';
import type { ItemRelease } from './item-release.js';
import type { RetryFilter } from '../deliveries.js';
import type { ReleaseFilter } from '../items.js';

/** For each item one query looks up its deliveries. */
const RELEASES_PER_SCAN = 200;

/**
 * One kind of bulk work: handles the rows that a filter matches, in the order of recording, in slices. `step` is for use
 * inside a transaction; `scan` only reads.
 */
export interface BulkOperation<Filter> {
  readonly start: BulkCursor;
  /** @throws GatewayError GW_NOT_FOUND (a target or resync of the filter) */
  checkFilter(filter: Filter): void;
  scan(filter: Filter, bounds: Bounds, after: BulkCursor): Scanned;
  step(filter: Filter, bounds: Bounds, after: BulkCursor, now: number): Stepped;
}

/**
 * Sends settled deliveries again, in the order of recording, so that a chat keeps its order (I6). One that was left out, and
 * whose items were released since, is skipped: the release has sent them.
 */
export class BulkRetry implements BulkOperation<RetryFilter> {
  readonly start = [0];
  readonly #db: Db;
  readonly #registry: RegistryTables;
  readonly #deliveries: DeliveryTables;

  constructor(db: Db, registry: RegistryTables, deliveries: DeliveryTables) {
    this.#db = db;
    this.#registry = registry;
    this.#deliveries = deliveries;
  }

  checkFilter({ target }: RetryFilter): void {
    if (target !== undefined) this.#registry.requireTarget(target);
  }

  scan(filter: RetryFilter, bounds: Bounds, [after = 0]: BulkCursor): Scanned {
    const end = this.#endOfSlice(filter, after);
    const { where, values } = this.#rowsOfSlice(filter, bounds, after, end);
    const rows = this.#db
      .prepare<unknown[], SettledRow & { target_id: string; verdicts: string }>(
        `SELECT d.id, d.target, d.chats, d.status, (SELECT id FROM targets WHERE number = d.target) AS target_id, d.verdicts
         FROM deliveries d WHERE ${where} ORDER BY d.id`,
      )
      .all(...values);
    return {
      found: rows
        .filter((row) => !this.#deliveries.wasReleased(row))
        .map(({ id, target_id, verdicts }) => ({
          place: [id],
          verdicts: verdicts.split(',') as Verdict[],
          targets: [target_id],
        })),
      next: end === null ? null : [end],
    };
  }

  step(filter: RetryFilter, bounds: Bounds, [after = 0]: BulkCursor, now: number): Stepped {
    const end = this.#endOfSlice(filter, after);
    const { where, values } = this.#rowsOfSlice(filter, bounds, after, end);
    const rows = this.#db
      .prepare<unknown[], SettledRow>(
        `SELECT d.id, d.target, d.chats, d.status FROM deliveries d WHERE ${where} ORDER BY d.id LIMIT ${RETRIES_PER_STEP}`,
      )
      .all(...values);
    const unsent = rows.filter((row) => !this.#deliveries.wasReleased(row));
    for (const row of unsent) this.#deliveries.requeue(row, now);
    const last = rows.length === RETRIES_PER_STEP ? (rows.at(-1)?.id ?? null) : end;
    return {
      ...{ done: unsent.length, skipped: rows.length - unsent.length, deliveries: unsent.length },
      next: last === null ? null : [last],
    };
  }

  #endOfSlice(filter: RetryFilter, after: number): number | null {
    const { where, values } = allOf(deliveryRange(filter, firstIdAfter(after, filter), ABOVE_ALL_IDS));
    const select = this.#db.prepare<unknown[], number>(
      `SELECT d.id FROM deliveries d WHERE ${where} ORDER BY d.id LIMIT 1 OFFSET ${ROWS_PER_SLICE - 1}`,
    );
    return select.pluck().get(...values) ?? null;
  }

  #rowsOfSlice(filter: RetryFilter, { madeAt }: Bounds, after: number, end: number | null) {
    return allOf([
      ...deliveryRange(filter, firstIdAfter(after, filter), end === null ? ABOVE_ALL_IDS : end + 1),
      // Deliveries settled later are not part of the job, least of all those that it has sent again itself.
      ['d.settled_at <= ?', madeAt],
      ['(SELECT removed_at FROM targets WHERE number = d.target) IS NULL'],
      ...deliveryConditions(filter),
    ]);
  }
}

function firstIdAfter(after: number, filter: RetryFilter): number {
  return Math.max(after + 1, leastMatchingId(filter));
}

/** Releases held items in the order of recording, each like a release of a single item. */
export class BulkRelease implements BulkOperation<ReleaseFilter> {
  readonly start = [0, 0];
  readonly #db: Db;
  readonly #registry: RegistryTables;
  readonly #release: ItemRelease;
  readonly #held: HeldItems;
  readonly #isResync;
  readonly #lastOfSlice;

  constructor(db: Db, registry: RegistryTables, release: ItemRelease, held: HeldItems) {
    this.#db = db;
    this.#held = held;
    this.#registry = registry;
    this.#release = release;
    this.#isResync = db.prepare<[string]>('SELECT 1 FROM resyncs WHERE id = ?').pluck();
    this.#lastOfSlice = db.prepare<[number, number], { webhook_id: number; position: number }>(
      `SELECT webhook_id, position FROM sightings WHERE held = 1 AND (webhook_id, position) > (?, ?)
       ORDER BY webhook_id, position LIMIT 1 OFFSET ${ROWS_PER_SLICE - 1}`,
    );
  }

  checkFilter({ targets = [], resync }: ReleaseFilter): void {
    for (const id of targets) this.#registry.requireTarget(id);
    if (resync !== undefined && this.#isResync.get(resync) === undefined) {
      throw noSuchResync(resync);
    }
  }

  scan(filter: ReleaseFilter, bounds: Bounds, after: BulkCursor): Scanned {
    const end = this.#endOfSlice(after);
    const { from, values } = this.#rowsOfSlice(filter, bounds, after, end);
    const rows = this.#db
      .prepare<unknown[], HeldRow>(
        `SELECT ${HELD_COLUMNS} ${from} ORDER BY s.webhook_id, s.position LIMIT ${RELEASES_PER_SCAN}`,
      )
      .all(...values);
    const found = rows.flatMap((row) => this.#held.releasable(row, filter) ?? []);
    const last = rows.length === RELEASES_PER_SCAN ? rows.at(-1) : undefined;
    return { found, next: last ? [last.webhook_id, last.position] : end };
  }

  step(filter: ReleaseFilter, bounds: Bounds, after: BulkCursor, now: number): Stepped {
    const end = this.#endOfSlice(after);
    const { from, values } = this.#rowsOfSlice(filter, bounds, after, end);
    const rows = this.#db
      .prepare<unknown[], HeldRow>(
        `SELECT ${HELD_COLUMNS} ${from}
         ORDER BY s.webhook_id, s.position LIMIT ${RELEASES_PER_STEP}`,
      )
      .all(...values);
    const made = this.#release.releaseWithin(BYTES_PER_STEP, rows, (row) => this.#releaseRow(row, filter, now));
    const last = rows[made.length - 1];
    const isSliceDone = made.length === rows.length && rows.length < RELEASES_PER_STEP;
    return steppedReleases(made, isSliceDone || !last ? end : [last.webhook_id, last.position]);
  }

  /** Returns the number of new deliveries; 0: it went with an earlier repetition, or no target needs it. */
  #releaseRow(row: HeldRow, { targets }: ReleaseFilter, now: number): number {
    try {
      return this.#release.releaseRow(row, targets, now).length;
    } catch (error) {
      if (isNotHeld(error)) return 0;
      throw error;
    }
  }

  #endOfSlice([webhookId = 0, position = 0]: BulkCursor): BulkCursor | null {
    const row = this.#lastOfSlice.get(webhookId, position);
    return row ? [row.webhook_id, row.position] : null;
  }

  #rowsOfSlice(filter: ReleaseFilter, { number }: Bounds, after: BulkCursor, end: BulkCursor | null) {
    const last = end !== null && (end[0] ?? 0) < number ? end : [number - 1, ABOVE_ALL_IDS];
    const range: Condition[] = [
      ['s.held = 1'],
      ['(s.webhook_id, s.position) > (?, ?)', ...after],
      ['(s.webhook_id, s.position) <= (?, ?)', ...last],
    ];
    const { where, values } = allOf([...range, ...releaseConditions(filter, this.#held.messageKeys(filter))]);
    return { from: `FROM sightings s JOIN webhooks w ON w.id = s.webhook_id WHERE ${where}`, values };
  }
}
