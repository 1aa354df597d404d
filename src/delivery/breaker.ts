import { jittered, pauseAt } from '../backoff.js';
import type { Breaker } from '../model.js';
import { isNoHandler } from './policy.js';
import type { DeliveryContent, AttemptOutcome } from './policy.js';
import { MINUTE_MS, SECOND_MS } from '../durations.js';

/**
 * The circuit breaker of a target, as pure transitions. It keeps a target that is in trouble from burning the attempts of
 * everything that waits for it:
 *
 * - closed: deliveries go out. So many consecutive attempts that met trouble open it.
 * - open: deliveries wait as they are, and cost no attempt. After a pause, the next one that is due goes out as a probe.
 * - half open: the probe is under way, and nothing else goes out. An answer closes it; trouble opens it for longer.
 * - closed again: at first one request at a time, one more with each that is answered, until the target has its whole
 *   concurrency. Trouble on the way halves that.
 *
 * A probe is an attempt of its delivery like any other: it counts, and what failed is due by its schedule. So the next
 * probe takes another delivery, the one that is then due first, and no single one is tried until it is dead while others
 * wait. (Probes that cost no attempt would let one poisonous delivery keep the breaker open for good.)
 */
export interface BreakerIntervals {
  /** Consecutive attempts that open it. */
  readonly failures: number;
  /** Before the first, second … probe in a row; the last one is repeated. */
  readonly pausesMs: readonly number[];
}

export const BREAKER_INTERVALS: BreakerIntervals = {
  failures: 5,
  pausesMs: [5 * SECOND_MS, 15 * SECOND_MS, 30 * SECOND_MS, MINUTE_MS, 2 * MINUTE_MS, 5 * MINUTE_MS],
};

/** Of a target that is well. */
export const CLOSED: Breaker = {
  state: 'closed',
  consecutiveFailures: 0,
  timesOpened: 0,
  openedAt: null,
  nextProbeAt: null,
  ramp: null,
};

/** What an attempt says of the target's health. */
export interface HealthSignal {
  readonly isTargetFailure: boolean;
  /** It was the probe. */
  readonly isProbe: boolean;
  /** Milliseconds that the target asked to be left alone (Retry-After). */
  readonly askedMs: number;
}

/**
 * Whether an outcome speaks of the target rather than of one delivery: no answer, 5xx, 429 and 408 do. Any other answer,
 * a 400 or 422 as well, shows that a bot reads what comes. So does a 501 to an event that is not a message, and the
 * 508 of a gateway that refuses its own webhook.
 */
export function isTargetFailure(outcome: AttemptOutcome, content: DeliveryContent): boolean {
  if (outcome.kind === 'failed') return true;
  if (outcome.isLoop || isNoHandler(outcome, content)) return false;
  return outcome.status >= 500 || outcome.status === 429 || outcome.status === 408;
}

/** How many more deliveries may go out now, besides the `underWay` ones. */
export function freeSlots(breaker: Breaker, concurrency: number, underWay: number, now: number): number {
  switch (breaker.state) {
    case 'closed':
      return Math.max(0, Math.min(concurrency, breaker.ramp ?? concurrency) - underWay);
    case 'open':
      return now >= (breaker.nextProbeAt ?? 0) ? 1 : 0;
    case 'half_open':
      return 0;
  }
}

/** A delivery goes out: of an open breaker whose pause is over that is the probe. (Before, it was claimed just in time.) */
export function afterStart(breaker: Breaker, now: number): Breaker {
  const isProbe = breaker.state === 'open' && now >= (breaker.nextProbeAt ?? 0);
  return isProbe ? { ...breaker, state: 'half_open' } : breaker;
}

/** The probe came to nothing: it was too old to be sent, or was broken off. The next one may go at once. */
export function afterAbortedProbe(breaker: Breaker): Breaker {
  return breaker.state === 'half_open' ? { ...breaker, state: 'open' } : breaker;
}

export function afterSignal(
  breaker: Breaker,
  sign: HealthSignal,
  concurrency: number,
  intervals: BreakerIntervals,
  now: number,
  random: number,
): Breaker {
  if (!sign.isTargetFailure) return afterAnswer(breaker, concurrency);
  const consecutiveFailures = breaker.consecutiveFailures + 1;
  if (breaker.state === 'closed' && consecutiveFailures < intervals.failures) {
    const ramp = breaker.ramp === null ? null : Math.max(1, Math.floor(breaker.ramp / 2));
    return { ...breaker, consecutiveFailures, ramp };
  }
  if (breaker.state !== 'closed' && !sign.isProbe) return breaker; // it went out before the breaker opened
  const pause = jittered(pauseAt(intervals.pausesMs, breaker.timesOpened), random);
  const longest = intervals.pausesMs.at(-1) ?? 0;
  return {
    state: 'open',
    consecutiveFailures,
    timesOpened: breaker.timesOpened + 1,
    openedAt: breaker.openedAt ?? now,
    nextProbeAt: now + Math.max(pause, Math.min(sign.askedMs, longest)),
    ramp: null,
  };
}

function afterAnswer(breaker: Breaker, concurrency: number): Breaker {
  if (breaker.state !== 'closed') return { ...CLOSED, timesOpened: breaker.timesOpened, ramp: 1 };
  if (breaker.ramp === null) return breaker.consecutiveFailures === 0 ? breaker : CLOSED;
  const ramp = breaker.ramp + 1;
  return ramp >= concurrency ? CLOSED : { ...breaker, consecutiveFailures: 0, ramp };
}

/** The next probe comes no later than the longest pause from now, wherever the clock was set meanwhile. */
export function capNextProbe(breaker: Breaker, intervals: BreakerIntervals, now: number): Breaker {
  if (breaker.nextProbeAt === null) return breaker;
  const latest = now + jittered(intervals.pausesMs.at(-1) ?? 0, 1);
  return breaker.nextProbeAt <= latest ? breaker : { ...breaker, nextProbeAt: latest };
}

/** A person says that the target is well: it is closed at once, and begins with one request at a time. */
export function closedManually(breaker: Breaker): Breaker {
  return breaker.state === 'closed' ? breaker : { ...CLOSED, ramp: 1 };
}
