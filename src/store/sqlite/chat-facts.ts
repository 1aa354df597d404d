import { areAnswered, newestByChat, NO_CHAT_FACTS, supersedes } from '../../intake/backlog.js';
import { decodeRecordedInSlices } from '../../intake/decode.js';
import type { Item } from '../../intake/decode.js';
import type { Verdict, WebhookHttpMethod } from '../../model.js';
import type { Sliced } from '../../slices.js';
import { parseDeliveryId } from '../rules/ids.js';
import { chatKey } from '../rules/keys.js';
import type { Db } from './database.js';
import type { Leases } from './leases.js';
import type { ChatFacts, LeasedBody, WantedFacts } from '../outbox.js';

interface WaitingRow {
  readonly id: number;
  readonly verdicts: string;
  readonly newest_message_at: number | null;
}

interface BodyRow {
  readonly body: Buffer;
  readonly method: string;
  readonly suffix: string;
}

/** A delivery that may be sent next in its chats. */
interface FrontDelivery {
  readonly id: number;
  readonly target: number;
  readonly channel: string;
}

/** Of the deliveries that wait in a chat, those recorded last are looked at: one of them is the newest, as a rule. */
const MOST_LOOKED_AT = 20;

/** What is recorded of the chats of a leased delivery; reads only. */
export class ChatFactsReader {
  readonly #leases: Leases;
  readonly #answeredAt;
  readonly #waiting;
  readonly #body;

  constructor(db: Db, leases: Leases) {
    this.#leases = leases;
    this.#answeredAt = db.prepare<[Buffer], number | null>('SELECT own_at FROM chats WHERE key = ?').pluck();
    this.#waiting = db.prepare<[number, Buffer, number], WaitingRow>(
      `SELECT d.id, d.verdicts, d.newest_message_at FROM lanes l JOIN deliveries d ON d.id = l.delivery_id
       WHERE l.target = ? AND l.chat = ? AND l.delivery_id <> ? ORDER BY l.seq DESC LIMIT ${MOST_LOOKED_AT}`,
    );
    this.#body = db.prepare<[number], BodyRow>(
      `SELECT coalesce(d.body, w.body) AS body, w.method, w.suffix
       FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE d.id = ?`,
    );
  }

  /** See `Outbox.chatFacts`. */
  *read(delivery: LeasedBody, wanted: WantedFacts): Sliced<ChatFacts> {
    const lease = this.#leases.get(parseDeliveryId(delivery.id) ?? 0);
    if (!lease) return NO_CHAT_FACTS;
    return yield* this.#read({ ...delivery, id: lease.id, target: lease.target }, wanted);
  }

  /** The same for a delivery at the front of its lanes that is not leased. */
  *readUnleased(delivery: FrontDelivery, wanted: WantedFacts): Sliced<ChatFacts> {
    const body = this.#body.get(delivery.id);
    return body ? yield* this.#read({ ...delivery, ...body }, wanted) : NO_CHAT_FACTS;
  }

  *#read(delivery: FrontDelivery & BodyRow, wanted: WantedFacts): Sliced<ChatFacts> {
    const items = yield* itemsIn(delivery);
    const isAnswered = wanted.answered && this.#areAnswered(delivery.channel, items);
    const isFollowed = wanted.followed && !isAnswered && (yield* this.#areFollowed(delivery, items));
    return { isAnswered, isFollowed };
  }

  #areAnswered(channel: string, items: readonly Item[]): boolean {
    return areAnswered(items, (chatId) => this.#answeredAt.get(chatKey(channel, chatId)) ?? null);
  }

  *#areFollowed({ id, target, channel }: FrontDelivery, items: readonly Item[]): Sliced<boolean> {
    const chats = newestByChat(items);
    if (chats === null) return false;
    for (const [chatId, sentAt] of chats) {
      const waiting = this.#waiting.all(target, chatKey(channel, chatId), id);
      if (!(yield* this.#oneSupersedes(waiting, chatId, sentAt))) return false;
    }
    return true;
  }

  *#oneSupersedes(waiting: readonly WaitingRow[], chatId: string, sentAt: number): Sliced<boolean> {
    for (const { id, verdicts: list, newest_message_at: newestAt } of waiting) {
      const verdicts = list.split(',') as Verdict[];
      const isOlder = newestAt !== null && newestAt < sentAt;
      const row = isOlder || verdicts.every((verdict) => verdict === 'event') ? undefined : this.#body.get(id);
      if (row && supersedes(yield* itemsIn(row), verdicts, chatId, sentAt)) return true;
      if (row) yield;
    }
    return false;
  }
}

function* itemsIn({ body, method, suffix }: BodyRow): Sliced<readonly Item[]> {
  const document = yield* decodeRecordedInSlices(body, { method: method as WebhookHttpMethod, suffix });
  return document.items;
}
