import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  DeliveryDetailSchema,
  DeliveryPageSchema,
  DeliveryQuery,
  DeliverySchema,
  RetryRequestSchema,
} from '../contract/deliveries.js';
import { Id } from '../contract/fields.js';
import { RetryResultSchema } from '../contract/jobs.js';
import { ref } from '../contract/schema.js';
import { GatewayError } from '../errors.js';
import { retryMany } from './jobs.js';
import { attemptJson, deliveryJson, pageJson, pageRequest, timesOf } from './schemas.js';
import type { Jobs } from '../store/jobs.js';
import type { Outbox } from '../store/outbox.js';

export interface DeliveryRoutesOptions {
  readonly store: {
    readonly outbox: Pick<Outbox, 'deliveries' | 'delivery' | 'retry'>;
    readonly jobs: Pick<Jobs, 'survey' | 'add'>;
  };
  /** Told after deliveries became due. */
  readonly onDeliveries: () => void;
  /** Told after a job was made. */
  readonly onJob: () => void;
}

const tags = ['deliveries'];

/** `/v1/deliveries`. */
export const deliveryRoutes: FastifyPluginAsyncTypebox<DeliveryRoutesOptions> = async (
  app,
  { store, onDeliveries, onJob },
) => {
  app.get(
    '/deliveries',
    {
      schema: {
        tags,
        summary: 'Deliveries, newest first',
        querystring: DeliveryQuery,
        response: { 200: ref(DeliveryPageSchema) },
      },
    },
    async ({ query }) =>
      pageJson(await store.outbox.deliveries({ ...query, ...timesOf(query) }, pageRequest(query)), deliveryJson),
  );

  app.get(
    '/deliveries/:id',
    {
      schema: {
        tags,
        summary: 'One delivery, its body and its attempts',
        params: Id,
        response: { 200: ref(DeliveryDetailSchema) },
      },
    },
    async ({ params }) => {
      const found = await store.outbox.delivery(params.id);
      if (!found)
        throw new GatewayError('GW_NOT_FOUND', `There is no delivery "${params.id}". It may have been pruned.`);
      return { ...deliveryJson(found), log: found.log.map(attemptJson), body: found.body };
    },
  );

  app.post(
    '/deliveries/:id/retry',
    {
      schema: {
        tags,
        summary: 'Send a settled delivery again, or a pending one now instead of later',
        params: Id,
        response: { 202: ref(DeliverySchema) },
      },
    },
    async ({ params }, reply) => {
      const delivery = await store.outbox.retry(params.id);
      onDeliveries();
      return await reply.code(202).send(deliveryJson(delivery));
    },
  );

  app.post(
    '/deliveries/retry',
    {
      schema: {
        tags,
        summary: 'Send many settled deliveries again: a job, or with dry_run what it would send',
        body: ref(RetryRequestSchema),
        response: { 202: ref(RetryResultSchema) },
      },
    },
    async ({ body }, reply) => {
      const { dry_run, expected_count, ...filter } = body;
      const options = { dry_run, expected_count };
      return await reply.code(202).send(await retryMany(store, { ...filter, ...timesOf(filter) }, options, onJob));
    },
  );
  await Promise.resolve();
};
