import { HOUR_MS } from '../../durations.js';
import type { Db } from './database.js';

/** Payloads whose ids ran ahead outlive their retention by so much at most, and by a sweep's interval. */
const MARK_EVERY_MS = 12 * HOUR_MS;

/**
 * Remembers the greatest id of a webhook at a few times. The id of a webhook is never lower than its time, but after the
 * clock was ahead, ids stay ahead for as long as it was: then they tell only the order. With a mark, everything up to its id
 * is known to be at least as old as the mark. (Reading the time of each webhook instead would read all of them in each
 * sweep, with their bodies.) For use inside a transaction.
 */
export class IdMarks {
  readonly #removeFuture;
  readonly #newest;
  readonly #add;
  readonly #removeOld;
  readonly #belowAt;

  constructor(db: Db) {
    // Set while the clock was ahead. The id may be right, but its time is not.
    this.#removeFuture = db.prepare<[number]>('DELETE FROM id_marks WHERE set_at > ?');
    this.#newest = db.prepare<[], number | null>('SELECT max(set_at) FROM id_marks').pluck();
    this.#add = db.prepare<[number]>(
      'INSERT INTO id_marks (set_at, greatest_id) SELECT ?, id FROM webhooks WHERE id = (SELECT max(id) FROM webhooks)',
    );
    this.#removeOld = db.prepare<[number]>(
      'DELETE FROM id_marks WHERE set_at < (SELECT max(set_at) FROM id_marks WHERE set_at <= ?)',
    );
    this.#belowAt = db
      .prepare<[number], number>('SELECT greatest_id + 1 FROM id_marks WHERE set_at <= ? ORDER BY set_at DESC LIMIT 1')
      .pluck();
  }

  /** Sets a mark if it is time, and removes those that tell no more than the newest one before `payload`. */
  set(payload: number, now: number): void {
    this.#removeFuture.run(now);
    const newest = this.#newest.get() ?? null;
    if (newest === null || now - newest >= MARK_EVERY_MS) this.#add.run(now);
    this.#removeOld.run(payload);
  }

  /** Webhooks with lower ids were recorded before `time`; 0: that is not known of any. */
  belowAt(time: number): number {
    return this.#belowAt.get(time) ?? 0;
  }
}
