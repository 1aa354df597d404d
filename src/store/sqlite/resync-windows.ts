import { GatewayError } from '../../errors.js';
import type { Db } from './database.js';

interface EndedWindowRow {
  resync: number;
  position: number;
  key: Buffer;
  status: string;
  refused: number;
}

/** The end of registrations: windows that run out, and cancelled resyncs. For use inside a transaction. */
export class ResyncWindows {
  readonly #db: Db;
  readonly #anyEnded;
  readonly #ended;
  readonly #close;
  readonly #remember;

  constructor(db: Db) {
    this.#db = db;
    this.#anyEnded = db
      .prepare<[number], number>('SELECT 1 FROM resync_messages WHERE closed = 0 AND closes_at <= ? LIMIT 1')
      .pluck();
    this.#ended = db.prepare<[number, number], EndedWindowRow>(
      'SELECT resync, position, key, status, refused FROM resync_messages WHERE closed = 0 AND closes_at <= ? LIMIT ?',
    );
    this.#close = db.prepare(
      `UPDATE resync_messages SET closed = 1, next_at = NULL,
         settled_at = CASE WHEN status IN ('queued', 'requesting', 'waiting') THEN @now ELSE settled_at END,
         status = CASE WHEN status IN ('queued', 'requesting', 'waiting') THEN 'not_restored' ELSE status END
       WHERE resync = @resync AND position = @position`,
    );
    // If the message comes months later, it is a duplicate and not new, its first post included.
    this.#remember = db.prepare<[Buffer, number]>(
      `INSERT INTO ledger (key, last_seen_at) VALUES (?, ?)
       ON CONFLICT (key) DO UPDATE SET unposted = 0, seeded_at = CASE WHEN first_seen_at IS NULL THEN NULL ELSE seeded_at END
       WHERE unposted = 1 OR first_seen_at IS NULL`,
    );
  }

  /** Whether a window has run out and is not closed yet. A read. */
  isAnyOver(now: number): boolean {
    return this.#anyEnded.get(now) !== undefined;
  }

  /**
   * Closes at most `limit` windows; ids that Whapi was asked for go into the ledger. After a refused call nothing comes
   * back, so the next webhook with that id is genuine, unless the message was restored nevertheless. Returns the number of
   * closed windows.
   */
  close(now: number, limit: number): number {
    const rows = this.#ended.all(now, limit);
    for (const { resync, position, key, refused, status } of rows) {
      this.#close.run({ now, resync, position });
      if (refused === 0 || status === 'restored') this.#remember.run(key, now);
    }
    return rows.length;
  }

  /** @throws GatewayError GW_NOT_FOUND */
  cancel(id: string, now: number): void {
    const number = this.#db.prepare<[string], number>('SELECT number FROM resyncs WHERE id = ?').pluck().get(id);
    if (number === undefined) throw new GatewayError('GW_NOT_FOUND', `There is no resync "${id}".`);
    this.#cancelNumber(number, now);
  }

  cancelAllOf(channel: string, now: number): void {
    const numbers = this.#db
      .prepare<[string], number>('SELECT number FROM resyncs WHERE channel = ? AND cancelled_at IS NULL')
      .pluck()
      .all(channel);
    for (const number of numbers) this.#cancelNumber(number, now);
  }

  /**
   * Ends all calls and polls. An id that Whapi was never asked for closes at once; one that it was asked for keeps its
   * window, because its webhook may be on the way. A resync that is over stays finished.
   */
  #cancelNumber(number: number, now: number): void {
    const { changes } = this.#db
      .prepare(
        `UPDATE resync_messages SET status = 'cancelled', next_at = NULL, settled_at = @now,
           closed = CASE WHEN asked_at IS NULL THEN 1 ELSE closed END,
           closes_at = coalesce(closes_at, asked_at + 1000 * (SELECT window_seconds FROM resyncs WHERE number = @number))
         WHERE resync = @number AND status IN ('queued', 'requesting', 'waiting')`,
      )
      .run({ number, now });
    if (changes > 0) this.#db.prepare('UPDATE resyncs SET cancelled_at = ? WHERE number = ?').run(now, number);
  }
}
