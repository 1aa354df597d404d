import type { Db } from './database.js';
import type { LedgerMemory } from './ledger-memory.js';
import { RememberedIds } from './remembered-ids.js';
import { ShownMessages } from './shown-messages.js';
import type { LedgerFacts } from '../rules/ledger-facts.js';
import type {
  Candidate,
  Known,
  LastOfObject,
  NewestInChat,
  RegistrationWindow,
  ShownMessage,
} from '../rules/recording.js';

interface WindowRow {
  closes_at: number | null;
  refused: number;
  deliver_unseen: number;
}

/** What is known when a webhook is recorded: the ledger, open registrations, fingerprints, chats and objects. Reads only. */
export class KnownTables implements Known {
  readonly #ids: RememberedIds;
  readonly #shown: ShownMessages;
  readonly #windows;
  readonly #fingerprint;
  readonly #newestInChat;
  readonly #lastOfObject;
  readonly #hasMessageSince;

  constructor(db: Db, ids: RememberedIds, shown: ShownMessages) {
    this.#ids = ids;
    this.#shown = shown;
    this.#windows = db.prepare<[Buffer], WindowRow>(
      `SELECT m.closes_at, m.refused, r.deliver_unseen FROM resync_messages m JOIN resyncs r ON r.number = m.resync
       WHERE m.key = ? AND m.closed = 0`,
    );
    this.#fingerprint = db.prepare<[Buffer], number>('SELECT recorded_at FROM fingerprints WHERE key = ?').pluck();
    this.#newestInChat = db.prepare<[Buffer], NewestInChat>(
      'SELECT newest_at AS timestamp, received_at AS receivedAt FROM chats WHERE key = ?',
    );
    this.#lastOfObject = db.prepare<[Buffer, number], LastOfObject>(
      'SELECT last, recorded_at AS recordedAt FROM objects WHERE key = ? AND recorded_at > ?',
    );
    this.#hasMessageSince = db
      .prepare<[Buffer, number]>('SELECT 1 FROM chats WHERE key = ? AND received_at > ?')
      .pluck();
  }

  id(key: Buffer): LedgerFacts | null {
    return this.#ids.find(key);
  }

  windows(key: Buffer): readonly RegistrationWindow[] {
    const rows = this.#windows.all(key);
    return rows.map(({ closes_at: closesAt, refused, deliver_unseen: deliverUnseen }) => ({
      closesAt,
      isRefused: refused === 1,
      deliverUnseen: deliverUnseen === 1,
    }));
  }

  fingerprintAt(key: Buffer): number | undefined {
    return this.#fingerprint.get(key);
  }

  newestInChat(chat: Buffer): NewestInChat | undefined {
    return this.#newestInChat.get(chat);
  }

  lastOfObject(key: Buffer, since: number): LastOfObject | undefined {
    return this.#lastOfObject.get(key, since);
  }

  hasMessageSince(chat: Buffer, time: number): boolean {
    return this.#hasMessageSince.get(chat, time) !== undefined;
  }

  mayBeShown(timestamp: number | null): boolean {
    return this.#shown.mayInclude(timestamp);
  }

  shown(candidate: Candidate, now: number): ShownMessage | null {
    return this.#shown.find(candidate, now);
  }
}

/** For one connection. */
export function knownTables(db: Db, memory: LedgerMemory) {
  const ids = new RememberedIds(db, memory);
  const shown = new ShownMessages(db, memory);
  return { ids, shown, known: new KnownTables(db, ids, shown) };
}
