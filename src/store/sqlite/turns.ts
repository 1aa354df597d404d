import type { Effects } from '../../effects.js';
import { NamedLeases } from './named-leases.js';
import type { ChannelTurn, Turns } from '../turns.js';

/** In memory: one process owns the file, and a call to Whapi costs no write for its turn. */
export class SqliteTurns implements Turns {
  readonly #leases = new NamedLeases();
  /** By channel: when the last turn that started the spacing ended. */
  readonly #endedAt = new Map<string, number>();
  readonly #now: Effects['now'];

  constructor(now: Effects['now']) {
    this.#now = now;
  }

  async take(channel: string, holder: string, leaseMs: number): Promise<ChannelTurn | null> {
    const now = this.#now();
    if (this.#leases.isHeld(channel, now)) return await Promise.resolve(null);
    const token = this.#leases.take(channel, holder, leaseMs, now);
    return await Promise.resolve({ channel, token, lastEndedAt: this.#endedAt.get(channel) ?? null });
  }

  async end({ channel, token }: ChannelTurn, startsSpacing: boolean): Promise<void> {
    if (this.#leases.isLast(channel, token)) {
      this.#leases.remove(channel);
      if (startsSpacing) this.#endedAt.set(channel, this.#now());
    }
    await Promise.resolve();
  }

  isHeldByOther(channel: string, holder: string): boolean {
    return this.#leases.isHeld(channel, this.#now(), holder);
  }

  /** The machine's clock was set back by `byMs`. */
  shift(byMs: number): void {
    this.#leases.shift(byMs, this.#now());
    for (const [channel, at] of this.#endedAt) this.#endedAt.set(channel, at - byMs);
  }
}
