import type { Document, Item } from '../../intake/decode.js';
import { repetitionsIn } from '../../intake/repetitions.js';
import { eventTraceKey, KEY_BYTES, objectKey } from '../keys.js';
import type { Db } from './database.js';

/** How long a repetition counts as Whapi's retry (rule 13). */
const RETRY_MEMORY_MS = 2 * 60 * 60 * 1000;

interface Told {
  readonly key: Buffer;
  readonly positions: number[];
  readonly fingerprints: string[];
}

/** What was recorded last about each group, chat, contact, message … For use inside a transaction. */
export class Objects {
  readonly #last;
  readonly #note;

  constructor(db: Db) {
    this.#last = db
      .prepare<[Buffer, number], Buffer>('SELECT last FROM objects WHERE key = ? AND recorded_at > ?')
      .pluck();
    this.#note = db.prepare<[Buffer, Buffer, number]>(
      `INSERT INTO objects (key, last, recorded_at) VALUES (?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET last = excluded.last, recorded_at = excluded.recorded_at`,
    );
  }

  /** The positions of the items that repeat what was recorded last about their object; notes what does not. */
  repetitionsIn(document: Document, channel: string, event: string, now: number): ReadonlySet<number> {
    const repetitions = new Set<number>();
    for (const { key, positions, fingerprints } of toldIn(document, channel, event)) {
      const before = fingerprintsIn(this.#last.get(key, now - RETRY_MEMORY_MS));
      const { isRepetition, last } = repetitionsIn(before, fingerprints);
      positions.filter((_, at) => isRepetition[at]).forEach((position) => repetitions.add(position));
      if (last) this.#note.run(key, Buffer.from(last.join(''), 'latin1'), now);
    }
    return repetitions;
  }
}

/** The repeatable items of a webhook, by what they are about. One that does not say is an object of its own. */
function toldIn({ items, body }: Document, channel: string, event: string): Iterable<Told> {
  const told = new Map<string, Told>();
  items.forEach((item: Item, position) => {
    if (!item.repeatable) return;
    const fingerprint = eventTraceKey(channel, event, item, body).toString('latin1');
    const object = item.object ?? fingerprint;
    const of = told.get(object) ?? { key: objectKey(channel, object), positions: [], fingerprints: [] };
    of.positions.push(position);
    of.fingerprints.push(fingerprint);
    told.set(object, of);
  });
  return told.values();
}

function fingerprintsIn(last: Buffer | undefined): string[] {
  const text = last?.toString('latin1') ?? '';
  return Array.from({ length: text.length / KEY_BYTES }, (_, at) => text.slice(at * KEY_BYTES, (at + 1) * KEY_BYTES));
}
