import type { JobStatus, Verdict } from '../model.js';
import type { DeliveryView, RetryFilter } from './deliveries.js';
import type { ItemDetail, ReleaseFilter } from './items.js';
import type { Page, PageRequest } from './paging.js';

/**
 * Bulk work. Jobs are done one after the other, in the order in which they were made, and outlive a restart. A job takes
 * only what was there when it was made, each once: of deliveries what was settled by then, of items what was seen by
 * then.
 */
export interface Jobs {
  /** What there is to do now. @throws GatewayError GW_NOT_FOUND (a target or resync that the filter names) */
  survey(work: BulkWork): Promise<WorkSurvey>;
  /**
   * Commits a job, with all of it still to be done.
   * @throws GatewayError GW_NOT_FOUND, GW_CONFLICT (more than a tenth above `expectedCount`)
   */
  add(work: BulkWork, expectedCount?: number): Promise<JobView>;
  /** Does a small step of the oldest job that runs. Returns how many deliveries it made due; null: no job runs. */
  step(): Promise<number | null>;
  /** What was done stays done; a job that is over stays as it is. @throws GatewayError GW_NOT_FOUND */
  cancel(id: string): Promise<JobView>;
  list(page: PageRequest): Promise<Page<JobView>>;
  get(id: string): Promise<JobView | null>;
}

export type BulkWork =
  | { readonly kind: 'retry'; readonly filter: RetryFilter }
  | { readonly kind: 'release'; readonly filter: ReleaseFilter };

/** What bulk work would send if it were begun now. */
export type WorkSurvey = SurveyCounts &
  (
    | { readonly kind: 'retry'; readonly sample: readonly DeliveryView[] }
    | { readonly kind: 'release'; readonly sample: readonly ItemDetail[] }
  );

export interface SurveyCounts {
  /** Deliveries, or items, each once. */
  readonly count: number;
  /** How many each target would be sent, by its id. */
  readonly byTarget: Readonly<Record<string, number>>;
  /** How many have an item of this verdict. */
  readonly byVerdict: Readonly<Partial<Record<Verdict, number>>>;
}

export type JobView = BulkWork & {
  readonly id: string;
  readonly status: JobStatus;
  /** What the filter found when the job was made. */
  readonly total: number;
  /** Made pending by it so far. */
  readonly done: number;
  /** Left as they were: no target is left to send them to. */
  readonly skipped: number;
  readonly createdAt: number;
  readonly finishedAt: number | null;
};
