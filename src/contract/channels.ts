import { Type } from 'typebox';
import type { Static } from 'typebox';
import { ON_REPLAY } from '../model.js';
import { ChannelName, Time, time, timeOrNull } from './fields.js';
import { oneOf, orNull, pageOf } from './schema.js';

const WHAPI_TOKEN = Type.String({
  minLength: 1,
  maxLength: 4096,
  pattern: '^\\S+$',
  writeOnly: true,
  'x-expected': "the channel's Whapi token, without spaces",
  description: "The channel's API token at Whapi. It is stored encrypted and never shown.",
});
const WEBHOOK_SECRET = Type.String({
  pattern: '^[A-Za-z0-9._~-]{16,200}$',
  writeOnly: true,
  'x-expected': '16 to 200 letters, digits, ".", "_", "~" or "-" (make one with: openssl rand -hex 24)',
  description: 'The secret that Whapi sends with each webhook: 16 or more URL-safe characters.',
});
const BASE_URL = Type.String({
  pattern: '^https?://',
  'x-expected': 'an http:// or https:// URL',
  examples: ['https://gate.whapi.cloud'],
  maxLength: 2048,
  format: 'uri',
  description: "Base URL of Whapi's API.",
});
export const LATE_AFTER = Type.Integer({
  minimum: 0,
  maximum: 31_536_000,
  description: 'Seconds by which a message must be older than the newest of its chat to be `late`.',
});
const RESYNC_SPACING = orNull(
  Type.Integer({
    minimum: 0,
    maximum: 3_600_000,
    description: "Milliseconds between two of the gateway's own calls to Whapi; null: one second.",
  }),
);
const DAILY_BUDGET = orNull(
  Type.Integer({
    minimum: 1,
    maximum: 1_000_000,
    description: "The gateway's own calls to Whapi per day (UTC); null: no limit.",
  }),
);
const AUTO_RESYNC = Type.Boolean({
  description: 'Resyncs a message that a call to `/whapi` does not find, at most once an hour.',
});

const ON_REPLAY_SETTING = oneOf(ON_REPLAY, {
  description:
    'What becomes of a replay: many old messages within a minute that no webhook had carried before and no resync asked for. ' +
    '`hold`: they are `restored` (rule 19) from the message on that makes it one.',
});
const REPLAY_AFTER = Type.Integer({
  minimum: 3600,
  maximum: 31_536_000,
  description: 'Seconds between sending and arrival after which a message may belong to a replay.',
});
const REPLAY_MESSAGES = Type.Integer({
  minimum: 1,
  maximum: 1000,
  description: 'How many such messages within a minute are a replay.',
});

const optionalSettings = {
  webhook_secret: Type.Optional(WEBHOOK_SECRET),
  whapi_base_url: Type.Optional(BASE_URL),
  late_after_seconds: Type.Optional(LATE_AFTER),
  resync_spacing_ms: Type.Optional(RESYNC_SPACING),
  daily_call_budget: Type.Optional(DAILY_BUDGET),
  auto_resync: Type.Optional(AUTO_RESYNC),
  on_replay: Type.Optional(ON_REPLAY_SETTING),
  replay_after_seconds: Type.Optional(REPLAY_AFTER),
  replay_messages: Type.Optional(REPLAY_MESSAGES),
};

export const NewChannelSchema = Type.Object(
  { name: ChannelName, whapi_token: WHAPI_TOKEN, ...optionalSettings },
  { $id: 'NewChannel', additionalProperties: false, description: 'A channel to add.' },
);
export type NewChannel = Static<typeof NewChannelSchema>;

export const ChannelChangeSchema = Type.Object(
  {
    whapi_token: Type.Optional(WHAPI_TOKEN),
    ...optionalSettings,
    channel_id: Type.Optional(Type.Null({ description: 'null forgets the id; the next webhook sets it again.' })),
  },
  {
    $id: 'ChannelChange',
    additionalProperties: false,
    minProperties: 1,
    description: 'Fields of a channel to change. Fields that are left out stay as they are.',
  },
);
export type ChannelChange = Static<typeof ChannelChangeSchema>;

const shown = {
  name: Type.String({ description: 'Name of the channel.' }),
  channel_id: orNull(Type.String({ description: "Whapi's own id, learned from the first webhook that carries one." })),
  webhook_url: Type.String({
    format: 'uri-reference',
    description: 'Where Whapi should send its webhooks. A path only while PUBLIC_URL is not set.',
  }),
  whapi_base_url: Type.String({ format: 'uri', description: "Base URL of Whapi's API." }),
  late_after_seconds: LATE_AFTER,
  resync_spacing_ms: RESYNC_SPACING,
  daily_call_budget: DAILY_BUDGET,
  auto_resync: AUTO_RESYNC,
  on_replay: ON_REPLAY_SETTING,
  replay_after_seconds: REPLAY_AFTER,
  replay_messages: REPLAY_MESSAGES,
  last_webhook_at: timeOrNull('When the gateway last accepted a webhook.'),
  refused: Type.Object(
    {
      last_at: timeOrNull('When the last one was refused.'),
      last_code: orNull(Type.String({ description: 'Its error code, such as `GW_UNAUTHORIZED`.' })),
      today: Type.Integer({ description: 'Refused since midnight, UTC.' }),
    },
    { description: 'Webhooks of this channel that the gateway refused. Whapi sends most of them again.' },
  ),
  last_replay: orNull(
    Type.Object(
      {
        began_at: time('When the first of its messages came.'),
        last_at: time('When the last one came.'),
        messages: Type.Integer({ description: 'How many messages it has.' }),
        held: Type.Integer({ description: 'How many of them are held because of it.' }),
        oldest_sent_at: timeOrNull('When the oldest was sent.'),
      },
      { description: 'The last replay: many unrequested old messages that came together. null: none.' },
    ),
  ),
  created_at: Time,
};
export const ChannelSchema = Type.Object(shown, {
  $id: 'Channel',
  description: 'One WhatsApp number: a channel at Whapi.',
});
export type Channel = Static<typeof ChannelSchema>;

export const ChannelPageSchema = pageOf(ChannelSchema);

export const CreatedChannelSchema = Type.Object(
  { ...shown, webhook_secret: Type.String({ description: 'Shown only in this response.' }) },
  { $id: 'CreatedChannel', description: 'A channel that was added, with its webhook secret.' },
);
export type CreatedChannel = Static<typeof CreatedChannelSchema>;

export const NewSeedingSchema = Type.Object(
  {
    since: Type.Optional(time('ISO 8601 with a zone. Default: as far back as ids are remembered.')),
    until: Type.Optional(time('ISO 8601 with a zone. Default: now.')),
  },
  { $id: 'NewSeeding', additionalProperties: false, description: 'The range of messages to seed the ledger with.' },
);
export type NewSeeding = Static<typeof NewSeedingSchema>;
