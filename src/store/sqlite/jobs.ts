import type { Effects } from '../../effects.js';
import { NO_BOUNDS, WorkTally } from '../rules/bulk-work.js';
import type { Bounds, BulkCursor, Scanned, Stepped, Surveyed } from '../rules/bulk-work.js';
import { decodeCursor, encodeCursor, parseJobId } from '../rules/ids.js';
import type { Ids } from './numbering.js';
import { busySince, checkExpectedCount, jobView, noSuchJob, workOf } from '../rules/jobs.js';
import type { JobRow } from '../rules/jobs.js';
import type { BulkOperation, BulkRelease, BulkRetry } from './bulk.js';
import type { Db } from './database.js';
import type { DeliveryViews } from './delivery-views.js';
import { ABOVE_ALL_IDS } from './filters.js';
import type { Condition } from './filters.js';
import { yieldToCommits } from './slices.js';
import type { GroupCommit } from './group-commit.js';
import type { ItemViews } from './item-views.js';
import { paged } from '../rules/paging.js';
import { readBack } from '../rules/read-back.js';
import { read } from './reads.js';
import type { Removals } from './removals.js';
import { newestRuns } from './run-lists.js';
import type { RetryFilter } from '../deliveries.js';
import type { ReleaseFilter } from '../items.js';
import type { BulkWork, JobFilter, Jobs, JobView, WorkSurvey } from '../jobs.js';
import type { Page, PageRequest } from '../paging.js';

type RunningRow = Pick<JobRow, 'number' | 'kind' | 'filter' | 'created_at'> & {
  cursor: string;
  stepped_at: number | null;
};

export interface JobParts {
  readonly commit: GroupCommit;
  readonly ids: Ids;
  readonly retry: BulkRetry;
  readonly release: BulkRelease;
  readonly deliveries: DeliveryViews;
  readonly items: ItemViews;
  /** Removed targets and channels come before jobs: they have fewer steps, and their names may be wanted again. */
  readonly removals: Pick<Removals, 'step'>;
}

/**
 * Jobs: running → finished, when nothing is left behind the cursor; running → cancelled. A step and its progress are one
 * commit, so that after a crash a job continues exactly behind what it has done.
 */
export class SqliteJobs implements Jobs {
  readonly #db: Db;
  readonly #parts: JobParts;
  readonly #now: Effects['now'];
  readonly #oldestRunning;
  readonly #saveProgress;

