import type { Effects } from '../../effects.js';
import type { Queries } from './database.js';

export const CLOCK = 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now';

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

  async measure(db: Queries): Promise<void> {
    const before = this.#effects.monotonic();
    const row = await db.one<{ now: number }>(CLOCK);
    const after = this.#effects.monotonic();
    if (row) this.#offset = row.now - (before + after) / 2;
  }
}
