import { PLACEHOLDER_TYPE } from '../model.js';
import type { Judgement, Verdict } from '../model.js';
import type { Item } from './decode.js';
import { HOUR_MS } from '../durations.js';

/** What the gateway remembers of the item under judgement. Read inside the recording transaction, and only when asked for. */
export interface Memory {
  /** Its message id is registered and a window is open. */
  readonly registered: boolean;
  /** Its message id is in the ledger. */
  readonly known: boolean;
  /** Its message id is known, but no post has carried it yet, and Whapi was not asked for it. */
  readonly unposted: boolean;
  /**
   * Its bytes (a live location's sequence number) were recorded before. Of a repeatable item: within the last 2 hours, and
   * nothing else about the same object since.
   */
  readonly recorded: boolean;
  /** The newest message recorded in its chat: `timestamp` in Unix seconds, `receivedAt` in milliseconds. */
  readonly newestInChat: { readonly timestamp: number; readonly receivedAt: number } | null;
}

export interface JudgingContext {
  /** When the webhook came, in milliseconds. */
  readonly receivedAt: number;
  /** The channel's `late_after_seconds`. */
  readonly lateAfterSeconds: number;
  /** No webhook brings it, but the release of an audit, which found that it never came: it is late, whatever its chat did. */
  readonly recovered?: boolean;
}

/** Whapi waits up to an hour between two tries (docs/whapi.md, Delivery): until then an older message may be just a retry. */
export const LONGEST_RETRY_DELAY_MS = HOUR_MS;

interface Row {
  readonly rule: number;
  readonly verdict: Verdict;
  readonly reason: string;
  readonly applies: (item: Item, memory: Memory, context: JudgingContext) => boolean;
}

/**
 * The decision table. The first row that applies gives the verdict. A row's number is its identity: it is stored as the
 * evidence and never given to another row, wherever the row stands.
 */
const TABLE: readonly Row[] = [
  // A vote comes under the id of its poll, each time with new tallies.
  {
    rule: 1,
    verdict: 'duplicate',
    reason: 'this very vote was recorded before',
    applies: (item, memory) => isVote(item) && memory.recorded,
  },
  {
    rule: 2,
    verdict: 'event',
    reason: 'a vote: it comes under the id of its poll',
    applies: (item) => isVote(item),
  },
  // What a resync brings back.
  {
    rule: 3,
    verdict: 'restored',
    reason: 'its id is registered: a resync is bringing it back',
    applies: (item, memory) => isMessage(item) && memory.registered,
  },
  // WhatsApp could not read the message yet. The message itself follows under the same id, and must not be a duplicate.
  {
    rule: 15,
    verdict: 'duplicate',
    reason: 'this very placeholder was recorded before',
    applies: (item, memory) => isPlaceholder(item) && !memory.known && memory.recorded,
  },
  {
    rule: 16,
    verdict: 'event',
    reason: 'a placeholder: WhatsApp could not read the message yet, and it follows under the same id',
    applies: (item, memory) => isPlaceholder(item) && !memory.known,
  },
  // A put overtook its post: a bot that takes posts only has not seen the message.
  {
    rule: 17,
    verdict: 'new',
    reason: 'only puts have carried it so far: this is its first post',
    applies: (item, memory) => isPost(item) && !isPlaceholder(item) && memory.unposted,
  },
  // A live location keeps its id and counts its positions.
  {
    rule: 4,
    verdict: 'duplicate',
    reason: 'this position of the live location was recorded before',
    applies: (item, memory) => isLiveLocation(item) && memory.known && memory.recorded,
  },
  {
    rule: 5,
    verdict: 'event',
    reason: 'another position of a live location',
    applies: (item, memory) => isLiveLocation(item) && memory.known,
  },
  // A put of a message that we know: the same again, or a revision.
  {
    rule: 6,
    verdict: 'duplicate',
    reason: 'this very revision of the message was recorded before',
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
  // Never seen.
  {
    rule: 9,
    verdict: 'late',
    reason: 'never seen before, and its chat has long moved on',
    applies: (item, memory, at) => isMessage(item) && !memory.known && isLate(item, memory, at),
  },
  {
    rule: 10,
    verdict: 'new',
    reason: 'never seen before',
    applies: (item, memory) => isMessage(item) && !memory.known,
  },
  // Side effects of a resync.
  {
    rule: 11,
    verdict: 'restored',
    reason: 'an update of a message that a resync is bringing back, with no cause of its own',
    applies: (item, memory) => isUpdate(item) && !item.ownTrigger && memory.registered,
  },
  {
    rule: 12,
    verdict: 'restored',
    reason: 'its last message became one that a resync is bringing back',
    applies: (item, memory) => isChat(item) && memory.registered,
  },
  // Whapi saw no 200 and sent it again.
  {
    rule: 13,
    verdict: 'duplicate',
    reason: 'these very bytes came within the last two hours, and nothing about the same object since',
    applies: (item, memory) => item.repeatable && memory.recorded,
  },
  {
    rule: 14,
    verdict: 'event',
    reason: 'nothing that repeats or brings back a message',
    applies: () => true,
  },
];

/** What the rule of a verdict says, in words for people. */
export function reasonOf(rule: number): string {
  return TABLE.find((row) => row.rule === rule)?.reason ?? 'by a rule of another version';
}

/** The rules that write the id into the ledger; rule 8 refreshes the last sighting. */
const WRITES_LEDGER: ReadonlySet<number> = new Set([3, 8, 9, 10, 17]);

export function judge(item: Item, memory: Memory, at: JudgingContext): Judgement {
  const row = TABLE.find(({ applies: when }) => when(item, memory, at));
  if (!row) throw new Error('The last row of the decision table applies to everything.');
  return { verdict: row.verdict, rule: row.rule };
}

/** Whether the item makes its id known, and proves a resync of it. A placeholder never does: the message is yet to come. */
export function writesLedger(item: Item, { rule }: Judgement): boolean {
  return WRITES_LEDGER.has(rule) && !isPlaceholder(item);
}

/** Whether a restored message goes to the bots all the same, where its registration asks for what they have not seen. */
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
/** It stands for a message that is yet to come under the same id. */
export const isPlaceholder = (item: Item): boolean => isMessage(item) && item.type === PLACEHOLDER_TYPE;

function isLate(item: Item, memory: Memory, at: JudgingContext): boolean {
  if (at.recovered === true) return true;
  if (item.timestamp === null) return false;
  const newest = memory.newestInChat;
  if (!newest) return false;
  return (
    newest.timestamp - item.timestamp > at.lateAfterSeconds &&
    at.receivedAt - newest.receivedAt > LONGEST_RETRY_DELAY_MS
  );
}
