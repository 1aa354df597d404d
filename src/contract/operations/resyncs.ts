import { Id } from '../fields.js';
import { operation } from '../operation.js';
import {
  IdempotencyHeader,
  NewResyncSchema,
  ResyncMessagePageSchema,
  ResyncMessageQuery,
  ResyncPageSchema,
  ResyncQuery,
  ResyncReportSchema,
  ResyncSchema,
} from '../resyncs.js';
import { ref } from '../schema.js';

export const createResync = operation({
  operationId: 'createResync',
  tags: ['resyncs'],
  summary: 'Start a resync',
  description:
    'Brings messages back into Whapi. The gateway registers all ids before it answers, so that a message that comes back is ' +
    '`restored`, not `new`. Runs in the background: follow it with `getResync`.',
  headers: IdempotencyHeader,
  body: ref(NewResyncSchema),
  response: { 202: ref(ResyncSchema) },
  'x-errors': ['GW_NOT_FOUND', 'GW_IDEMPOTENCY_MISMATCH'],
});

export const listResyncs = operation({
  operationId: 'listResyncs',
  tags: ['resyncs'],
  summary: 'List resyncs',
  description: 'Returns the resyncs, newest first.',
  querystring: ResyncQuery,
  response: { 200: ref(ResyncPageSchema) },
});

export const getResync = operation({
  operationId: 'getResync',
  tags: ['resyncs'],
  summary: 'Get a resync',
  description: 'Returns one resync with its counts, its rate and the reason why it pauses.',
  params: Id,
  response: { 200: ref(ResyncSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});

export const listResyncMessages = operation({
  operationId: 'listResyncMessages',
  tags: ['resyncs'],
  summary: 'List the messages of a resync',
  description: 'Returns the messages of a resync in the order in which they were asked for.',
  params: Id,
  querystring: ResyncMessageQuery,
  response: { 200: ref(ResyncMessagePageSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});

export const getResyncReport = operation({
  operationId: 'getResyncReport',
  tags: ['resyncs'],
  summary: 'Get the report of a resync',
  description: 'Returns the result of a resync: what was restored, what failed and why, and what is held.',
  params: Id,
  response: { 200: ref(ResyncReportSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});

export const cancelResync = operation({
  operationId: 'cancelResync',
  tags: ['resyncs'],
  summary: 'Cancel a resync',
  description:
    'Stops further calls to Whapi. Messages that Whapi was already asked for stay registered. A resync that is over stays ' +
    'as it is.',
  params: Id,
  response: { 200: ref(ResyncSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});
