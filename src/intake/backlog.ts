import { SECOND_MS } from '../durations.js';
import type { LeftOutStatus, Target, Verdict } from '../model.js';
import type { ChatFacts, WantedFacts } from '../store/outbox.js';
import type { Item } from './decode.js';

/** The properties of a delivery that its target's policies depend on. */
export interface PolicyContent {
  /** One per item. */
  readonly verdicts: readonly Verdict[];
  /** Unix seconds of its newest message; null: it contains none, or is sent however old it is. */
  readonly newestMessageAt: number | null;
}

/** The facts that leave no delivery out: none was wanted, or they could not be read. Where in doubt, a message is sent. */
export const NO_CHAT_FACTS: ChatFacts = { isAnswered: false, isFollowed: false };

/** A larger body is always sent: leaving it out would hold up everything else while its items are held. */
const MOST_ITEMS = 2000;
/** Types of messages that the number itself sends and that answer nothing: edits, reactions, notices, calls. */
const NO_ANSWERS: ReadonlySet<string> = new Set(['action', 'system', 'call', 'pin']);

/**
 * Whether a delivery carries nothing but messages, so that policies may leave it out. Where one of its items is an `event`,
 * such as an edit, it is sent: that has just happened, however old its message is.
 */
export function isOfMessages({ verdicts, newestMessageAt }: PolicyContent): boolean {
  return newestMessageAt !== null && verdicts.length <= MOST_ITEMS && !verdicts.includes('event');
}

/** Whether a delivery is backlog: all of its messages are late, or its newest one is older than the target allows. */
export function isBacklog(
  content: PolicyContent,
  { backlogAfterSeconds }: Pick<Target, 'backlogAfterSeconds'>,
  now: number,
): boolean {
  if (content.newestMessageAt === null || !isOfMessages(content)) return false;
  return isOlderThan(content.newestMessageAt, backlogAfterSeconds, now) || isLate(content);
}

/** Whether a message that was sent then (Unix seconds) is older than this. */
export function isOlderThan(sentAt: number, seconds: number, now: number): boolean {
  return now / SECOND_MS - sentAt > seconds;
}

/** Whether a delivery waits for its turn at the target's `backlog_rate_per_minute`. */
export function isPaced(content: PolicyContent, target: Target, now: number): boolean {
  return target.backlogRatePerMinute !== null && target.backlogPolicy !== 'hold' && isBacklog(content, target, now);
}

/** The facts of its chats that decide whether a delivery is sent; null: none of them does. */
export function factsFor(content: PolicyContent, target: Target, now: number): WantedFacts | null {
  const answered = target.skipAnswered && isOfMessages(content);
  const followed = target.backlogPolicy === 'newest_per_chat' && isBacklog(content, target, now);
  return answered || followed ? { answered, followed } : null;
}

/** How a delivery ends that its target's settings leave out; null: it is sent. Facts that were not read are false. */
export function leftOutAs(
  content: PolicyContent,
  target: Target,
  { isAnswered, isFollowed }: ChatFacts,
  now: number,
): LeftOutStatus | null {
  if (!isOfMessages(content)) return null;
  if (target.skipAnswered && isAnswered) return 'answered';
  if (target.backlogPolicy === 'all' || !isBacklog(content, target, now)) return null;
  if (target.backlogPolicy === 'hold') return 'withheld';
  return isFollowed ? 'superseded' : null;
}

function isLate({ verdicts }: PolicyContent): boolean {
  return verdicts.every((verdict) => verdict === 'late');
}

/** Whether a message that the number itself sent answers its chat. */
export function isAnswer({ kind, type, fromMe }: Pick<Item, 'kind' | 'type' | 'fromMe'>): boolean {
  return kind === 'message' && fromMe && !NO_ANSWERS.has(type ?? '');
}

/**
 * Whether each of these items is a message to which its chat has a newer answer.
 * @param answeredAt when the newest answer of a chat was sent, Unix seconds; null: it has none
 */
export function areAnswered(items: readonly Item[], answeredAt: (chatId: string) => number | null): boolean {
  return items.every(({ kind, fromMe, chatId, timestamp }) => {
    if (kind !== 'message' || fromMe || chatId === null || timestamp === null) return false;
    return (answeredAt(chatId) ?? -Infinity) > timestamp;
  });
}

/** The newest message of each chat, Unix seconds; null: an item is no message with a chat and a time. */
export function newestByChat(items: readonly Item[]): ReadonlyMap<string, number> | null {
  const newest = new Map<string, number>();
  for (const { kind, chatId, timestamp } of items) {
    if (kind !== 'message' || chatId === null || timestamp === null) return null;
    newest.set(chatId, Math.max(newest.get(chatId) ?? -Infinity, timestamp));
  }
  return newest;
}

/**
 * Whether items that are sent later in a chat contain a message that makes those up to `sentAt` (Unix seconds) superfluous.
 * What the number itself sent does not: it asks nothing of a bot.
 * @param verdicts one per item
 */
export function supersedes(
  items: readonly Item[],
  verdicts: readonly Verdict[],
  chatId: string,
  sentAt: number,
): boolean {
  return items.some(
    (item, position) =>
      item.kind === 'message' &&
      !item.fromMe &&
      item.chatId === chatId &&
      (item.timestamp ?? -Infinity) >= sentAt &&
      verdicts[position] !== 'event',
  );
}
