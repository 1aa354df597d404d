import { GatewayError } from '../../errors.js';
import type { JobStatus } from '../../model.js';
import type { BulkWork, JobView } from '../jobs.js';
import { jobId } from './ids.js';

/** A job may hold up to a tenth more than was counted before it was requested. */
const GROWTH_DIVISOR = 10;

/** Refuses a job that has outgrown its preview. @throws GatewayError GW_CONFLICT */
export function checkExpectedCount(count: number, expectedCount: number | undefined): void {
  if (expectedCount === undefined || (count - expectedCount) * GROWTH_DIVISOR <= expectedCount) return;
  throw new GatewayError(
    'GW_CONFLICT',
    `The filter now matches ${count}, more than a tenth above expected_count (${expectedCount}). Repeat the dry run ` +
      `with "dry_run": true, then send the new count, for example "expected_count": ${count}.`,
  );
}

/** A row of `jobs`, as far as a view needs it. */
export interface JobRow {
  readonly number: number;
  readonly kind: BulkWork['kind'];
  /** JSON. */
  readonly filter: string;
  readonly status: JobStatus;
  readonly total: number;
  readonly done: number;
  readonly skipped: number;
  readonly busy_ms: number;
  readonly created_at: number;
  readonly finished_at: number | null;
}

/** The work of a job. */
export function workOf({ kind, filter }: Pick<JobRow, 'kind' | 'filter'>): BulkWork {
  return { kind, filter: JSON.parse(filter) as unknown } as BulkWork;
}

/** A job for people. */
export function jobView(row: JobRow): JobView {
  return {
    ...workOf(row),
    id: jobId(row.number),
    status: row.status,
    total: row.total,
    done: row.done,
    skipped: row.skipped,
    busyMs: row.busy_ms,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
  };
}

/** A longer pause between two steps is none of the job's: the gateway did not run, or did other work. */
const LONGEST_PAUSE_MS = 10_000;

/** What a step at this time adds to `busyMs`: the time since the step before it. */
export function busySince(job: { readonly stepped_at: number | null; readonly created_at: number }, now: number) {
  return Math.min(Math.max(now - (job.stepped_at ?? job.created_at), 0), LONGEST_PAUSE_MS);
}

/** The error for an unknown job: GW_NOT_FOUND. */
export function noSuchJob(id: string): GatewayError {
  return new GatewayError('GW_NOT_FOUND', `There is no job "${id}". It may have been pruned.`);
}
