import type { Effects } from '../../effects.js';
import type { Queries } from './queries.js';

export const CLOCK = 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now';

const MEASUREMENTS = 3;
/** A round trip of at most this length is measured once. */
const PRECISE_MS = 20;

/**
 * The clock of the database, which all replicas share: this machine's monotonic clock and an offset that is measured anew
 * from time to time. The time of a measurement is taken in the middle of its round trip.
 */
export class DatabaseClock {
  readonly #effects: Pick<Effects, 'monotonic'>;
  #offset = 0;

  constructor(effects: Pick<Effects, 'monotonic'>) {
    this.#effects = effects;
  }

  readonly now = (): number => Math.round(this.#effects.monotonic() + this.#offset);

  /** The answer with the shortest round trip counts: one that had to connect, or to wait, says little of its middle. */
  async measure(db: Queries): Promise<void> {
    let shortest = Infinity;
    for (let run = 0; run < MEASUREMENTS && shortest > PRECISE_MS; run += 1) {
      const before = this.#effects.monotonic();
      const row = await db.one<{ now: number }>(CLOCK);
      const after = this.#effects.monotonic();
      if (!row || after - before >= shortest) continue;
      shortest = after - before;
      this.#offset = row.now - (before + after) / 2;
    }
  }
}
