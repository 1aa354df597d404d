import type {
  BacklogPolicy,
  Channel,
  ExpiringSecret,
  OnReplay,
  Sealed,
  Target,
  TargetMode,
  TargetSplit,
  Verdict,
} from '../../model.js';
import type { StoredBoolean } from './stored-boolean.js';

export interface ChannelRow {
  readonly name: string;
  readonly channel_id: string | null;
  readonly whapi_token: string;
  readonly webhook_secret: string;
  readonly whapi_base_url: string;
  readonly late_after_seconds: number;
  readonly resync_spacing_ms: number | null;
  readonly daily_call_budget: number | null;
  readonly auto_resync: StoredBoolean;
  readonly on_replay: string;
  readonly replay_after_seconds: number;
  readonly replay_messages: number;
  readonly created_at: number;
}

/** A row of a target, as it is written. */
export interface TargetColumns {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  readonly channels: string;
  readonly events: string;
  readonly deliver: string;
  readonly mode: string;
  readonly split: string;
  readonly headers: string;
  readonly secret: string;
  readonly previous_secrets: string;
  readonly timeout_ms: number;
  readonly max_attempts: number;
  readonly retry_delays_seconds: string | null;
  readonly max_age_seconds: number | null;
  readonly concurrency: number;
  readonly rate_per_second: number | null;
  readonly backlog_policy: string;
  readonly backlog_after_seconds: number;
  readonly backlog_rate_per_minute: number | null;
  readonly skip_answered: StoredBoolean;
  readonly enabled: StoredBoolean;
  readonly disabled_reason: string | null;
  readonly created_at: number;
}

export interface TargetRow extends TargetColumns {
  readonly number: number;
}

/** A target, and the number that stored deliveries refer to it by. */
export interface NumberedTarget {
  readonly number: number;
  readonly target: Target;
}

/** A row as a channel. */
export function channelOf(row: ChannelRow): Channel {
  return {
    name: row.name,
    channelId: row.channel_id,
    whapiToken: row.whapi_token as Sealed,
    webhookSecret: row.webhook_secret as Sealed,
    whapiBaseUrl: row.whapi_base_url,
    lateAfterSeconds: row.late_after_seconds,
    resyncSpacingMs: row.resync_spacing_ms,
    dailyCallBudget: row.daily_call_budget,
    autoResync: Boolean(row.auto_resync),
    onReplay: row.on_replay as OnReplay,
    replayAfterSeconds: row.replay_after_seconds,
    replayMessages: row.replay_messages,
    createdAt: row.created_at,
  };
}

/** A row as a target. */
export function targetOf(row: TargetColumns): Target {
  return {
    id: row.id,
    name: row.name,
    url: row.url,
    channels: JSON.parse(row.channels) as string[],
    events: JSON.parse(row.events) as string[],
    deliver: JSON.parse(row.deliver) as Verdict[],
    mode: row.mode as TargetMode,
    split: row.split as TargetSplit,
    headers: row.headers as Sealed,
    secret: row.secret as Sealed,
    previousSecrets: JSON.parse(row.previous_secrets) as ExpiringSecret[],
    timeoutMs: row.timeout_ms,
    maxAttempts: row.max_attempts,
    retryDelaysSeconds: row.retry_delays_seconds === null ? null : (JSON.parse(row.retry_delays_seconds) as number[]),
    maxAgeSeconds: row.max_age_seconds,
    concurrency: row.concurrency,
    ratePerSecond: row.rate_per_second,
    backlogPolicy: row.backlog_policy as BacklogPolicy,
    backlogAfterSeconds: row.backlog_after_seconds,
    backlogRatePerMinute: row.backlog_rate_per_minute,
    skipAnswered: Boolean(row.skip_answered),
    enabled: Boolean(row.enabled),
    disabledReason: row.disabled_reason,
    createdAt: row.created_at,
  };
}

/** A target as a row. */
export function targetColumns(target: Target) {
  return {
    id: target.id,
    name: target.name,
    url: target.url,
    channels: JSON.stringify(target.channels),
    events: JSON.stringify(target.events),
    deliver: JSON.stringify(target.deliver),
    mode: target.mode,
    split: target.split,
    headers: target.headers,
    secret: target.secret,
    previous_secrets: JSON.stringify(target.previousSecrets),
    timeout_ms: target.timeoutMs,
    max_attempts: target.maxAttempts,
    retry_delays_seconds: target.retryDelaysSeconds && JSON.stringify(target.retryDelaysSeconds),
    max_age_seconds: target.maxAgeSeconds,
    concurrency: target.concurrency,
    rate_per_second: target.ratePerSecond,
    backlog_policy: target.backlogPolicy,
    backlog_after_seconds: target.backlogAfterSeconds,
    backlog_rate_per_minute: target.backlogRatePerMinute,
    skip_answered: target.skipAnswered,
    enabled: target.enabled,
    disabled_reason: target.disabledReason,
    created_at: target.createdAt,
  } satisfies TargetColumns;
}