  constructor(db: Db, parts: JobParts, now: Effects['now']) {
    this.#db = db;
    this.#parts = parts;
    this.#now = now;
    this.#oldestRunning = db.prepare<[], RunningRow>(
      "SELECT number, kind, filter, cursor, created_at, stepped_at FROM jobs WHERE status = 'running' ORDER BY number LIMIT 1",
    );
    this.#saveProgress = db.prepare(
      `UPDATE jobs SET done = done + ?, skipped = skipped + ?, cursor = ?, status = ?, finished_at = ?,
         busy_ms = busy_ms + ?, stepped_at = ? WHERE number = ?`,
    );
  }

  async survey(work: BulkWork): Promise<WorkSurvey> {
    return await read(async () => {
      const { sample, ...counts } = await this.#count(work);
      const { deliveries, items } = this.#parts;
      return work.kind === 'retry'
        ? { ...counts, kind: work.kind, sample: sample.flatMap(([id = 0]) => deliveries.summary(id) ?? []) }
        : {
            ...counts,
            kind: work.kind,
            sample: sample.flatMap(([webhookId = 0, position = 0]) => items.item({ webhookId, position }) ?? []),
          };
    });
  }

  async add(work: BulkWork, expectedCount?: number): Promise<JobView> {
    const { count } = await read(async () => await this.#count(work));
    checkExpectedCount(count, expectedCount);
    const number = await this.#parts.commit.run(() => this.#insert(work, count, this.#now()));
    return readBack(this.#view(number));
  }

  async step(): Promise<number | null> {
    return await this.#parts.commit.run(() => {
      const now = this.#now();
      return this.#parts.removals.step(now) ? 0 : this.#step(now);
    });
  }

  async cancel(id: string): Promise<JobView> {
    await this.#parts.commit.run(() => this.#cancel(id, this.#now()));
    return readBack(this.#view(parseJobId(id)));
  }

  async list({ limit, cursor }: PageRequest, filter: JobFilter = {}): Promise<Page<JobView>> {
    return await read(async () => {
      const [before = ABOVE_ALL_IDS] = cursor === null ? [] : decodeCursor(cursor, 1);
      const table = { from: 'jobs', conditions: conditionsOf(filter) };
      const rows = await newestRuns<JobRow>(this.#db, table, before, limit + 1);
      return paged(rows, limit, jobView, (row) => encodeCursor(row.number));
    });
  }

  async get(id: string): Promise<JobView | null> {
    return await read(() => this.#view(parseJobId(id)));
  }

  #view(number: number | null): JobView | null {
    const row = this.#db.prepare<[number | null], JobRow>('SELECT * FROM jobs WHERE number = ?').get(number);
    return row ? jobView(row) : null;
  }

  /** Counts slice by slice, outside any transaction: webhooks are recorded between two slices. */
  async #count(work: BulkWork): Promise<Surveyed> {
    const operation = this.#operationOf(work);
    operation.checkFilter();
    const tally = new WorkTally();
    for (let after: BulkCursor | null = operation.start; after !== null;) {
      const { found, next }: Scanned = operation.scan(NO_BOUNDS, after);
      tally.add(found);
      after = next;
      if (after !== null) await yieldToCommits();
    }
    return tally.surveyed;
  }

  /** For use inside a transaction, like the two below. */
  #insert({ kind, filter }: BulkWork, total: number, now: number): number {
    const operation = this.#operationOf({ kind, filter } as BulkWork);
    operation.checkFilter();
    const number = this.#parts.ids.next(now);
    this.#db
      .prepare(
        `INSERT INTO jobs (number, kind, filter, status, total, done, skipped, cursor, created_at)
         VALUES (?, ?, ?, 'running', ?, 0, 0, ?, ?)`,
      )
      .run(number, kind, JSON.stringify(filter), total, JSON.stringify(operation.start), now);
    return number;
  }

  #step(now: number): number | null {
    const job = this.#oldestRunning.get();
    if (!job) return null;
    const bounds = { number: job.number, madeAt: job.created_at };
    const operation = this.#operationOf(workOf(job));
    const { done, skipped, deliveries, next } = operation.step(bounds, JSON.parse(job.cursor) as BulkCursor, now);
    const isOver = next === null;
    const cursor = isOver ? job.cursor : JSON.stringify(next);
    const status = isOver ? 'finished' : 'running';
    this.#saveProgress.run(done, skipped, cursor, status, isOver ? now : null, busySince(job, now), now, job.number);
    return deliveries;
  }

  #cancel(id: string, now: number): void {
    const number = parseJobId(id);
    if (this.#db.prepare<[number | null]>('SELECT 1 FROM jobs WHERE number = ?').pluck().get(number) === undefined) {
      throw noSuchJob(id);
    }
    this.#db
      .prepare("UPDATE jobs SET status = 'cancelled', finished_at = ? WHERE number = ? AND status = 'running'")
      .run(now, number);
  }

  #operationOf(work: BulkWork): FilteredOperation {
    const { retry, release } = this.#parts;
    return work.kind === 'retry' ? withFilter(retry, work.filter) : withFilter(release, work.filter);
  }
}

/** A bulk operation with its filter, so that jobs do not depend on the kind. */
interface FilteredOperation {
  readonly start: BulkCursor;
  checkFilter(): void;
  scan(bounds: Bounds, after: BulkCursor): Scanned;
  step(bounds: Bounds, after: BulkCursor, now: number): Stepped;
}

function withFilter<Filter extends RetryFilter | ReleaseFilter>(
  operation: BulkOperation<Filter>,
  filter: Filter,
): FilteredOperation {
  return {
    start: operation.start,
    checkFilter: () => operation.checkFilter(filter),
    scan: (bounds, after) => operation.scan(filter, bounds, after),
    step: (bounds, after, now) => operation.step(filter, bounds, after, now),
  };
}

function conditionsOf({ status, kind, channel }: JobFilter): (Condition | false)[] {
  return [
    status !== undefined && ['status = ?', status],
    kind !== undefined && ['kind = ?', kind],
    channel !== undefined && ["filter ->> '$.channel' = ?", channel],
  ];
}
