import { GatewayError } from '../../errors.js';
import type { Channel, Sealed, Target } from '../../model.js';
import { targetColumns } from '../rules/registry-rows.js';
import { mayEndPause } from '../rules/pauses.js';
import { rotated } from '../rules/rotation.js';
import { checkNow, forgetCalls } from './call-history.js';
import type { Database } from './database.js';
import type { Param, Transaction } from './queries.js';
import type { Base } from './base.js';
import { forgetBreaker } from './breakers.js';
import { isUniqueViolation } from './faults.js';
import { KeyedMutex } from '../../keyed-mutex.js';
import { CHANNEL_COLUMNS } from './registry-cache.js';
import type { RegistryCache, RegistryState } from './registry-cache.js';
import { changeRegistry } from './registry-change.js';
import type { Removals } from './removals.js';
import type { WorkCounts } from './work-counts.js';
import type { Connection, Predecessor, Registry, WorkUnderWay } from '../registry.js';

/** What a change of a channel or target affects. */
export interface RegistryParts {
  readonly removals: Removals;
  readonly workCounts: WorkCounts;
  /** Drops what this replica has counted for a removed channel. Resolves once none of it is about to be saved. */
  readonly forgetTraffic: (channel: string) => Promise<void>;
}

/** Tables whose rows belong to a channel, not to its name: they end with the channel. */
const OF_CHANNEL = ['connections', 'channel_webhooks', 'replays', 'replay_arrivals', 'probes'];

/** Channels and targets. Reads come from `RegistryCache`. */
export class PostgresRegistry implements Registry {
  readonly #db: Database;
  readonly #cache: RegistryCache;
  readonly #now: () => number;
  readonly #parts: RegistryParts;
  readonly #mutex = new KeyedMutex();
  #listed: { readonly from: object; readonly targets: readonly Target[] } | null = null;

  constructor({ db, registry, now }: Base, parts: RegistryParts) {
    this.#db = db;
    this.#cache = registry;
    this.#now = now;
    this.#parts = parts;
  }

