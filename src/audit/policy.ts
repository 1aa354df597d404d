import { jittered, pauseAt, retryAfterMs } from '../backoff.js';
import type { ListedMessage } from '../model.js';
import type { ListAnswer, ListQuery } from '../whapi/client.js';
import type { MessagesPage } from '../whapi/messages-page.js';
import type { AuditRun, AuditWalk } from '../store/audits.js';

/**
 * How Whapi's list is read completely while messages keep arriving. An offset into a list that grows at its head skips
 * and repeats elements. So the list is read in closed time windows, oldest first, each short enough to fit into one
 * answer: one answer is consistent in itself. A window that is too full is shortened, an emptier one makes the next one
 * longer.
 *
 * Offsets are used only if a single second holds more messages than an answer. Then every page must report the same
 * total, and all pages together must hold that many messages, or the window is read again. Windows overlap by a second
 * on both sides, because it is not documented whether Whapi includes the ends; each message belongs to the one window
 * that its own time falls into.
 *
 * Messages that arrived late in the part already read (a phone was offline) show in the total of the whole range: then
 * the range is read again, three times at most. A seeding is read once: what arrives meanwhile comes with a webhook.
 */

/** Pauses and limits of audits, in milliseconds. */
export interface AuditIntervals {
  readonly callTimeoutMs: number;
  /** Pauses after 429, 5xx, an unusable answer and a failed connection; the last one is repeated. */
  readonly backoffMs: readonly number[];
}

export const AUDIT_INTERVALS: AuditIntervals = {
  callTimeoutMs: 60_000,
  backoffMs: [5000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000],
};

/** The most that Whapi returns at once (docs/whapi.md, Reading messages). */
const MOST_PER_CALL = 500;
/** The intended share of an answer that a window fills. */
const TARGET_FILL = 0.7;
const MOST_GROWTH = 8;
const MOST_ROUNDS = 3;
const MOST_REREADINGS = 3;

/** The pages of one window read so far. Lost in a crash: the window is then read again. */
export interface WindowReading {
  readonly found: ReadonlyMap<string, ListedMessage>;
  readonly offset: number;
  readonly total: number | null;
  /** How often the window was started over because its pages did not match. */
  readonly rereadings: number;
}

export const NOTHING_READ: WindowReading = { found: new Map(), offset: 0, total: null, rereadings: 0 };

type AuditRange = Pick<AuditRun, 'kind' | 'since' | 'until'>;

export interface WalkStep {
  readonly walk: AuditWalk;
  /** Set while the window has more pages; null when it is done or starts over with another length. */
  readonly reading: WindowReading | null;
  /** The messages of the window that was just completed, oldest first. */
  readonly messages: readonly ListedMessage[];
  readonly isOver: boolean;
}

export function startWalk({ since, until }: AuditRange): AuditWalk {
  return {
    stage: 'measure',
    from: since,
    widthSeconds: until - since + 1,
    count: MOST_PER_CALL,
    total: null,
    totalsAreOff: false,
    round: 1,
    unsettled: false,
  };
}

export function queryFor({ since, until }: AuditRange, walk: AuditWalk, { offset }: WindowReading): ListQuery {
  if (walk.stage !== 'read') return { timeFrom: since, timeTo: until, count: 1, offset: 0 };
  return { timeFrom: Math.max(0, walk.from - 1), timeTo: windowEnd(until, walk), count: walk.count, offset };
}

/** The next step of the walk after a page. */
export function afterPage(span: AuditRange, walk: AuditWalk, reading: WindowReading, page: MessagesPage): WalkStep {
  switch (walk.stage) {
    case 'measure':
      return continueWith(startRound(span, walk, page.total));
    case 'verify':
      return afterVerifying(span, walk, page.total);
    case 'read':
      return afterReading(span, walk, reading, page);
  }
}

/** The next step after an answer that was too large to read; null if the page cannot get smaller. */
export function withSmallerPage(walk: AuditWalk): WalkStep | null {
  return walk.count > 1 ? continueWith({ ...walk, count: Math.floor(walk.count / 2) }) : null;
}

type Failure = Exclude<ListAnswer, { kind: 'found' | 'too_large' }>;

export interface FailureContext {
  readonly intervals: AuditIntervals;
  readonly now: number;
  /** In [0, 1). */
  readonly random: number;
  /** Consecutive failures before this one. */
  readonly failedBefore: number;
}

