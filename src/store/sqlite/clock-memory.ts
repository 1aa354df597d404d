import { HOUR_MS } from '../../durations.js';
import type { Db } from './database.js';
import { MetaTable } from './meta.js';

const SEEN_AT = 'clock_seen_at';
const CONFIRMED_AT = 'clock_confirmed_at';
const SET_BACK_AT = 'clock_set_back_at';

/** Stored times that are wrong by less do no harm. */
const LEAST_SET_BACK_MS = HOUR_MS;

/** What the store remembers of the machine's clock across restarts. For use inside a transaction, reads excepted. */
export class ClockMemory {
  readonly #meta: MetaTable;

  constructor(db: Db) {
    this.#meta = new MetaTable(db);
  }

  /** See `Upkeep.rememberTime`. */
  remember(now: number, isConfirmed: boolean): void {
    const seenAt = this.#time(SEEN_AT) ?? now;
    this.noteSetBack(seenAt - now, now);
    this.#meta.set(SEEN_AT, String(now));
    if (isConfirmed) this.#meta.set(CONFIRMED_AT, String(now));
  }

  confirmedAt(): number | null {
    return this.#time(CONFIRMED_AT);
  }

  /** The clock was set back by `byMs`, to `now`. */
  noteSetBack(byMs: number, now: number): void {
    if (byMs >= LEAST_SET_BACK_MS) this.#meta.set(SET_BACK_AT, String(now));
  }

  /** When the clock was set back, by the clock after that; null: not since `forgetSetBack`. */
  setBackAt(): number | null {
    return this.#time(SET_BACK_AT);
  }

  /** The times that it had left were corrected. */
  forgetSetBack(at: number): void {
    this.#meta.remove(SET_BACK_AT, String(at));
  }

  #time(name: string): number | null {
    const value = this.#meta.get(name);
    return value === null ? null : Number(value);
  }
}
