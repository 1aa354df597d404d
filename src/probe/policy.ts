import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../durations.js';
import { pauseAt } from '../backoff.js';
import type { ProbeFacts } from '../store/probes.js';

/** Pauses of a probe, in milliseconds. */
export interface ProbeIntervals {
  /** Between two looks for webhooks. */
  readonly lookMs: number;
  /** Pauses before the plain GETs after the call; the last one is repeated. */
  readonly getsMs: readonly number[];
  /** Before another try of a call that could not be made. */
  readonly againMs: number;
  /** Once the message is back, by webhook and by plain GET: how long another webhook may still come. */
  readonly quietMs: number;
}

export const PROBE_INTERVALS: ProbeIntervals = {
  lookMs: 2 * SECOND_MS,
  getsMs: [5 * SECOND_MS, 10 * SECOND_MS, 30 * SECOND_MS, MINUTE_MS, 2 * MINUTE_MS, 5 * MINUTE_MS],
  againMs: 10 * SECOND_MS,
  quietMs: 10 * MINUTE_MS,
};

/** How long a probe watches when a request does not say. */
export const DEFAULT_WATCH_SECONDS = (2 * HOUR_MS) / SECOND_MS;

export type ProbeMove =
  /** Make the plain GET before the resync. */
  | { readonly kind: 'read' }
  /** Register the id, and make the call with `resync=true`. */
  | { readonly kind: 'ask' }
  /** Make another plain GET. */
  | { readonly kind: 'get' }
  | { readonly kind: 'wait'; readonly until: number }
  | { readonly kind: 'finish' };

/** Outcomes after which Whapi brings nothing back: there is nothing to watch. */
const FUTILE: ReadonlySet<string> = new Set(['refused', 'busy', 'unreachable']);

/**
 * What a probe does next. It reads the message, resyncs it, and then watches: until the message is back by webhook and by
 * plain GET and no other webhook has come for a while, or until its time is over.
 */
export function nextMove(facts: ProbeFacts, now: number, intervals: ProbeIntervals): ProbeMove {
  const { before, call, watchUntil } = facts;
  if (call === null && watchUntil <= now) return { kind: 'finish' }; // its turn never came
  if (before === null) return { kind: 'read' };
  if (FUTILE.has(before.outcome) || before.outcome === 'timeout') return { kind: 'finish' };
  if (call === null) return { kind: 'ask' };
  const endsAt = endOf(facts, intervals);
  if (FUTILE.has(call.outcome) || endsAt <= now) return { kind: 'finish' };
  const getAt = nextGetAt(facts, intervals);
  if (getAt <= now) return { kind: 'get' };
  return { kind: 'wait', until: Math.min(now + intervals.lookMs, getAt, endsAt) };
}

function endOf({ watchUntil, foundAt, copies }: ProbeFacts, { quietMs }: ProbeIntervals): number {
  const newest = copies.at(-1)?.receivedAt;
  if (foundAt === null || newest === undefined) return watchUntil;
  return Math.min(watchUntil, Math.max(foundAt, newest) + quietMs);
}

function nextGetAt({ call, lastGet, gets, foundAt }: ProbeFacts, { getsMs }: ProbeIntervals): number {
  const last = lastGet ?? call;
  if (foundAt !== null || last === null) return Infinity;
  return last.at + (last.tookMs ?? 0) + pauseAt(getsMs, gets);
}

/** Whether a probe that is over could not do its work. */
export function hasFailed({ before, call }: ProbeFacts): boolean {
  return call === null || FUTILE.has(call.outcome) || before === null;
}
