import type { targetSettings } from '../contract/targets.js';
import type { Target as TargetJson, TargetChange, TargetTest as TestJson } from '../contract/targets.js';
import type { Breaker, Target, TargetTest, Verdict } from '../model.js';
import { attemptJson, iso, isoOrNull } from './schemas.js';
import type { TargetLoad } from '../store/outbox.js';
import { MASK } from '../quoted.js';

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
  backlog_policy: 'all' as const,
  backlog_after_seconds: 600,
  backlog_rate_per_minute: null,
  skip_answered: false,
  enabled: true,
};

export function testJson(test: TargetTest): TestJson {
  const { event, method, path, fix } = test;
  return { delivered: test.error === null, event, method, path, ...attemptJson(test), fix };
}

/** 24 hours to bring the new secret to the bot. */
export const GRACE_SECONDS = 86_400;
const SECRET_HEADER = /authorization|cookie|token|secret|key|password/i;

/** Headers are not among them: they are stored sealed. */
type SettingsJson = Pick<TargetJson, keyof typeof targetSettings>;

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
    backlogPolicy: json.backlog_policy,
    backlogAfterSeconds: json.backlog_after_seconds,
    backlogRatePerMinute: json.backlog_rate_per_minute,
    skipAnswered: json.skip_answered,
    enabled: json.enabled,
  };
}

/** Only what the body names, secrets and headers aside, so that of two changes at the same time both are kept. */
export function changeOf(json: TargetChange): Partial<Target> {
  return {
    ...(json.name !== undefined && { name: json.name }),
    ...(json.url !== undefined && { url: json.url }),
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
    ...(json.backlog_policy && { backlogPolicy: json.backlog_policy }),
    ...(json.backlog_after_seconds !== undefined && { backlogAfterSeconds: json.backlog_after_seconds }),
    ...(json.backlog_rate_per_minute !== undefined && { backlogRatePerMinute: json.backlog_rate_per_minute }),
    ...(json.skip_answered !== undefined && { skipAnswered: json.skip_answered }),
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
    backlog_policy: target.backlogPolicy,
    backlog_after_seconds: target.backlogAfterSeconds,
    backlog_rate_per_minute: target.backlogRatePerMinute,
    skip_answered: target.skipAnswered,
    enabled: target.enabled,
  };
}

export function targetJson(
  target: Target,
  headers: Readonly<Record<string, string>>,
  breaker: Breaker,
  load: TargetLoad,
): TargetJson {
  const masked = Object.entries(headers).map(([key, value]) => [key, SECRET_HEADER.test(key) ? MASK : value]);
  return {
    id: target.id,
    name: target.name,
    url: target.url,
    ...settingsJson(target),
    headers: Object.fromEntries(masked) as Record<string, string>,
    previous_secrets_expire_at: target.previousSecrets.map(({ expiresAt }) => iso(expiresAt)),
    disabled_reason: target.disabledReason,
    breaker: breakerJson(breaker),
    pending: load.pending,
    oldest_pending_at: isoOrNull(load.oldestPendingAt),
    dead_last_day: load.deadLastDay,
    unhandled_last_day: load.unhandledLastDay.reduce((sum, { count }) => sum + count, 0),
    created_at: iso(target.createdAt),
  };
}

export function breakerJson(breaker: Breaker): TargetJson['breaker'] {
  return {
    state: breaker.state,
    consecutive_failures: breaker.consecutiveFailures,
    opened_at: isoOrNull(breaker.openedAt),
    next_probe_at: isoOrNull(breaker.nextProbeAt),
    concurrency: breaker.ramp,
  };
}
