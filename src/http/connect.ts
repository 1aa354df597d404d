import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Connector } from '../connect/connector.js';
import { displayed } from '../connect/policy.js';
import type { ManagedSettings, Plan } from '../connect/policy.js';
import type { Disconnection, WhapiSettings } from '../contract/connect.js';
import { connectChannel, disconnectChannel } from '../contract/operations/channels.js';
import { noSuchChannel } from '../errors.js';
import type { Channel } from '../model.js';
import type { App } from './app.js';
import { checkedUrl } from './checked-url.js';
import { checkedEventNames } from './event-names.js';
import type { Registry } from '../store/registry.js';

export interface ConnectRoutesOptions {
  readonly store: { readonly registry: Pick<Registry, 'channel'> };
  readonly connector: Connector;
}

const NOT_TRIED = { verified: null, message: 'Not tried in a dry run.' };

const PUBLIC_URL = { name: 'public_url', example: 'https://gateway.example.com' };

/** `/v1/channels/{name}/connect` and `/disconnect`. */
export const connectRoutes: FastifyPluginAsyncTypebox<ConnectRoutesOptions> = async (app, options) => {
  connectRoute(app, options);
  disconnectRoute(app, options);
  await Promise.resolve();
};

function connectRoute(app: App, { store, connector }: ConnectRoutesOptions): void {
  app.post('/channels/:name/connect', { schema: connectChannel }, async ({ params, body }) => {
    const channel = await mustHave(store.registry, params.name);
    const { public_url: publicUrl, mode = null, events, dry_run: isDry = false } = body ?? {};
    const request = {
      publicUrl: publicUrl === undefined ? null : checkedUrl(publicUrl, PUBLIC_URL),
      mode,
      events: events ? checkedEventNames(events) : null,
    };
    const done = isDry
      ? { ...(await connector.plan(channel, request)), ...NOT_TRIED }
      : await connector.connect(channel, request);
    return {
      ...planJson(channel, isDry, done),
      webhook_url: done.webhookUrl,
      warnings: done.warnings.map(({ code, webhookUrl, message }) => ({ code, webhook_url: webhookUrl, message })),
      verified: done.verified,
      verification: done.message,
    };
  });
}

function disconnectRoute(app: App, { store, connector }: ConnectRoutesOptions): void {
  app.post('/channels/:name/disconnect', { schema: disconnectChannel }, async ({ params, body }) => {
    const channel = await mustHave(store.registry, params.name);
    const isDry = body?.dry_run ?? false;
    const plan = isDry ? await connector.planDisconnect(channel) : await connector.disconnect(channel);
    return planJson(channel, isDry, plan);
  });
}

/** @throws GatewayError GW_NOT_FOUND */
async function mustHave(registry: ConnectRoutesOptions['store']['registry'], name: string): Promise<Channel> {
  const channel = await registry.channel(name);
  if (!channel) throw noSuchChannel(name);
  return channel;
}

function planJson({ name }: Channel, isDry: boolean, { before, after, changes }: Plan): Disconnection {
  return {
    channel: name,
    dry_run: isDry,
    changed: changes.length > 0,
    changes: [...changes],
    before: settingsJson(before),
    after: settingsJson(after),
  };
}

function settingsJson({ callback_persist, webhooks }: ManagedSettings): WhapiSettings {
  return {
    callback_persist,
    webhooks: webhooks.map(displayed).map(({ url, mode, events, headers, webhookMaxAgeSeconds }) => ({
      ...{ url, mode, events: [...events], headers },
      webhook_max_age_seconds: webhookMaxAgeSeconds,
    })),
  };
}
