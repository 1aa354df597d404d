import { Type } from 'typebox';
import { BREAKER_STATES } from '../model.js';
import type { Breaker, Target, TargetSplit, TargetTest, Verdict } from '../model.js';
import { EventNames } from './event-names.js';
import {
  attemptJson,
  AttemptSchema,
  CHANNEL_NAME,
  CHANNEL_NAME_WORDS,
  iso,
  isoOrNull,
  ModeSchema,
  oneOf,
  orNull,
  SplitSchema,
  Time,
  VerdictSchema,
} from './schemas.js';
import type { Json } from './schemas.js';
import type { TargetLoad } from '../store/outbox.js';

/** What API.md gives a target where its maker says nothing. */
export const DEFAULTS = {
  channels: ['*'],
  events: ['*'],
  deliver: ['new', 'late', 'event'] as Verdict[],
  mode: 'as_received' as const,
  split: 'none' as const,
  headers: {} as Record<string, string>,
  timeout_ms: 30_000,
  max_attempts: 10,
  retry_delays_seconds: null,
  max_age_seconds: null,
  concurrency: 16,
  rate_per_second: null,
  enabled: true,
};

const name = Type.String({ minLength: 1, maxLength: 100 });
const url = Type.String({
  maxLength: 2048,
  pattern: '^https?://',
  'x-expected': 'an http:// or https:// URL',
  examples: ['https://bot.example.com/hook'],
});
const secret = Type.String({
  maxLength: 100,
  writeOnly: true,
  'x-expected': '"whsec_" and 24 to 64 bytes in base64',
  description: 'whsec_… (Standard Webhooks); made where it is left out',
});
const settings = {
  channels: Type.Array(
    Type.String({ pattern: `^\\*$|${CHANNEL_NAME}`, 'x-expected': `* or ${CHANNEL_NAME_WORDS}`, examples: ['shop'] }),
    { minItems: 1, maxItems: 1000 },
  ),
  events: EventNames,
  deliver: Type.Array(VerdictSchema, { minItems: 1, uniqueItems: true }),
  mode: ModeSchema,
  split: Type.Unsafe<TargetSplit>({
    ...SplitSchema,
    description: 'One request for the whole of a webhook, for each of its chats, or for each of its items',
  }),
  headers: Type.Record(
    Type.String(),
    Type.String({
      maxLength: 4096,
      pattern: '^[\\t\\x20-\\x7e\\x80-\\xff]*$',
      'x-expected': 'a text of at most 4,096 Latin-1 characters without line breaks',
    }),
    {
      maxProperties: 50,
    },
  ),
  timeout_ms: Type.Integer({ minimum: 100, maximum: 120_000, description: 'The whole attempt' }),
  max_attempts: Type.Integer({ minimum: 1, maximum: 100 }),
  retry_delays_seconds: orNull(
    Type.Array(Type.Number({ minimum: 1, maximum: 604_800 }), {
      minItems: 1,
      maxItems: 50,
      description: 'Pauses after the first, second … failed attempt, the last one repeated; null: 5 s to 12 h',
    }),
  ),
  max_age_seconds: orNull(Type.Integer({ minimum: 1, maximum: 31_536_000 })),
  concurrency: Type.Integer({ minimum: 1, maximum: 256, description: 'Requests in flight' }),
  rate_per_second: orNull(Type.Number({ exclusiveMinimum: 0, maximum: 100_000 })),
  enabled: Type.Boolean({ description: 'false: deliveries wait, nothing is lost' }),
};

const optional = Type.Partial(Type.Object({ ...settings, secret }));
export const NewTarget = Type.Object({ name, url, ...optional.properties }, { additionalProperties: false });
export const TargetChange = Type.Object(
  { name: Type.Optional(name), url: Type.Optional(url), ...optional.properties },
  { additionalProperties: false, minProperties: 1 },
);

const shown = {
  id: Type.String(),
  name: Type.String(),
  url: Type.String(),
  ...settings,
  headers: Type.Record(Type.String(), Type.String(), {
    description: 'Values of headers that carry secrets are masked',
  }),
  disabled_reason: orNull(
    Type.String({ description: 'Why the gateway switched it off; null again when somebody sets `enabled`' }),
  ),
  breaker: Type.Object({
    state: oneOf(BREAKER_STATES),
    consecutive_failures: Type.Integer({ description: 'Attempts in a row that met trouble: no answer, 5xx, 429, 408' }),
    opened_at: orNull(Time),
    next_probe_at: orNull(Time),
    concurrency: orNull(Type.Integer({ description: 'Requests in flight while it recovers; null: no such limit' })),
  }),
  pending: Type.Integer({ description: 'Deliveries that wait' }),
  oldest_pending_at: orNull(Type.String({ description: 'ISO 8601: when the oldest pending delivery was recorded' })),
  dead_last_day: Type.Integer({
    description:
      'Deliveries that failed permanently in the last day and were not retried; those without a handler are not counted',
  }),
  unhandled_last_day: Type.Integer({
    description:
      'Events that the target answered 404, 405 or 501 in the last day, messages aside: it has no handler for them',
  }),
  previous_secrets_expire_at: Type.Array(Time, {
    description: 'When each secret from before a rotation stops to sign',
  }),
  created_at: Time,
};
const warnings = Type.Array(Type.Object({ code: oneOf(['same_url']), message: Type.String() }), {
  description: 'Settings that are allowed but seldom intended',
});
export const TargetSchema = Type.Object(shown);
export const ChangedTargetSchema = Type.Object({ ...shown, warnings });
export const NewTargetSchema = Type.Object({
  ...ChangedTargetSchema.properties,
  secret: Type.String({ description: 'Shown this once' }),
});
export const TestResult = Type.Object({
  delivered: Type.Boolean(),
  event: Type.String({ description: 'What was sent: `messages.post`' }),
  method: Type.String({ description: 'How it was sent' }),
  path: Type.String({ description: 'Where it was sent: the path of the URL' }),
  ...AttemptSchema.properties,
  fix: orNull(Type.String({ description: 'What to change where the target answers, but has no handler there' })),
});