  async channels(): Promise<readonly Channel[]> {
    return [...(await this.#cache.current()).channels.values()];
  }

  async channel(name: string, fits = isKnown): Promise<Channel | null> {
    const channel = (await this.#cache.current()).channels.get(name) ?? null;
    return fits(channel) ? channel : ((await this.#cache.afterMiss()).channels.get(name) ?? null);
  }

  async latestChannels(): Promise<readonly Channel[]> {
    return [...(await this.#cache.afterMiss()).channels.values()];
  }

  async addChannel(channel: Channel): Promise<void> {
    while (!(await this.#insertOnceFree(channel)));
  }

  /**
   * An earlier channel of that name may still have resyncs to cancel: then this only does the next step, so that nothing of
   * it can belong to the new channel. Returns whether the channel was inserted.
   */
  async #insertOnceFree(channel: Channel): Promise<boolean> {
    return await this.#change(async (tx) => {
      if (await this.#parts.removals.stepOfChannel(tx, channel.name, this.#now())) return false;
      await insertChannel(tx, channel);
      return true;
    });
  }

  async changeChannel(name: string, change: Partial<Omit<Channel, 'name' | 'createdAt'>>): Promise<Channel> {
    return await this.#change(async (tx, state) => {
      const before = state.requireChannel(name);
      const after = { ...before, ...change };
      await updateChannel(tx, after);
      if (mayEndPause(before, after)) await checkNow(tx, name, this.#now());
      return after;
    });
  }

  async removeChannel(name: string): Promise<void> {
    await this.#change(async (tx, state) => {
      state.requireChannel(name);
      // The channel first: what another connection is saving of it comes before this and is deleted below, or never.
      await Promise.all([
        tx.run('DELETE FROM gateway.channels WHERE name = $1', name),
        ...OF_CHANNEL.map(async (table) => await tx.run(`DELETE FROM gateway.${table} WHERE channel = $1`, name)),
        forgetCalls(tx, name),
      ]);
      await this.#parts.removals.beginChannel(tx, name, this.#now());
    });
    await this.#parts.forgetTraffic(name);
  }

  async workOfChannel(name: string): Promise<WorkUnderWay> {
    (await this.#cache.current()).requireChannel(name);
    return await this.#parts.workCounts.ofChannel(name);
  }

  async workOfTarget(id: string): Promise<WorkUnderWay> {
    return await this.#parts.workCounts.ofTarget((await this.#cache.current()).requireTarget(id).number);
  }

  async connection(channel: string): Promise<Connection | null> {
    const row = await this.#db.one<{ webhook_url: string; set_persist: boolean; connected_at: number }>(
      'SELECT webhook_url, set_persist, connected_at FROM gateway.connections WHERE channel = $1',
      channel,
    );
    return row ? { webhookUrl: row.webhook_url, hasSetPersist: row.set_persist, connectedAt: row.connected_at } : null;
  }

  async rememberConnection(channel: string, connection: Connection): Promise<void> {
    await this.#db.transaction(async (tx) => {
      await tx.lockChannels([channel]);
      (await this.#cache.in(tx)).requireChannel(channel);
      await tx.run(
        `INSERT INTO gateway.connections AS c (channel, webhook_url, set_persist, connected_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (channel) DO UPDATE SET webhook_url = excluded.webhook_url, connected_at = excluded.connected_at,
           set_persist = c.set_persist OR excluded.set_persist`,
        channel,
        connection.webhookUrl,
        connection.hasSetPersist,
        connection.connectedAt,
      );
    });
  }

  async forgetConnection(channel: string): Promise<void> {
    await this.#db.run('DELETE FROM gateway.connections WHERE channel = $1', channel);
  }

  async targets(): Promise<readonly Target[]> {
    const { targets: from } = await this.#cache.current();
    if (this.#listed?.from !== from) this.#listed = { from, targets: [...from.values()].map(({ target }) => target) };
    return this.#listed.targets;
  }

  async target(id: string): Promise<Target | null> {
    const found = (await this.#cache.current()).targets.get(id) ?? (await this.#cache.afterMiss()).targets.get(id);
    return found?.target ?? null;
  }

  async addTarget(target: Target): Promise<void> {
    const columns = targetColumns(target);
    const names = Object.keys(columns);
    const places = names.map((_, at) => `$${at + 1}`).join(', ');
    await this.#change(async (tx) => {
      await tx.run(`INSERT INTO gateway.targets (${names.join(', ')}) VALUES (${places})`, ...Object.values(columns));
    });
  }

  async changeTarget(id: string, change: Partial<Omit<Target, 'id' | 'createdAt'>>): Promise<Target> {
    return await this.#change(
      async (tx, state) => await updateTarget(tx, { ...state.requireTarget(id).target, ...change }),
    );
  }

  async rotateSecret(id: string, secret: Sealed, previous: Predecessor | null): Promise<Target> {
    return await this.#change(async (tx, state) => {
      const { target } = state.requireTarget(id);
      return await updateTarget(tx, { ...target, ...rotated(target, secret, previous, this.#now()) });
    });
  }

  async disableTarget({ id, url }: Pick<Target, 'id' | 'url'>, reason: string): Promise<boolean> {
    return await this.#change(async (tx, state) => {
      const target = state.targets.get(id)?.target;
      if (target?.enabled !== true || target.url !== url) return false;
      await updateTarget(tx, { ...target, enabled: false, disabledReason: reason });
      return true;
    });
  }

  async removeTarget(id: string): Promise<void> {
    await this.#change(async (tx, state) => {
      const { number } = state.requireTarget(id);
      const now = this.#now();
      // The row stays, because stored deliveries refer to it, but its secrets are erased.
      await tx.run(
        `UPDATE gateway.targets SET removed_at = $1, secret = '', previous_secrets = '[]', headers = '' WHERE number = $2`,
        now,
        number,
      );
      await forgetBreaker(tx, number);
      await this.#parts.removals.beginTarget(tx, number, now);
    });
  }

  /** A replica makes its changes one after the other: they would only wait for the lock, with a connection each. */
  async #change<T>(work: (tx: Transaction, state: RegistryState) => Promise<T>): Promise<T> {
    const base = { db: this.#db, registry: this.#cache };
    return await this.#mutex.run('', async () => await changeRegistry(base, work));
  }
}

function isKnown(channel: Channel | null): boolean {
  return channel !== null;
}

/** @throws GatewayError GW_CONFLICT */
async function insertChannel(tx: Transaction, channel: Channel): Promise<void> {
  try {
    await tx.run(
      `INSERT INTO gateway.channels (${CHANNEL_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
      ...channelValues(channel),
    );
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new GatewayError(
      'GW_CONFLICT',
      `Channel "${channel.name}" already exists. PATCH it, or choose another name.`,
    );
  }
}

/** For use in a transaction that holds the lock of the registry. The caller calls `RegistryCache.changed`. */
export async function updateChannel(tx: Transaction, channel: Channel): Promise<void> {
  await tx.run(
    `UPDATE gateway.channels SET (${CHANNEL_COLUMNS}) = ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) WHERE name = $1`,
    ...channelValues(channel),
  );
}

/** The same for a target. */
export async function updateTarget(tx: Transaction, target: Target): Promise<Target> {
  const { id, ...columns } = targetColumns(target);
  const names = Object.keys(columns);
  const places = names.map((_, at) => `$${at + 2}`).join(', ');
  await tx.run(
    `UPDATE gateway.targets SET (${names.join(', ')}) = (${places}) WHERE id = $1`,
    id,
    ...Object.values(columns),
  );
  return target;
}

function channelValues(channel: Channel): Param[] {
  return [
    channel.name,
    channel.channelId,
    channel.whapiToken,
    channel.webhookSecret,
    channel.whapiBaseUrl,
    channel.lateAfterSeconds,
    channel.resyncSpacingMs,
    channel.dailyCallBudget,
    channel.autoResync,
    channel.onReplay,
    channel.replayAfterSeconds,
    channel.replayMessages,
    channel.createdAt,
  ];
}
