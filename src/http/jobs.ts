import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { cancelJob, getJob, listJobs } from '../contract/operations/deliveries.js';
import { GatewayError } from '../errors.js';
import { jobJson } from './job-json.js';
import { pageJson, pageRequest } from './schemas.js';
import type { Jobs } from '../store/jobs.js';

export interface JobRoutesOptions {
  readonly store: { readonly jobs: Pick<Jobs, 'list' | 'get' | 'cancel'> };
}

/** `/v1/jobs`. */
export const jobRoutes: FastifyPluginAsyncTypebox<JobRoutesOptions> = async (app, { store }) => {
  app.get('/jobs', { schema: listJobs }, async ({ query }) =>
    pageJson(await store.jobs.list(pageRequest(query), query), jobJson),
  );

  app.get('/jobs/:id', { schema: getJob }, async ({ params }) => {
    const found = await store.jobs.get(params.id);
    if (!found) throw new GatewayError('GW_NOT_FOUND', `There is no job "${params.id}". It may have been pruned.`);
    return jobJson(found);
  });

  app.post('/jobs/:id/cancel', { schema: cancelJob }, async ({ params }) =>
    jobJson(await store.jobs.cancel(params.id)),
  );
  await Promise.resolve();
};