export function testJson(test: TargetTest): Json<typeof TestResult> {
  const { event, method, path, fix } = test;
  return { delivered: test.error === null, event, method, path, ...attemptJson(test), fix };
}

/** 24 hours to bring the new secret to the bot. */
export const GRACE_SECONDS = 86_400;
export const Rotation = Type.Object(
  {
    secret: Type.Optional(secret),
    grace_seconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 604_800,
        description: 'How long the secret before it signs as well; left out: 86400; 0: from now on only the new one',
      }),
    ),
  },
  { additionalProperties: false },
);
export const RotatedSecret = Type.Object({
  id: Type.String(),
  secret: Type.String({ description: 'Shown this once' }),
  previous_secret_expires_at: orNull(Time),
});

export const MASK = '***';
const SECRET_HEADER = /authorization|cookie|token|secret|key|password/i;

/** Headers are not among them: they are stored sealed. */
type SettingsJson = Pick<Json<typeof TargetSchema>, Exclude<keyof typeof settings, 'headers'>>;

export function fieldsOf(
  json: SettingsJson,
): Omit<Target, 'id' | 'name' | 'url' | 'headers' | 'secret' | 'previousSecrets' | 'disabledReason' | 'createdAt'> {
  return {
    channels: json.channels,
    events: json.events,
    deliver: json.deliver,
    mode: json.mode,
    split: json.split,
    timeoutMs: json.timeout_ms,
    maxAttempts: json.max_attempts,
    retryDelaysSeconds: json.retry_delays_seconds,
    maxAgeSeconds: json.max_age_seconds,
    concurrency: json.concurrency,
    ratePerSecond: json.rate_per_second,
    enabled: json.enabled,
  };
}

/** Only what the body names, so that of two changes at the same time both are kept. */
export function changeOf(json: Partial<SettingsJson>): Partial<Target> {
  return {
    ...(json.channels && { channels: json.channels }),
    ...(json.events && { events: json.events }),
    ...(json.deliver && { deliver: json.deliver }),
    ...(json.mode && { mode: json.mode }),
    ...(json.split && { split: json.split }),
    ...(json.timeout_ms !== undefined && { timeoutMs: json.timeout_ms }),
    ...(json.max_attempts !== undefined && { maxAttempts: json.max_attempts }),
    ...(json.retry_delays_seconds !== undefined && { retryDelaysSeconds: json.retry_delays_seconds }),
    ...(json.max_age_seconds !== undefined && { maxAgeSeconds: json.max_age_seconds }),
    ...(json.concurrency !== undefined && { concurrency: json.concurrency }),
    ...(json.rate_per_second !== undefined && { ratePerSecond: json.rate_per_second }),
    ...(json.enabled !== undefined && { enabled: json.enabled, disabledReason: null }),
  };
}

function settingsJson(target: Target): SettingsJson {
  return {
    channels: [...target.channels],
    events: [...target.events],
    deliver: [...target.deliver],
    mode: target.mode,
    split: target.split,
    timeout_ms: target.timeoutMs,
    max_attempts: target.maxAttempts,
    retry_delays_seconds: target.retryDelaysSeconds && [...target.retryDelaysSeconds],
    max_age_seconds: target.maxAgeSeconds,
    concurrency: target.concurrency,
    rate_per_second: target.ratePerSecond,
    enabled: target.enabled,
  };
}

export function targetJson(
  target: Target,
  headers: Readonly<Record<string, string>>,
  breaker: Breaker,
  load: TargetLoad,
): Json<typeof TargetSchema> {
  const masked = Object.entries(headers).map(([key, value]) => [key, SECRET_HEADER.test(key) ? MASK : value]);
  return {
    id: target.id,
    name: target.name,
    url: target.url,
    ...settingsJson(target),
    headers: Object.fromEntries(masked) as Record<string, string>,
    previous_secrets_expire_at: target.previousSecrets.map(({ expiresAt }) => iso(expiresAt)),
    disabled_reason: target.disabledReason,
    breaker: {
      state: breaker.state,
      consecutive_failures: breaker.consecutiveFailures,
      opened_at: isoOrNull(breaker.openedAt),
      next_probe_at: isoOrNull(breaker.nextProbeAt),
      concurrency: breaker.ramp,
    },
    pending: load.pending,
    oldest_pending_at: isoOrNull(load.oldestPendingAt),
    dead_last_day: load.deadLastDay,
    unhandled_last_day: load.unhandledLastDay.reduce((sum, { count }) => sum + count, 0),
    created_at: iso(target.createdAt),
  };
}
