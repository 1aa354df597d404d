import { noSuchResync } from '../rules/registrations.js';
import type { Db } from './database.js';
import { NEVER_SEEN } from '../rules/ledger-facts.js';
import type { RememberedIds } from './remembered-ids.js';
import type { ShownMessages } from './shown-messages.js';

interface EndedWindowRow {
  resync: number;
  position: number;
  key: Buffer;
  status: string;
  refused: number;
}

/** The condition of an index, which finds these rows by channel. */
const HAS_CALLS = "status IN ('queued', 'requesting', 'waiting')";

/**
 * Ends all calls and polls. An id that Whapi was never asked for closes at once; one that it was asked for keeps its
 * window, because its webhook may be on the way. A resync that is over stays finished.
 */
const CANCEL = `UPDATE resync_messages SET status = 'cancelled', next_at = NULL, settled_at = @now,
  closed = CASE WHEN asked_at IS NULL THEN 1 ELSE closed END,
  closes_at = coalesce(closes_at, asked_at + 1000 * (SELECT window_seconds FROM resyncs WHERE number = resync))`;

/** The end of registrations: windows that run out, and cancelled resyncs. For use inside a transaction. */
export class ResyncWindows {
  readonly #db: Db;
  readonly #ids: RememberedIds;
  readonly #shown: Pick<ShownMessages, 'forget'>;
  readonly #anyEnded;
  readonly #ended;
  readonly #close;
  readonly #inProgress;
  readonly #markCancelled;

  constructor(db: Db, ids: RememberedIds, shown: Pick<ShownMessages, 'forget'>) {
    this.#db = db;
    this.#ids = ids;
    this.#shown = shown;
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
    this.#inProgress = db.prepare<[string, number], { resync: number; position: number }>(
      `SELECT resync, position FROM resync_messages WHERE channel = ? AND ${HAS_CALLS} LIMIT ?`,
    );
    this.#markCancelled = db.prepare<[number, number]>(
      'UPDATE resyncs SET cancelled_at = ? WHERE number = ? AND cancelled_at IS NULL',
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
      this.#shown.forget(key);
      if (refused === 0 || status === 'restored') this.#remember(key, now);
    }
    return rows.length;
  }

  /** If the message comes months later, it is a duplicate and not new, its first post included. */
  #remember(key: Buffer, now: number): void {
    const known = this.#ids.find(key);
    if (known === null) {
      this.#ids.insert(key, { ...NEVER_SEEN, lastSeenAt: now });
    } else if (known.unposted || known.firstSeenAt === null) {
      const seededAt = known.firstSeenAt === null ? null : known.seededAt;
      this.#ids.update(key, known, { ...known, unposted: false, seededAt });
    }
  }

  /** @throws GatewayError GW_NOT_FOUND */
  cancel(id: string, now: number): void {
    const number = this.#db.prepare<[string], number>('SELECT number FROM resyncs WHERE id = ?').pluck().get(id);
    if (number === undefined) throw noSuchResync(id);
    this.#cancelNumber(number, now);
  }

  /**
   * Cancels at most `limit` ids of a removed channel that are in progress, and the resyncs that they belong to. Returns
   * whether more may be left.
   */
  cancelSomeOf(channel: string, limit: number, now: number): boolean {
    const rows = this.#inProgress.all(channel, limit);
    const cancel = this.#db.prepare(`${CANCEL} WHERE resync = @resync AND position = @position`);
    for (const row of rows) cancel.run({ ...row, now });
    for (const resync of new Set(rows.map((row) => row.resync))) this.#markCancelled.run(now, resync);
    return rows.length === limit;
  }

  #cancelNumber(number: number, now: number): void {
    const { changes } = this.#db.prepare(`${CANCEL} WHERE resync = @number AND ${HAS_CALLS}`).run({ number, now });
    if (changes > 0) this.#markCancelled.run(now, number);
  }
}
