import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger } from 'fastify';
import { Type } from 'typebox';
import type { Effects } from '../effects.js';
import { GatewayError } from '../errors.js';
import type { Channel } from '../model.js';
import type { Encryption } from '../encryption.js';
import {
  ChannelName,
  iso,
  isoOrNull,
  orNull,
  pageOf,
  pageOfAll,
  pageQuery,
  pageRequest,
  problems,
  Time,
} from './schemas.js';
import type { Json } from './schemas.js';
import { shown } from './schema-words.js';
import { invalidField } from './validation-errors.js';
import type { Registry } from '../store/registry.js';
import type { ChannelTraffic, Traffic } from '../store/traffic.js';

export interface ChannelRoutesOptions {
  readonly store: { readonly registry: Registry; readonly traffic: Pick<Traffic, 'of'> };
  readonly encryption: Encryption;
  readonly whapiBaseUrl: string;
  readonly publicUrl: string | null;
  readonly effects: Pick<Effects, 'now' | 'randomBytes'>;
  /** Told after a change was committed: calls that waited for it may be made. */
  readonly onChanged: () => void;
  readonly log: Pick<FastifyBaseLogger, 'info'>;
}

const WHAPI_TOKEN = Type.String({
  minLength: 1,
  maxLength: 4096,
  pattern: '^\\S+$',
  writeOnly: true,
  'x-expected': "the channel's Whapi token, without spaces",
  description: "The channel's token at Whapi",
});
const WEBHOOK_SECRET = Type.String({
  pattern: '^[A-Za-z0-9._~-]{16,200}$',
  writeOnly: true,
  'x-expected': '16 to 200 letters, digits, ".", "_", "~" or "-" (make one with: openssl rand -hex 24)',
  description: '16 or more URL-safe characters',
});
const BASE_URL = Type.String({
  pattern: '^https?://',
  maxLength: 2048,
  'x-expected': 'an http:// or https:// URL',
  examples: ['https://gate.whapi.cloud'],
});
const LATE_AFTER = Type.Integer({ minimum: 0, maximum: 31_536_000, description: 'Seconds; see the verdict `late`' });
const RESYNC_SPACING = orNull(
  Type.Integer({
    minimum: 0,
    maximum: 3_600_000,
    description: 'Milliseconds between two calls to Whapi that the gateway makes by itself; null: a second',
  }),
);
const DAILY_BUDGET = orNull(
  Type.Integer({
    minimum: 1,
    maximum: 1_000_000,
    description: 'Calls to Whapi on one day (UTC) that the gateway makes by itself; null: no limit',
  }),
);
const AUTO_RESYNC = Type.Boolean({
  description: 'A message that a call to /whapi does not find is brought back unasked, once per hour',
});
const DEFAULT_LATE_AFTER_SECONDS = 900;
const SECRET_BYTES = 24;

const NewChannel = Type.Object(
  {
    name: ChannelName,
    whapi_token: WHAPI_TOKEN,
    webhook_secret: Type.Optional(WEBHOOK_SECRET),
    whapi_base_url: Type.Optional(BASE_URL),
    late_after_seconds: Type.Optional(LATE_AFTER),
    resync_spacing_ms: Type.Optional(RESYNC_SPACING),
    daily_call_budget: Type.Optional(DAILY_BUDGET),
    auto_resync: Type.Optional(AUTO_RESYNC),
  },
  { additionalProperties: false },
);

const ChannelChange = Type.Object(
  {
    whapi_token: Type.Optional(WHAPI_TOKEN),
    webhook_secret: Type.Optional(WEBHOOK_SECRET),
    whapi_base_url: Type.Optional(BASE_URL),
    late_after_seconds: Type.Optional(LATE_AFTER),
    resync_spacing_ms: Type.Optional(RESYNC_SPACING),
    daily_call_budget: Type.Optional(DAILY_BUDGET),
    auto_resync: Type.Optional(AUTO_RESYNC),
    channel_id: Type.Optional(Type.Null({ description: 'null forgets it: the next webhook teaches it anew' })),
  },
  { additionalProperties: false, minProperties: 1 },
);

const channelFields = {
  name: Type.String(),
  channel_id: orNull(Type.String({ description: "Whapi's own id, learned from the first webhook" })),
  webhook_url: Type.String({
    description: 'Where Whapi is to send its webhooks; a path only while PUBLIC_URL is not set',
  }),
  whapi_base_url: Type.String(),
  late_after_seconds: Type.Integer(),
  resync_spacing_ms: RESYNC_SPACING,
  daily_call_budget: DAILY_BUDGET,
  auto_resync: Type.Boolean(),
  last_webhook_at: orNull(Type.String({ description: 'ISO 8601: when the last webhook was accepted' })),
  refused: Type.Object(
    {
      last_at: orNull(Time),
      last_code: orNull(Type.String({ description: 'GW_…' })),
      today: Type.Integer({ description: 'Since midnight, UTC' }),
    },
    { description: 'Webhooks of this channel that were refused; Whapi sends most of them again' },
  ),
  created_at: Time,
};
const ChannelSchema = Type.Object(channelFields);
const NewChannelSchema = Type.Object({
  ...channelFields,
  webhook_secret: Type.String({ description: 'Shown this once' }),
});
const Name = Type.Object({ name: Type.String() });
const tags = ['channels'];

