import { contentKeys } from '../rules/content-keys.js';
import type { Candidate, ShownMessage } from '../rules/recording.js';
import { mayBeShown, shownKeys } from '../rules/shown-messages.js';
import type { ShownAs } from '../rules/shown-messages.js';
import type { Db } from './database.js';
import type { LedgerMemory } from './ledger-memory.js';

interface FoundRow {
  key: Buffer;
  message_id: string;
}

/** Keys of one message: its id, and at most two texts of its fingerprint. */
const KEYS_AT_MOST = 3;

/**
 * The registered messages that Whapi has found again, by their content, for one that comes back under another id (rule 18).
 * - Each stands for one other id at most, and for none once it has come under its own.
 * - `LedgerMemory.newestShownAt` spares the look-up of every message that is newer than all of them: without open
 *   registrations, and for live messages, nothing is read.
 *
 * For use inside a transaction, reads excepted.
 */
export class ShownMessages {
  readonly #memory: LedgerMemory;
  readonly #insert;
  readonly #find;
  readonly #came;
  readonly #forget;
  readonly #newest;

  constructor(db: Db, memory: LedgerMemory) {
    this.#memory = memory;
    this.#insert = db.prepare<[key: Buffer, messageKey: Buffer, sentAt: number, cameAs: Buffer | null]>(
      `INSERT INTO content_fingerprints (key, message_key, sent_at, came_as) VALUES (?, ?, ?, ?)
       ON CONFLICT (key, message_key) DO UPDATE SET came_as = excluded.came_as`,
    );
    this.#find = db.prepare<[...keys: Buffer[], own: Buffer, isKnown: number, now: number], FoundRow>(
      `SELECT f.message_key AS key, m.message_id FROM content_fingerprints f JOIN resync_messages m ON m.key = f.message_key
       WHERE f.key IN (?, ?, ?) AND (f.came_as = ? OR (f.came_as IS NULL AND ? = 0))
         AND m.closed = 0 AND (m.closes_at IS NULL OR m.closes_at > ?)
       ORDER BY f.came_as IS NULL LIMIT 1`,
    );
    this.#came = db.prepare<[Buffer, Buffer]>('UPDATE content_fingerprints SET came_as = ? WHERE message_key = ?');
    this.#forget = db.prepare<[Buffer, Buffer]>(
      `DELETE FROM content_fingerprints WHERE message_key = ?
         AND NOT EXISTS (SELECT 1 FROM resync_messages WHERE key = ? AND closed = 0)`,
    );
    this.#newest = db.prepare<[], number | null>('SELECT max(sent_at) FROM content_fingerprints').pluck();
  }

  /** Whether a message with this timestamp may be one of them. False spares a look-up. */
  mayInclude(timestamp: number | null): boolean {
    return mayBeShown(timestamp, this.#memory.newestShownAt);
  }

  /** The registered message that has come under this other id. Reads only. */
  find({ channel, message, key, isKnown }: Candidate, now: number): ShownMessage | null {
    const keys = [key, ...contentKeys(channel, message)];
    const padded = Array.from({ length: KEYS_AT_MOST }, (_, at) => keys[at] ?? key);
    const row = this.#find.get(...padded, key, Number(isKnown), now);
    return row ? { key: row.key, messageId: row.message_id } : null;
  }

  /**
   * Whapi has answered a call for a registered id with this message.
   * @param cameAs the key of that id, if a webhook has brought it since Whapi was asked
   */
  save(shown: ShownAs, cameAs: Buffer | null, now: number): void {
    const { sentAt, keys } = shownKeys(shown, now) ?? { sentAt: 0, keys: [] };
    for (const each of keys) this.#insert.run(each, shown.key, sentAt, cameAs);
    if (keys.length > 0) this.#memory.newestShownAt = Math.max(this.#memory.newestShownAt ?? -Infinity, sentAt);
  }

  /** The registered message came as a webhook, under the id with the key `cameAs`. */
  came(key: Buffer, cameAs: Buffer): void {
    this.#came.run(cameAs, key);
  }

  /** A window of its registration has closed. */
  forget(key: Buffer): void {
    if (this.#memory.newestShownAt !== null) this.#forget.run(key, key);
  }

  /** Reads `newestShownAt` again. Outside a transaction: one that is rolled back would leave it wrong. */
  refresh(): void {
    this.#memory.newestShownAt = this.#newest.get() ?? null;
  }
}
