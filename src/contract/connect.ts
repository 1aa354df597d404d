import { Type } from 'typebox';
import type { Static } from 'typebox';
import { WARNING_CODES } from '../model.js';
import { EventNames } from './fields.js';
import { oneOf, orNull, ref } from './schema.js';

const DRY_RUN = Type.Boolean({ default: false, description: 'Show the change without making it.' });

export const ConnectRequestSchema = Type.Object(
  {
    public_url: Type.Optional(
      Type.String({
        pattern: '^https?://[^\\s?#@]+$',
        'x-expected': 'an http:// or https:// URL without user name, query and fragment',
        examples: ['https://gateway.example.com'],
        maxLength: 2048,
        format: 'uri',
        description:
          'URL under which Whapi reaches the gateway. Default: PUBLIC_URL, else where the channel was connected before.',
      }),
    ),
    mode: Type.Optional(oneOf(['body', 'path', 'method'], { description: "Whapi's mode of the webhook." })),
    events: Type.Optional(
      Type.Unsafe<string[]>({
        ...EventNames,
        description:
          'Exactly these events, named as targets name them. Default: what is already subscribed and what enabled targets want.',
      }),
    ),
    dry_run: Type.Optional(DRY_RUN),
  },
  { $id: 'ConnectRequest', additionalProperties: false, description: 'How to connect a channel.' },
);
export type ConnectRequest = Static<typeof ConnectRequestSchema>;

export const DisconnectRequestSchema = Type.Object(
  { dry_run: Type.Optional(DRY_RUN) },
  { $id: 'DisconnectRequest', additionalProperties: false, description: 'How to disconnect a channel.' },
);
export type DisconnectRequest = Static<typeof DisconnectRequestSchema>;

export const WhapiSettingsSchema = Type.Object(
  {
    callback_persist: Type.Boolean({ description: 'Whether Whapi retries webhooks.' }),
    webhooks: Type.Array(
      Type.Object({
        url: Type.String({ description: 'The URL, with secrets masked.' }),
        mode: Type.String({ description: "Whapi's mode of the webhook." }),
        events: Type.Array(Type.String(), { description: 'Events that Whapi sends to it.' }),
        headers: Type.Record(Type.String(), Type.String(), { description: 'Headers, with all values masked.' }),
        webhook_max_age_seconds: orNull(Type.Number({ description: 'Age above which Whapi drops a webhook.' })),
      }),
    ),
  },
  { $id: 'WhapiSettings', description: 'The webhook settings of a channel at Whapi.' },
);
export type WhapiSettings = Static<typeof WhapiSettingsSchema>;

const plan = {
  channel: Type.String({ description: 'Name of the channel.' }),
  dry_run: Type.Boolean(),
  changed: Type.Boolean({ description: 'Whether the settings changed; in a dry run, whether they would.' }),
  changes: Type.Array(Type.String(), { description: 'The differences in words.' }),
  before: ref(WhapiSettingsSchema),
  after: ref(WhapiSettingsSchema),
};

export const DisconnectionSchema = Type.Object(plan, {
  $id: 'Disconnection',
  description: "What removing the gateway's webhook changed at Whapi.",
});
export type Disconnection = Static<typeof DisconnectionSchema>;

export const ConnectionSchema = Type.Object(
  {
    ...plan,
    webhook_url: Type.String({ format: 'uri', description: 'Where Whapi sends the webhooks now.' }),
    warnings: Type.Array(
      Type.Object({
        code: oneOf(WARNING_CODES),
        webhook_url: orNull(Type.String({ description: 'The webhook that it is about, with secrets masked.' })),
        message: Type.String({ description: 'What is wrong, and what to do.' }),
      }),
      { description: 'Settings at Whapi that work against the gateway and that connecting does not change.' },
    ),
    verified: orNull(Type.Boolean({ description: 'true: a test webhook arrived; null: the test was not possible.' })),
    verification: Type.String({ description: 'The result of the test, and what to do.' }),
  },
  { $id: 'Connection', description: 'What connecting a channel changed at Whapi.' },
);
export type Connection = Static<typeof ConnectionSchema>;
