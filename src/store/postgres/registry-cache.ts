import type { Effects } from '../../effects.js';
import { GatewayError, noSuchChannel } from '../../errors.js';
import { nextTurn } from '../../event-loop.js';
import type { Channel } from '../../model.js';
import { channelOf, targetOf } from '../rules/registry-rows.js';
import type { ChannelRow, NumberedTarget, TargetRow } from '../rules/registry-rows.js';
import type { Database } from './database.js';
import type { Queries, Transaction } from './queries.js';
import { requireUsableSchema } from './schema-version.js';

export const CHANNEL_COLUMNS = `name, channel_id, whapi_token, webhook_secret, whapi_base_url, late_after_seconds, resync_spacing_ms,
  daily_call_budget, auto_resync, on_replay, replay_after_seconds, replay_messages, created_at`;
export const TARGET_COLUMNS = `number, id, name, url, channels, events, deliver, mode, split, headers, secret, previous_secrets,
  timeout_ms, max_attempts, retry_delays_seconds, max_age_seconds, concurrency, rate_per_second, backlog_policy,
  backlog_after_seconds, backlog_rate_per_minute, skip_answered, enabled, disabled_reason, created_at`;

/** The version of the registry: each change raises it. */
export const VERSION =
  "SELECT coalesce((SELECT value::bigint FROM gateway.meta WHERE key = 'registry_version'), 0) AS version";
/**
 * The version is the time in microseconds: a standby that takes over without the last change must not give its version to another
 * one.
 */
export const RAISE_VERSION = `INSERT INTO gateway.meta AS m (key, value)
  VALUES ('registry_version', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text)
  ON CONFLICT (key) DO UPDATE SET value = greatest(m.value::bigint + 1, excluded.value::bigint)::text`;
/** How long a read may miss a change by another replica. */
const MAX_AGE_MS = 1000;
/** How often unknown names and secrets may cause a read of the database. */
const LOOK_EVERY_MS = 250;

/** Channels and targets as of one version. */
export class RegistryState {
  constructor(
    readonly version: number,
    readonly channels: ReadonlyMap<string, Channel>,
    /** Those that were not removed, by id, in the order of their creation. */
    readonly targets: ReadonlyMap<string, NumberedTarget>,
  ) {}

  /** @throws GatewayError GW_NOT_FOUND */
  requireChannel(name: string): Channel {
    const channel = this.channels.get(name);
    if (!channel) throw noSuchChannel(name);
    return channel;
  }

  /** @throws GatewayError GW_NOT_FOUND */
  requireTarget(id: string): NumberedTarget {
    const target = this.targets.get(id);
    if (!target) throw new GatewayError('GW_NOT_FOUND', `There is no target "${id}".`);
    return target;
  }

  /** The target with this number, unless it was removed. */
  targetNumbered(number: number): NumberedTarget | undefined {
    for (const each of this.targets.values()) if (each.number === number) return each;
    return undefined;
  }
}

/**
 * Channels and targets are few and needed for every webhook, so each replica keeps them. A transaction that holds the lock of
 * the registry compares versions and so never works with old settings; a read may be a second behind other replicas.
 *
 * A migration that excludes this program raises the version as well. From then on every read is refused, so that a replica of
 * the old version takes no new work.
 */
export class RegistryCache {
  readonly #db: Database;
  readonly #monotonic: Effects['monotonic'];
  readonly #sleep: Effects['sleep'];
  #state: RegistryState | null = null;
  #checkedAt = -Infinity;
  #lookedAt = -Infinity;
  #nextLook: Promise<RegistryState> | null = null;
  /** Reads that have begun, which of them is kept, and which had begun before the last change of this replica. */
  #begun = 0;
  #kept = 0;
  #outdated = 0;

  constructor(db: Database, { monotonic, sleep }: Pick<Effects, 'monotonic' | 'sleep'>) {
    this.#db = db;
    this.#monotonic = monotonic;
    this.#sleep = sleep;
  }

  /** For reads outside of a transaction. */
  async current(): Promise<RegistryState> {
    if (this.#state && this.#monotonic() - this.#checkedAt < MAX_AGE_MS) return this.#state;
    return await this.refresh();
  }

  /**
   * For an unknown name or secret, which another replica may have added a moment ago. Reads the database again, at most four
   * times a second, because anyone can guess. Requests in between wait for the next read.
   */
  async afterMiss(): Promise<RegistryState> {
    this.#nextLook ??= this.#lookOnceDue();
    return await this.#nextLook;
  }

  /** Reads the version, and everything if another replica has changed it. A read that ends after a newer one changes nothing. */
  async refresh(): Promise<RegistryState> {
    const checkedAt = this.#monotonic();
    const begun = (this.#begun += 1);
    const row = await this.#db.one<{ version: number }>(VERSION);
    const state = await this.#at(row?.version ?? 0, this.#db);
    if (begun < this.#kept) return state;
    this.#kept = begun;
    this.#state = state;
    if (begun > this.#outdated) this.#checkedAt = checkedAt;
    return state;
  }

  /** The state of this version or a newer one. @param version one that a statement has just read */
  async atLeast(version: number): Promise<RegistryState> {
    return this.#state && this.#state.version >= version ? this.#state : await this.refresh();
  }

  async #lookOnceDue(): Promise<RegistryState> {
    const pause = this.#lookedAt + LOOK_EVERY_MS - this.#monotonic();
    await (pause > 0 ? this.#sleep(pause) : nextTurn());
    this.#lookedAt = this.#monotonic();
    this.#nextLook = null; // who asks from now on may ask for a later change
    return await this.refresh();
  }

  /**
   * For a transaction that holds a lock of the registry. @param version what it has read; left out: it is read here. What it
   * reads is not kept, because the transaction may have changed it, and may be rolled back.
   */
  async in(tx: Transaction, version?: number): Promise<RegistryState> {
    return await this.#at(version ?? (await tx.one<{ version: number }>(VERSION))?.version ?? 0, tx);
  }

  /** For use in a transaction that has changed the registry. Others see the change once it is committed. */
  async changed(tx: Transaction): Promise<void> {
    await tx.run(RAISE_VERSION);
    this.forget();
  }

  /** Makes the next read look at the database. For use after a commit. */
  forget(): void {
    this.#checkedAt = -Infinity;
    this.#outdated = this.#begun;
  }

  async #at(version: number, queries: Queries): Promise<RegistryState> {
    if (this.#state?.version === version) return this.#state;
    await requireUsableSchema(queries);
    const [channels, targets] = await Promise.all([
      queries.all<ChannelRow>(`SELECT ${CHANNEL_COLUMNS} FROM gateway.channels ORDER BY name`),
      queries.all<TargetRow>(`SELECT ${TARGET_COLUMNS} FROM gateway.targets WHERE removed_at IS NULL ORDER BY number`),
    ]);
    return new RegistryState(
      version,
      new Map(channels.map((row) => [row.name, channelOf(row)])),
      new Map(targets.map((row) => [row.id, { number: row.number, target: targetOf(row) }])),
    );
  }
}
