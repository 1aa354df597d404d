import { GatewayError } from '../../errors.js';
import type { Verdict } from '../../model.js';
import { parseJobId } from '../rules/ids.js';
import type { Ids } from '../rules/ids.js';
import { NO_BOUNDS } from './bulk.js';
import type { Bounds, Bulk, BulkRelease, BulkRetry, Cursor, Scanned, Stepped } from './bulk.js';
import type { Db } from './database.js';
import { letOthersRun } from './filters.js';
import type { RetryFilter } from '../deliveries.js';
import type { ReleaseFilter } from '../items.js';
import type { BulkWork, SurveyCounts } from '../jobs.js';

interface RunningRow {
  number: number;
  kind: BulkWork['kind'];
  filter: string;
  cursor: string;
  created_at: number;
}

/** What a survey shows of what it found. */
const SAMPLE = 20;

export interface Surveyed extends SurveyCounts {
  /** The numbers of the first ones: of a delivery its own, of an item those of its place. */
  readonly sample: readonly Cursor[];
}

/**
 * Jobs: running → finished, when there is nothing left behind the cursor; running → cancelled. A step and its progress
 * are one commit, so that after a crash a job goes on exactly behind what it has done.
 */
export class SqliteJobs {
  readonly #db: Db;
  readonly #ids: Ids;
  readonly #retry: BulkRetry;
  readonly #release: BulkRelease;
  readonly #oldest;
  readonly #progress;

  constructor(db: Db, ids: Ids, retry: BulkRetry, release: BulkRelease) {
    this.#db = db;
    this.#ids = ids;
    this.#retry = retry;
    this.#release = release;
    this.#oldest = db.prepare<[], RunningRow>(
      "SELECT number, kind, filter, cursor, created_at FROM jobs WHERE status = 'running' ORDER BY number LIMIT 1",
    );
    this.#progress = db.prepare(
      'UPDATE jobs SET done = done + ?, skipped = skipped + ?, cursor = ?, status = ?, finished_at = ? WHERE number = ?',
    );
  }

  /** Not inside a transaction: others run between its slices. @throws GatewayError GW_NOT_FOUND */
  async survey(work: BulkWork): Promise<Surveyed> {
    const slices = this.#on(work);
    slices.check();
    const byTarget: Record<string, number> = {};
    const byVerdict: Partial<Record<Verdict, number>> = {};
    const sample: Cursor[] = [];
    let count = 0;
    for (let after: Cursor | null = slices.start; after !== null;) {
      const { found, next }: Scanned = slices.scan(NO_BOUNDS, after);
      for (const { place, targets, verdicts } of found) {
        count += 1;
        if (sample.length < SAMPLE) sample.push(place);
        for (const id of targets) byTarget[id] = (byTarget[id] ?? 0) + 1;
        for (const verdict of new Set(verdicts)) byVerdict[verdict] = (byVerdict[verdict] ?? 0) + 1;
      }
      after = next;
      if (after !== null) await letOthersRun();
    }
    return { count, byTarget, byVerdict, sample };
  }

  /** @throws GatewayError GW_NOT_FOUND */
  add({ kind, filter }: BulkWork, total: number, now: number): number {
    const work = this.#on({ kind, filter } as BulkWork);
    work.check();
    const number = this.#ids.next(now);
    this.#db
      .prepare(
        `INSERT INTO jobs (number, kind, filter, status, total, done, skipped, cursor, created_at)
         VALUES (?, ?, ?, 'running', ?, 0, 0, ?, ?)`,
      )
      .run(number, kind, JSON.stringify(filter), total, JSON.stringify(work.start), now);
    return number;
  }

  step(now: number): number | null {
    const job = this.#oldest.get();
    if (!job) return null;
    const bounds = { number: job.number, madeAt: job.created_at };
    const work = this.#on({ kind: job.kind, filter: JSON.parse(job.filter) as unknown } as BulkWork);
    const { done, skipped, deliveries, next } = work.step(bounds, JSON.parse(job.cursor) as Cursor, now);
    const isOver = next === null;
    const cursor = isOver ? job.cursor : JSON.stringify(next);
    this.#progress.run(done, skipped, cursor, isOver ? 'finished' : 'running', isOver ? now : null, job.number);
    return deliveries;
  }

  /** @throws GatewayError GW_NOT_FOUND */
  cancel(id: string, now: number): void {
    const number = parseJobId(id);
    if (this.#db.prepare<[number | null]>('SELECT 1 FROM jobs WHERE number = ?').pluck().get(number) === undefined) {
      throw new GatewayError('GW_NOT_FOUND', `There is no job "${id}"; it may have been pruned.`);
    }
    this.#db
      .prepare("UPDATE jobs SET status = 'cancelled', finished_at = ? WHERE number = ? AND status = 'running'")
      .run(now, number);
  }

  #on(work: BulkWork): BulkOn {
    return work.kind === 'retry' ? bulkOn(this.#retry, work.filter) : bulkOn(this.#release, work.filter);
  }
}

/** Bulk work of some kind on what its filter names. */
interface BulkOn {
  readonly start: Cursor;
  check(): void;
  scan(bounds: Bounds, after: Cursor): Scanned;
  step(bounds: Bounds, after: Cursor, now: number): Stepped;
}

function bulkOn<Filter extends RetryFilter | ReleaseFilter>(bulk: Bulk<Filter>, filter: Filter): BulkOn {
  return {
    start: bulk.start,
    check: () => bulk.check(filter),
    scan: (bounds, after) => bulk.scan(filter, bounds, after),
    step: (bounds, after, now) => bulk.step(filter, bounds, after, now),
  };
}
