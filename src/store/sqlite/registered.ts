import type { ResyncMessageStatus } from '../../model.js';
import type { Db } from './database.js';

/** One id of one resync, whose window is open. */
export interface RegisteredRow {
  readonly resync: number;
  readonly resyncId: string;
  readonly position: number;
  readonly status: ResyncMessageStatus;
  readonly askedAt: number | null;
  readonly closesAt: number | null;
  readonly nextAt: number | null;
  readonly error: string | null;
  readonly calls: number;
  readonly windowSeconds: number;
  readonly registeredAt: number;
}

/** Being brought back: to be asked for, asked for now, or waited for. */
export const COMING = "closed = 0 AND status IN ('queued', 'requesting', 'waiting')";

/** The length of a row's window, in seconds. */
export const WINDOW = 'coalesce(m.window_seconds, r.window_seconds)';

/**
 * One id has one open registration: the rows of all resyncs that are bringing it back stand alike (status, times of the
 * calls and of the window) and change together, so that one call serves them all and none depends on another. Each
 * counts for itself the calls made since it was added. For use inside a transaction.
 */
export class Registered {
  readonly #coming;
  readonly #restored;
  readonly #window;
  readonly #widen;
  readonly #keepOpen;
  readonly #askAgain;

  constructor(db: Db) {
    const first = (condition: string): string =>
      `SELECT m.resync, r.id AS resyncId, m.position, m.status, m.asked_at AS askedAt, m.closes_at AS closesAt,
         m.next_at AS nextAt, m.error, m.calls, ${WINDOW} AS windowSeconds, r.created_at AS registeredAt
       FROM resync_messages m JOIN resyncs r ON r.number = m.resync
       WHERE m.key = ? AND ${condition} AND r.complete = 1 ORDER BY m.resync LIMIT 1`;
    this.#coming = db.prepare<[Buffer], RegisteredRow>(first(COMING));
    this.#restored = db.prepare<[Buffer, number], RegisteredRow>(
      first("m.closed = 0 AND m.status = 'restored' AND m.closes_at > ?"),
    );
    this.#window = db
      .prepare<[Buffer], number | null>(
        `SELECT max(${WINDOW}) FROM resync_messages m JOIN resyncs r ON r.number = m.resync WHERE m.key = ? AND ${COMING}`,
      )
      .pluck();
    this.#widen = db.prepare(
      'UPDATE resync_messages SET window_seconds = ? WHERE resync = ? AND position = ? AND closed = 0',
    );
    this.#keepOpen = db.prepare(
      `UPDATE resync_messages SET closes_at = @closesAt WHERE key = @key AND ${COMING} AND closes_at < @closesAt`,
    );
    this.#askAgain = db.prepare(
      `UPDATE resync_messages SET status = 'queued', next_at = @now, closes_at = NULL
       WHERE key = @key AND status = 'waiting' AND closed = 0 AND asked_at <= @before`,
    );
  }

  /** The oldest that is being brought back. */
  coming(key: Buffer): RegisteredRow | undefined {
    return this.#coming.get(key);
  }

  /** The oldest that is restored and whose window is open. */
  restored(key: Buffer, now: number): RegisteredRow | undefined {
    return this.#restored.get(key, now);
  }

  /** The longest window of those that are being brought back, in seconds; null: none is. */
  windowSeconds(key: Buffer): number | null {
    return this.#window.get(key) ?? null;
  }

  /** From the next call on its window is that long, unless it is longer already. */
  widen({ resync, position, windowSeconds }: RegisteredRow, toSeconds: number): void {
    if (toSeconds > windowSeconds) this.#widen.run(toSeconds, resync, position);
  }

  keepOpenUntil(key: Buffer, closesAt: number): void {
    this.#keepOpen.run({ key, closesAt });
  }

  /** Where the last call was made at `before` or earlier. True: it is due. */
  askAgain(key: Buffer, before: number, now: number): boolean {
    return this.#askAgain.run({ key, before, now }).changes > 0;
  }
}
