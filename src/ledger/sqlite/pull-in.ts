import type { Db } from './database.js';

const DELIVERIES_PER_COMMIT = 2000;

/**
 * Moves due times with a clock that was set back; leases, which are due times as well, end when they would have. Windows
 * of resyncs stay as they are: open for longer is the safe side. For use inside a transaction.
 */
export class PullIn {
  readonly #waiting;
  readonly #delivery;
  readonly #calls;
  readonly #channels;

  constructor(db: Db) {
    this.#waiting = db
      .prepare<[number, number], number>(
        `SELECT id FROM deliveries WHERE id > ? AND status = 'pending' AND due_at > ? ORDER BY id LIMIT ${DELIVERIES_PER_COMMIT}`,
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

  /** Some of those behind `after`, in the order of their ids; returns the last of them, null where there were none. */
  deliveries(byMs: number, after: number, now: number): number | null {
    const ids = this.#waiting.all(after, now);
    for (const id of ids) this.#delivery.run({ byMs, id });
    return ids.at(-1) ?? null;
  }

  calls(byMs: number, now: number): void {
    this.#calls.run(byMs, now);
    this.#channels.run({ byMs, now });
  }
}
