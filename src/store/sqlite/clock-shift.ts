import type { ResyncMessageStatus } from '../../model.js';
import { RANKS_FROM } from '../rules/pace.js';
import type { Db } from './database.js';
import { ABOVE_ALL_IDS } from './filters.js';

/** Rows that one commit reads at most, shifted or not: some milliseconds. */
const DELIVERIES_PER_COMMIT = 500;
const CALLS_PER_COMMIT = 500;

/** The pending delivery that was read last, in the order of their index. */
export interface ShiftCursor {
  readonly target: number;
  readonly id: number;
}

/** The call that was shifted last, in the order of their times. */
export interface CallCursor {
  readonly nextAt: number;
  readonly resync: number;
  readonly position: number;
}

export const SHIFT_START: ShiftCursor = { target: 0, id: 0 };

/** The statuses of messages that have a call to make. */
export const STATUSES_TO_SHIFT: readonly ResyncMessageStatus[] = ['queued', 'requesting', 'waiting'];

/**
 * Shifts due times back after the machine's clock was set back, in slices. Leases are shifted in memory (`Leases.shift`).
 * Windows of resyncs are not shifted, because a longer window does no harm. For use inside a transaction.
 */
export class ClockShift {
  readonly #endOfSlice;
  readonly #nextTarget;
  readonly #shiftDeliveries;
  readonly #callsAfter;
  readonly #shiftCall;
  readonly #shiftHistories;

  constructor(db: Db) {
    this.#endOfSlice = db
      .prepare<[number, number], number>(
        `SELECT id FROM deliveries WHERE target = ? AND id > ? AND status = 'pending' AND blocked >= 0
         ORDER BY id LIMIT 1 OFFSET ${DELIVERIES_PER_COMMIT - 1}`,
      )
      .pluck();
    this.#nextTarget = db
      .prepare<[number], number>(
        "SELECT target FROM deliveries WHERE target > ? AND status = 'pending' AND blocked >= 0 ORDER BY target LIMIT 1",
      )
      .pluck();
    this.#shiftDeliveries = db.prepare<[number, number, number, number, number, number]>(
      `UPDATE deliveries SET due_at = due_at - ?, resume_at = resume_at - ?
       WHERE target = ? AND id > ? AND id <= ? AND status = 'pending' AND blocked >= 0 AND due_at > ?
         AND due_at < ${RANKS_FROM}`,
    );
    this.#callsAfter = db.prepare<[string, string, number, number, number], CallCursor>(
      `SELECT next_at AS nextAt, resync, position FROM resync_messages
       WHERE channel = ? AND status = ? AND next_at IS NOT NULL AND (next_at, resync, position) > (?, ?, ?)
       ORDER BY next_at, resync, position LIMIT ${CALLS_PER_COMMIT}`,
    );
    this.#shiftCall = db.prepare<[number, number, number]>(
      'UPDATE resync_messages SET next_at = next_at - ? WHERE resync = ? AND position = ?',
    );
    // A last call or check in the future would put off the next one until then.
    this.#shiftHistories = db.prepare<{ byMs: number; now: number }>(
      `UPDATE channel_calls SET next_check_at = next_check_at - @byMs, last_call_at = min(last_call_at, @now),
         healthy_at = min(healthy_at, @now)`,
    );
  }

  /** Shifts the next deliveries after the cursor, target by target. Returns the new cursor; null: none are left. */
  shiftDeliveries(byMs: number, { target, id }: ShiftCursor, now: number): ShiftCursor | null {
    const last = this.#endOfSlice.get(target, id);
    this.#shiftDeliveries.run(byMs, byMs, target, id, last ?? ABOVE_ALL_IDS, now);
    if (last !== undefined) return { target, id: last };
    const next = this.#nextTarget.get(target);
    return next === undefined ? null : { target: next, id: 0 };
  }

  /**
   * Shifts the next calls of a channel that are due after the cursor; null: the first ones. A shifted call moves to before the
   * cursor. Returns the new cursor; null: none are left.
   */
  shiftCalls(byMs: number, channel: string, status: string, after: CallCursor | null, now: number): CallCursor | null {
    const { nextAt, resync, position } = after ?? { nextAt: now, resync: ABOVE_ALL_IDS, position: 0 };
    const calls = this.#callsAfter.all(channel, status, nextAt, resync, position);
    for (const call of calls) this.#shiftCall.run(byMs, call.resync, call.position);
    return calls.length === CALLS_PER_COMMIT ? (calls.at(-1) ?? null) : null;
  }

  /** Shifts the next health checks of the channels. */
  shiftHistories(byMs: number, now: number): void {
    this.#shiftHistories.run({ byMs, now });
  }
}
