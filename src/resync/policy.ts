import { jittered, pauseAt } from '../backoff.js';
import type { CallResult, NewPause, ResyncCall } from '../ledger/ledger.js';
import type { WhapiAnswer } from '../whapi/answers.js';
import { pauseFor, troubleIn } from '../whapi/pacing.js';
import type { Pacing, PauseMoment } from '../whapi/pacing.js';

/** Pauses and limits of resyncs, in milliseconds. */
export interface ResyncTiming extends Pacing {
  /** Well above the 15 s that the call takes (docs/whapi.md, Resync). */
  readonly callTimeoutMs: number;
  /** After an answer 200 the message should be there at once. */
  readonly proofMs: number;
  /** Pauses before the plain GETs that look whether the message is back; the last one is repeated. */
  readonly pollsMs: readonly number[];
  /**
   * After so many looks in vain the id is asked for again: Whapi may have asked a phone that was switched off, and says
   * so nowhere (docs/whapi.md, Health).
   */
  readonly askAgainAfterPolls: readonly number[];
  /** How long a registration stays open after Whapi refused the call. */
  readonly refusedWindowMs: number;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;

export const RESYNC_TIMING: ResyncTiming = {
  callTimeoutMs: 60 * SECOND,
  proofMs: 2 * SECOND,
  pollsMs: [0.5, 1, 2, 4, 8, 15, 30, 60].map((minutes) => minutes * MINUTE),
  askAgainAfterPolls: [8, 24], // one hour after the first call, ten hours after the second
  spacingMs: SECOND,
  healthEveryMs: 5 * MINUTE,
  checksMs: [0.25, 0.5, 1, 2, 5, 10, 15].map((minutes) => minutes * MINUTE),
  backoffMs: [5 * SECOND, 10 * SECOND, 20 * SECOND, 40 * SECOND, 80 * SECOND, 160 * SECOND, 300 * SECOND],
  refusedWindowMs: 15 * MINUTE,
};

const JITTER = 0.2;
/** An id for which a healthy Whapi fails so often, for longer than a window, is given up. */
const MOST_BUSY_CALLS = 10;

/** What a decision depends on besides the call and its answer. */
export interface CallMoment extends PauseMoment {
  readonly timing: ResyncTiming;
  /** How long Whapi took to answer. */
  readonly tookMs: number;
}

/**
 * What becomes of a registered message after a call to Whapi for it. In prose: queued → requesting → waiting, polled
 * until the plain GET answers 200 (restored) or the window closes (not restored); asked for again after some looks in
 * vain. A call that was refused for the message's sake fails it. One that Whapi was too busy for, or that it takes for
 * no message of the channel, is queued again, its window open without an end, and the channel pauses. The webhook,
 * whenever it comes, makes it restored from any of these (in the recording transaction).
 */
export function afterCall(call: ResyncCall, answer: WhapiAnswer, at: CallMoment): CallResult {
  return {
    ...(call.kind === 'resync' ? afterResync(call, answer, at) : afterPoll(call, answer, at)),
    tookMs: at.tookMs,
  };
}

function afterResync(call: ResyncCall, answer: WhapiAnswer, at: CallMoment): CallResult {
  const { timing, now } = at;
  const closesAt = now + call.windowSeconds * SECOND;
  switch (answer.kind) {
    case 'found':
      return { status: 'waiting', nextAt: now + timing.proofMs, closesAt };
    case 'missing':
    case 'timeout':
      return { status: 'waiting', nextAt: now + pollPause(0, at), closesAt };
    case 'refused': {
      const trouble = troubleIn(answer);
      if (trouble) return queuedAgain(now, answer.words, pauseFor(trouble, call.channel, at));
      // An earlier call may still bring the message back, whatever became of this one: then the window stays as long.
      const isFirst = call.made === 0;
      const refused = isFirst ? { refused: true, closesAt: now + timing.refusedWindowMs } : {};
      return { status: 'failed', nextAt: null, error: answer.words, ...refused };
    }
    case 'busy':
    case 'unreachable': {
      const isOld = now - call.registeredAt > call.windowSeconds * SECOND;
      if (isOld && call.made >= MOST_BUSY_CALLS) {
        return { status: 'failed', nextAt: null, closesAt, error: `Given up: ${answer.words}` };
      }
      const pause = pauseFor(answer, call.channel, at);
      return queuedAgain(pause.nextCheckAt, answer.words, pause); // behind the others: it may be this id that fails
    }
  }
}

function queuedAgain(nextAt: number, error: string, pause: NewPause): CallResult {
  return { status: 'queued', nextAt, closesAt: null, error, pause };
}

function afterPoll(call: ResyncCall, answer: WhapiAnswer, at: CallMoment): CallResult {
  const { timing, now } = at;
  const made = call.made + 1;
  if (answer.kind === 'found') return { status: 'restored', nextAt: null };
  const sinceAsked = made - Math.max(0, ...timing.askAgainAfterPolls.filter((polls) => polls < made));
  const nextAt = now + pollPause(sinceAsked, at);
  if (answer.kind === 'missing' && timing.askAgainAfterPolls.includes(made)) {
    return { status: 'queued', nextAt: now, closesAt: null };
  }
  const trouble = answer.kind === 'timeout' ? null : troubleIn(answer);
  if (!trouble) return { status: 'waiting', nextAt };
  const pause = pauseFor(trouble, call.channel, at);
  return { status: 'waiting', nextAt: Math.max(nextAt, pause.nextCheckAt), pause };
}

function pollPause(step: number, { timing, random }: CallMoment): number {
  return jittered(pauseAt(timing.pollsMs, step), JITTER, random);
}
