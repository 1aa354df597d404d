import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Connector } from '../connect/connector.js';
import { shown } from '../connect/policy.js';
import type { Connectable, Plan } from '../connect/policy.js';
import {
  ConnectionSchema,
  ConnectRequestSchema,
  DisconnectionSchema,
  DisconnectRequestSchema,
} from '../contract/connect.js';
import type { Disconnection, WhapiSettings } from '../contract/connect.js';
import { Name } from '../contract/fields.js';
import { orNull, ref } from '../contract/schema.js';
import { GatewayError } from '../errors.js';
import type { Channel } from '../model.js';
import { checkedEventNames } from './event-names.js';
import { shown as shownValue } from './schema-words.js';
import { invalidField } from './validation-errors.js';
import type { Registry } from '../store/registry.js';

export interface ConnectRoutesOptions {
  readonly store: { readonly registry: Pick<Registry, 'channel'> };
  readonly connector: Connector;
}

const tags = ['channels'];
const NOT_TRIED = { verified: null, message: 'Not tried in a dry run.' };

/** `/v1/channels/{name}/connect` and `/disconnect`. */
export const connectRoutes: FastifyPluginAsyncTypebox<ConnectRoutesOptions> = async (app, { store, connector }) => {
  const mustHave = async (name: string): Promise<Channel> => {
    const channel = await store.registry.channel(name);
    if (!channel) throw new GatewayError('GW_NOT_FOUND', `There is no channel "${name}".`);
    return channel;
  };

  app.post(
    '/channels/:name/connect',
    {
      schema: {
        tags,
        summary: 'Have Whapi send the webhooks of a channel to the gateway',
        params: Name,
        body: orNull(ref(ConnectRequestSchema)),
        response: { 200: ref(ConnectionSchema) },
      },
    },
    async ({ params, body }) => {
      const channel = await mustHave(params.name);
      const isDry = body?.dry_run ?? false;
      const request = {
        publicUrl: checkedUrl(body?.public_url),
        mode: body?.mode ?? null,
        events: body?.events ? checkedEventNames(body.events) : null,
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
    },
  );

  app.post(
    '/channels/:name/disconnect',
    {
      schema: {
        tags,
        summary: "Take the gateway's webhook, and nothing else, off a channel at Whapi",
        params: Name,
        body: orNull(ref(DisconnectRequestSchema)),
        response: { 200: ref(DisconnectionSchema) },
      },
    },
    async ({ params, body }) => {
      const channel = await mustHave(params.name);
      const isDry = body?.dry_run ?? false;
      const plan = isDry ? await connector.planDisconnect(channel) : await connector.disconnect(channel);
      return planJson(channel, isDry, plan);
    },
  );
  await Promise.resolve();
};

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

function settingsJson({ callback_persist, webhooks }: Connectable): WhapiSettings {
  return {
    callback_persist,
    webhooks: webhooks.map(shown).map(({ url, mode, events, headers, webhookMaxAgeSeconds }) => ({
      ...{ url, mode, events: [...events], headers },
      webhook_max_age_seconds: webhookMaxAgeSeconds,
    })),
  };
}

/** @throws GatewayError GW_BAD_REQUEST */
function checkedUrl(url: string | undefined): string | null {
  if (url === undefined) return null;
  if (!URL.canParse(url)) {
    throw invalidField(
      '/public_url',
      `"public_url" is ${shownValue(url)}; expected a URL, for example https://gateway.example.com`,
    );
  }
  return url.replace(/\/+$/, '');
}