/** `/v1/channels`. */
export const channelRoutes: FastifyPluginAsyncTypebox<ChannelRoutesOptions> = async (app, options) => {
  const { store, encryption, effects, log } = options;
  const json = async (channel: Channel): Promise<Json<typeof ChannelSchema>> =>
    channelJson(channel, await store.traffic.of(channel.name));

  const channelJson = (channel: Channel, { lastWebhookAt, refused }: ChannelTraffic): Json<typeof ChannelSchema> => ({
    name: channel.name,
    channel_id: channel.channelId,
    webhook_url: `${options.publicUrl ?? ''}/webhooks/${channel.name}`,
    whapi_base_url: channel.whapiBaseUrl,
    late_after_seconds: channel.lateAfterSeconds,
    resync_spacing_ms: channel.resyncSpacingMs,
    daily_call_budget: channel.dailyCallBudget,
    auto_resync: channel.autoResync,
    last_webhook_at: isoOrNull(lastWebhookAt),
    refused: { last_at: isoOrNull(refused.lastAt), last_code: refused.lastCode, today: refused.today },
    created_at: iso(channel.createdAt),
  });

  /** Another token may be another number's; a webhook of the old channel would then be taken for the wrong one. */
  const tokenChange = async (name: string, token: string): Promise<Partial<Channel>> => {
    const before = await store.registry.channel(name);
    const isSame = before !== null && encryption.open(before.whapiToken) === token;
    return { whapiToken: encryption.seal(token), ...(!isSame && { channelId: null }) };
  };

  app.post(
    '/channels',
    { schema: { tags, summary: 'Add a channel', body: NewChannel, response: { 201: NewChannelSchema, ...problems } } },
    async ({ body }, reply) => {
      const secret = body.webhook_secret ?? effects.randomBytes(SECRET_BYTES).toString('base64url');
      const channel: Channel = {
        name: body.name,
        channelId: null,
        whapiToken: encryption.seal(body.whapi_token),
        webhookSecret: encryption.seal(secret),
        whapiBaseUrl: checkedUrl(body.whapi_base_url) ?? options.whapiBaseUrl,
        lateAfterSeconds: body.late_after_seconds ?? DEFAULT_LATE_AFTER_SECONDS,
        resyncSpacingMs: body.resync_spacing_ms ?? null,
        dailyCallBudget: body.daily_call_budget ?? null,
        autoResync: body.auto_resync ?? false,
        createdAt: effects.now(),
      };
      await store.registry.addChannel(channel);
      log.info({ channel: channel.name }, 'channel added');
      return await reply.code(201).send({ ...(await json(channel)), webhook_secret: secret });
    },
  );

  app.get(
    '/channels',
    {
      schema: {
        tags,
        summary: 'Channels, by name',
        querystring: pageQuery({}),
        response: { 200: pageOf(ChannelSchema), ...problems },
      },
    },
    async ({ query }) => {
      const { data, nextCursor } = pageOfAll(await store.registry.channels(), ({ name }) => name, pageRequest(query));
      return { data: await Promise.all(data.map(json)), next_cursor: nextCursor };
    },
  );

  app.get(
    '/channels/:name',
    { schema: { tags, summary: 'One channel', params: Name, response: { 200: ChannelSchema, ...problems } } },
    async ({ params }) => {
      const channel = await store.registry.channel(params.name);
      if (!channel) throw new GatewayError('GW_NOT_FOUND', `There is no channel "${params.name}".`);
      return await json(channel);
    },
  );

  app.patch(
    '/channels/:name',
    {
      schema: {
        tags,
        summary: 'Change a channel',
        params: Name,
        body: ChannelChange,
        response: { 200: ChannelSchema, ...problems },
      },
    },
    async ({ params, body }) => {
      const baseUrl = checkedUrl(body.whapi_base_url);
      const changed = await store.registry.changeChannel(params.name, {
        ...(body.whapi_token !== undefined && (await tokenChange(params.name, body.whapi_token))),
        ...(body.webhook_secret !== undefined && { webhookSecret: encryption.seal(body.webhook_secret) }),
        ...(baseUrl !== undefined && { whapiBaseUrl: baseUrl }),
        ...(body.late_after_seconds !== undefined && { lateAfterSeconds: body.late_after_seconds }),
        ...(body.resync_spacing_ms !== undefined && { resyncSpacingMs: body.resync_spacing_ms }),
        ...(body.daily_call_budget !== undefined && { dailyCallBudget: body.daily_call_budget }),
        ...(body.auto_resync !== undefined && { autoResync: body.auto_resync }),
        ...(body.channel_id === null && { channelId: null }),
      });
      log.info({ channel: params.name, fields: Object.keys(body) }, 'channel changed');
      options.onChanged();
      return await json(changed);
    },
  );

  app.delete(
    '/channels/:name',
    { schema: { tags, summary: 'Remove a channel', params: Name, response: { 204: Type.Null(), ...problems } } },
    async ({ params }, reply) => {
      await store.registry.removeChannel(params.name);
      log.info({ channel: params.name }, 'channel removed');
      return await reply.code(204).send(null);
    },
  );
  await Promise.resolve();
};

/** @throws GatewayError GW_BAD_REQUEST */
function checkedUrl(url: string | undefined): string | undefined {
  if (url === undefined) return undefined;
  if (!URL.canParse(url)) {
    throw invalidField(
      '/whapi_base_url',
      `"whapi_base_url" is ${shown(url)}; expected a URL, for example https://gate.whapi.cloud`,
    );
  }
  return url.replace(/\/+$/, '');
}
