import { expiryReason } from '../delivery/policy.js';
import {
  areAnswered,
  factsFor,
  isAnswer,
  leftOutAs,
  newestByChat,
  NO_CHAT_FACTS,
  supersedes,
} from '../intake/backlog.js';
import type { PolicyContent } from '../intake/backlog.js';
import type { Item } from '../intake/decode.js';
import { cutter, route, subscribes } from '../intake/route.js';
import type { JudgedItem, Route } from '../intake/route.js';
import { withMessage } from '../intake/timestamp.js';
import type { PreviewOutcome, Target, Verdict } from '../model.js';
import type { PastWebhook } from '../store/history.js';
import { Recent } from './recent.js';

/** Called once for each item of a webhook, at once or later. */
export type OnOutcome = (position: number, outcome: PreviewOutcome) => void;

/** A delivery that waits until `endsAt`: what comes into its chats by then decides about it. */
interface Open {
  readonly endsAt: number;
  readonly bytes: number;
  readonly items: readonly Item[];
  readonly content: PolicyContent;
  readonly channel: string;
  /** The chats in which no newer message waits yet, with the time of their newest message; null: not all items have one. */
  readonly waiting: Map<string, number> | null;
  readonly onOutcome: (outcome: PreviewOutcome) => void;
}

/** Deliveries that wait, and their bodies together: beyond that, those that end first are decided early. */
const MOST_OPEN = 20_000;
const MOST_OPEN_BYTES = 32 * 1024 * 1024;
/** Chats of which the newest answer is kept. */
const MOST_CHATS = 50_000;

/**
 * What becomes of recorded webhooks at one target under one set of its settings. A delivery is decided at the time at which
 * the recorded one ended, at `now` if that is still pending, or as it came if there was none.
 */
export class Side {
  readonly #target: Target;
  readonly #now: number;
  /** By the time of their end, ascending. */
  readonly #open: Open[] = [];
  readonly #openInChat = new Map<string, Set<Open>>();
  #openBytes = 0;
  /** By channel and chat: when the newest answer of the number itself was sent, Unix seconds. */
  readonly #answers = new Recent<number>(MOST_CHATS);

  constructor(target: Target, now: number) {
    this.#target = target;
    this.#now = now;
  }

  /** Webhooks have to come in the order in which they were recorded. */
  visit(webhook: PastWebhook, judged: readonly JudgedItem[], onOutcome: OnOutcome): void {
    const { document, channel, receivedAt } = webhook;
    this.#closeBefore(receivedAt);
    this.#noteAnswers(channel, document.items);
    if (!subscribes(this.#target, channel, document.event)) {
      for (const position of judged.keys()) onOutcome(position, 'not_subscribed');
      return;
    }
    const { mostParts } = cutter(document);
    const { routes, held } = route(judged, document.event, channel, [this.#target], mostParts);
    for (const position of held) onOutcome(position, 'held');
    for (const each of routes) this.#decide(each, webhook, judged, onOutcome);
  }

  /** Decides the deliveries that still wait after the last webhook. */
  finish(): void {
    this.#closeBefore(Infinity);
  }

  #decide({ positions }: Route, webhook: PastWebhook, judged: readonly JudgedItem[], onOutcome: OnOutcome): void {
    const { channel, document } = webhook;
    const sent = positions.flatMap((position) => judged[position] ?? []);
    const items = sent.map(({ item }) => item);
    const verdicts = sent.map(({ verdict }) => verdict);
    const content = { verdicts, newestMessageAt: items.reduce<number | null>(withMessage, null) };
    this.#follow(channel, items, verdicts);
    const endsAt = this.#endOf(positions, webhook);
    const report = (outcome: PreviewOutcome): void => {
      for (const position of positions) onOutcome(position, outcome);
    };
    if (expiryReason(content.newestMessageAt, this.#target.maxAgeSeconds, endsAt) !== null) {
      report('expired');
    } else if (factsFor(content, this.#target, endsAt) === null) {
      report(leftOutAs(content, this.#target, NO_CHAT_FACTS, endsAt) ?? 'sent');
    } else {
      const waiting = newestByChat(items);
      const bytes = document.body.length;
      this.#add({ endsAt, bytes, items, content, channel, waiting: waiting && new Map(waiting), onOutcome: report });
    }
  }

  /** When a delivery with these items would be decided. */
  #endOf([first = 0]: readonly number[], { receivedAt, deliveries }: PastWebhook): number {
    const recorded = deliveries.find(
      ({ targetId, positions }) => targetId === this.#target.id && (positions?.includes(first) ?? true),
    );
    return recorded ? (recorded.settledAt ?? this.#now) : receivedAt;
  }

  #noteAnswers(channel: string, items: readonly Item[]): void {
    if (!this.#target.skipAnswered) return;
    for (const item of items) {
      if (!isAnswer(item) || item.chatId === null || item.timestamp === null) continue;
      const chat = chatOf(channel, item.chatId);
      this.#answers.set(chat, Math.max(this.#answers.get(chat) ?? -Infinity, item.timestamp));
    }
  }

  /** A later delivery waits behind those that are open in its chats (I6). */
  #follow(channel: string, items: readonly Item[], verdicts: readonly Verdict[]): void {
    for (const chatId of new Set(items.map((item) => item.chatId))) {
      if (chatId === null) continue;
      for (const { waiting } of this.#openInChat.get(chatOf(channel, chatId)) ?? []) {
        const sentAt = waiting?.get(chatId);
        if (sentAt !== undefined && supersedes(items, verdicts, chatId, sentAt)) waiting?.delete(chatId);
      }
    }
  }

  #add(open: Open): void {
    const after = this.#open.findLastIndex(({ endsAt }) => endsAt <= open.endsAt);
    this.#open.splice(after + 1, 0, open);
    this.#openBytes += open.bytes;
    for (const chatId of open.waiting?.keys() ?? []) {
      const chat = chatOf(open.channel, chatId);
      const others = this.#openInChat.get(chat);
      if (others) others.add(open);
      else this.#openInChat.set(chat, new Set([open]));
    }
    while (this.#open.length > MOST_OPEN || this.#openBytes > MOST_OPEN_BYTES) this.#closeFirst();
  }

  #closeBefore(time: number): void {
    while ((this.#open[0]?.endsAt ?? Infinity) < time) this.#closeFirst();
  }

  #closeFirst(): void {
    const open = this.#open.shift();
    if (!open) return;
    const { items, content, channel, waiting, endsAt, bytes } = open;
    this.#openBytes -= bytes;
    for (const { chatId } of items) {
      const chat = chatOf(channel, chatId ?? '');
      const others = this.#openInChat.get(chat);
      others?.delete(open);
      if (others?.size === 0) this.#openInChat.delete(chat);
    }
    const isAnswered = areAnswered(items, (chatId) => this.#answers.get(chatOf(channel, chatId)) ?? null);
    const facts = { isAnswered, isFollowed: waiting?.size === 0 };
    open.onOutcome(leftOutAs(content, this.#target, facts, endsAt) ?? 'sent');
  }
}

function chatOf(channel: string, chatId: string): string {
  return `${channel} ${chatId}`;
}
