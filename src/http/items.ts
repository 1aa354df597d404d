import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import {
  itemFields,
  itemFieldsJson,
  itemJson,
  ItemMessageId,
  itemPlaceFields,
  itemPlaceJson,
  ItemSchema,
  Released,
  ReleasedVerdict,
  ReleaseOne,
  ReleaseTargets,
} from './item-json.js';
import { bulkOptions, releaseMany, ReleaseResult } from './jobs.js';
import {
  ChannelName,
  deliveryJson,
  DeliverySchema,
  EventFilter,
  iso,
  orNull,
  pageJson,
  pageOf,
  pageQuery,
  pageRequest,
  problems,
  Time,
  timesOf,
  VerdictSchema,
} from './schemas.js';
import type { Json } from './schemas.js';
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

const filters = {
  channel: Type.Optional(ChannelName),
  event: Type.Optional(EventFilter),
  since: Type.Optional(Time),
  until: Type.Optional(Time),
  resync: Type.Optional(Type.String({ description: 'Only items under a message id that this resync asked for' })),
  message_id: Type.Optional(Type.String({ description: 'Only items under this message id' })),
};
const Filters = pageQuery({
  ...filters,
  verdict: Type.Optional(VerdictSchema),
  held: Type.Optional(Type.Boolean()),
});
const ReleaseMany = Type.Object(
  {
    ...filters,
    verdict: Type.Optional(ReleasedVerdict),
    held: Type.Optional(Type.Literal(true, { description: 'Implied: only held items are released' })),
    targets: Type.Optional(ReleaseTargets),
    ...bulkOptions,
  },
  { additionalProperties: false },
);
const WebhookSchema = Type.Object({
  id: Type.String(),
  channel: Type.String(),
  method: Type.String(),
  suffix: Type.String({ description: 'What followed the URL of the channel' }),
  content_type: orNull(Type.String()),
  event: Type.String(),
  received_at: Time,
  audit: orNull(Type.String({ description: 'The audit whose release made it; null: it came from Whapi' })),
  body: Type.String(),
  items: Type.Array(
    Type.Object({
      ...itemFields,
      ...itemPlaceFields,
      message_id: ItemMessageId,
      start: orNull(Type.Integer({ description: 'First byte in the body (UTF-8)' })),
      end: orNull(Type.Integer({ description: 'The byte behind its last' })),
    }),
  ),
  deliveries: Type.Array(
    Type.Object({
      ...DeliverySchema.properties,
      positions: Type.Array(Type.Integer(), { description: 'Which of the items it carries' }),
    }),
    { description: 'What targets were sent of it, releases included' },
  ),
});
const Id = Type.Object({ id: Type.String() });
const tags = ['items'];

/** `/v1/items` and `/v1/webhooks`. */
export const itemRoutes: FastifyPluginAsyncTypebox<ItemRoutesOptions> = async (app, { store, onDeliveries, onJob }) => {
  app.get(
    '/items',
    {
      schema: {
        tags,
        summary: 'Judged items of every event, newest first',
        querystring: Filters,
        response: { 200: pageOf(ItemSchema), ...problems },
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
        body: ReleaseOne,
        response: { 202: Released, ...problems },
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
        body: ReleaseMany,
        response: { 202: ReleaseResult, ...problems },
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
        response: { 200: WebhookSchema, ...problems },
      },
    },
    async ({ params }) => webhookJson(await store.items.webhook(params.id)),
  );
  await Promise.resolve();
};

function webhookJson(view: WebhookDetail): Json<typeof WebhookSchema> {
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
