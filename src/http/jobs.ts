import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Id } from '../contract/fields.js';
import { JobPageSchema, JobSchema } from '../contract/jobs.js';
import type { Job, ReleaseResult, RetryResult } from '../contract/jobs.js';
import { pageQuery, ref } from '../contract/schema.js';
import { GatewayError } from '../errors.js';
import { itemJson } from './item-json.js';
import { deliveryJson, iso, isoOrNull, pageJson, pageRequest } from './schemas.js';
import type { RetryFilter } from '../store/deliveries.js';
import type { ReleaseFilter } from '../store/items.js';
import type { BulkWork, JobView, Jobs, SurveyCounts } from '../store/jobs.js';

export interface JobRoutesOptions {
  readonly store: { readonly jobs: Pick<Jobs, 'list' | 'get' | 'cancel'> };
}

const tags = ['jobs'];

/** `/v1/jobs`. */
export const jobRoutes: FastifyPluginAsyncTypebox<JobRoutesOptions> = async (app, { store }) => {
  app.get(
    '/jobs',
    {
      schema: {
        tags,
        summary: 'Bulk work, newest first',
        querystring: pageQuery({}),
        response: { 200: ref(JobPageSchema) },
      },
    },
    async ({ query }) => pageJson(await store.jobs.list(pageRequest(query)), jobJson),
  );

  app.get(
    '/jobs/:id',
    { schema: { tags, summary: 'How far a job is', params: Id, response: { 200: ref(JobSchema) } } },
    async ({ params }) => {
      const found = await store.jobs.get(params.id);
      if (!found) throw new GatewayError('GW_NOT_FOUND', `There is no job "${params.id}". It may have been pruned.`);
      return jobJson(found);
    },
  );

  app.post(
    '/jobs/:id/cancel',
    {
      schema: {
        tags,
        summary: 'Do nothing more; what was done stays done',
        params: Id,
        response: { 200: ref(JobSchema) },
      },
    },
    async ({ params }) => jobJson(await store.jobs.cancel(params.id)),
  );
  await Promise.resolve();
};

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
  const work = { kind: 'retry', filter } as const;
  if (options.dry_run !== true) return await jobOf(store, work, options, onJob);
  const survey = await store.jobs.survey(work);
  return { ...surveyJson(survey), sample: survey.kind === 'retry' ? survey.sample.map(deliveryJson) : [] };
}

/** @throws GatewayError GW_NOT_FOUND, GW_CONFLICT (the count is far above the expected one) */
export async function releaseMany(
  store: BulkStore,
  filter: ReleaseFilter,
  options: BulkOptions,
  onJob: () => void,
): Promise<ReleaseResult> {
  const work = { kind: 'release', filter } as const;
  if (options.dry_run !== true) return await jobOf(store, work, options, onJob);
  const survey = await store.jobs.survey(work);
  return { ...surveyJson(survey), sample: survey.kind === 'release' ? survey.sample.map(itemJson) : [] };
}

async function jobOf(store: BulkStore, work: BulkWork, { expected_count }: BulkOptions, onJob: () => void) {
  const made = await store.jobs.add(work, expected_count);
  onJob();
  return { ...jobJson(made), count: made.total, dry_run: false } as const;
}

function surveyJson({ count, byTarget, byVerdict }: SurveyCounts) {
  return { dry_run: true, count, by_target: { ...byTarget }, by_verdict: { ...byVerdict } } as const;
}

function jobJson(view: JobView): Job {
  return {
    id: view.id,
    kind: view.kind,
    status: view.status,
    filter: filterJson(view.filter),
    total: view.total,
    done: view.done,
    skipped: view.skipped,
    created_at: iso(view.createdAt),
    finished_at: isoOrNull(view.finishedAt),
  };
}

function filterJson({ since, until, ...others }: RetryFilter | ReleaseFilter): Record<string, unknown> {
  const { messageId, messagesOnly, ...rest }: ReleaseFilter = others;
  return {
    ...rest,
    ...(messageId !== undefined && { message_id: messageId }),
    ...(messagesOnly !== undefined && { messages_only: messagesOnly }),
    ...(since !== undefined && { since: iso(since) }),
    ...(until !== undefined && { until: iso(until) }),
  };
}
