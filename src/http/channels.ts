import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger } from 'fastify';
import type { Channel as ChannelJson, ChannelChange } from '../contract/channels.js';
import {
  createChannel,
  deleteChannel,
  getChannel,
  listChannels,
  updateChannel,
} from '../contract/operations/channels.js';
import type { Effects } from '../effects.js';
import { noSuchChannel } from '../errors.js';
import type { Guard } from '../guard.js';
import type { Channel } from '../model.js';
import type { Encryption } from '../encryption.js';
import { placeOf } from '../secret-places.js';
import type { App } from './app.js';
import { checkedBaseUrl } from './checked-url.js';
import { iso, isoOrNull, pageOfAll, pageRequest } from './schemas.js';
import { refuseWhileUnderWay } from './under-way.js';
import { secondsJson } from './item-json.js';
import type { Registry } from '../store/registry.js';
import type { ChannelTraffic, Replay, Traffic } from '../store/traffic.js';

export interface ChannelRoutesOptions {
  readonly store: { readonly registry: Registry; readonly traffic: Pick<Traffic, 'of'> };
  readonly encryption: Encryption;
  readonly guard: Pick<Guard, 'refusalOf'>;
  readonly whapiBaseUrl: string;
  readonly publicUrl: string | null;
  readonly effects: Pick<Effects, 'now' | 'randomBytes'>;
  /** Called after a change was committed, because paused calls may now be due. */
  readonly onChanged: () => void;
  /** Called after a channel was removed, because what was under way for it now ends in the background. */
  readonly onRemoved: () => void;
  readonly log: Pick<FastifyBaseLogger, 'info'>;
}

const DEFAULT_LATE_AFTER_SECONDS = 900;
/** Measured with `npm run bench -- replay`: see docs/api.md, Replays. */
const DEFAULT_REPLAY_AFTER_SECONDS = 432_000;
const DEFAULT_REPLAY_MESSAGES = 20;
const SECRET_BYTES = 24;

/** `/v1/channels`. */
export const channelRoutes: FastifyPluginAsyncTypebox<ChannelRoutesOptions> = async (app, options) => {
  createRoute(app, options);
  readRoutes(app, options);
  updateRoute(app, options);
  deleteRoute(app, options);
  await Promise.resolve();
};

function createRoute(app: App, options: ChannelRoutesOptions): void {
  const { store, encryption, effects, log } = options;
  app.post('/channels', { schema: createChannel }, async ({ body }, reply) => {
    const secret = body.webhook_secret ?? effects.randomBytes(SECRET_BYTES).toString('base64url');
    const { whapi_base_url: baseUrl } = body;
    const channel: Channel = {
      name: body.name,
      channelId: null,
      whapiToken: encryption.seal(body.whapi_token, placeOf.whapiToken(body)),
      webhookSecret: encryption.seal(secret, placeOf.webhookSecret(body)),
      whapiBaseUrl: baseUrl === undefined ? options.whapiBaseUrl : checkedBaseUrl(baseUrl, options.guard),
      lateAfterSeconds: body.late_after_seconds ?? DEFAULT_LATE_AFTER_SECONDS,
      resyncSpacingMs: body.resync_spacing_ms ?? null,
      dailyCallBudget: body.daily_call_budget ?? null,
      autoResync: body.auto_resync ?? false,
      onReplay: body.on_replay ?? 'deliver',
      replayAfterSeconds: body.replay_after_seconds ?? DEFAULT_REPLAY_AFTER_SECONDS,
      replayMessages: body.replay_messages ?? DEFAULT_REPLAY_MESSAGES,
      createdAt: effects.now(),
    };
    await store.registry.addChannel(channel);
    log.info({ channel: channel.name }, 'channel added');
    return await reply.code(201).send({ ...(await jsonWithTraffic(channel, options)), webhook_secret: secret });
  });
}

function readRoutes(app: App, options: ChannelRoutesOptions): void {
  const { registry } = options.store;
  app.get('/channels', { schema: listChannels }, async ({ query }) => {
    const { data, nextCursor } = pageOfAll(await registry.channels(), ({ name }) => name, pageRequest(query));
    return {
      data: await Promise.all(data.map(async (channel) => await jsonWithTraffic(channel, options))),
      next_cursor: nextCursor,
    };
  });

  app.get('/channels/:name', { schema: getChannel }, async ({ params }) => {
    const channel = await registry.channel(params.name);
    if (!channel) throw noSuchChannel(params.name);
    return await jsonWithTraffic(channel, options);
  });
}

