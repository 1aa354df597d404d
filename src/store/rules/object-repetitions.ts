import type { Document, Item } from '../../intake/decode.js';
import { repetitionsIn } from '../../intake/repetitions.js';
import { isEndOfSlice } from '../../slices.js';
import type { Sliced } from '../../slices.js';
import { chatKey, eventFingerprintKey, KEY_BYTES, objectKey } from './keys.js';
import type { Known, RecordingRows } from './recording.js';
import { HOUR_MS } from '../../durations.js';

/** How long a repetition counts as Whapi's retry (rule 13). */
const RETRY_MEMORY_MS = 2 * HOUR_MS;

/** The items of one webhook that are about one object. */
interface Mention {
  readonly key: Buffer;
  readonly positions: number[];
  readonly fingerprints: string[];
  /** The key of the chat that was removed; null: it is about something else. */
  readonly removedChat: Buffer | null;
}

type Lookups = Pick<Known, 'lastOfObject' | 'hasMessageSince'>;

/** The last recorded event of each group, chat, contact, label and message (rule 13). */
export class ObjectRepetitions {
  readonly #known: Lookups;
  readonly #rows: Pick<RecordingRows, 'saveLastOfObject'>;

  constructor(known: Lookups, rows: Pick<RecordingRows, 'saveLastOfObject'>) {
    this.#known = known;
    this.#rows = rows;
  }

  /**
   * The positions of the items that repeat the last event of their object, each with the time when that was recorded; all
   * other items are saved as the last event.
   */
  *repetitionsIn(document: Document, channel: string, event: string, now: number): Sliced<ReadonlyMap<number, number>> {
    const repetitions = new Map<number, number>();
    let saved = 0;
    for (const mention of yield* mentionsIn(document, channel, event)) {
      if (isEndOfSlice((saved += 1))) yield;
      const before = this.#lastOf(mention, now);
      const { isRepetition, last } = repetitionsIn(before.fingerprints, mention.fingerprints);
      // Behind the first item that says something else, an item can only repeat one of this webhook.
      const distinctFrom = isRepetition.indexOf(false);
      for (const [at, position] of mention.positions.entries())
        if (isRepetition[at] === true)
          repetitions.set(position, distinctFrom === -1 || at < distinctFrom ? before.recordedAt : now);
      if (last) this.#rows.saveLastOfObject(mention.key, Buffer.from(last.join(''), 'latin1'), now);
    }
    return repetitions;
  }

  /** A chat that got a message after its removal exists again, so its next removal is a new event. */
  #lastOf({ key, removedChat }: Mention, now: number): { fingerprints: string[]; recordedAt: number } {
    const row = this.#known.lastOfObject(key, now - RETRY_MEMORY_MS);
    if (!row || (removedChat && this.#known.hasMessageSince(removedChat, row.recordedAt)))
      return { fingerprints: [], recordedAt: now };
    return { fingerprints: fingerprintsIn(row.last), recordedAt: row.recordedAt };
  }
}

/** The repeatable items of a webhook, grouped by their object. An item without an object is an object of its own. */
function* mentionsIn({ items, body }: Document, channel: string, event: string): Sliced<Iterable<Mention>> {
  const mentions = new Map<string, Mention>();
  for (const [position, item] of items.entries()) {
    if (isEndOfSlice(position)) yield;
    if (!item.repeatable) continue;
    const fingerprint = eventFingerprintKey(channel, event, item, body).toString('latin1');
    const object = item.object ?? fingerprint;
    const mention = mentions.get(object) ?? newMention(channel, object, item);
    mention.positions.push(position);
    mention.fingerprints.push(fingerprint);
    mentions.set(object, mention);
  }
  return mentions.values();
}

/** The keys of everything that is remembered about the objects of a webhook. */
export function* objectKeysIn(
  document: Document,
  channel: string,
  event: string,
): Sliced<readonly Pick<Mention, 'key' | 'removedChat'>[]> {
  return [...(yield* mentionsIn(document, channel, event))];
}

function newMention(channel: string, object: string, { carrier, chatId }: Item): Mention {
  const removedChat = carrier === 'chats_removed' && chatId !== null ? chatKey(channel, chatId) : null;
  return { key: objectKey(channel, object), positions: [], fingerprints: [], removedChat };
}

function fingerprintsIn(last: Buffer): string[] {
  const text = last.toString('latin1');
  return Array.from({ length: text.length / KEY_BYTES }, (_, at) => text.slice(at * KEY_BYTES, (at + 1) * KEY_BYTES));
}
