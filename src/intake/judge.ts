import { PLACEHOLDER_TYPE } from '../model.js';
import type { Judgement, Verdict } from '../model.js';
import type { Item } from './decode.js';
import { HOUR_MS } from '../durations.js';

/** What the gateway remembers about an item. Read lazily inside the recording transaction. */
export interface Memory {
  /** Its message id is registered and the window is open. */
  readonly registered: boolean;
  /** Its message id is in the ledger. */
  readonly known: boolean;
  /** Its message id is known, but no post has carried it yet and Whapi was not asked for it. */
  readonly unposted: boolean;
  /**
   * It has the content, chat or sender, and time of a registered message that Whapi has found again, but another id. That
   * message has not come under its own id or a third one, and this id was not known before.
   */
  readonly resembles: boolean;
  /** It belongs to an unrequested replay, and its channel holds those (`on_replay`). */
  readonly replayed: boolean;
  /**
   * These exact bytes (for a live location: this `sequence_number`) were recorded before. For a repeatable item: within
   * the last 2 hours, and nothing else about the same object since.
   */
  readonly recorded: boolean;
  /** The newest message recorded in its chat: `timestamp` in Unix seconds, `receivedAt` in milliseconds. */
  readonly newestInChat: { readonly timestamp: number; readonly receivedAt: number } | null;
}

export interface JudgingContext {
  /** When the webhook was received, in milliseconds. */
  readonly receivedAt: number;
  /** The channel's `late_after_seconds`. */
  readonly lateAfterSeconds: number;
  /**
   * The item comes from the release of an audit and not from a webhook: it is late, however far its chat has moved on.
   */
  readonly recovered?: boolean;
}

/**
 * Whapi's longest delay between two retries (docs/whapi.md, Delivery). Until then, an older message may be just a
 * retry.
 */
export const LONGEST_RETRY_DELAY_MS = HOUR_MS;

interface Row {
  readonly rule: number;
  readonly verdict: Verdict;
  readonly reason: string;
  readonly applies: (item: Item, memory: Memory, context: JudgingContext) => boolean;
}

/**
 * The decision table, row by row: the first row that applies gives the verdict. A row's number is its identity, not its
 * place: it is stored as evidence and never reused.
 */
const TABLE: readonly Row[] = [
  // Votes. Each one reuses the id of its poll, with new tallies.
  {
    rule: 1,
    verdict: 'duplicate',
    reason: 'this exact vote was recorded before',
    applies: (item, memory) => isVote(item) && memory.recorded,
  },
  {
    rule: 2,
    verdict: 'event',
    reason: 'a vote: it reuses the id of its poll',
    applies: (item) => isVote(item),
  },
  // Any other message that a resync is bringing back, whatever the event's method.
  {
    rule: 3,
    verdict: 'restored',
    reason: 'its id is registered: a resync is bringing it back',
    applies: (item, memory) => isMessage(item) && memory.registered,
  },
  // The same, should Whapi bring it back under another id.
  {
    rule: 18,
    verdict: 'restored',
    reason: 'under another id, it has the content, sender and time of a registered message',
    applies: (item, memory) => isMessage(item) && memory.resembles,
  },
  // Placeholders: WhatsApp could not read the message yet. It follows under the same id and must not become a
  // duplicate.
  {
    rule: 15,
    verdict: 'duplicate',
    reason: 'this exact placeholder was recorded before',
    applies: (item, memory) => isPlaceholder(item) && !memory.known && memory.recorded,
  },
  {
    rule: 16,
    verdict: 'event',
    reason: 'a placeholder: WhatsApp could not read the message yet; it follows under the same id',
    applies: (item, memory) => isPlaceholder(item) && !memory.known,
  },
  // A post that a put overtook: a bot that takes only posts has not seen the message. Before row 4, so for live
  // locations as well.
  {
    rule: 17,
    verdict: 'new',
    reason: 'only puts have carried it so far: this is its first post',
    applies: (item, memory) => isPost(item) && !isPlaceholder(item) && memory.unposted,
  },
  // Live locations. All positions share one id and are numbered.
  {
    rule: 4,
    verdict: 'duplicate',
    reason: 'this position of the live location was recorded before',
    applies: (item, memory) => isLiveLocation(item) && memory.known && memory.recorded,
  },
  {
    rule: 5,
    verdict: 'event',
    reason: 'a new position of a live location',
    applies: (item, memory) => isLiveLocation(item) && memory.known,
  },
  // Puts of known messages: a repeat or a revision.
  {
    rule: 6,
    verdict: 'duplicate',
    reason: 'this exact revision of the message was recorded before',
    applies: (item, memory) => isPut(item) && memory.known && memory.recorded,
  },
  {
    rule: 7,
    verdict: 'event',
    reason: 'a revision of a message seen before',
    applies: (item, memory) => isPut(item) && memory.known,
  },
  {
    rule: 8,
    verdict: 'duplicate',
    reason: 'its id was seen before',
    applies: (item, memory) => isPost(item) && memory.known,
  },
  // Many unrequested old messages within a minute, never seen before.
  {
    rule: 19,
    verdict: 'restored',
    reason: 'one of many old messages that came together without a request (on_replay)',
    applies: (item, memory) => isMessage(item) && !memory.known && memory.replayed,
  },
  // Messages never seen before.
  {
    rule: 9,
    verdict: 'late',
    reason: 'never seen before, and sent long before the newest message of its chat',
    applies: (item, memory, context) => isMessage(item) && !memory.known && isLate(item, memory, context),
  },
  {
    rule: 10,
    verdict: 'new',
    reason: 'never seen before',
    applies: (item, memory) => isMessage(item) && !memory.known,
  },
  // Side effects of a resync: an update or a chat changes because a message came back.
  {
    rule: 11,
    verdict: 'restored',
    reason: 'an update of a message that a resync is bringing back, without a cause of its own',
    applies: (item, memory) => isUpdate(item) && !item.ownTrigger && memory.registered,
  },
  {
    rule: 12,
    verdict: 'restored',
    reason: 'its last message is now one that a resync is bringing back',
    applies: (item, memory) => isChat(item) && memory.registered,
  },
  // Retries of other events: Whapi got no 200 and sent the webhook again.
  {
    rule: 13,
    verdict: 'duplicate',
    reason: 'these exact bytes were recorded within the last two hours, and nothing else about the same object since',
    applies: (item, memory) => item.repeatable && memory.recorded,
  },
  {
    rule: 14,
    verdict: 'event',
    reason: 'neither a repeat nor part of a resync',
    applies: () => true,
  },
];

