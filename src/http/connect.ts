import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Connector } from '../connect/connector.js';
import { displayed } from '../connect/policy.js';
import type { ManagedSettings, Plan } from '../connect/policy.js';
import { WARNING_CODES } from '../connect/warnings.js';
import { GatewayError } from '../errors.js';
import type { Channel } from '../model.js';
import { checkedEventNames, EventNames } from './event-names.js';
import { oneOf, orNull, problems } from './schemas.js';
import type { Json } from './schemas.js';
import type { Registry } from '../store/registry.js';

export interface ConnectRoutesOptions {
  readonly store: { readonly registry: Pick<Registry, 'channel'> };
  readonly connector: Connector;
}

const DRY_RUN = Type.Boolean({ default: false, description: 'Shows the change and makes none' });
const Connect = Type.Object(
  {
    public_url: Type.Optional(
      Type.String({
        pattern: '^https?://[^\\s?#@]+$',
        maxLength: 2048,
        description: 'Under which Whapi reaches the gateway; default: PUBLIC_URL, else where it was connected before',
      }),
    ),
    mode: Type.Optional(oneOf(['body', 'path', 'method'])),
    events: Type.Optional(
      Type.Unsafe<string[]>({
        ...EventNames,
        description:
          'Exactly these, as targets name them; default: what the enabled targets want, on top of what is subscribed',
      }),
    ),
    dry_run: Type.Optional(DRY_RUN),
  },
  { additionalProperties: false },
);
const Disconnect = Type.Object({ dry_run: Type.Optional(DRY_RUN) }, { additionalProperties: false });

const WebhookSchema = Type.Object({
  url: Type.String({ description: 'Secrets masked' }),
  mode: Type.String(),
  events: Type.Array(Type.String()),
  headers: Type.Record(Type.String(), Type.String(), { description: 'All values masked' }),
  webhook_max_age_seconds: orNull(Type.Number()),
});
const SettingsSchema = Type.Object({ callback_persist: Type.Boolean(), webhooks: Type.Array(WebhookSchema) });
const planFields = {
  channel: Type.String(),
  dry_run: Type.Boolean(),
  changed: Type.Boolean({ description: 'In a dry run: whether it would be' }),
  changes: Type.Array(Type.String(), { description: 'What is different, in words' }),
  before: SettingsSchema,
  after: SettingsSchema,
};
const Disconnected = Type.Object(planFields);
const Connected = Type.Object({
  ...planFields,
  webhook_url: Type.String(),
  warnings: Type.Array(
    Type.Object({ code: oneOf(WARNING_CODES), webhook_url: orNull(Type.String()), message: Type.String() }),
  ),
  verified: orNull(Type.Boolean({ description: 'A test webhook came in; null: it was not, or could not be tried' })),
  verification: Type.String({ description: 'What came of the test, and what to do' }),
});
const Name = Type.Object({ name: Type.String() });
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
        body: orNull(Connect),
        response: { 200: Connected, ...problems },
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
        body: orNull(Disconnect),
        response: { 200: Disconnected, ...problems },
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

function planJson({ name }: Channel, isDry: boolean, { before, after, changes }: Plan): Json<typeof Disconnected> {
  return {
    channel: name,
    dry_run: isDry,
    changed: changes.length > 0,
    changes: [...changes],
    before: settingsJson(before),
    after: settingsJson(after),
  };
}

function settingsJson({ callback_persist, webhooks }: ManagedSettings): Json<typeof SettingsSchema> {
  return {
    callback_persist,
    webhooks: webhooks.map(displayed).map(({ url, mode, events, headers, webhookMaxAgeSeconds }) => ({
      ...{ url, mode, events: [...events], headers },
      webhook_max_age_seconds: webhookMaxAgeSeconds,
    })),
  };
}

/** @throws GatewayError GW_BAD_REQUEST */
function checkedUrl(url: string | undefined): string | null {
  if (url === undefined) return null;
  if (!URL.canParse(url)) {
    throw new GatewayError('GW_BAD_REQUEST', 'public_url is not a URL.', [
      { path: '/public_url', message: 'must be a URL' },
    ]);
  }
  return url.replace(/\/+$/, '');
}
