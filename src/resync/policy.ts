import { jittered, pauseAt } from '../backoff.js';
import type { WhapiAnswer } from '../whapi/answers.js';
import { pauseFor, troubleIn } from '../whapi/policy.js';
import type { CallIntervals, PauseMoment, TurnIntervals } from '../whapi/policy.js';
import { MINUTE_MS, SECOND_MS } from '../durations.js';
import type { NewPause } from '../store/calls.js';
import type { CallResult, ResyncCall } from '../store/resyncs.js';

/** Pauses and limits of resyncs, in milliseconds. */
export interface ResyncIntervals extends CallIntervals, TurnIntervals {
  /** Well above the 15 s that the call takes (docs/whapi.md, Resync). */
  readonly callTimeoutMs: number;
  /** After a 200, the message should be there at once. */
  readonly proofMs: number;
  /** Pauses before the polls (plain GETs) for a message; the last one is repeated. */
  readonly pollsMs: readonly number[];
  /**
   * After this many polls without success, Whapi is asked again: it may have asked a phone that was switched off, and
   * does not report that (docs/whapi.md, Health).
   */
  readonly askAgainAfterPolls: readonly number[];
  /** How long a registration stays open after Whapi refused the call. */
  readonly refusedWindowMs: number;
  /** An unsettled call (the gateway crashed, or the store was unavailable) is due again after its timeout plus this. */
  readonly callMarginMs: number;
}

export const RESYNC_INTERVALS: ResyncIntervals = {
  callTimeoutMs: 60 * SECOND_MS,
  proofMs: 2 * SECOND_MS,
  pollsMs: [0.5, 1, 2, 4, 8, 15, 30, 60].map((minutes) => minutes * MINUTE_MS),
  askAgainAfterPolls: [8, 24], // one hour after the first call, ten hours after the second
  spacingMs: SECOND_MS,
  healthEveryMs: 5 * MINUTE_MS,
  checksMs: [0.25, 0.5, 1, 2, 5, 10, 15].map((minutes) => minutes * MINUTE_MS),
  backoffMs: [
    5 * SECOND_MS,
    10 * SECOND_MS,
    20 * SECOND_MS,
    40 * SECOND_MS,
    80 * SECOND_MS,
    160 * SECOND_MS,
    300 * SECOND_MS,
  ],
  refusedWindowMs: 15 * MINUTE_MS,
  callMarginMs: MINUTE_MS,
  turnMarginMs: MINUTE_MS,
};

/** After this many failed calls, over longer than a window, an id is given up although Whapi is healthy. */
const MOST_FAILED_CALLS = 10;

/** What a decision depends on, besides the call and its answer. */
export interface CallMoment extends PauseMoment {
  readonly intervals: ResyncIntervals;
  /** How long Whapi took to answer. */
  readonly tookMs: number;
}

/**
 * The state of a registered message after a call to Whapi for it. The path is queued → requesting → waiting, polled
 * until the plain GET answers 200 (restored) or the window closes (not restored), and requested again after some polls
 * without success. A call that is refused because of the message fails the message. After a call that Whapi was too
 * busy for, or that it refused for the whole channel, the message is queued again with an open-ended window, and the
 * channel pauses. A webhook that carries the message makes it restored from any of these states (in the recording
 * transaction).
 */
export function afterCall(call: ResyncCall, answer: WhapiAnswer, at: CallMoment): CallResult {
  return {
    ...(call.kind === 'resync' ? afterResync(call, answer, at) : afterPoll(call, answer, at)),
    tookMs: at.tookMs,
    ...(answer.kind === 'found' && answer.message !== undefined && { shown: answer.message }),
  };
}

function afterResync(call: ResyncCall, answer: WhapiAnswer, at: CallMoment): CallResult {
  const { intervals, now } = at;
  const closesAt = now + call.windowSeconds * SECOND_MS;
  switch (answer.kind) {
    case 'found':
      return { status: 'waiting', nextAt: now + intervals.proofMs, closesAt };
    case 'missing':
    case 'timeout':
      return { status: 'waiting', nextAt: now + pollPause(0, at), closesAt };
    case 'refused': {
      const trouble = troubleIn(answer);
      if (trouble) return queuedAgain(now, answer.reason, pauseFor(trouble, call.channel, at));
      // An earlier call may still restore the message, so its window stays open.
      const isFirst = call.made === 0;
      const refused = isFirst ? { refused: true, closesAt: now + intervals.refusedWindowMs } : {};
      return { status: 'failed', nextAt: null, error: answer.reason, ...refused };
    }
    case 'busy':
    case 'unreachable': {
      const isOld = now - call.registeredAt > call.windowSeconds * SECOND_MS;
      if (isOld && call.made >= MOST_FAILED_CALLS) {
        return { status: 'failed', nextAt: null, closesAt, error: `Given up: ${answer.reason}` };
      }
      const pause = pauseFor(answer, call.channel, at);
      return queuedAgain(pause.nextCheckAt, answer.reason, pause); // behind the others: this id may be what fails
    }
  }
}

function queuedAgain(nextAt: number, error: string, pause: NewPause): CallResult {
  return { status: 'queued', nextAt, closesAt: null, error, pause };
}

function afterPoll(call: ResyncCall, answer: WhapiAnswer, at: CallMoment): CallResult {
  const { intervals, now } = at;
  const made = call.made + 1;
  if (answer.kind === 'found') return { status: 'restored', nextAt: null };
  const sinceAsked = made - Math.max(0, ...intervals.askAgainAfterPolls.filter((polls) => polls < made));
  const nextAt = now + pollPause(sinceAsked, at);
  if (answer.kind === 'missing' && intervals.askAgainAfterPolls.includes(made)) {
    return { status: 'queued', nextAt: now, closesAt: null };
  }
  const trouble = answer.kind === 'timeout' ? null : troubleIn(answer);
  if (!trouble) return { status: 'waiting', nextAt };
  const pause = pauseFor(trouble, call.channel, at);
  return { status: 'waiting', nextAt: Math.max(nextAt, pause.nextCheckAt), pause };
}

function pollPause(step: number, { intervals, random }: CallMoment): number {
  return jittered(pauseAt(intervals.pollsMs, step), random);
}
