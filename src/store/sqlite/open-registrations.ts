import type { OpenRegistration } from '../rules/registrations.js';
import type { Db } from './database.js';

/** The condition of an id that is being brought back: its call is due or in flight, or its webhook is awaited. */
export const IN_PROGRESS = "closed = 0 AND status IN ('queued', 'requesting', 'waiting')";

/** The length of a row's window, in seconds. */
export const WINDOW_SECONDS = 'coalesce(m.window_seconds, r.window_seconds)';

/**
 * One id has one open registration. The rows of all resyncs that are bringing it back have the same status, call times and
 * window, and change together, so that one call serves them all and none depends on another. Each row counts the calls made
 * since it was added. For use inside a transaction.
 */
export class OpenRegistrations {
  readonly #inProgress;
  readonly #restored;
  readonly #windowSeconds;
  readonly #setWindow;
  readonly #setClosesAt;
  readonly #requeue;

  constructor(db: Db) {
    const first = (condition: string): string =>
      `SELECT m.resync, r.id AS resyncId, m.position, m.status, m.asked_at AS askedAt, m.closes_at AS closesAt,
         m.next_at AS nextAt, m.error, m.calls, ${WINDOW_SECONDS} AS windowSeconds, r.created_at AS registeredAt
       FROM resync_messages m JOIN resyncs r ON r.number = m.resync
       WHERE m.key = ? AND ${condition} AND r.complete = 1 ORDER BY m.resync LIMIT 1`;
    this.#inProgress = db.prepare<[Buffer], OpenRegistration>(first(IN_PROGRESS));
    this.#restored = db.prepare<[Buffer, number], OpenRegistration>(
      first("m.closed = 0 AND m.status = 'restored' AND m.closes_at > ?"),
    );
    this.#windowSeconds = db
      .prepare<[Buffer], number | null>(
        `SELECT max(${WINDOW_SECONDS}) FROM resync_messages m JOIN resyncs r ON r.number = m.resync WHERE m.key = ? AND ${IN_PROGRESS}`,
      )
      .pluck();
    this.#setWindow = db.prepare(
      'UPDATE resync_messages SET window_seconds = ? WHERE resync = ? AND position = ? AND closed = 0',
    );
    this.#setClosesAt = db.prepare(
      `UPDATE resync_messages SET closes_at = @closesAt WHERE key = @key AND ${IN_PROGRESS} AND closes_at < @closesAt`,
    );
    this.#requeue = db.prepare(
      `UPDATE resync_messages SET status = 'queued', next_at = @now, closes_at = NULL
       WHERE key = @key AND status = 'waiting' AND closed = 0 AND asked_at <= @before`,
    );
  }

  /** The oldest registration that is in progress. */
  inProgress(key: Buffer): OpenRegistration | undefined {
    return this.#inProgress.get(key);
  }

  /** The oldest registration that is restored and whose window is open. */
  restored(key: Buffer, now: number): OpenRegistration | undefined {
    return this.#restored.get(key, now);
  }

  /** The longest window of the registrations in progress, in seconds; null: there are none. */
  windowSeconds(key: Buffer): number | null {
    return this.#windowSeconds.get(key) ?? null;
  }

  /** Makes the window at least `toSeconds` long, from the next call on. */
  extendWindow({ resync, position, windowSeconds }: OpenRegistration, toSeconds: number): void {
    if (toSeconds > windowSeconds) this.#setWindow.run(toSeconds, resync, position);
  }

  /** Keeps the windows in progress open at least until `closesAt`. */
  keepOpenUntil(key: Buffer, closesAt: number): void {
    this.#setClosesAt.run({ key, closesAt });
  }

  /** Makes a call due now if the last one was made at `before` or earlier. Returns whether it did. */
  requeueIfAskedBefore(key: Buffer, before: number, now: number): boolean {
    return this.#requeue.run({ key, before, now }).changes > 0;
  }
}
