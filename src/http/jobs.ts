import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { GatewayError } from '../errors.js';
import type { Jobs } from '../ledger/ledger.js';
import type { BulkWork, JobView, Views } from '../ledger/views.js';
import { JOB_KINDS, JOB_STATUSES } from '../model.js';
import { iso, isoOrNull, oneOf, orNull, pageJson, pageOf, pageQuery, pageRequest, problems, Time } from './schemas.js';
import type { Json } from './schemas.js';

export interface JobRoutesOptions {
  readonly ledger: Pick<Views, 'jobs' | 'job'> & Pick<Jobs, 'cancelJob'>;
}

const job = {
  id: Type.String(),
  kind: oneOf(JOB_KINDS),
  status: oneOf(JOB_STATUSES),
  filter: Type.Record(Type.String(), Type.Unknown(), { description: 'As it was asked for' }),
  total: Type.Integer({ description: 'What the filter found when the job was made' }),
  done: Type.Integer({ description: 'Sent on their way so far' }),
  skipped: Type.Integer({ description: 'Come to, with nobody to be sent to' }),
  created_at: Time,
  finished_at: orNull(Time),
};
const JobSchema = Type.Object(job);

/** What a request for bulk work is answered: the count alone after a dry run, otherwise the job with its count. */
export const BulkResult = Type.Union([
  Type.Object({ count: Type.Integer(), dry_run: Type.Literal(true) }),
  Type.Object({ ...job, count: Type.Integer(), dry_run: Type.Literal(false) }),
]);

const Id = Type.Object({ id: Type.String() });
const tags = ['jobs'];

/** `/v1/jobs`. */
export const jobRoutes: FastifyPluginAsyncTypebox<JobRoutesOptions> = async (app, { ledger }) => {
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
    async ({ query }) => pageJson(await ledger.jobs(pageRequest(query)), jobJson),
  );

  app.get(
    '/jobs/:id',
    { schema: { tags, summary: 'How far a job is', params: Id, response: { 200: JobSchema, ...problems } } },
    async ({ params }) => {
      const found = await ledger.job(params.id);
      if (!found) throw new GatewayError('GW_NOT_FOUND', `There is no job "${params.id}"; it may have been pruned.`);
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
    async ({ params }) => jobJson(await ledger.cancelJob(params.id)),
  );
  await Promise.resolve();
};

/** Counts, or makes a job and tells of it. @throws GatewayError GW_NOT_FOUND */
export async function bulkResult(
  ledger: Pick<Jobs, 'countWork' | 'addJob'>,
  work: BulkWork,
  isDryRun: boolean,
  onJob: () => void,
): Promise<Json<typeof BulkResult>> {
  if (isDryRun) return { count: await ledger.countWork(work), dry_run: true };
  const made = await ledger.addJob(work);
  onJob();
  return { ...jobJson(made), count: made.total, dry_run: false };
}

function jobJson(view: JobView): Json<typeof JobSchema> {
  const { since, until, ...rest } = view.filter;
  return {
    id: view.id,
    kind: view.kind,
    status: view.status,
    filter: {
      ...rest,
      ...(since !== undefined && { since: iso(since) }),
      ...(until !== undefined && { until: iso(until) }),
    },
    total: view.total,
    done: view.done,
    skipped: view.skipped,
    created_at: iso(view.createdAt),
    finished_at: isoOrNull(view.finishedAt),
  };
}
