import { Type } from 'typebox';
import type { Static } from 'typebox';
import { BACKLOG_POLICIES, BREAKER_STATES, TARGET_SPLITS } from '../model.js';
import { attemptFields } from './deliveries.js';
import { CHANNEL_NAME, CHANNEL_NAME_WORDS, EventNames, ModeSchema, Time, timeOrNull, VerdictSchema } from './fields.js';
import { oneOf, orNull, pageOf, ref } from './schema.js';

const name = Type.String({ minLength: 1, maxLength: 100 });
const url = Type.String({
  maxLength: 2048,
  pattern: '^https?://',
  'x-expected': 'an http:// or https:// URL',
  examples: ['https://bot.example.com/hook'],
  format: 'uri',
  description: 'Where deliveries go: an http or https URL.',
});
const secret = Type.String({
  maxLength: 100,
  writeOnly: true,
  'x-expected': '"whsec_" and 24 to 64 bytes in base64',
  description: 'Signing secret, `whsec_…` (Standard Webhooks). Made by the gateway when it is left out.',
});

/** What a person sets on a target. Headers are apart: their values are masked when they are shown. */
export const targetSettings = {
  channels: Type.Array(
    Type.String({ pattern: `^\\*$|${CHANNEL_NAME}`, 'x-expected': `* or ${CHANNEL_NAME_WORDS}`, examples: ['shop'] }),
    {
      minItems: 1,
      maxItems: 1000,
      description: 'Names of channels, or `*` for all.',
    },
  ),
  events: EventNames,
  deliver: Type.Array(ref(VerdictSchema), {
    minItems: 1,
    uniqueItems: true,
    description: 'The verdicts that the target wants. Items with another verdict are held.',
  }),
  mode: ModeSchema,
  split: oneOf(TARGET_SPLITS, {
    description: 'One request per webhook (`none`), per chat of a webhook, or per item.',
  }),
  timeout_ms: Type.Integer({ minimum: 100, maximum: 120_000, description: 'Limit for one whole attempt.' }),
  max_attempts: Type.Integer({
    minimum: 1,
    maximum: 100,
    description: 'Maximum attempts; then the delivery is `dead`.',
  }),
  retry_delays_seconds: orNull(
    Type.Array(Type.Number({ minimum: 1, maximum: 604_800 }), {
      minItems: 1,
      maxItems: 50,
      description: 'Delays after the first, second … failed attempt. The last one repeats. null: 5 s to 12 h.',
    }),
  ),
  max_age_seconds: orNull(
    Type.Integer({
      minimum: 1,
      maximum: 31_536_000,
      description: 'A message older than this is not sent: its delivery expires. null: no limit.',
    }),
  ),
  concurrency: Type.Integer({ minimum: 1, maximum: 256, description: 'Maximum number of requests in flight.' }),
  rate_per_second: orNull(
    Type.Number({ exclusiveMinimum: 0, maximum: 100_000, description: 'Most requests per second. null: no limit.' }),
  ),
  backlog_policy: oneOf(BACKLOG_POLICIES, {
    description:
      'Which messages of the backlog are sent: `all`; `newest_per_chat`, where the others end as `superseded`; or none ' +
      '(`hold`): they end as `withheld`. A message is backlog when it is `late`, or older than `backlog_after_seconds`.',
  }),
  backlog_after_seconds: Type.Integer({
    minimum: 1,
    maximum: 31_536_000,
    description: 'A message that is older than this when it is about to be sent is backlog.',
  }),
  backlog_rate_per_minute: orNull(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 60_000,
      description: 'Most requests per minute with messages of the backlog, newest chats first. null: no limit.',
    }),
  ),
  skip_answered: Type.Boolean({
    description:
      'Do not send a message whose chat has a newer message of the number itself (`from_me`). It ends as `answered`.',
  }),
  enabled: Type.Boolean({ description: 'While false, deliveries wait; none is lost.' }),
};
const headers = Type.Record(
  Type.String(),
  Type.String({
    maxLength: 4096,
    pattern: '^[\\t\\x20-\\x7e\\x80-\\xff]*$',
    'x-expected': 'a text of at most 4,096 Latin-1 characters without line breaks',
  }),
  { maxProperties: 50, description: 'Headers to add to each request.' },
);

const optional = Type.Partial(Type.Object({ ...targetSettings, headers, secret })).properties;

export const NewTargetSchema = Type.Object(
  { name, url, ...optional },
  { $id: 'NewTarget', additionalProperties: false, description: 'A target to add.' },
);
export type NewTarget = Static<typeof NewTargetSchema>;

