import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Webhook, WebhookSummary } from '../contract/items.js';
import { getWebhook, listItems, listWebhooks, releaseItem, releaseItems } from '../contract/operations/items.js';
import type { App } from './app.js';
import { releaseMany } from './bulk.js';
import { eventOf } from './event-names.js';
import { itemFilterOf } from './item-filter.js';
import { itemFieldsJson, itemJson, itemPlaceJson } from './item-json.js';
import { escapeUnprintable } from './printable-answers.js';
import { deliveryJson, iso, pageJson, pageRequest, timesOf } from './schemas.js';
import type { Items, WebhookDetail, WebhookSummary as SummaryView, WebhookView } from '../store/items.js';
import type { Jobs } from '../store/jobs.js';
import type { Outbox } from '../store/outbox.js';

export interface ItemRoutesOptions {
  readonly store: {
    readonly items: Pick<Items, 'list' | 'webhook' | 'webhooks'>;
    readonly outbox: Pick<Outbox, 'releaseItem'>;
    readonly jobs: Pick<Jobs, 'survey' | 'add'>;
  };
  /** Called after deliveries were made. */
  readonly onDeliveries: () => void;
  /** Called after a job was made. */
  readonly onJob: () => void;
}

/** `/v1/items` and `/v1/webhooks`. */
export const itemRoutes: FastifyPluginAsyncTypebox<ItemRoutesOptions> = async (app, options) => {
  readRoutes(app, options);
  releaseRoutes(app, options);
  await Promise.resolve();
};

function readRoutes(app: App, { store }: ItemRoutesOptions): void {
  app.get('/items', { schema: listItems }, async ({ query }) => {
    return pageJson(await store.items.list(itemFilterOf(query), pageRequest(query)), itemJson);
  });

  app.get('/webhooks', { schema: listWebhooks }, async ({ query }) =>
    pageJson(
      await store.items.webhooks({ ...query, ...eventOf(query), ...timesOf(query) }, pageRequest(query)),
      webhookSummaryJson,
    ),
  );

  app.get('/webhooks/:id', { schema: getWebhook, onSend: escapeUnprintable }, async ({ params }) =>
    webhookJson(await store.items.webhook(params.id)),
  );
}

function releaseRoutes(app: App, { store, onDeliveries, onJob }: ItemRoutesOptions): void {
  app.post('/items/:id/release', { schema: releaseItem }, async ({ params, body }, reply) => {
    const deliveries = await store.outbox.releaseItem(params.id, body?.targets ?? null);
    onDeliveries();
    return await reply.code(202).send({ deliveries: [...deliveries] });
  });

  app.post('/items/release', { schema: releaseItems }, async ({ body }, reply) => {
    const { dry_run, expected_count, ...given } = body;
    return await reply
      .code(202)
      .send(await releaseMany(store, itemFilterOf(given), { dry_run, expected_count }, onJob));
  });
}

function receivedJson(view: WebhookView) {
  return {
    id: view.id,
    channel: view.channel,
    method: view.method,
    suffix: view.suffix,
    content_type: view.contentType,
    event: view.event,
    received_at: iso(view.receivedAt),
    audit: view.auditId,
  };
}

function webhookSummaryJson(view: SummaryView): WebhookSummary {
  const { bytes, items, held, verdicts } = view;
  return { ...receivedJson(view), bytes, items, held, verdicts: { ...verdicts } };
}

function webhookJson(view: WebhookDetail): Webhook {
  return {
    ...receivedJson(view),
    body: view.body.toString('utf8'),
    items: view.items.map((item) => ({
      ...itemFieldsJson(item),
      ...itemPlaceJson(item),
      message_id: item.messageId,
      start: item.span?.start ?? null,
      end: item.span?.end ?? null,
    })),
    deliveries: view.deliveries.map(deliveryJson),
  };
}
