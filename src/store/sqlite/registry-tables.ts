import { GatewayError, noSuchChannel } from '../../errors.js';
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
import { unexpired } from '../rules/rotation.js';
import type { Db } from './database.js';
import type { Connection } from '../registry.js';

interface ChannelRow {
  name: string;
  channel_id: string | null;
  whapi_token: string;
  webhook_secret: string;
  whapi_base_url: string;
  late_after_seconds: number;
  resync_spacing_ms: number | null;
  daily_call_budget: number | null;
  auto_resync: number;
  on_replay: string;
  replay_after_seconds: number;
  replay_messages: number;
  created_at: number;
}

interface ConnectionRow {
  webhook_url: string;
  set_persist: number;
  connected_at: number;
}

interface TargetRow {
  number: number;
  id: string;
  name: string;
  url: string;
  channels: string;
  events: string;
  deliver: string;
  mode: string;
  split: string;
  headers: string;
  secret: string;
  previous_secrets: string;
  timeout_ms: number;
  max_attempts: number;
  retry_delays_seconds: string | null;
  max_age_seconds: number | null;
  concurrency: number;
  rate_per_second: number | null;
  backlog_policy: string;
  backlog_after_seconds: number;
  backlog_rate_per_minute: number | null;
  skip_answered: number;
  enabled: number;
  disabled_reason: string | null;
  created_at: number;
  removed_at: number | null;
}

export interface NumberedTarget {
  readonly number: number;
  readonly target: Target;
}

/**
 * Channels, targets and connections. Channels and targets are few and needed for every webhook, so they are cached; each
 * change clears the cache. Methods that write are for use inside a transaction.
 */
export class RegistryTables {
  readonly #db: Db;
  #channels: ReadonlyMap<string, Channel> | null = null;
  #targets: ReadonlyMap<string, NumberedTarget> | null = null;
  #version = 0;

  constructor(db: Db) {
    this.#db = db;
  }

  /** Grows whenever the cache is cleared. */
  get version(): number {
    return this.#version;
  }

  /** Makes the next read go to the database: after a change, and after the change was rolled back. */
  clearCache(): void {
    this.#version += 1;
    this.#channels = null;
    this.#targets = null;
  }

