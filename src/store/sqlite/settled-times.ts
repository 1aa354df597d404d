import { utcHour } from '../rules/days.js';
import type { ClockMemory } from './clock-memory.js';
import type { Db } from './database.js';
import { ROWS_PER_STEP } from './sweep-step.js';
import type { SweepStep } from './sweep-step.js';

/**
 * After the clock was set back, deliveries and audits that ended before that have their end in the future: it becomes the
 * present, so that their payloads do not outlive their retention by as much as the clock was ahead. A pass over all
 * deliveries, once after each such change.
 */
export class SettledTimes {
  /** The first step. */
  readonly start: SweepStep;
  readonly #endOfRange;
  readonly #correctRange;

  constructor(db: Db, clock: ClockMemory) {
    this.#endOfRange = db
      .prepare<[number], number>(
        `SELECT id FROM deliveries WHERE id > ? ORDER BY id LIMIT 1 OFFSET ${ROWS_PER_STEP - 1}`,
      )
      .pluck();
    this.#correctRange = db.prepare<{ from: number; to: number; now: number }>(
      'UPDATE deliveries SET settled_at = @now WHERE id > @from AND id <= @to AND settled_at > @now',
    );
    const correctFew = [
      'UPDATE audits SET ended_at = @now WHERE ended_at > @now',
      `INSERT INTO dead_counts (target, hour, cause, event, count)
         SELECT target, @hour, cause, event, sum(count) FROM dead_counts WHERE hour > @hour GROUP BY target, cause, event
         ON CONFLICT (target, hour, cause, event) DO UPDATE SET count = count + excluded.count`,
      'DELETE FROM dead_counts WHERE hour > @hour',
    ].map((sql) => db.prepare<{ now: number; hour: number }>(sql));

    const correctAfter =
      (from: number, setBackAt: number): SweepStep =>
      ({ now }) => {
        const to = this.#endOfRange.get(from);
        this.#correctRange.run({ from, to: to ?? Number.MAX_SAFE_INTEGER, now });
        if (to !== undefined) return correctAfter(to, setBackAt);
        clock.forgetSetBack(setBackAt);
        return null;
      };
    this.start = ({ now }) => {
      const setBackAt = clock.setBackAt();
      if (setBackAt === null) return null;
      for (const statement of correctFew) statement.run({ now, hour: utcHour(now) });
      return correctAfter(0, setBackAt);
    };
  }
}
