import { SECOND_MS } from '../durations.js';
import type { Item } from '../intake/decode.js';
import { isNeverSeen, judge, RULE, writesLedger } from '../intake/judge.js';
import type { Memory } from '../intake/judge.js';
import type { JudgedItem } from '../intake/route.js';
import { sentBefore } from '../intake/timestamp.js';
import type { Channel, Judgement } from '../model.js';
import type { PastItem, PastWebhook } from '../store/history.js';
import { Recent } from './recent.js';
import { ReplaysAgain } from './replays-again.js';

/** Chats of which the newest message is kept. */
const MOST_CHATS = 50_000;

type NewestInChat = NonNullable<Memory['newestInChat']>;

/** Changed settings of a channel that decide verdicts. */
export interface ChannelChange {
  readonly before: Channel;
  readonly after: Channel;
  /** `late_after_seconds` is among the changes: otherwise a message stays late or new as it was recorded. */
  readonly hasLate: boolean;
  /** A setting for replays is among them: otherwise a message stays part of a replay, or not, as it was recorded. */
  readonly hasReplays: boolean;
}

/** How many messages a preview cannot judge for certain, because what it reads has a beginning. */
export interface Unsure {
  /** Old messages that may belong to a replay that began earlier. They count as not held. */
  readonly replayed: number;
  /** Messages that a message recorded earlier may make late. They count as new. */
  readonly late: number;
}

/** The items with the verdicts that they got. */
export function asRecorded({ document, items }: PastWebhook): JudgedItem[] {
  return document.items.flatMap((item, at) => {
    const recorded = items[at];
    return recorded ? [{ item, verdict: recorded.verdict, rule: recorded.rule, recover: recorded.recover }] : [];
  });
}

/**
 * Judges the recorded webhooks of a channel with other settings. What a message was compared with is stored where it was late.
 * For another one it is the newest message of its chat that was read before. What the settings do not decide stays as it was:
 * among others, whether a message was restored under another id (row 18).
 */
export class JudgeAgain {
  readonly #change: ChannelChange;
  readonly #since: number;
  readonly #replays: ReplaysAgain | null;
  readonly #newest = new Recent<NewestInChat>(MOST_CHATS);
  #late = 0;

  /** @param since when the first webhook that is read was recorded, or later */
  constructor(change: ChannelChange, since: number) {
    this.#change = change;
    this.#since = since;
    this.#replays = change.hasReplays ? new ReplaysAgain(change.after, since) : null;
  }

  get unsure(): Unsure {
    return { replayed: this.#replays?.unsure ?? 0, late: this.#late };
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
    const replayed = this.#isReplayed(recorded, memory, receivedAt);
    let judgement: Judgement = recorded;
    if (this.#change.hasLate || replayed !== memory.replayed) {
      const newestInChat = memory.newestInChat ?? (chat === null ? null : (this.#newest.get(chat) ?? null));
      const { lateAfterSeconds } = this.#change.after;
      judgement = judge(item, { ...memory, newestInChat, replayed }, { receivedAt, lateAfterSeconds });
      if (this.#mayBeLate(recorded, judgement)) this.#late += 1;
    }
    if (chat !== null && writesLedger(item, recorded)) this.#remember(chat, item, receivedAt);
    return { item, recover, verdict: judgement.verdict, rule: judgement.rule };
  }

  #isReplayed(recorded: JudgedItem, { replayed }: Memory, receivedAt: number): boolean {
    if (!this.#replays) return replayed;
    return isNeverSeen(recorded) && this.#replays.holds(recorded.item, receivedAt);
  }

  /** Whether it would be late after a message of its chat that was recorded before the first webhook that is read. */
  #mayBeLate({ item, rule }: JudgedItem, judgement: Judgement): boolean {
    const { before, after } = this.#change;
    if (judgement.rule !== RULE.usual || item.timestamp === null || item.chatId === null) return false;
    const isOpen = rule === RULE.replayed || (rule === RULE.usual && after.lateAfterSeconds < before.lateAfterSeconds);
    return isOpen && item.timestamp + after.lateAfterSeconds < this.#since / SECOND_MS;
  }

  /** As the ledger does it. */
  #remember(chat: string, { timestamp }: Item, receivedAt: number): void {
    if (timestamp === null) return;
    const sentAt = sentBefore(timestamp, receivedAt);
    if (sentAt > (this.#newest.get(chat)?.timestamp ?? -Infinity))
      this.#newest.set(chat, { timestamp: sentAt, receivedAt });
  }
}
