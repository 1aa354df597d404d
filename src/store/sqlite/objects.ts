import type { Document, Item } from '../../intake/decode.js';
import { repetitionsIn } from '../../intake/repetitions.js';
import { chatKey, eventFingerprintKey, KEY_BYTES, objectKey } from '../rules/keys.js';
import type { Db } from './database.js';
import { HOUR_MS } from '../../durations.js';

/** How long a repetition counts as Whapi's retry (rule 13). */
const RETRY_MEMORY_MS = 2 * HOUR_MS;

/** What one webhook tells of one object. */
interface Mention {
  readonly key: Buffer;
  readonly positions: number[];
  readonly fingerprints: string[];
  /** The key of the chat that was removed; null where it is about something else. */
  readonly removedChat: Buffer | null;
}

interface LastRow {
  last: Buffer;
  recorded_at: number;
}

/** What was recorded last about each group, chat, contact, message … For use inside a transaction. */
export class Objects {
  readonly #last;
  readonly #messageSince;
  readonly #note;

  constructor(db: Db) {
    this.#last = db.prepare<[Buffer, number], LastRow>(
      'SELECT last, recorded_at FROM objects WHERE key = ? AND recorded_at > ?',
    );
    this.#messageSince = db.prepare<[Buffer, number]>('SELECT 1 FROM chats WHERE key = ? AND received_at > ?').pluck();
    this.#note = db.prepare<[Buffer, Buffer, number]>(
      `INSERT INTO objects (key, last, recorded_at) VALUES (?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET last = excluded.last, recorded_at = excluded.recorded_at`,
    );
  }

  /** The positions of the items that repeat what was recorded last about their object; notes what does not. */
  repetitionsIn(document: Document, channel: string, event: string, now: number): ReadonlySet<number> {
    const repetitions = new Set<number>();
    for (const told of mentionsIn(document, channel, event)) {
      const { isRepetition, last } = repetitionsIn(this.#before(told, now), told.fingerprints);
      told.positions.filter((_, at) => isRepetition[at]).forEach((position) => repetitions.add(position));
      if (last) this.#note.run(told.key, Buffer.from(last.join(''), 'latin1'), now);
    }
    return repetitions;
  }

  /** A chat that got a message after it was removed is there again: its next removal is another one. */
  #before({ key, removedChat }: Mention, now: number): string[] {
    const row = this.#last.get(key, now - RETRY_MEMORY_MS);
    if (!row || (removedChat && this.#messageSince.get(removedChat, row.recorded_at) !== undefined)) return [];
    return fingerprintsIn(row.last);
  }
}

/** The repeatable items of a webhook, by what they are about. One that does not say is an object of its own. */
function mentionsIn({ items, body }: Document, channel: string, event: string): Iterable<Mention> {
  const told = new Map<string, Mention>();
  items.forEach((item, position) => {
    if (!item.repeatable) return;
    const fingerprint = eventFingerprintKey(channel, event, item, body).toString('latin1');
    const object = item.object ?? fingerprint;
    const of = told.get(object) ?? newMention(channel, object, item);
    of.positions.push(position);
    of.fingerprints.push(fingerprint);
    told.set(object, of);
  });
  return told.values();
}

function newMention(channel: string, object: string, { carrier, chatId }: Item): Mention {
  const removedChat = carrier === 'chats_removed' && chatId !== null ? chatKey(channel, chatId) : null;
  return { key: objectKey(channel, object), positions: [], fingerprints: [], removedChat };
}

function fingerprintsIn(last: Buffer): string[] {
  const text = last.toString('latin1');
  return Array.from({ length: text.length / KEY_BYTES }, (_, at) => text.slice(at * KEY_BYTES, (at + 1) * KEY_BYTES));
}
