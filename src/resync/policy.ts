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

/**
 * What becomes of a registered message after a call to Whapi for it. In prose: queued → requesting → waiting, polled
 * until the plain GET answers 200 (restored) or the window closes (not restored). A refused call fails the message; a
 * call that Whapi was too busy for is queued again, and gives up only when a whole window has passed since the
 * registration. The webhook, whenever it comes, makes it restored from any of these (in the recording transaction).
 */
export function afterCall(
  call: ResyncCall,
  answer: WhapiAnswer,
  timing: ResyncTiming,
  now: number,
  random: number,
): AfterCall {
  return call.kind === 'resync'
    ? afterResync(call, answer, timing, now, random)
    : afterPoll(call, answer, timing, now, random);
}

function afterResync(
  call: ResyncCall,
  answer: WhapiAnswer,
  timing: ResyncTiming,
  now: number,
  random: number,
): AfterCall {
  const closesAt = now + call.windowSeconds * SECOND;
  switch (answer.kind) {
    case 'found':
      return go({ status: 'waiting', nextAt: now + timing.proofMs, closesAt });
    case 'missing':
    case 'timeout':
      return go({ status: 'waiting', nextAt: now + jittered(pauseAt(timing.pollsMs, 0), JITTER, random), closesAt });
    case 'refused':
      return go({
        status: 'failed',
        nextAt: null,
        closesAt: now + timing.refusedWindowMs,
        refused: true,
        error: answer.words,
      });
    case 'busy':
    case 'unreachable': {
      if (now - call.registeredAt > call.windowSeconds * SECOND) {
        return go({ status: 'failed', nextAt: null, closesAt, error: `Given up: ${answer.words}` });
      }
      const pauseUntil = now + busyPauseMs(answer, call.made, timing, now, random);
      return { result: { status: 'queued', nextAt: pauseUntil, closesAt, error: answer.words }, pauseUntil };
    }
  }
}

function afterPoll(
  call: ResyncCall,
  answer: WhapiAnswer,
  timing: ResyncTiming,
  now: number,
  random: number,
): AfterCall {
  if (answer.kind === 'found') return go({ status: 'restored', nextAt: null });
  const nextAt = now + jittered(pauseAt(timing.pollsMs, call.made + 1), JITTER, random);
  if (answer.kind !== 'busy' && answer.kind !== 'unreachable') return go({ status: 'waiting', nextAt });
  const pauseUntil = now + busyPauseMs(answer, call.made, timing, now, random);
  return { result: { status: 'waiting', nextAt: Math.max(nextAt, pauseUntil) }, pauseUntil };
}

function busyPauseMs(
  answer: Extract<WhapiAnswer, { kind: 'busy' | 'unreachable' }>,
  made: number,
  timing: ResyncTiming,
  now: number,
  random: number,
): number {
  const asked = answer.kind === 'busy' ? retryAfterMs(answer.retryAfter, now) : 0;
  return Math.max(jittered(pauseAt(timing.backoffMs, made), JITTER, random), asked);
}

function go(result: CallResult): AfterCall {
  return { result, pauseUntil: null };
}
