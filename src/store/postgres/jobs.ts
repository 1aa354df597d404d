import type { BulkWork, JobFilter, Jobs, JobView, WorkSurvey } from '../jobs.js';
import type { RetryFilter } from '../deliveries.js';
import type { ReleaseFilter } from '../items.js';
import type { Page, PageRequest } from '../paging.js';
import { WorkTally } from '../rules/bulk-work.js';
import type { Bounds, BulkCursor, Scanned, Stepped, Surveyed } from '../rules/bulk-work.js';
import { decodeCursor, encodeCursor, parseJobId } from '../rules/ids.js';
import { busySince, checkExpectedCount, jobView, noSuchJob, workOf } from '../rules/jobs.js';
import type { JobRow } from '../rules/jobs.js';
import { paged } from '../rules/paging.js';
import { readBack } from '../rules/read-back.js';
import type { Base } from './base.js';
import type { BulkOperation } from './bulk-operation.js';
import type { BulkRelease } from './bulk-release.js';
import type { BulkRetry } from './bulk-retry.js';
import type { Queries, Transaction } from './queries.js';
import type { PostgresDeliveryViews } from './delivery-views.js';
import type { ItemViews } from './item-views.js';
import { takeNumbers } from './numbers.js';
import type { RegistryState } from './registry-cache.js';

type RunningRow = Pick<JobRow, 'number' | 'kind' | 'filter' | 'created_at'> & {
  readonly cursor: string;
  readonly stepped_at: number | null;
};

export interface JobParts {
  readonly retry: BulkRetry;
  readonly release: BulkRelease;
  readonly deliveries: Pick<PostgresDeliveryViews, 'viewsAt'>;
  readonly items: Pick<ItemViews, 'itemsAt'>;
  /**
   * Removed targets and channels come before jobs: they have fewer steps, and their names may be wanted again. `step` runs the
   * next one, in a transaction of its own; false: no removal is unfinished.
   */
  readonly removals: { step(now: number): Promise<boolean> };
}

const COLUMNS = `j.number, j.kind, j.filter, j.status, j.total, j.done, j.skipped, j.busy_ms, j.created_at, j.finished_at`;

/** The oldest running job, unless another replica is making a step of it: jobs run one after the other. */
const TAKE = `SELECT j.number, j.kind, j.filter, j.cursor, j.created_at, j.stepped_at FROM gateway.jobs j
  WHERE j.status = 'running' AND j.number = (SELECT min(o.number) FROM gateway.jobs o WHERE o.status = 'running')
  FOR UPDATE SKIP LOCKED`;

const INSERT = `INSERT INTO gateway.jobs (number, kind, filter, status, total, done, skipped, cursor, created_at)
  VALUES ($1, $2, $3, 'running', $4, 0, 0, $5, $6) ON CONFLICT (number) DO NOTHING`;

const SAVE_PROGRESS = `UPDATE gateway.jobs SET done = done + $2, skipped = skipped + $3, cursor = $4, status = $5, finished_at = $6,
    busy_ms = busy_ms + $7, stepped_at = $8 WHERE number = $1`;

/** A filter is JSON without nested objects, and quotes within its values are escaped, so a search in its text finds the channel. */
const LIST = `SELECT ${COLUMNS} FROM gateway.jobs j
  WHERE j.number < $1 AND ($2::text IS NULL OR j.status = $2) AND ($3::text IS NULL OR j.kind = $3)
    AND ($4::text IS NULL OR strpos(j.filter, '"channel":' || $4) > 0)
  ORDER BY j.number DESC LIMIT $5`;

/**
 * Jobs: running → finished, when nothing is left behind the cursor; running → cancelled. A step and its progress are one
 * commit, so that after a crash another replica continues exactly behind what is done.
 */
export class PostgresJobs implements Jobs {
  readonly #base: Base;
  readonly #parts: JobParts;

  constructor(base: Base, parts: JobParts) {
    this.#base = base;
    this.#parts = parts;
  }

  async survey(work: BulkWork): Promise<WorkSurvey> {
    const { sample, ...counts } = await this.#count(work);
    const { deliveries, items } = this.#parts;
    if (work.kind === 'retry') {
      const views = await deliveries.viewsAt(sample.map(([id = 0]) => id));
      return { ...counts, kind: work.kind, sample: views };
    }
    const places = sample.map(([webhookId = 0, position = 0]) => ({ webhookId, position }));
    return { ...counts, kind: work.kind, sample: await items.itemsAt(places) };
  }

