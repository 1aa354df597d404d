import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { GatewayError } from '../errors.js';
import type { Outbox } from '../ledger/ledger.js';
import type { Views } from '../ledger/views.js';
import {
  attemptJson,
  ChannelName,
  DeliveryDetailSchema,
  deliveryJson,
  DeliverySchema,
  DeliveryStatusSchema,
  oneOf,
  pageJson,
  pageOf,
  pageQuery,
  pageRequest,
  problems,
  Time,
  timeOf,
} from './schemas.js';

export interface DeliveryRoutesOptions {
  readonly ledger: Pick<Views, 'deliveries' | 'delivery'> & Pick<Outbox, 'retry' | 'retryMany'>;
  /** Told after deliveries became due. */
  readonly onDeliveries: () => void;
}

const Filters = pageQuery({
  status: Type.Optional(DeliveryStatusSchema),
  target: Type.Optional(Type.String()),
  channel: Type.Optional(ChannelName),
});
const RetryMany = Type.Object(
  {
    status: oneOf(['dead', 'expired', 'delivered']),
    target: Type.Optional(Type.String()),
    channel: Type.Optional(ChannelName),
    since: Type.Optional(Time),
    until: Type.Optional(Time),
    dry_run: Type.Optional(Type.Boolean({ description: 'Only count' })),
  },
  { additionalProperties: false },
);
const RetryResult = Type.Object({ count: Type.Integer(), dry_run: Type.Boolean() });
const Id = Type.Object({ id: Type.String() });
const tags = ['deliveries'];

/** `/v1/deliveries`. */
export const deliveryRoutes: FastifyPluginAsyncTypebox<DeliveryRoutesOptions> = async (
  app,
  { ledger, onDeliveries },
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
    async ({ query }) => pageJson(await ledger.deliveries(query, pageRequest(query)), deliveryJson),
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
      const found = await ledger.delivery(params.id);
      if (!found)
        throw new GatewayError(
          'GW_NOT_FOUND',
          `There is no delivery "${params.id}"; its payload may have been pruned.`,
        );
      return { ...deliveryJson(found), log: found.log.map(attemptJson), body: found.body };
    },
  );

  app.post(
    '/deliveries/:id/retry',
    {
      schema: {
        tags,
        summary: 'Send a settled delivery again',
        params: Id,
        response: { 202: DeliverySchema, ...problems },
      },
    },
    async ({ params }, reply) => {
      const delivery = await ledger.retry(params.id);
      onDeliveries();
      return await reply.code(202).send(deliveryJson(delivery));
    },
  );

  app.post(
    '/deliveries/retry',
    {
      schema: {
        tags,
        summary: 'Send many settled deliveries again',
        body: RetryMany,
        response: { 202: RetryResult, ...problems },
      },
    },
    async ({ body }, reply) => {
      const isDryRun = body.dry_run ?? false;
      const { status, target, channel } = body;
      const filter = {
        status,
        target,
        channel,
        since: timeOf(body.since, '/since'),
        until: timeOf(body.until, '/until'),
      };
      const count = await ledger.retryMany(filter, isDryRun);
      if (!isDryRun) onDeliveries();
      return await reply.code(202).send({ count, dry_run: isDryRun });
    },
  );
  await Promise.resolve();
};
