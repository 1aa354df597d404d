import type { Db } from './database.js';

const DELIVERIES_PER_COMMIT = 2000;

/** The pending delivery that was shifted last, in the order of their index. */
export interface ShiftCursor {
  readonly target: number;
  readonly id: number;
}

export const SHIFT_START: ShiftCursor = { target: 0, id: 0 };

/**
 * Shifts due times back after the machine's clock was set back. Leases are due times too, so they keep their length.
 * Windows of resyncs are not shifted: a longer window is the safe side. For use inside a transaction.
 */
export class ClockShift {
  readonly #pendingAfter;
  readonly #nextTarget;
  readonly #shiftDelivery;
  readonly #shiftCalls;
  readonly #shiftHistories;

  constructor(db: Db) {
    this.#pendingAfter = db
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
    this.#shiftDelivery = db.prepare<{ byMs: number; id: number }>(
      'UPDATE deliveries SET due_at = due_at - @byMs, resume_at = resume_at - @byMs WHERE id = @id',
    );
    this.#shiftCalls = db.prepare<[number, number]>(
      'UPDATE resync_messages SET next_at = next_at - ? WHERE next_at > ?',
    );
    // A last call or check in the future would put off the next one until then.
    this.#shiftHistories = db.prepare<{ byMs: number; now: number }>(
      `UPDATE channel_calls SET next_check_at = next_check_at - @byMs, last_call_at = min(last_call_at, @now),
         healthy_at = min(healthy_at, @now)`,
    );
  }

  /** Shifts the next deliveries after the cursor, target by target. Returns the new cursor; null: none are left. */
  shiftDeliveries(byMs: number, after: ShiftCursor, now: number): ShiftCursor | null {
    const ids = this.#pendingAfter.all(after.target, after.id, now);
    for (const id of ids) this.#shiftDelivery.run({ byMs, id });
    const last = ids.at(-1);
    if (last !== undefined) return { target: after.target, id: last };
    const target = this.#nextTarget.get(after.target);
    return target === undefined ? null : { target, id: 0 };
  }

  /** Shifts the calls that are due for registered ids, and the next health checks. */
  shiftCalls(byMs: number, now: number): void {
    this.#shiftCalls.run(byMs, now);
    this.#shiftHistories.run({ byMs, now });
  }
}
