import type { BulkWork, JobView, WorkSurvey } from './views.js';

/**
 * Bulk work. Jobs are done one after the other, in the order in which they were made, and outlive a restart. A job takes
 * only what was there when it was made, each once: of deliveries what was settled by then, of items what was seen by
 * then.
 */
export interface Jobs {
  /** What there is to do now. @throws GatewayError GW_NOT_FOUND (a target or resync that the filter names) */
  surveyWork(work: BulkWork): Promise<WorkSurvey>;
  /**
   * Commits a job, with all of it still to be done.
   * @throws GatewayError GW_NOT_FOUND, GW_CONFLICT (more than a tenth above `expectedCount`)
   */
  addJob(work: BulkWork, expectedCount?: number): Promise<JobView>;
  /** Does a small step of the oldest job that runs. Returns how many deliveries it made due; null: no job runs. */
  stepJob(): Promise<number | null>;
  /** What was done stays done; a job that is over stays as it is. @throws GatewayError GW_NOT_FOUND */
  cancelJob(id: string): Promise<JobView>;
}
