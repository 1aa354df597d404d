import type { Effects } from './effects.js';

/** Allows one log line per kind and period, so that a flood of equal events does not flood the log. */
export class Throttle {
  readonly #everyMs: number;
  readonly #effects: Pick<Effects, 'now'>;
  readonly #kinds = new Map<string, { since: number; count: number }>();

  constructor(everyMs: number, effects: Pick<Effects, 'now'>) {
    this.#everyMs = everyMs;
    this.#effects = effects;
  }

  /** Counts one event. Returns how many came since the last line, including this one; null: write no line now. */
  count(kind: string): number | null {
    const now = this.#effects.now();
    const entry = this.#kinds.get(kind);
    const count = (entry?.count ?? 0) + 1;
    if (entry && Math.abs(now - entry.since) < this.#everyMs) {
      entry.count = count;
      return null;
    }
    this.#kinds.set(kind, { since: now, count: 0 });
    return count;
  }
}