/** Why and until when the walk waits; `until` is null if Whapi refuses, so that waiting does not help. */
export function afterFailure(answer: Failure, at: FailureContext): { reason: string; until: number | null } {
  if (answer.kind === 'refused') return { reason: answer.reason, until: null };
  const retryAfter = answer.kind === 'busy' ? retryAfterMs(answer.retryAfter, at.now) : 0;
  const pauseMs = jittered(pauseAt(at.intervals.backoffMs, at.failedBefore), at.random);
  const reason = answer.kind === 'timeout' ? 'Whapi did not answer in time' : answer.reason;
  return { reason, until: at.now + Math.max(pauseMs, retryAfter) };
}

function startRound({ since, until }: AuditRange, walk: AuditWalk, total: number | null): AuditWalk {
  const range = until - since + 1;
  const part = total ? (TARGET_FILL * walk.count) / total : 1;
  const widthSeconds = Math.max(1, Math.min(range, Math.floor(range * part)));
  return { ...walk, stage: 'read', from: since, widthSeconds, total };
}

function afterVerifying(span: AuditRange, walk: AuditWalk, total: number | null): WalkStep {
  const hasChanged = !walk.totalsAreOff && total !== walk.total;
  if (!hasChanged) return { ...continueWith(walk), isOver: true };
  if (walk.round >= MOST_ROUNDS) return { ...continueWith({ ...walk, unsettled: true }), isOver: true };
  return continueWith(startRound(span, { ...walk, round: walk.round + 1 }, total));
}

function afterReading(span: AuditRange, walk: AuditWalk, before: WindowReading, page: MessagesPage): WalkStep {
  const found = new Map([...before.found, ...page.messages.map((message) => [message.id, message] as const)]);
  const offset = before.offset + page.length;
  const total = walk.totalsAreOff ? null : page.total;
  const mayReread = before.rereadings < MOST_REREADINGS;
  if (before.offset > 0 && total !== before.total && mayReread) return readAgain(walk, before);
  const isAll = page.length === 0 || (total === null ? page.length < walk.count : offset >= total);
  if (!isAll) {
    const isTooFull = before.offset === 0 && page.length >= walk.count && walk.widthSeconds > 1;
    if (isTooFull) return continueWith(shortened(walk, total));
    return { ...continueWith(walk), reading: { ...before, found, offset, total } };
  }
  // An empty page although there should be more: Whapi's total counts something other than what the query matches.
  const totalsAreOff = walk.totalsAreOff || (total !== null && offset < total);
  if (before.offset > 0 && !totalsAreOff && total !== null && found.size !== total && mayReread) {
    return readAgain(walk, before);
  }
  return windowRead(span, { ...walk, totalsAreOff }, found);
}

function windowRead({ kind, until }: AuditRange, walk: AuditWalk, found: ReadonlyMap<string, ListedMessage>): WalkStep {
  const end = windowEnd(until, walk);
  const messages = [...found.values()]
    .filter(({ timestamp }) => timestamp >= walk.from && timestamp < end)
    .reverse() // keeps the order of arrival within one second
    .sort((a, b) => a.timestamp - b.timestamp);
  const isReadOut = end > until;
  const width = end - walk.from;
  const ideal = messages.length > 0 ? (width * TARGET_FILL * walk.count) / messages.length : Infinity;
  const next: AuditWalk = {
    ...walk,
    stage: isReadOut ? 'verify' : 'read',
    from: end,
    widthSeconds: Math.max(1, Math.floor(Math.min(ideal, width * MOST_GROWTH))),
    count: Math.min(MOST_PER_CALL, walk.count * 2),
  };
  return { ...continueWith(next), messages, isOver: isReadOut && kind === 'seed' };
}

function shortened(walk: AuditWalk, total: number | null): AuditWalk {
  const part = total === null ? 0.25 : Math.min(0.5, (TARGET_FILL * walk.count) / total);
  return { ...walk, widthSeconds: Math.max(1, Math.floor(walk.widthSeconds * part)) };
}

function readAgain(walk: AuditWalk, { rereadings }: WindowReading): WalkStep {
  return { ...continueWith(walk), reading: { ...NOTHING_READ, rereadings: rereadings + 1 } };
}

function continueWith(walk: AuditWalk): WalkStep {
  return { walk, reading: null, messages: [], isOver: false };
}

/** The first second after the window. */
function windowEnd(until: number, { from, widthSeconds }: AuditWalk): number {
  return Math.min(from + widthSeconds, until + 1);
}
