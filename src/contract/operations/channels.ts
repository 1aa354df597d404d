import { Type } from 'typebox';
import { AuditSchema } from '../audits.js';
import {
  ChannelChangeSchema,
  ChannelPageSchema,
  ChannelSchema,
  CreatedChannelSchema,
  NewChannelSchema,
  NewSeedingSchema,
} from '../channels.js';
import { ConnectionSchema, ConnectRequestSchema, DisconnectionSchema, DisconnectRequestSchema } from '../connect.js';
import { ForceQuery, Name } from '../fields.js';
import { operation } from '../operation.js';
import { orNull, pageQuery, ref } from '../schema.js';

export const createChannel = operation({
  operationId: 'createChannel',
  tags: ['channels'],
  summary: 'Add a channel',
  description:
    'Adds a channel and returns its webhook URL and webhook secret. The secret is shown only here. Call `connectChannel` ' +
    'next, or set the webhook at Whapi yourself.',
  body: ref(NewChannelSchema),
  response: { 201: ref(CreatedChannelSchema) },
  'x-errors': ['GW_CONFLICT'],
});

export const listChannels = operation({
  operationId: 'listChannels',
  tags: ['channels'],
  summary: 'List channels',
  description: 'Returns the channels in the order of their names.',
  querystring: pageQuery({}),
  response: { 200: ref(ChannelPageSchema) },
});

export const getChannel = operation({
  operationId: 'getChannel',
  tags: ['channels'],
  summary: 'Get a channel',
  description: 'Returns one channel, with the time of its last webhook and the webhooks that were refused.',
  params: Name,
  response: { 200: ref(ChannelSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});

export const updateChannel = operation({
  operationId: 'updateChannel',
  tags: ['channels'],
  summary: 'Change a channel',
  description: 'Changes the fields that the body names. A different `whapi_token` also forgets `channel_id`.',
  params: Name,
  body: ref(ChannelChangeSchema),
  response: { 200: ref(ChannelSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});

export const deleteChannel = operation({
  operationId: 'deleteChannel',
  tags: ['channels'],
  summary: 'Remove a channel',
  description:
    'Removes a channel at once, and cancels its resyncs and audits in the background. Deliveries that are already recorded ' +
    'still go out. If something is under way, it is refused with `GW_UNDER_WAY` and the numbers, unless `force` is true.',
  params: Name,
  querystring: ForceQuery,
  response: { 204: Type.Null({ description: 'The channel was removed.' }) },
  'x-errors': ['GW_NOT_FOUND', 'GW_UNDER_WAY'],
});

export const connectChannel = operation({
  operationId: 'connectChannel',
  tags: ['channels'],
  summary: 'Connect a channel to the gateway at Whapi',
  description:
    "Sets the gateway's webhook in the channel's settings at Whapi, leaves other webhooks as they are, and has Whapi send " +
    'a test webhook. With `dry_run` it shows the change without making it.',
  params: Name,
  body: orNull(ref(ConnectRequestSchema)),
  response: { 200: ref(ConnectionSchema) },
  'x-errors': ['GW_NO_PUBLIC_URL', 'GW_NOT_FOUND', 'GW_CONFLICT', 'GW_WHAPI_REFUSED', 'GW_WHAPI_UNAVAILABLE'],
});

export const disconnectChannel = operation({
  operationId: 'disconnectChannel',
  tags: ['channels'],
  summary: 'Disconnect a channel from the gateway at Whapi',
  description: "Removes the gateway's webhook, and nothing else, from the channel's settings at Whapi.",
  params: Name,
  body: orNull(ref(DisconnectRequestSchema)),
  response: { 200: ref(DisconnectionSchema) },
  'x-errors': ['GW_NOT_FOUND', 'GW_CONFLICT', 'GW_WHAPI_REFUSED', 'GW_WHAPI_UNAVAILABLE'],
});

export const seedChannel = operation({
  operationId: 'seedChannel',
  tags: ['channels'],
  summary: "Seed the ledger with Whapi's messages",
  description:
    "Reads Whapi's list of messages and writes their ids into the ledger. If one of them comes back later, it is a " +
    '`duplicate`, whichever client resynced it. Runs in the background: follow it with `getAudit`.',
  params: Name,
  body: orNull(ref(NewSeedingSchema)),
  response: { 202: ref(AuditSchema) },
  'x-errors': ['GW_NOT_FOUND'],
});