function updateRoute(app: App, options: ChannelRoutesOptions): void {
  const { store, encryption, log } = options;

  /** Another token may be another number's; a webhook of the old channel would then be taken for the wrong one. */
  const tokenChange = async (name: string, token: string): Promise<Partial<Channel>> => {
    const before = await store.registry.channel(name);
    const isSame = before !== null && encryption.open(before.whapiToken, placeOf.whapiToken({ name })) === token;
    return { whapiToken: encryption.seal(token, placeOf.whapiToken({ name })), ...(!isSame && { channelId: null }) };
  };

  app.patch('/channels/:name', { schema: updateChannel }, async ({ params, body }) => {
    const settings = changeOf(body, options.guard);
    const changed = await store.registry.changeChannel(params.name, {
      ...(body.whapi_token !== undefined && (await tokenChange(params.name, body.whapi_token))),
      ...(body.webhook_secret !== undefined && {
        webhookSecret: encryption.seal(body.webhook_secret, placeOf.webhookSecret(params)),
      }),
      ...settings,
    });
    log.info({ channel: params.name, fields: Object.keys(body) }, 'channel changed');
    options.onChanged();
    return await jsonWithTraffic(changed, options);
  });
}

function deleteRoute(app: App, { store, log, onRemoved }: ChannelRoutesOptions): void {
  app.delete('/channels/:name', { schema: deleteChannel }, async ({ params, query }, reply) => {
    const { name } = params;
    if (query.force !== true) refuseWhileUnderWay('channel', name, await store.registry.workOfChannel(name));
    await store.registry.removeChannel(name);
    log.info({ channel: name }, 'channel removed');
    onRemoved();
    return await reply.code(204).send(null);
  });
}

/** Only what the body names, secrets aside. @throws GatewayError GW_BAD_REQUEST */
function changeOf(body: ChannelChange, guard: ChannelRoutesOptions['guard']): Partial<Channel> {
  const { whapi_base_url: baseUrl } = body;
  return {
    ...(baseUrl !== undefined && { whapiBaseUrl: checkedBaseUrl(baseUrl, guard) }),
    ...judgingChangeOf(body),
    ...(body.resync_spacing_ms !== undefined && { resyncSpacingMs: body.resync_spacing_ms }),
    ...(body.daily_call_budget !== undefined && { dailyCallBudget: body.daily_call_budget }),
    ...(body.auto_resync !== undefined && { autoResync: body.auto_resync }),
    ...(body.channel_id === null && { channelId: null }),
  };
}

/** Of the settings that the body names, those that decide verdicts. */
export function judgingChangeOf(body: ChannelChange): Partial<Channel> {
  return {
    ...(body.late_after_seconds !== undefined && { lateAfterSeconds: body.late_after_seconds }),
    ...(body.on_replay !== undefined && { onReplay: body.on_replay }),
    ...(body.replay_after_seconds !== undefined && { replayAfterSeconds: body.replay_after_seconds }),
    ...(body.replay_messages !== undefined && { replayMessages: body.replay_messages }),
  };
}

async function jsonWithTraffic(channel: Channel, { store, publicUrl }: ChannelRoutesOptions): Promise<ChannelJson> {
  return channelJson(channel, await store.traffic.of(channel.name), publicUrl);
}

function channelJson(
  channel: Channel,
  { lastWebhookAt, refused, lastReplay }: ChannelTraffic,
  publicUrl: string | null,
): ChannelJson {
  return {
    name: channel.name,
    channel_id: channel.channelId,
    webhook_url: `${publicUrl ?? ''}/webhooks/${channel.name}`,
    whapi_base_url: channel.whapiBaseUrl,
    late_after_seconds: channel.lateAfterSeconds,
    resync_spacing_ms: channel.resyncSpacingMs,
    daily_call_budget: channel.dailyCallBudget,
    auto_resync: channel.autoResync,
    on_replay: channel.onReplay,
    replay_after_seconds: channel.replayAfterSeconds,
    replay_messages: channel.replayMessages,
    last_webhook_at: isoOrNull(lastWebhookAt),
    refused: { last_at: isoOrNull(refused.lastAt), last_code: refused.lastCode, today: refused.today },
    last_replay: lastReplay && replayJson(lastReplay),
    created_at: iso(channel.createdAt),
  };
}

function replayJson({
  beganAt,
  lastAt,
  messages,
  held,
  oldestSentAt,
}: Replay): NonNullable<ChannelJson['last_replay']> {
  const oldest = secondsJson(oldestSentAt);
  return { began_at: iso(beganAt), last_at: iso(lastAt), messages, held, oldest_sent_at: oldest };
}
