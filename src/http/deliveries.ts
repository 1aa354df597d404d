import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { GatewayError } from '../errors.js';
import { bulkOptions, retryMany, RetryResult } from './jobs.js';
import {
  attemptJson,
  ChannelName,
  DeliveryDetailSchema,
  deliveryJson,
  DeliverySchema,
  DeliveryStatusSchema,
  EventFilter,
  oneOf,
  pageJson,
  pageOf,
  pageQuery,
  pageRequest,
  problems,
  Time,
  timesOf,
} from './schemas.js';
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

const filters = {
  target: Type.Optional(Type.String()),
  channel: Type.Optional(ChannelName),
  event: Type.Optional(EventFilter),
  since: Type.Optional(Time),
  until: Type.Optional(Time),
};
const Filters = pageQuery({ status: Type.Optional(DeliveryStatusSchema), ...filters });
const RetryMany = Type.Object(
  {
    status: oneOf(['dead', 'expired', 'delivered']),
    ...filters,
    ...bulkOptions,
  },
  { additionalProperties: false },
);
const Id = Type.Object({ id: Type.String() });
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
        querystring: Filters,
        response: { 200: pageOf(DeliverySchema), ...problems },
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
        response: { 200: DeliveryDetailSchema, ...problems },
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
        response: { 202: DeliverySchema, ...problems },
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
        body: RetryMany,
        response: { 202: RetryResult, ...problems },
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