  channels(): ReadonlyMap<string, Channel> {
    this.#channels ??= new Map(
      this.#db
        .prepare<[], ChannelRow>('SELECT * FROM channels ORDER BY name')
        .all()
        .map((row) => [row.name, channelOf(row)]),
    );
    return this.#channels;
  }

  /** Targets that were not removed, by id, in the order of their creation. */
  targets(): ReadonlyMap<string, NumberedTarget> {
    this.#targets ??= new Map(
      this.#db
        .prepare<[], TargetRow>('SELECT * FROM targets WHERE removed_at IS NULL ORDER BY number')
        .all()
        .map((row) => [row.id, { number: row.number, target: targetOf(row) }]),
    );
    return this.#targets;
  }

  /** @throws GatewayError GW_NOT_FOUND */
  requireChannel(name: string): Channel {
    const channel = this.channels().get(name);
    if (!channel) throw noSuchChannel(name);
    return channel;
  }

  /** @throws GatewayError GW_NOT_FOUND */
  requireTarget(id: string): NumberedTarget {
    const target = this.targets().get(id);
    if (!target) throw new GatewayError('GW_NOT_FOUND', `There is no target "${id}".`);
    return target;
  }

  /** @throws GatewayError GW_CONFLICT */
  insertChannel(channel: Channel): void {
    if (this.channels().has(channel.name)) {
      throw new GatewayError(
        'GW_CONFLICT',
        `Channel "${channel.name}" already exists. PATCH it, or choose another name.`,
      );
    }
    this.#db
      .prepare(
        `INSERT INTO channels (name, channel_id, whapi_token, webhook_secret, whapi_base_url, late_after_seconds,
           resync_spacing_ms, daily_call_budget, auto_resync, on_replay, replay_after_seconds, replay_messages, created_at)
         VALUES (@name, @channelId, @whapiToken, @webhookSecret, @whapiBaseUrl, @lateAfterSeconds,
           @resyncSpacingMs, @dailyCallBudget, @autoResync, @onReplay, @replayAfterSeconds, @replayMessages, @createdAt)`,
      )
      .run({ ...channel, autoResync: Number(channel.autoResync) });
    this.clearCache();
  }

  updateChannel(channel: Channel): void {
    this.#db
      .prepare(
        `UPDATE channels SET channel_id = @channelId, whapi_token = @whapiToken, webhook_secret = @webhookSecret,
           whapi_base_url = @whapiBaseUrl, late_after_seconds = @lateAfterSeconds, resync_spacing_ms = @resyncSpacingMs,
           daily_call_budget = @dailyCallBudget, auto_resync = @autoResync, on_replay = @onReplay,
           replay_after_seconds = @replayAfterSeconds, replay_messages = @replayMessages WHERE name = @name`,
      )
      .run({ ...channel, autoResync: Number(channel.autoResync) });
    this.clearCache();
  }

  deleteChannel(name: string): void {
    this.#db.prepare('DELETE FROM channels WHERE name = ?').run(name);
    this.deleteConnection(name);
    this.clearCache();
  }

  connection(channel: string): Connection | null {
    const row = this.#db.prepare<[string], ConnectionRow>('SELECT * FROM connections WHERE channel = ?').get(channel);
    return row
      ? { webhookUrl: row.webhook_url, hasSetPersist: row.set_persist === 1, connectedAt: row.connected_at }
      : null;
  }

  /** `hasSetPersist` stays true once it was true: see `Registry.rememberConnection`. */
  upsertConnection(channel: string, { webhookUrl, hasSetPersist, connectedAt }: Connection): void {
    this.#db
      .prepare(
        `INSERT INTO connections (channel, webhook_url, set_persist, connected_at) VALUES (?, ?, ?, ?)
         ON CONFLICT (channel) DO UPDATE SET webhook_url = excluded.webhook_url, connected_at = excluded.connected_at,
           set_persist = max(set_persist, excluded.set_persist)`,
      )
      .run(channel, webhookUrl, hasSetPersist ? 1 : 0, connectedAt);
  }

  deleteConnection(channel: string): void {
    this.#db.prepare('DELETE FROM connections WHERE channel = ?').run(channel);
  }

  insertTarget(target: Target): void {
    this.#db
      .prepare(
        `INSERT INTO targets (id, name, url, channels, events, deliver, mode, split, headers, secret, previous_secrets, timeout_ms,
           max_attempts, retry_delays_seconds, max_age_seconds, concurrency, rate_per_second, backlog_policy,
           backlog_after_seconds, backlog_rate_per_minute, skip_answered, enabled, disabled_reason, created_at)
         VALUES (@id, @name, @url, @channels, @events, @deliver, @mode, @split, @headers, @secret, @previous_secrets, @timeout_ms,
           @max_attempts, @retry_delays_seconds, @max_age_seconds, @concurrency, @rate_per_second, @backlog_policy,
           @backlog_after_seconds, @backlog_rate_per_minute, @skip_answered, @enabled, @disabled_reason, @created_at)`,
      )
      .run(targetRow(target));
    this.clearCache();
  }

  updateTarget(target: Target): void {
    this.#db
      .prepare(
        `UPDATE targets SET name = @name, url = @url, channels = @channels, events = @events, deliver = @deliver,
           mode = @mode, split = @split, headers = @headers, secret = @secret, previous_secrets = @previous_secrets,
           timeout_ms = @timeout_ms, max_attempts = @max_attempts, retry_delays_seconds = @retry_delays_seconds,
           max_age_seconds = @max_age_seconds, concurrency = @concurrency, rate_per_second = @rate_per_second,
           backlog_policy = @backlog_policy, backlog_after_seconds = @backlog_after_seconds,
           backlog_rate_per_minute = @backlog_rate_per_minute, skip_answered = @skip_answered,
           enabled = @enabled, disabled_reason = @disabled_reason WHERE id = @id`,
      )
      .run(targetRow(target));
    this.clearCache();
  }

  /** Keeps the row, because stored deliveries refer to it, but erases its secrets. */
  markTargetRemoved(number: number, at: number): void {
    this.#db
      .prepare("UPDATE targets SET removed_at = ?, secret = '', previous_secrets = '[]', headers = '' WHERE number = ?")
      .run(at, number);
    this.clearCache();
  }

  /** Erases earlier secrets whose grace period is over. */
  dropExpiredSecrets(now: number): void {
    for (const { target } of this.targets().values()) {
      const previousSecrets = unexpired(target.previousSecrets, now);
      if (previousSecrets.length < target.previousSecrets.length) this.updateTarget({ ...target, previousSecrets });
    }
  }
}

function channelOf(row: ChannelRow): Channel {
  return {
    name: row.name,
    channelId: row.channel_id,
    whapiToken: row.whapi_token as Sealed,
    webhookSecret: row.webhook_secret as Sealed,
    whapiBaseUrl: row.whapi_base_url,
    lateAfterSeconds: row.late_after_seconds,
    resyncSpacingMs: row.resync_spacing_ms,
    dailyCallBudget: row.daily_call_budget,
    autoResync: row.auto_resync === 1,
    onReplay: row.on_replay as OnReplay,
    replayAfterSeconds: row.replay_after_seconds,
    replayMessages: row.replay_messages,
    createdAt: row.created_at,
  };
}

function targetOf(row: TargetRow): Target {
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
    skipAnswered: row.skip_answered === 1,
    enabled: row.enabled === 1,
    disabledReason: row.disabled_reason,
    createdAt: row.created_at,
  };
}

function targetRow(target: Target): Omit<TargetRow, 'number' | 'removed_at'> {
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
    skip_answered: target.skipAnswered ? 1 : 0,
    enabled: target.enabled ? 1 : 0,
    disabled_reason: target.disabledReason,
    created_at: target.createdAt,
  };
}