export const TargetChangeSchema = Type.Object(
  { name: Type.Optional(name), url: Type.Optional(url), ...optional },
  {
    $id: 'TargetChange',
    additionalProperties: false,
    minProperties: 1,
    description: 'Fields of a target to change. Fields that are left out stay as they are.',
  },
);
export type TargetChange = Static<typeof TargetChangeSchema>;

export const BreakerSchema = Type.Object(
  {
    state: oneOf(BREAKER_STATES, {
      description: '`closed`: deliveries flow. `open`: they wait for a probe. `half_open`: one delivery probes.',
    }),
    consecutive_failures: Type.Integer({
      description: 'Attempts in a row without an answer or with 5xx, 429 or 408.',
    }),
    opened_at: timeOrNull(),
    next_probe_at: timeOrNull(),
    concurrency: orNull(
      Type.Integer({ description: 'Maximum number of requests in flight while it recovers; null: no such limit.' }),
    ),
  },
  { $id: 'Breaker', description: 'The circuit breaker of a target.' },
);
export type Breaker = Static<typeof BreakerSchema>;

const shown = {
  id: Type.String(),
  name: Type.String(),
  url: Type.String({ format: 'uri' }),
  ...targetSettings,
  headers: Type.Record(Type.String(), Type.String(), {
    description: 'Headers to add to each request. Values of headers that carry secrets are masked.',
  }),
  disabled_reason: orNull(
    Type.String({ description: 'Why the gateway disabled the target; null once a person sets `enabled`.' }),
  ),
  breaker: ref(BreakerSchema),
  pending: Type.Integer({ description: 'Pending deliveries.' }),
  oldest_pending_at: timeOrNull('When the oldest pending delivery was recorded.'),
  dead_last_day: Type.Integer({
    description: 'Deliveries that became `dead` in the last day and were not retried, except those without a handler.',
  }),
  unhandled_last_day: Type.Integer({
    description:
      'Events other than messages that the target answered 404, 405 or 501 in the last day: it has no handler for them.',
  }),
  previous_secrets_expire_at: Type.Array(Time, {
    description: 'When each secret from before a rotation stops signing.',
  }),
  created_at: Time,
};
const warnings = Type.Array(Type.Object({ code: oneOf(['same_url']), message: Type.String() }), {
  description: 'Settings that are allowed but seldom intended.',
});

export const TargetSchema = Type.Object(shown, {
  $id: 'Target',
  description: "A bot's endpoint, with what it wants to receive.",
});
export type Target = Static<typeof TargetSchema>;

export const TargetPageSchema = pageOf(TargetSchema);

export const ChangedTargetSchema = Type.Object(
  { ...shown, warnings },
  { $id: 'ChangedTarget', description: 'A target after a change.' },
);
export type ChangedTarget = Static<typeof ChangedTargetSchema>;

export const CreatedTargetSchema = Type.Object(
  { ...shown, warnings, secret: Type.String({ description: 'Shown only in this response.' }) },
  { $id: 'CreatedTarget', description: 'A target that was added, with its signing secret.' },
);
export type CreatedTarget = Static<typeof CreatedTargetSchema>;

export const TargetTestSchema = Type.Object(
  {
    delivered: Type.Boolean(),
    event: Type.String({ description: 'The event that was sent, such as `messages.post`.' }),
    method: Type.String({ description: 'The HTTP method that was used.' }),
    path: Type.String({ description: 'The path of the URL that it was sent to.' }),
    ...attemptFields,
    fix: orNull(Type.String({ description: 'What to change when the target has no handler at this path.' })),
  },
  { $id: 'TargetTest', description: 'The result of a test event.' },
);
export type TargetTest = Static<typeof TargetTestSchema>;

export const RotationSchema = Type.Object(
  {
    secret: Type.Optional(secret),
    grace_seconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 604_800,
        description:
          'How long the previous secret also signs. Default: 86400. 0: only the new secret signs from now on.',
      }),
    ),
  },
  { $id: 'Rotation', additionalProperties: false, description: 'How to rotate the secret of a target.' },
);
export type Rotation = Static<typeof RotationSchema>;

export const RotatedSecretSchema = Type.Object(
  {
    id: Type.String({ description: 'Id of the target.' }),
    secret: Type.String({ description: 'Shown only in this response.' }),
    previous_secret_expires_at: timeOrNull('When the previous secret stops signing; null: it already has.'),
  },
  { $id: 'RotatedSecret', description: 'The new secret of a target.' },
);
export type RotatedSecret = Static<typeof RotatedSecretSchema>;
