import type { ReleaseResult, RetryResult, RetrySurvey, StartedJob } from '../contract/jobs.js';
import { itemJson } from './item-json.js';
import { jobJson } from './job-json.js';
import { deliveryJson } from './schemas.js';
import type { RetryFilter } from '../store/deliveries.js';
import type { ReleaseFilter } from '../store/items.js';
import type { BulkWork, Jobs, WorkSurvey } from '../store/jobs.js';

interface BulkStore {
  readonly jobs: Pick<Jobs, 'survey' | 'add'>;
}

interface BulkOptions {
  readonly dry_run: boolean | undefined;
  readonly expected_count: number | undefined;
}

/** @throws GatewayError GW_NOT_FOUND, GW_CONFLICT (the count is far above the expected one) */
export async function retryMany(
  store: BulkStore,
  filter: RetryFilter,
  options: BulkOptions,
  onJob: () => void,
): Promise<RetryResult> {
  const detailsOf = (survey: WorkSurvey) => ({
    sample: survey.kind === 'retry' ? survey.sample.map(deliveryJson) : [],
  });
  return await surveyOrStart(store, { kind: 'retry', filter }, options, detailsOf, onJob);
}

/** @throws GatewayError GW_NOT_FOUND, GW_CONFLICT (the count is far above the expected one) */
export async function releaseMany(
  store: BulkStore,
  filter: ReleaseFilter,
  options: BulkOptions,
  onJob: () => void,
): Promise<ReleaseResult> {
  const detailsOf = (survey: WorkSurvey) => ({
    already_sent: { ...survey.alreadySent },
    sample: survey.kind === 'release' ? survey.sample.map(itemJson) : [],
  });
  return await surveyOrStart(store, { kind: 'release', filter }, options, detailsOf, onJob);
}

type SurveyOf<Details> = Omit<RetrySurvey, 'sample'> & Details;

/** What the work would do in a dry run, otherwise the job that does it. */
async function surveyOrStart<Details>(
  store: BulkStore,
  work: BulkWork,
  { dry_run: isDry = false, expected_count: expectedCount }: BulkOptions,
  detailsOf: (survey: WorkSurvey) => Details,
  onJob: () => void,
): Promise<SurveyOf<Details> | StartedJob> {
  if (isDry) {
    const survey = await store.jobs.survey(work);
    const { count, byTarget, byVerdict } = survey;
    const byVerdictJson = { ...byVerdict } as Record<string, number>;
    return { dry_run: true, count, by_target: { ...byTarget }, by_verdict: byVerdictJson, ...detailsOf(survey) };
  }
  const job = await store.jobs.add(work, expectedCount);
  onJob();
  return { ...jobJson(job), count: job.total, dry_run: false };
}
