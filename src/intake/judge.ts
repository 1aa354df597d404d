import type { Judgement, Verdict } from '../model.js';
import type { Item } from './decode.js';

/** What the gateway remembers of the item under judgement. Read inside the recording transaction, and only when asked for. */
export interface Memory {
  /** Its message id is registered and a window is open. */
  readonly registered: boolean;
  /** Its message id is in the ledger. */
  readonly known: boolean;
  /** Its bytes (a live location's sequence number) were recorded before; of a repeatable item, within the last 2 hours. */
  readonly recorded: boolean;
  /** The newest message recorded in its chat: `timestamp` in Unix seconds, `receivedAt` in milliseconds. */
  readonly newestInChat: { readonly timestamp: number; readonly receivedAt: number } | null;
}

export interface Circumstances {
  /** When the webhook came, in milliseconds. */
  readonly receivedAt: number;
  /** The channel's `late_after_seconds`. */
  readonly lateAfterSeconds: number;
}

/** Whapi waits up to an hour between two tries (docs/whapi.md, Delivery): until then an older message may be just a retry. */
const LONGEST_RETRY_DELAY_MS = 60 * 60 * 1000;

interface Row {
  readonly rule: number;
  readonly verdict: Verdict;
  readonly when: (item: Item, memory: Memory, at: Circumstances) => boolean;
}

/** The decision table. The first row that applies gives the verdict, and its number is kept as the evidence. */
const TABLE: readonly Row[] = [
  // A vote comes under the id of its poll, each time with new tallies.
  { rule: 1, verdict: 'duplicate', when: (item, memory) => isVote(item) && memory.recorded },
  { rule: 2, verdict: 'event', when: (item) => isVote(item) },
  // What a resync brings back.
  { rule: 3, verdict: 'restored', when: (item, memory) => isPostOrPut(item) && memory.registered },
  // A live location keeps its id and counts its positions.
  { rule: 4, verdict: 'duplicate', when: (item, memory) => isLiveLocation(item) && memory.known && memory.recorded },
  { rule: 5, verdict: 'event', when: (item, memory) => isLiveLocation(item) && memory.known },
  // A put of a message that we know: the same again, or a revision.
  { rule: 6, verdict: 'duplicate', when: (item, memory) => isPut(item) && memory.known && memory.recorded },
  { rule: 7, verdict: 'event', when: (item, memory) => isPut(item) && memory.known },
  { rule: 8, verdict: 'duplicate', when: (item, memory) => isPost(item) && memory.known },
  // Never seen.
  {
    rule: 9,
    verdict: 'late',
    when: (item, memory, at) => isMessage(item) && !memory.known && isLate(item, memory, at),
  },
  { rule: 10, verdict: 'new', when: (item, memory) => isMessage(item) && !memory.known },
  // Side effects of a resync.
  { rule: 11, verdict: 'restored', when: (item, memory) => isUpdate(item) && !item.ownTrigger && memory.registered },
  { rule: 12, verdict: 'restored', when: (item, memory) => isChat(item) && memory.registered },
  // Whapi saw no 200 and sent it again.
  { rule: 13, verdict: 'duplicate', when: (item, memory) => item.repeatable && memory.recorded },
  { rule: 14, verdict: 'event', when: () => true },
];

/** The rules that write the id into the ledger; rule 8 refreshes the last sighting. */
const WRITES_LEDGER: ReadonlySet<number> = new Set([3, 8, 9, 10]);

export function judge(item: Item, memory: Memory, at: Circumstances): Judgement {
  const row = TABLE.find(({ when }) => when(item, memory, at));
  if (!row) throw new Error('The last row of the decision table applies to everything.');
  return { verdict: row.verdict, rule: row.rule };
}

export function writesLedger({ rule }: Judgement): boolean {
  return WRITES_LEDGER.has(rule);
}

const isMessage = (item: Item): boolean => item.kind === 'message';
const isUpdate = (item: Item): boolean => item.kind === 'update';
const isChat = (item: Item): boolean => item.kind === 'chat';
const isVote = (item: Item): boolean => isMessage(item) && item.type === 'poll_update';
const isLiveLocation = (item: Item): boolean => isMessage(item) && item.type === 'live_location';
const isPost = (item: Item): boolean => isMessage(item) && item.method === 'post';
const isPut = (item: Item): boolean => isMessage(item) && item.method === 'put';
const isPostOrPut = (item: Item): boolean => isPost(item) || isPut(item);

function isLate(item: Item, memory: Memory, at: Circumstances): boolean {
  if (item.timestamp === null) return false;
  const newest = memory.newestInChat;
  if (!newest) return false;
  return (
    newest.timestamp - item.timestamp > at.lateAfterSeconds &&
    at.receivedAt - newest.receivedAt > LONGEST_RETRY_DELAY_MS
  );
}
