import type { Db } from './database.js';

const DELIVERIES_PER_COMMIT = 2000;

/** Of a pending delivery, in the order of their index. */
export interface Place {
  readonly target: number;
  readonly id: number;
}

export const FIRST: Place = { target: 0, id: 0 };

/**
 * Moves due times with a clock that was set back; leases, which are due times as well, end when they would have. Windows
 * of resyncs stay as they are: open for longer is the safe side. For use inside a transaction.
 */
export class ClockShift {
  readonly #waiting;
  readonly #nextTarget;
  readonly #delivery;
  readonly #calls;
  readonly #channels;

  constructor(db: Db) {
    this.#waiting = db
      .prepare<[number, number, number], number>(
        `SELECT id FROM deliveries WHERE target = ? AND id > ? AND status = 'pending' AND due_at > ?
         ORDER BY id LIMIT ${DELIVERIES_PER_COMMIT}`,
      )
      .pluck();
    this.#nextTarget = db
      .prepare<[number], number>(
        "SELECT target FROM deliveries WHERE target > ? AND status = 'pending' ORDER BY target LIMIT 1",
      )
      .pluck();
    this.#delivery = db.prepare<{ byMs: number; id: number }>(
      'UPDATE deliveries SET due_at = due_at - @byMs, resume_at = resume_at - @byMs WHERE id = @id',
    );
    this.#calls = db.prepare<[number, number]>('UPDATE resync_messages SET next_at = next_at - ? WHERE next_at > ?');
    // A good check, or a call, in the future would keep the next one away until then.
    this.#channels = db.prepare<{ byMs: number; now: number }>(
      `UPDATE channel_calls SET next_check_at = next_check_at - @byMs, last_call_at = min(last_call_at, @now),
         healthy_at = min(healthy_at, @now)`,
    );
  }

  /** Some of those behind `after`, target by target; returns where the next step begins, null behind the last. */
  deliveries(byMs: number, after: Place, now: number): Place | null {
    const ids = this.#waiting.all(after.target, after.id, now);
    for (const id of ids) this.#delivery.run({ byMs, id });
    const last = ids.at(-1);
    if (last !== undefined) return { target: after.target, id: last };
    const target = this.#nextTarget.get(after.target);
    return target === undefined ? null : { target, id: 0 };
  }

  calls(byMs: number, now: number): void {
    this.#calls.run(byMs, now);
    this.#channels.run({ byMs, now });
  }
}
