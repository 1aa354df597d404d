import { jittered, pauseAt, retryAfterMs } from '../backoff.js';
import type { CallResult, ResyncCall } from '../ledger/ledger.js';
import type { WhapiAnswer } from '../whapi/client.js';

/** Pauses and limits of resyncs, in milliseconds. */
export interface ResyncTiming {
  /** Well above the 15 s that the call takes (docs/whapi.md, Resync). */
  readonly callTimeoutMs: number;
  /** After an answer 200 the message should be there at once. */
  readonly proofMs: number;
  /** Pauses before the plain GETs that look whether the message is back; the last one is repeated. */
  readonly pollsMs: readonly number[];
  /** Pauses after 429, 5xx and no connection; the last one is repeated. */
  readonly backoffMs: readonly number[];
  /** How long a registration stays open after Whapi refused the call. */
  readonly refusedWindowMs: number;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;

export const RESYNC_TIMING: ResyncTiming = {
  callTimeoutMs: 60 * SECOND,
  proofMs: 2 * SECOND,
  pollsMs: [0.5, 1, 2, 4, 8, 15, 30, 60].map((minutes) => minutes * MINUTE),
  backoffMs: [5 * SECOND, 10 * SECOND, 20 * SECOND, 40 * SECOND, 80 * SECOND, 160 * SECOND, 300 * SECOND],
  refusedWindowMs: 15 * MINUTE,
};

const JITTER = 0.2;

export interface AfterCall {
  readonly result: CallResult;
  /** No call is made for the channel before this moment; null: the next one at once. */
  readonly pauseUntil: number | null;
}

/** What a decision depends on besides the call and its answer. */
export interface CallMoment {
  readonly timing: ResyncTiming;
  readonly now: number;
  /** In [0, 1). */
  readonly random: number;
  /** Answers in a row, before this one, by which Whapi could not take the channel's calls. */
  readonly busyBefore: number;
}

type Busy = Extract<WhapiAnswer, { kind: 'busy' | 'unreachable' }>;

/**
 * What becomes of a registered message after a call to Whapi for it. In prose: queued → requesting → waiting, polled
 * until the plain GET answers 200 (restored) or the window closes (not restored). A refused call fails the message; a
 * call that Whapi was too busy for is queued again, and gives up only when a whole window has passed since the
 * registration. The webhook, whenever it comes, makes it restored from any of these (in the recording transaction).
 */
export function afterCall(call: ResyncCall, answer: WhapiAnswer, at: CallMoment): AfterCall {
  return call.kind === 'resync' ? afterResync(call, answer, at) : afterPoll(call, answer, at);
}

function afterResync(call: ResyncCall, answer: WhapiAnswer, at: CallMoment): AfterCall {
  const { timing, now } = at;
  const closesAt = now + call.windowSeconds * SECOND;
  switch (answer.kind) {
    case 'found':
      return go({ status: 'waiting', nextAt: now + timing.proofMs, closesAt });
    case 'missing':
    case 'timeout':
      return go({ status: 'waiting', nextAt: now + pause(timing.pollsMs, 0, at), closesAt });
    case 'refused': {
      // An earlier call may still bring the message back, whatever became of this one: then the window stays as long.
      const isFirst = call.made === 0;
      const refused = isFirst ? { refused: true, closesAt: now + timing.refusedWindowMs } : {};
      return go({ status: 'failed', nextAt: null, error: answer.words, ...refused });
    }
    case 'busy':
    case 'unreachable': {
      if (now - call.registeredAt > call.windowSeconds * SECOND) {
        return go({ status: 'failed', nextAt: null, closesAt, error: `Given up: ${answer.words}` });
      }
      const pauseUntil = now + busyPauseMs(answer, at);
      return { result: { status: 'queued', nextAt: pauseUntil, closesAt, error: answer.words }, pauseUntil };
    }
  }
}

function afterPoll(call: ResyncCall, answer: WhapiAnswer, at: CallMoment): AfterCall {
  if (answer.kind === 'found') return go({ status: 'restored', nextAt: null });
  const nextAt = at.now + pause(at.timing.pollsMs, call.made + 1, at);
  if (answer.kind !== 'busy' && answer.kind !== 'unreachable') return go({ status: 'waiting', nextAt });
  const pauseUntil = at.now + busyPauseMs(answer, at);
  return { result: { status: 'waiting', nextAt: Math.max(nextAt, pauseUntil) }, pauseUntil };
}

function busyPauseMs(answer: Busy, at: CallMoment): number {
  const asked = answer.kind === 'busy' ? retryAfterMs(answer.retryAfter, at.now) : 0;
  return Math.max(pause(at.timing.backoffMs, at.busyBefore, at), asked);
}

function pause(pausesMs: readonly number[], step: number, { random }: CallMoment): number {
  return jittered(pauseAt(pausesMs, step), JITTER, random);
}

function go(result: CallResult): AfterCall {
  return { result, pauseUntil: null };
}
