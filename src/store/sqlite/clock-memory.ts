import { HOUR_MS } from '../../durations.js';
import type { Db } from './database.js';

const SEEN_AT = 'clock_seen_at';
const CONFIRMED_AT = 'clock_confirmed_at';
const SET_BACK_AT = 'clock_set_back_at';

/** Stored times that are wrong by less do no harm. */
const LEAST_SET_BACK_MS = HOUR_MS;

/** What the store remembers of the machine's clock across restarts. For use inside a transaction, reads excepted. */
export class ClockMemory {
  readonly #value;
  readonly #save;
  readonly #forget;

  constructor(db: Db) {
    this.#value = db.prepare<[string], number>('SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?').pluck();
    this.#save = db.prepare<[string, string]>(
      'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    );
    this.#forget = db.prepare<[string, string]>('DELETE FROM meta WHERE key = ? AND value = ?');
  }

  /** See `Upkeep.rememberTime`. */
  remember(now: number, isConfirmed: boolean): void {
    const seenAt = this.#value.get(SEEN_AT) ?? now;
    this.noteSetBack(seenAt - now, now);
    this.#save.run(SEEN_AT, String(now));
    if (isConfirmed) this.#save.run(CONFIRMED_AT, String(now));
  }

  confirmedAt(): number | null {
    return this.#value.get(CONFIRMED_AT) ?? null;
  }

  /** The clock was set back by `byMs`, to `now`. */
  noteSetBack(byMs: number, now: number): void {
    if (byMs >= LEAST_SET_BACK_MS) this.#save.run(SET_BACK_AT, String(now));
  }

  /** When the clock was set back, by the clock after that; null: not since `forgetSetBack`. */
  setBackAt(): number | null {
    return this.#value.get(SET_BACK_AT) ?? null;
  }

  /** The times that it had left were corrected. */
  forgetSetBack(at: number): void {
    this.#forget.run(SET_BACK_AT, String(at));
  }
}
