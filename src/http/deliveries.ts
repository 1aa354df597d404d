import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { getDelivery, listDeliveries, retryDeliveries, retryDelivery } from '../contract/operations/deliveries.js';
import { GatewayError } from '../errors.js';
import type { App } from './app.js';
import { retryMany } from './bulk.js';
import { eventOf } from './event-names.js';
import { escapeUnprintable } from './printable-answers.js';
import { attemptJson, deliveryJson, pageJson, pageRequest, timesOf } from './schemas.js';
import type { Jobs } from '../store/jobs.js';
import type { Outbox } from '../store/outbox.js';

export interface DeliveryRoutesOptions {
  readonly store: {
    readonly outbox: Pick<Outbox, 'deliveries' | 'delivery' | 'retry'>;
    readonly jobs: Pick<Jobs, 'survey' | 'add'>;
  };
  /** Called after deliveries became due. */
  readonly onDeliveries: () => void;
  /** Called after a job was made. */
  readonly onJob: () => void;
}

/** `/v1/deliveries`. */
export const deliveryRoutes: FastifyPluginAsyncTypebox<DeliveryRoutesOptions> = async (app, options) => {
  readRoutes(app, options);
  retryRoutes(app, options);
  await Promise.resolve();
};

function readRoutes(app: App, { store }: DeliveryRoutesOptions): void {
  app.get('/deliveries', { schema: listDeliveries }, async ({ query }) =>
    pageJson(
      await store.outbox.deliveries({ ...query, ...eventOf(query), ...timesOf(query) }, pageRequest(query)),
      deliveryJson,
    ),
  );

  app.get('/deliveries/:id', { schema: getDelivery, onSend: escapeUnprintable }, async ({ params }) => {
    const found = await store.outbox.delivery(params.id);
    if (!found) {
      throw new GatewayError('GW_NOT_FOUND', `There is no delivery "${params.id}". It may have been pruned.`);
    }
    return { ...deliveryJson(found), log: found.log.map(attemptJson), body: found.body };
  });
}

function retryRoutes(app: App, { store, onDeliveries, onJob }: DeliveryRoutesOptions): void {
  app.post('/deliveries/:id/retry', { schema: retryDelivery }, async ({ params }, reply) => {
    const delivery = await store.outbox.retry(params.id);
    onDeliveries();
    return await reply.code(202).send(deliveryJson(delivery));
  });

  app.post('/deliveries/retry', { schema: retryDeliveries }, async ({ body }, reply) => {
    const { dry_run, expected_count, ...filter } = body;
    const options = { dry_run, expected_count };
    return await reply
      .code(202)
      .send(await retryMany(store, { ...filter, ...eventOf(filter), ...timesOf(filter) }, options, onJob));
  });
}
