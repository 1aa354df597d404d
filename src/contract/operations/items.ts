import { Id } from '../fields.js';
import {
  ItemPageSchema,
  ItemQuery,
  ItemReleaseRequestSchema,
  ReleaseRequestSchema,
  ReleaseSchema,
  WebhookQuery,
  WebhookSchema,
  WebhookSummaryPageSchema,
} from '../items.js';
import { ReleaseResultSchema } from '../jobs.js';
import {
  ExplanationSchema,
  MessagePageSchema,
  MessageParams,
  MessageQuery,
  MessageReleaseRequestSchema,
} from '../messages.js';
import { operation } from '../operation.js';
import { orNull, ref } from '../schema.js';

export const listItems = operation({
  operationId: 'listItems',
  tags: ['items'],
  summary: 'List items',
  description: 'Returns the judged items of every event, newest first, each with its verdict and the evidence for it.',
  querystring: ItemQuery,
  response: { 200: ref(ItemPageSchema) },
});

export const releaseItem = operation({
  operationId: 'releaseItem',
  tags: ['items'],
  summary: 'Release a held item',
  description: 'Sends a held item to targets, however old its message is.',
  params: Id,
  body: orNull(ref(ReleaseRequestSchema)),
  response: { 202: ref(ReleaseSchema) },
  'x-errors': ['GW_NOT_FOUND', 'GW_NOT_HELD', 'GW_PAYLOAD_GONE'],
});

export const releaseItems = operation({
  operationId: 'releaseItems',
  tags: ['items'],
  summary: 'Release many held items',
  description: 'Starts a job that sends every held item that the filter finds. With `dry_run` it only counts them.',
  body: ref(ItemReleaseRequestSchema),
  response: { 202: ref(ReleaseResultSchema) },
  'x-errors': ['GW_NOT_FOUND', 'GW_CONFLICT'],
});

export const listWebhooks = operation({
  operationId: 'listWebhooks',
  tags: ['items'],
  summary: 'List webhooks',
  description: 'Returns the stored webhooks, newest first, without their content, and how their items were judged.',
  querystring: WebhookQuery,
  response: { 200: ref(WebhookSummaryPageSchema) },
});

export const getWebhook = operation({
  operationId: 'getWebhook',
  tags: ['items'],
  summary: 'Get a webhook',
  description:
    'Returns a webhook as received, its items with their byte ranges, and the parts that each target was sent.',
  params: Id,
  response: { 200: ref(WebhookSchema) },
  'x-errors': ['GW_NOT_FOUND', 'GW_PAYLOAD_GONE'],
});

export const listMessages = operation({
  operationId: 'listMessages',
  tags: ['messages'],
  summary: 'List messages',
  description: 'Returns the items that are messages, newest first. A message that came twice is listed twice.',
  querystring: MessageQuery,
  response: { 200: ref(MessagePageSchema) },
});

export const explainMessage = operation({
  operationId: 'explainMessage',
  tags: ['messages'],
  summary: 'Explain what happened to a message',
  description:
    'Returns everything that happened to a message: each sighting with its verdict and rule, each resync, and each delivery ' +
    'with its attempts.',
  params: MessageParams,
  response: { 200: ref(ExplanationSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});

export const releaseMessage = operation({
  operationId: 'releaseMessage',
  tags: ['messages'],
  summary: 'Release a held message',
  description: 'Sends the newest held sighting of a message to targets, however old the message is.',
  params: MessageParams,
  body: orNull(ref(ReleaseRequestSchema)),
  response: { 202: ref(ReleaseSchema) },
  'x-errors': ['GW_NOT_FOUND', 'GW_NOT_HELD', 'GW_PAYLOAD_GONE'],
});

export const releaseMessages = operation({
  operationId: 'releaseMessages',
  tags: ['messages'],
  summary: 'Release many held messages',
  description: 'Starts a job that sends every held message that the filter finds. With `dry_run` it only counts them.',
  body: ref(MessageReleaseRequestSchema),
  response: { 202: ref(ReleaseResultSchema) },
  'x-errors': ['GW_NOT_FOUND', 'GW_CONFLICT'],
});
