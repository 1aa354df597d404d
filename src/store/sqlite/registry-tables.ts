import { GatewayError, noSuchChannel } from '../../errors.js';
import type { Channel, Target } from '../../model.js';
import { channelOf, targetColumns, targetOf } from '../rules/registry-rows.js';
import type { ChannelRow, NumberedTarget, TargetRow } from '../rules/registry-rows.js';
import { unexpired } from '../rules/rotation.js';
import type { Db } from './database.js';
import type { Connection } from '../registry.js';

interface ConnectionRow {
  webhook_url: string;
  set_persist: number;
  connected_at: number;
}

/**
 * Channels, targets and connections. Channels and targets are few and needed for every webhook, so they are cached; each
 * change clears the cache. Methods that write are for use inside a transaction.
 */
export class RegistryTables {
  readonly #db: Db;
  #channels: ReadonlyMap<string, Channel> | null = null;
  #targets: ReadonlyMap<string, NumberedTarget> | null = null;
  #numbered: ReadonlyMap<number, Target> | null = null;
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
    this.#numbered = null;
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

  /** The target with this number; undefined: it was removed. */
  targetNumbered(number: number): Target | undefined {
    this.#numbered ??= new Map([...this.targets().values()].map((each) => [each.number, each.target]));
    return this.#numbered.get(number);
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
      .run(bound(target));
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
      .run(bound(target));
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

/** SQLite stores truth values as numbers. */
function bound(target: Target) {
  const columns = targetColumns(target);
  return { ...columns, skip_answered: Number(columns.skip_answered), enabled: Number(columns.enabled) };
}
