import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Id } from '../contract/fields.js';
import {
  ItemPageSchema,
  ItemQuery,
  ItemReleaseRequestSchema,
  ReleaseRequestSchema,
  ReleaseSchema,
  WebhookSchema,
} from '../contract/items.js';
import type { Webhook } from '../contract/items.js';
import { ReleaseResultSchema } from '../contract/jobs.js';
import { orNull, ref } from '../contract/schema.js';
import { itemFieldsJson, itemJson, itemPlaceJson } from './item-json.js';
import { releaseMany } from './jobs.js';
import { deliveryJson, iso, pageJson, pageRequest, timesOf } from './schemas.js';
import type { Items, WebhookDetail } from '../store/items.js';
import type { Jobs } from '../store/jobs.js';
import type { Outbox } from '../store/outbox.js';

export interface ItemRoutesOptions {
  readonly store: {
    readonly items: Pick<Items, 'list' | 'webhook'>;
    readonly outbox: Pick<Outbox, 'releaseItem'>;
    readonly jobs: Pick<Jobs, 'survey' | 'add'>;
  };
  /** Told after deliveries were made. */
  readonly onDeliveries: () => void;
  /** Told after a job was made. */
  readonly onJob: () => void;
}

const tags = ['items'];

/** `/v1/items` and `/v1/webhooks`. */
export const itemRoutes: FastifyPluginAsyncTypebox<ItemRoutesOptions> = async (app, { store, onDeliveries, onJob }) => {
  app.get(
    '/items',
    {
      schema: {
        tags,
        summary: 'Judged items of every event, newest first',
        querystring: ItemQuery,
        response: { 200: ref(ItemPageSchema) },
      },
    },
    async ({ query }) => {
      const { message_id: messageId, ...filter } = query;
      return pageJson(
        await store.items.list({ ...filter, ...timesOf(filter), messageId }, pageRequest(query)),
        itemJson,
      );
    },
  );

  app.post(
    '/items/:id/release',
    {
      schema: {
        tags,
        summary: 'Send a held item after all, however old its message is',
        params: Id,
        body: orNull(ref(ReleaseRequestSchema)),
        response: { 202: ref(ReleaseSchema) },
      },
    },
    async ({ params, body }, reply) => {
      const deliveries = await store.outbox.releaseItem(params.id, body?.targets ?? null);
      onDeliveries();
      return await reply.code(202).send({ deliveries: [...deliveries] });
    },
  );

  app.post(
    '/items/release',
    {
      schema: {
        tags,
        summary: 'Send many held items after all: a job, or with dry_run what it would send',
        body: ref(ItemReleaseRequestSchema),
        response: { 202: ref(ReleaseResultSchema) },
      },
    },
    async ({ body }, reply) => {
      const { dry_run, expected_count, message_id: messageId, ...given } = body;
      const filter = { ...given, ...timesOf(given), messageId };
      return await reply.code(202).send(await releaseMany(store, filter, { dry_run, expected_count }, onJob));
    },
  );

  app.get(
    '/webhooks/:id',
    {
      schema: {
        tags,
        summary: 'A webhook as it came, its items, and what each target was sent of it',
        params: Id,
        response: { 200: ref(WebhookSchema) },
      },
    },
    async ({ params }) => webhookJson(await store.items.webhook(params.id)),
  );
  await Promise.resolve();
};

function webhookJson(view: WebhookDetail): Webhook {
  return {
    id: view.id,
    channel: view.channel,
    method: view.method,
    suffix: view.suffix,
    content_type: view.contentType,
    event: view.event,
    received_at: iso(view.receivedAt),
    audit: view.auditId,
    body: view.body.toString('utf8'),
    items: view.items.map((item) => ({
      ...itemFieldsJson(item),
      ...itemPlaceJson(item),
      message_id: item.messageId,
      start: item.span?.start ?? null,
      end: item.span?.end ?? null,
    })),
    deliveries: view.deliveries.map((delivery) => ({
      ...deliveryJson(delivery),
      positions: [...delivery.positions],
    })),
  };
}
