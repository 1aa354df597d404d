import { GatewayError } from '../../errors.js';
import type { Verdict } from '../../model.js';
import type { Db } from './database.js';
import {
  allOf,
  BEYOND,
  deliveriesInReach,
  deliveryConditions,
  leastIdNamed,
  releaseConditions,
  ROWS_PER_SLICE,
} from './filters.js';
import type { Condition } from './filters.js';
import type { SettledRow, SqliteOutbox } from './outbox.js';
import type { SqliteRegistry } from './registry.js';
import { HELD_COLUMNS } from './held.js';
import type { HeldRow, SqliteHeld } from './held.js';
import type { SqliteRelease } from './release.js';
import type { RetryFilter } from '../deliveries.js';
import type { ReleaseFilter } from '../items.js';

/** Small enough that a step takes a few milliseconds, so that webhooks between two steps hardly wait. */
const RETRIES_PER_STEP = 200;
const RELEASES_PER_STEP = 50;
/** For each it is looked up who was sent it. */
const RELEASES_PER_LOOK = 200;
/** Of webhooks that are read and bodies that are written: a step ends with the release that goes past this. */
const BYTES_PER_STEP = 1024 * 1024;

/** The numbers of what was gone through last; the next slice begins behind it. */
export type Cursor = readonly number[];

/** What a job may touch: what was there when it was made. */
export interface Bounds {
  /** Nothing that was given this number or a greater one. */
  readonly number: number;
  readonly madeAt: number;
}

export const NO_BOUNDS: Bounds = { number: BEYOND, madeAt: BEYOND };

/** Where a slice ends; null behind the cursor: there is no more. */
interface Slice {
  readonly next: Cursor | null;
}

/** What one step would send. */
export interface Found {
  /** The numbers of a delivery, or of an item's place. */
  readonly place: Cursor;
  readonly verdicts: readonly Verdict[];
  /** Ids. */
  readonly targets: readonly string[];
}

export interface Scanned extends Slice {
  readonly found: readonly Found[];
}

export interface Stepped extends Slice {
  readonly done: number;
  readonly skipped: number;
  /** Deliveries that became due. */
  readonly deliveries: number;
}

/**
 * One kind of bulk work: what a filter names, gone through in the order of recording, a slice at a time. For use inside a
 * transaction, except `look`.
 */
export interface Bulk<Filter> {
  readonly start: Cursor;
  /** @throws GatewayError GW_NOT_FOUND: the filter names what there is not */
  check(filter: Filter): void;
  scan(filter: Filter, bounds: Bounds, after: Cursor): Scanned;
  step(filter: Filter, bounds: Bounds, after: Cursor, now: number): Stepped;
}

/** Sends settled deliveries again. In order of recording, so that those of a chat keep their order (I6). */
export class BulkRetry implements Bulk<RetryFilter> {
  readonly start = [0];
  readonly #db: Db;
  readonly #registry: SqliteRegistry;
  readonly #outbox: SqliteOutbox;

  constructor(db: Db, registry: SqliteRegistry, outbox: SqliteOutbox) {
    this.#db = db;
    this.#registry = registry;
    this.#outbox = outbox;
  }

  check({ target }: RetryFilter): void {
    if (target !== undefined) this.#registry.mustHaveTarget(target);
  }

  scan(filter: RetryFilter, bounds: Bounds, [after = 0]: Cursor): Scanned {
    const end = this.#endOfSlice(filter, after);
    const { where, values } = this.#between(filter, bounds, after, end);
    const rows = this.#db
      .prepare<unknown[], { id: number; target: string; verdicts: string }>(
        `SELECT d.id, (SELECT id FROM targets WHERE number = d.target) AS target, d.verdicts
         FROM deliveries d WHERE ${where} ORDER BY d.id`,
      )
      .all(...values);
    return {
      found: rows.map(({ id, target, verdicts }) => ({
        place: [id],
        verdicts: verdicts.split(',') as Verdict[],
        targets: [target],
      })),
      next: end === null ? null : [end],
    };
  }

  step(filter: RetryFilter, bounds: Bounds, [after = 0]: Cursor, now: number): Stepped {
    const end = this.#endOfSlice(filter, after);
    const { where, values } = this.#between(filter, bounds, after, end);
    const rows = this.#db
      .prepare<unknown[], SettledRow>(
        `SELECT d.id, d.target, d.chats FROM deliveries d WHERE ${where} ORDER BY d.id LIMIT ${RETRIES_PER_STEP}`,
      )
      .all(...values);
    for (const row of rows) this.#outbox.sendAgain(row, now);
    const last = rows.length === RETRIES_PER_STEP ? (rows.at(-1)?.id ?? null) : end;
    return { done: rows.length, skipped: 0, deliveries: rows.length, next: last === null ? null : [last] };
  }

