import type { Effects } from '../../effects.js';
import type { Channel, Sealed, Target } from '../../model.js';
import { mayEndPause } from '../rules/pauses.js';
import { rotated } from '../rules/rotation.js';
import type { SqliteBreakers } from './breakers.js';
import type { CallHistoryTable } from './call-history.js';
import type { GroupCommit } from './group-commit.js';
import type { SqliteProbes } from './probes.js';
import { read } from './reads.js';
import type { RegistryTables } from './registry-tables.js';
import type { Removals } from './removals.js';
import type { TrafficCounts } from './traffic-counts.js';
import type { WorkCounts } from './under-way.js';
import type { Connection, Predecessor, Registry, WorkUnderWay } from '../registry.js';

export interface RegistryParts {
  readonly commit: GroupCommit;
  readonly tables: RegistryTables;
  /** What a change of a channel or target affects, in the same transaction. */
  readonly breakers: SqliteBreakers;
  readonly callHistory: CallHistoryTable;
  readonly removals: Removals;
  readonly traffic: TrafficCounts;
  readonly probes: SqliteProbes;
  readonly workCounts: WorkCounts;
}

export class SqliteRegistry implements Registry {
  readonly #commit: GroupCommit;
  readonly #tables: RegistryTables;
  readonly #affected: Omit<RegistryParts, 'commit' | 'tables'>;
  readonly #now: Effects['now'];
  #listed: { readonly from: object; readonly targets: readonly Target[] } | null = null;

  constructor({ commit, tables, ...affected }: RegistryParts, now: Effects['now']) {
    this.#commit = commit;
    this.#tables = tables;
    this.#affected = affected;
    this.#now = now;
  }

  async channels(): Promise<Channel[]> {
    return await read(() => [...this.#tables.channels().values()]);
  }

  async latestChannels(): Promise<Channel[]> {
    return await this.channels();
  }

  async channel(name: string): Promise<Channel | null> {
    return await read(() => this.#tables.channels().get(name) ?? null);
  }

  async addChannel(channel: Channel): Promise<void> {
    while (!(await this.#commit.run(() => this.#insertOnceFree(channel))));
  }

  /**
   * An earlier channel of that name may still have resyncs to cancel: then this only does the next step, so that nothing of
   * it can belong to the new channel. Returns whether the channel was inserted.
   */
  #insertOnceFree(channel: Channel): boolean {
    if (this.#affected.removals.stepOfChannel(channel.name, this.#now())) return false;
    this.#tables.insertChannel(channel);
    return true;
  }

  async changeChannel(name: string, change: Partial<Omit<Channel, 'name' | 'createdAt'>>): Promise<Channel> {
    return await this.#commit.run(() => {
      const before = this.#tables.requireChannel(name);
      const after = { ...before, ...change };
      this.#tables.updateChannel(after);
      if (mayEndPause(before, after)) this.#affected.callHistory.checkNow(name, this.#now());
      return after;
    });
  }

  async removeChannel(name: string): Promise<void> {
    await this.#commit.run(() => {
      const { callHistory, removals, traffic, probes } = this.#affected;
      this.#tables.requireChannel(name);
      callHistory.remove(name);
      traffic.remove(name);
      probes.remove(name);
      this.#tables.deleteChannel(name);
      removals.beginChannel(name, this.#now());
    });
  }

  async workOfChannel(name: string): Promise<WorkUnderWay> {
    return await read(async () => await this.#affected.workCounts.ofChannel(name));
  }

  async workOfTarget(id: string): Promise<WorkUnderWay> {
    return await read(() => this.#affected.workCounts.ofTarget(id));
  }

  async connection(channel: string): Promise<Connection | null> {
    return await read(() => this.#tables.connection(channel));
  }

  async rememberConnection(channel: string, connection: Connection): Promise<void> {
    await this.#commit.run(() => {
      this.#tables.requireChannel(channel);
      this.#tables.upsertConnection(channel, connection);
    });
  }

  async forgetConnection(channel: string): Promise<void> {
    await this.#commit.run(() => this.#tables.deleteConnection(channel));
  }

  async targets(): Promise<readonly Target[]> {
    return await read(() => {
      const from = this.#tables.targets();
      if (this.#listed?.from !== from) this.#listed = { from, targets: [...from.values()].map(({ target }) => target) };
      return this.#listed.targets;
    });
  }

  async target(id: string): Promise<Target | null> {
    return await read(() => this.#tables.targets().get(id)?.target ?? null);
  }

  async addTarget(target: Target): Promise<void> {
    await this.#commit.run(() => this.#tables.insertTarget(target));
  }

  async changeTarget(id: string, change: Partial<Omit<Target, 'id' | 'createdAt'>>): Promise<Target> {
    return await this.#commit.run(() => this.#update({ ...this.#tables.requireTarget(id).target, ...change }));
  }

  async rotateSecret(id: string, secret: Sealed, previous: Predecessor | null): Promise<Target> {
    return await this.#commit.run(() => {
      const { target } = this.#tables.requireTarget(id);
      return this.#update({ ...target, ...rotated(target, secret, previous, this.#now()) });
    });
  }

  async disableTarget({ id, url }: Pick<Target, 'id' | 'url'>, reason: string): Promise<boolean> {
    return await this.#commit.run(() => {
      const target = this.#tables.targets().get(id)?.target;
      if (target?.enabled !== true || target.url !== url) return false;
      this.#tables.updateTarget({ ...target, enabled: false, disabledReason: reason });
      return true;
    });
  }

  async removeTarget(id: string): Promise<void> {
    await this.#commit.run(() => {
      const { number } = this.#tables.requireTarget(id);
      this.#affected.breakers.remove(number);
      this.#tables.markTargetRemoved(number, this.#now());
      this.#affected.removals.beginTarget(number, this.#now());
    });
  }

  #update(target: Target): Target {
    this.#tables.updateTarget(target);
    return target;
  }
}
