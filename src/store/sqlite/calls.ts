import type { Effects } from '../../effects.js';
import type { CallHistoryTable } from './call-history.js';
import type { GroupCommit } from './group-commit.js';
import { read } from './reads.js';
import type { RegistryTables } from './registry-tables.js';
import type { ResyncCallTables } from './resync-calls.js';
import type { Calls, CallsDue, ChannelState, CheckResult, NewPause, News } from '../calls.js';

export interface CallsParts {
  readonly commit: GroupCommit;
  readonly registry: RegistryTables;
  readonly history: CallHistoryTable;
  readonly resyncCalls: ResyncCallTables;
}

export class SqliteCalls implements Calls {
  readonly #commit: GroupCommit;
  readonly #registry: RegistryTables;
  readonly #history: CallHistoryTable;
  readonly #resyncCalls: ResyncCallTables;
  readonly #now: Effects['now'];

  constructor({ commit, registry, history, resyncCalls }: CallsParts, now: Effects['now']) {
    this.#commit = commit;
    this.#registry = registry;
    this.#history = history;
    this.#resyncCalls = resyncCalls;
    this.#now = now;
  }

  async stateOf(name: string): Promise<ChannelState | null> {
    return await read(() => {
      const channel = this.#registry.channels().get(name);
      return channel ? { ...this.#history.of(name, this.#now()), channel } : null;
    });
  }

  async nextCalls(channel: string): Promise<CallsDue | null> {
    return await read(() => this.#resyncCalls.nextCalls(channel));
  }

  async countCall(channel: string): Promise<void> {
    await this.#commit.run(() => this.#history.countCall(channel, this.#now()));
  }

  async noteNews(channel: string, news: News): Promise<void> {
    this.#history.noteNews(channel, news);
    await Promise.resolve();
  }

  async takeNews(channel: string): Promise<readonly News[]> {
    return await Promise.resolve(this.#history.takeNews(channel));
  }

  async noteAnswer(channel: string, pause: NewPause | null): Promise<void> {
    await this.#commit.run(() => this.#history.saveAnswer(channel, pause, this.#now()));
  }

  /** Ids that Whapi was asked for while the channel was away are asked for again. */
  async settleCheck(channel: string, { pause, wasAway }: CheckResult): Promise<void> {
    await this.#commit.run(() => {
      const now = this.#now();
      if (wasAway) this.#resyncCalls.repeatSince(channel, this.#history.of(channel, now).healthyAt ?? 0, now);
      this.#history.saveCheck(channel, pause, now);
    });
  }
}