/** Why a row gives its verdict, for people. */
export function reasonOf(rule: number): string {
  return TABLE.find((row) => row.rule === rule)?.reason ?? 'judged by a rule of another version';
}

/** The verdict that a row gives; null: no row of this version. */
export function verdictOf(rule: number): Verdict | null {
  return TABLE.find((row) => row.rule === rule)?.verdict ?? null;
}

/** The rows that the rest of the program asks for by name. */
export const RULE = {
  registered: 3,
  late: 9,
  /** Most messages: never seen before, so the verdict rests on nothing recorded. */
  usual: 10,
  repeatedEvent: 13,
  unposted: 17,
  anotherId: 18,
  replayed: 19,
} as const;

/** The rows that write the id into the ledger; row 8 refreshes the last sighting. */
const WRITES_LEDGER: ReadonlySet<number> = new Set([3, 8, 9, 10, 17, 18, 19]);

/** Rows for messages that were never seen before and that no resync asked for: those that can be part of a replay. */
const NEVER_SEEN: ReadonlySet<number> = new Set([RULE.late, RULE.usual, RULE.replayed]);

export function isNeverSeen({ rule }: Judgement): boolean {
  return NEVER_SEEN.has(rule);
}

export function judge(item: Item, memory: Memory, context: JudgingContext): Judgement {
  const row = TABLE.find(({ applies }) => applies(item, memory, context));
  if (!row) throw new Error('The last row of the decision table applies to everything.');
  return { verdict: row.verdict, rule: row.rule };
}

/** Whether the item makes its id known and proves its resync. A placeholder does not: its message is still to come. */
export function writesLedger(item: Item, { rule }: Judgement): boolean {
  return WRITES_LEDGER.has(rule) && !isPlaceholder(item);
}

/** Whether a restored message is one that bots have not seen, for registrations with `deliver_unseen`. */
export function isUnseen(item: Item, memory: Pick<Memory, 'unposted'> & { readonly seen: boolean }): boolean {
  if (isPlaceholder(item)) return false;
  return !memory.seen || (isPost(item) && memory.unposted);
}

const isMessage = (item: Item): boolean => item.kind === 'message';
const isUpdate = (item: Item): boolean => item.kind === 'update';
const isChat = (item: Item): boolean => item.kind === 'chat';
const isVote = (item: Item): boolean => isMessage(item) && item.type === 'poll_update';
const isLiveLocation = (item: Item): boolean => isMessage(item) && item.type === 'live_location';
const isPost = (item: Item): boolean => isMessage(item) && item.method === 'post';
const isPut = (item: Item): boolean => isMessage(item) && item.method === 'put';
/** A stub for a message that is still to come under the same id. */
export const isPlaceholder = (item: Item): boolean => isMessage(item) && item.type === PLACEHOLDER_TYPE;

function isLate(item: Item, memory: Memory, context: JudgingContext): boolean {
  if (context.recovered === true) return true;
  if (item.timestamp === null) return false;
  const newest = memory.newestInChat;
  if (!newest) return false;
  return (
    newest.timestamp - item.timestamp > context.lateAfterSeconds &&
    context.receivedAt - newest.receivedAt > LONGEST_RETRY_DELAY_MS
  );
}
