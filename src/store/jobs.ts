import type { JobKind, JobStatus, Verdict } from '../model.js';
import type { DeliveryView, RetryFilter } from './deliveries.js';
import type { RunFilter } from './filters.js';
import type { ItemDetail, ReleaseFilter } from './items.js';
import type { Page, PageRequest } from './paging.js';

/**
 * Bulk work. Jobs run one after the other, in the order of their creation, and survive a restart. A job handles what existed
 * when it was made, each once: deliveries that were settled by then, or items that were seen by then.
 */
export interface Jobs {
  /** Counts what a job would send now. @throws GatewayError GW_NOT_FOUND (a target or resync of the filter) */
  survey(work: BulkWork): Promise<WorkSurvey>;
  /**
   * Commits a job that has not started.
   * @throws GatewayError GW_NOT_FOUND, GW_CONFLICT (more than a tenth above `expectedCount`)
   */
  add(work: BulkWork, expectedCount?: number): Promise<JobView>;
  /**
   * Runs a small step of the oldest unfinished removal of a target or channel, else of the oldest running job. Returns the
   * number of deliveries that became due; null: nothing is left to do, or another replica is making this step. One replica at
   * a time steps a job.
   */
  step(): Promise<number | null>;
  /** Steps that are done stay done; a job that is over stays unchanged. @throws GatewayError GW_NOT_FOUND */
  cancel(id: string): Promise<JobView>;
  list(page: PageRequest, filter?: JobFilter): Promise<Page<JobView>>;
  get(id: string): Promise<JobView | null>;
}

/** `channel`: the one that the job's own filter names. */
export interface JobFilter extends RunFilter<JobStatus> {
  readonly kind?: JobKind | undefined;
}

export type BulkWork =
  | { readonly kind: 'retry'; readonly filter: RetryFilter }
  | { readonly kind: 'release'; readonly filter: ReleaseFilter };

/** What bulk work would send now, with a sample. */
export type WorkSurvey = SurveyCounts &
  (
    | { readonly kind: 'retry'; readonly sample: readonly DeliveryView[] }
    | { readonly kind: 'release'; readonly sample: readonly ItemDetail[] }
  );

export interface SurveyCounts {
  /** Deliveries, or items, each once. */
  readonly count: number;
  /** How many each target would receive, by target id. */
  readonly byTarget: Readonly<Record<string, number>>;
  /** How many each target has a delivery of already, by target id. A retry sends again, and has none. */
  readonly alreadySent: Readonly<Record<string, number>>;
  /** How many have an item of each verdict. */
  readonly byVerdict: Readonly<Partial<Record<Verdict, number>>>;
}

export type JobView = BulkWork & {
  readonly id: string;
  readonly status: JobStatus;
  /** How many the filter matched when the job was made. */
  readonly total: number;
  /** How many it has made pending so far. */
  readonly done: number;
  /** How many it left unchanged, because no target needs them any more. */
  readonly skipped: number;
  /** How long its steps have taken together, with the pauses between them. */
  readonly busyMs: number;
  readonly createdAt: number;
  readonly finishedAt: number | null;
};
