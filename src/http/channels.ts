import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger } from 'fastify';
import { Type } from 'typebox';
import {
  ChannelChangeSchema,
  ChannelPageSchema,
  ChannelSchema,
  CreatedChannelSchema,
  NewChannelSchema,
} from '../contract/channels.js';
import type { Channel as ChannelJson } from '../contract/channels.js';
import { Name } from '../contract/fields.js';
import { pageQuery, ref } from '../contract/schema.js';
import type { Effects } from '../effects.js';
import { GatewayError } from '../errors.js';
import type { Channel } from '../model.js';
import type { Encryption } from '../encryption.js';
import { shown } from './schema-words.js';
import { iso, isoOrNull, pageOfAll, pageRequest } from './schemas.js';
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

const DEFAULT_LATE_AFTER_SECONDS = 900;
const SECRET_BYTES = 24;
const tags = ['channels'];

/** `/v1/channels`. */
export const channelRoutes: FastifyPluginAsyncTypebox<ChannelRoutesOptions> = async (app, options) => {
  const { store, encryption, effects, log } = options;
  const json = async (channel: Channel): Promise<ChannelJson> =>
    channelJson(channel, await store.traffic.of(channel.name));

  const channelJson = (channel: Channel, { lastWebhookAt, refused }: ChannelTraffic): ChannelJson => ({
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
    {
      schema: {
        tags,
        summary: 'Add a channel',
        body: ref(NewChannelSchema),
        response: { 201: ref(CreatedChannelSchema) },
      },
    },
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
        response: { 200: ref(ChannelPageSchema) },
      },
    },
    async ({ query }) => {
      const { data, nextCursor } = pageOfAll(await store.registry.channels(), ({ name }) => name, pageRequest(query));
      return { data: await Promise.all(data.map(json)), next_cursor: nextCursor };
    },
  );

  app.get(
    '/channels/:name',
    { schema: { tags, summary: 'One channel', params: Name, response: { 200: ref(ChannelSchema) } } },
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
        body: ref(ChannelChangeSchema),
        response: { 200: ref(ChannelSchema) },
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
    { schema: { tags, summary: 'Remove a channel', params: Name, response: { 204: Type.Null() } } },
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