  async add(work: BulkWork, expectedCount?: number): Promise<JobView> {
    const { count } = await this.#count(work);
    checkExpectedCount(count, expectedCount);
    const { db, now, idDays } = this.#base;
    // Taken before the transaction, so that a run after an unanswered commit adds no second job.
    const number = (await takeNumbers(db, 1, idDays.timeAt(now()))).nextId();
    await db.transaction(async (tx) => {
      await tx.lockChannels([]); // keeps the registry unchanged
      await this.#insert(tx, number, work, count);
    }, true);
    return readBack(await this.#view(number));
  }

  async step(): Promise<number | null> {
    const { db, now, registry } = this.#base;
    await registry.current(); // refused if the schema excludes this program
    if (await this.#parts.removals.step(now())) return 0;
    return await db.transaction(async (tx) => await this.#step(tx));
  }

  async cancel(id: string): Promise<JobView> {
    const number = parseJobId(id);
    await this.#base.db.run(
      "UPDATE gateway.jobs SET status = 'cancelled', finished_at = $2 WHERE number = $1 AND status = 'running'",
      number,
      this.#base.now(),
    );
    const view = await this.#view(number);
    if (!view) throw noSuchJob(id);
    return view;
  }

  async list({ limit, cursor }: PageRequest, { status, kind, channel }: JobFilter = {}): Promise<Page<JobView>> {
    const [before = Number.MAX_SAFE_INTEGER] = cursor === null ? [] : decodeCursor(cursor, 1);
    const rows = await this.#base.db.all<JobRow>(
      LIST,
      before,
      status ?? null,
      kind ?? null,
      channel === undefined ? null : JSON.stringify(channel),
      limit + 1,
    );
    return paged(rows, limit, jobView, (row) => encodeCursor(row.number));
  }

  async get(id: string): Promise<JobView | null> {
    return await this.#view(parseJobId(id));
  }

  async #view(number: number | null): Promise<JobView | null> {
    const row = await this.#base.db.one<JobRow>(`SELECT ${COLUMNS} FROM gateway.jobs j WHERE j.number = $1`, number);
    return row ? jobView(row) : null;
  }

  /** Counts slice by slice, outside of any transaction. */
  async #count(work: BulkWork): Promise<Surveyed> {
    const { db, registry } = this.#base;
    const operation = this.#operationOf(work);
    await operation.checkFilter(await registry.refresh(), db);
    const tally = new WorkTally();
    for (let after: BulkCursor | null = operation.start; after !== null;) {
      const { found, next }: Scanned = await operation.scan(after);
      tally.add(found);
      after = next;
    }
    return tally.surveyed;
  }

  async #insert(tx: Transaction, number: number, work: BulkWork, total: number): Promise<void> {
    const { registry, now } = this.#base;
    const operation = this.#operationOf(work);
    await operation.checkFilter(await registry.in(tx), tx);
    const cursor = JSON.stringify(operation.start);
    await tx.run(INSERT, number, work.kind, JSON.stringify(work.filter), total, cursor, now());
  }

  async #step(tx: Transaction): Promise<number | null> {
    const job = await tx.one<RunningRow>(TAKE);
    if (!job) return null;
    const bounds = { number: job.number, madeAt: job.created_at };
    const operation = this.#operationOf(workOf(job));
    const { done, skipped, deliveries, next } = await operation.step(tx, bounds, JSON.parse(job.cursor) as BulkCursor);
    const now = this.#base.now();
    const [status, finishedAt] = next === null ? ['finished', now] : ['running', null];
    const cursor = next === null ? job.cursor : JSON.stringify(next);
    await tx.commitWith(
      SAVE_PROGRESS,
      ...[job.number, done, skipped, cursor, status, finishedAt, busySince(job, now), now],
    );
    return deliveries;
  }

  #operationOf(work: BulkWork): FilteredOperation {
    const { retry, release } = this.#parts;
    return work.kind === 'retry' ? withFilter(retry, work.filter) : withFilter(release, work.filter);
  }
}

/** A bulk operation with its filter, so that jobs do not depend on the kind. */
interface FilteredOperation {
  readonly start: BulkCursor;
  checkFilter(registry: RegistryState, queries: Queries): Promise<void>;
  scan(after: BulkCursor): Promise<Scanned>;
  step(tx: Transaction, bounds: Bounds, after: BulkCursor): Promise<Stepped>;
}

function withFilter<Filter extends RetryFilter | ReleaseFilter>(
  operation: BulkOperation<Filter>,
  filter: Filter,
): FilteredOperation {
  return {
    start: operation.start,
    checkFilter: async (registry, queries) => await operation.checkFilter(filter, registry, queries),
    scan: async (after) => await operation.scan(filter, after),
    step: async (tx, bounds, after) => await operation.step(tx, filter, bounds, after),
  };
}
