import type { Calls, CallsDue, ChannelState, CheckResult, NewPause, News } from '../calls.js';
import { countCall, historiesOf, noteNews, saveAnswer, saveCheck, takeNews } from './call-history.js';
import { repeatSince } from './call-results.js';
import type { ChannelWork } from './channel-work.js';
import type { Base } from './base.js';
import type { ResyncCalls } from './resync-calls.js';

/** The calls to Whapi of each channel. */
export class PostgresCalls implements Calls {
  readonly #base: Base;
  readonly #channels: ChannelWork;
  readonly #resyncCalls: ResyncCalls;

  constructor(base: Base, { channels, resyncCalls }: { channels: ChannelWork; resyncCalls: ResyncCalls }) {
    this.#base = base;
    this.#channels = channels;
    this.#resyncCalls = resyncCalls;
  }

  async stateOf(name: string): Promise<ChannelState | null> {
    const { db, registry, now } = this.#base;
    const [{ channels }, historyOf] = await Promise.all([registry.current(), historiesOf(db, [name], now())]);
    const channel = channels.get(name) ?? (await registry.refresh()).channels.get(name);
    return channel ? { ...historyOf(name), channel } : null;
  }

  async nextCalls(channel: string): Promise<CallsDue | null> {
    return await this.#resyncCalls.nextCalls(channel);
  }

  async countCall(channel: string): Promise<void> {
    await countCall(this.#base.db, channel, this.#base.now());
  }

  async noteNews(channel: string, news: News): Promise<void> {
    await noteNews(this.#base.db, channel, news, this.#base.now());
  }

  async takeNews(channel: string): Promise<readonly News[]> {
    return await takeNews(this.#base.db, channel);
  }

  async noteAnswer(channel: string, pause: NewPause | null): Promise<void> {
    await saveAnswer(this.#base.db, channel, pause, this.#base.now());
  }

  /** Ids that Whapi was asked for while the channel was away are asked for again. */
  async settleCheck(channel: string, { pause, wasAway }: CheckResult): Promise<void> {
    await this.#channels.run(channel, async (tx) => {
      const now = this.#base.now();
      const [, historyOf] = await Promise.all([tx.lockChannels([channel]), historiesOf(tx, [channel], now)]);
      const since = historyOf(channel).healthyAt ?? 0;
      await Promise.all([wasAway && repeatSince(tx, channel, since, now), saveCheck(tx, channel, pause, now)]);
    });
  }
}
