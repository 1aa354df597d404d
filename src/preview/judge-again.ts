import type { Item } from '../intake/decode.js';
import { judge, writesLedger } from '../intake/judge.js';
import type { Memory } from '../intake/judge.js';
import type { JudgedItem } from '../intake/route.js';
import { sentBefore } from '../intake/timestamp.js';
import type { PastItem, PastWebhook } from '../store/history.js';
import { Recent } from './recent.js';

/** Chats of which the newest message is kept. */
const MOST_CHATS = 50_000;

type NewestInChat = NonNullable<Memory['newestInChat']>;

/** The items with the verdicts that they got. */
export function asRecorded({ document, items }: PastWebhook): JudgedItem[] {
  return document.items.flatMap((item, at) => {
    const recorded = items[at];
    return recorded ? [{ item, verdict: recorded.verdict, rule: recorded.rule, recover: recorded.recover }] : [];
  });
}

/**
 * Judges recorded webhooks with another `late_after_seconds`. What a message was compared with is stored where it was late. For
 * a new one it is the newest message of its chat that was read before.
 */
export class JudgeAgain {
  readonly #lateAfterSeconds: number;
  readonly #newest = new Recent<NewestInChat>(MOST_CHATS);

  constructor(lateAfterSeconds: number) {
    this.#lateAfterSeconds = lateAfterSeconds;
  }

  /** Webhooks have to come in the order in which they were recorded. @param recorded their items `asRecorded` */
  judged(webhook: PastWebhook, recorded: readonly JudgedItem[]): JudgedItem[] {
    return recorded.map((each, at) => {
      const past = webhook.items[at];
      return past ? this.#judge(each, past, webhook) : each;
    });
  }

  #judge(recorded: JudgedItem, { memory }: PastItem, { channel, receivedAt }: PastWebhook): JudgedItem {
    const { item, recover } = recorded;
    const chat = item.chatId === null ? null : `${channel} ${item.chatId}`;
    const newestInChat = memory.newestInChat ?? (chat === null ? null : (this.#newest.get(chat) ?? null));
    const judgement = judge(
      item,
      { ...memory, newestInChat },
      { receivedAt, lateAfterSeconds: this.#lateAfterSeconds },
    );
    if (chat !== null && writesLedger(item, recorded)) this.#remember(chat, item, receivedAt);
    return { item, recover, ...judgement };
  }

  /** As the ledger does it. */
  #remember(chat: string, { timestamp }: Item, receivedAt: number): void {
    if (timestamp === null) return;
    const sentAt = sentBefore(timestamp, receivedAt);
    if (sentAt > (this.#newest.get(chat)?.timestamp ?? -Infinity))
      this.#newest.set(chat, { timestamp: sentAt, receivedAt });
  }
}