  #endOfSlice(filter: RetryFilter, after: number): number | null {
    const { where, values } = allOf(deliveriesInReach(filter, behind(after, filter), BEYOND));
    const select = this.#db.prepare<unknown[], number>(
      `SELECT d.id FROM deliveries d WHERE ${where} ORDER BY d.id LIMIT 1 OFFSET ${ROWS_PER_SLICE - 1}`,
    );
    return select.pluck().get(...values) ?? null;
  }

  #between(filter: RetryFilter, { madeAt }: Bounds, after: number, end: number | null) {
    return allOf([
      ...deliveriesInReach(filter, behind(after, filter), end === null ? BEYOND : end + 1),
      // What was settled later is no part of the job: least of all what it has sent again itself.
      ['d.settled_at <= ?', madeAt],
      ['(SELECT removed_at FROM targets WHERE number = d.target) IS NULL'],
      ...deliveryConditions(filter),
    ]);
  }
}

function behind(after: number, filter: RetryFilter): number {
  return Math.max(after + 1, leastIdNamed(filter));
}

/** Releases held items, one by one, each as if it were released by itself. In order of time. */
export class BulkRelease implements Bulk<ReleaseFilter> {
  readonly start = [0, 0];
  readonly #db: Db;
  readonly #registry: SqliteRegistry;
  readonly #release: SqliteRelease;
  readonly #held: SqliteHeld;
  readonly #resync;
  readonly #end;

  constructor(db: Db, registry: SqliteRegistry, release: SqliteRelease, held: SqliteHeld) {
    this.#db = db;
    this.#held = held;
    this.#registry = registry;
    this.#release = release;
    this.#resync = db.prepare<[string]>('SELECT 1 FROM resyncs WHERE id = ?').pluck();
    this.#end = db.prepare<[number, number], { webhook_id: number; position: number }>(
      `SELECT webhook_id, position FROM sightings WHERE held = 1 AND (webhook_id, position) > (?, ?)
       ORDER BY webhook_id, position LIMIT 1 OFFSET ${ROWS_PER_SLICE - 1}`,
    );
  }

  check({ targets = [], resync }: ReleaseFilter): void {
    for (const id of targets) this.#registry.mustHaveTarget(id);
    if (resync !== undefined && this.#resync.get(resync) === undefined) {
      throw new GatewayError('GW_NOT_FOUND', `There is no resync "${resync}".`);
    }
  }

  scan(filter: ReleaseFilter, bounds: Bounds, after: Cursor): Scanned {
    const end = this.#endOfSlice(after);
    const { from, values } = this.#between(filter, bounds, after, end);
    const rows = this.#db
      .prepare<unknown[], HeldRow>(
        `SELECT ${HELD_COLUMNS} ${from} ORDER BY s.webhook_id, s.position LIMIT ${RELEASES_PER_LOOK}`,
      )
      .all(...values);
    const found = rows.flatMap((row) => this.#held.sendable(row, filter) ?? []);
    const last = rows.length === RELEASES_PER_LOOK ? rows.at(-1) : undefined;
    return {
      found: found.map(({ place, ...rest }) => ({ ...rest, place: [place.webhookId, place.position] })),
      next: last ? [last.webhook_id, last.position] : end,
    };
  }

  step(filter: ReleaseFilter, bounds: Bounds, after: Cursor, now: number): Stepped {
    const end = this.#endOfSlice(after);
    const { from, values } = this.#between(filter, bounds, after, end);
    const rows = this.#db
      .prepare<unknown[], HeldRow>(
        `SELECT ${HELD_COLUMNS} ${from}
         ORDER BY s.webhook_id, s.position LIMIT ${RELEASES_PER_STEP}`,
      )
      .all(...values);
    const made = this.#release.releaseWithin(BYTES_PER_STEP, rows, (row) => this.#releaseRow(row, filter, now));
    const last = rows[made.length - 1];
    const isWhole = made.length === rows.length && rows.length < RELEASES_PER_STEP;
    return {
      done: made.filter((count) => count > 0).length,
      skipped: made.filter((count) => count === 0).length,
      deliveries: made.reduce((sum, count) => sum + count, 0),
      next: isWhole || !last ? end : [last.webhook_id, last.position],
    };
  }

  /** 0 where it was a repetition of what was released already, or where no target is to be sent it. */
  #releaseRow(row: HeldRow, { targets }: ReleaseFilter, now: number): number {
    try {
      return this.#release.releaseRow(row, targets, now).length;
    } catch (error) {
      if (error instanceof GatewayError && error.code === 'GW_NOT_HELD') return 0;
      throw error;
    }
  }

  #endOfSlice([webhookId = 0, position = 0]: Cursor): Cursor | null {
    const row = this.#end.get(webhookId, position);
    return row ? [row.webhook_id, row.position] : null;
  }

  #between(filter: ReleaseFilter, { number }: Bounds, after: Cursor, end: Cursor | null) {
    const last = end !== null && (end[0] ?? 0) < number ? end : [number - 1, BEYOND];
    const inReach: Condition[] = [
      ['s.held = 1'],
      ['(s.webhook_id, s.position) > (?, ?)', ...after],
      ['(s.webhook_id, s.position) <= (?, ?)', ...last],
    ];
    const { where, values } = allOf([...inReach, ...releaseConditions(filter, this.#held.keysOf(filter))]);
    return { from: `FROM sightings s JOIN webhooks w ON w.id = s.webhook_id WHERE ${where}`, values };
  }
}
