import type { Effects } from '../../effects.js';
import type { Queries } from './queries.js';

export const CLOCK = 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now';

const MEASUREMENTS = 3;
/** A round trip this short is precise enough. */
const PRECISE_MS = 20;

/**
 * The clock of the database, which all replicas share: this machine's monotonic clock plus an offset, measured from time to
 * time. The database is assumed to read its clock in the middle of the round trip.
 */
export class DatabaseClock {
  readonly #effects: Pick<Effects, 'monotonic'>;
  #offset = 0;

  constructor(effects: Pick<Effects, 'monotonic'>) {
    this.#effects = effects;
  }

  readonly now = (): number => Math.round(this.#effects.monotonic() + this.#offset);

  /** The shortest round trip counts, because one that includes connecting or waiting is imprecise. */
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
