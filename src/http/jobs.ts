import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { TSchema } from 'typebox';
import { GatewayError } from '../errors.js';
import { JOB_KINDS, JOB_STATUSES } from '../model.js';
import { itemJson, ItemSchema } from './item-json.js';
import {
  deliveryJson,
  DeliverySchema,
  iso,
  isoOrNull,
  oneOf,
  orNull,
  pageJson,
  pageOf,
  pageQuery,
  pageRequest,
  problems,
  Time,
} from './schemas.js';
import type { Json } from './schemas.js';
import type { RetryFilter } from '../store/deliveries.js';
import type { ReleaseFilter } from '../store/items.js';
import type { BulkWork, JobView, Jobs, SurveyCounts } from '../store/jobs.js';

export interface JobRoutesOptions {
  readonly store: { readonly jobs: Pick<Jobs, 'list' | 'get' | 'cancel'> };
}

const job = {
  id: Type.String(),
  kind: oneOf(JOB_KINDS),
  status: oneOf(JOB_STATUSES),
  filter: Type.Record(Type.String(), Type.Unknown(), { description: 'As it was asked for' }),
  total: Type.Integer({ description: 'What the filter found when the job was made' }),
  done: Type.Integer({ description: 'Sent on their way so far' }),
  skipped: Type.Integer({ description: 'Skipped: no target left to send them to' }),
  created_at: Time,
  finished_at: orNull(Time),
};
const JobSchema = Type.Object(job);

/** What a request for bulk work is answered: what it would do after a dry run, otherwise the job with its count. */
const bulkResultOf = <T extends TSchema>(sample: T) =>
  Type.Union([
    Type.Object({
      dry_run: Type.Literal(true),
      count: Type.Integer({ description: 'What would be sent, each once' }),
      by_target: Type.Record(Type.String(), Type.Integer(), { description: 'How many each target would be sent' }),
      by_verdict: Type.Record(Type.String(), Type.Integer(), { description: 'How many have an item of this verdict' }),
      sample: Type.Array(sample, { description: 'The first 20' }),
    }),
    Type.Object({ ...job, count: Type.Integer(), dry_run: Type.Literal(false) }),
  ]);
export const RetryResult = bulkResultOf(DeliverySchema);
export const ReleaseResult = bulkResultOf(ItemSchema);

/** How bulk work is asked for, besides its filter. */
export const bulkOptions = {
  dry_run: Type.Optional(Type.Boolean({ description: 'Send nothing: answer what would be sent' })),
  expected_count: Type.Optional(
    Type.Integer({ minimum: 0, description: '409 where the filter finds more than a tenth above this' }),
  ),
};

const Id = Type.Object({ id: Type.String() });
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
        response: { 200: pageOf(JobSchema), ...problems },
      },
    },
    async ({ query }) => pageJson(await store.jobs.list(pageRequest(query)), jobJson),
  );

  app.get(
    '/jobs/:id',
    { schema: { tags, summary: 'How far a job is', params: Id, response: { 200: JobSchema, ...problems } } },
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
        response: { 200: JobSchema, ...problems },
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
): Promise<Json<typeof RetryResult>> {
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
): Promise<Json<typeof ReleaseResult>> {
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

function jobJson(view: JobView): Json<typeof JobSchema> {
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
