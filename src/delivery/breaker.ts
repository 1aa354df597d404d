import { jittered, pauseAt } from '../backoff.js';
import type { Breaker } from '../model.js';
import { isNoHandler } from './policy.js';
import type { DeliveryContent, AttemptOutcome } from './policy.js';
import type { KeptBreaker, StoredBreaker } from '../store/breakers.js';
import { MINUTE_MS, SECOND_MS } from '../durations.js';

/**
 * The circuit breaker of a target, as pure transitions. It keeps a failing target from using up the attempts of every
 * delivery that waits for it:
 *
 * - closed: deliveries go out. Too many consecutive failures of the target open it.
 * - open: deliveries wait and use no attempts. After a pause, the next due delivery goes out as a probe.
 * - half open: the probe is under way, and nothing else goes out. An answer closes the breaker, a failure reopens it
 *   with a longer pause.
 * - closed again: it ramps up from one request in flight, one more with each answer, until the target has its full
 *   concurrency. A failure halves the ramp.
 *
 * A probe is a normal attempt of its delivery: it counts, and if it fails, the delivery is retried on its schedule. So
 * the next probe takes the delivery that is due first by then, and no single delivery is retried until it is dead while
 * others wait. (If probes cost no attempt, one poisonous delivery could keep the breaker open forever.)
 */
export interface BreakerIntervals {
  /** How many consecutive failures open it. */
  readonly failures: number;
  /** Pauses before the first, second … consecutive probe; the last one is repeated. */
  readonly pausesMs: readonly number[];
  /** What a probe may take besides its attempt. A crash meanwhile delays the next probe for as long. */
  readonly probeMarginMs: number;
}

export const BREAKER_INTERVALS: BreakerIntervals = {
  failures: 5,
  pausesMs: [5 * SECOND_MS, 15 * SECOND_MS, 30 * SECOND_MS, MINUTE_MS, 2 * MINUTE_MS, 5 * MINUTE_MS],
  probeMarginMs: 30 * SECOND_MS,
};

/** The breaker of a healthy target. */
export const CLOSED: Breaker = {
  state: 'closed',
  consecutiveFailures: 0,
  timesOpened: 0,
  openedAt: null,
  nextProbeAt: null,
  ramp: null,
};

/** Closed, not ramping up, and the last attempt was no failure. */
export function isHealthy({ state, ramp, consecutiveFailures }: Breaker): boolean {
  return state === 'closed' && ramp === null && consecutiveFailures === 0;
}

/** What an attempt says about the target's health. */
export interface HealthSignal {
  readonly isTargetFailure: boolean;
  /** Whether the attempt was the probe. */
  readonly isProbe: boolean;
  /** How long the target asked to be left alone (Retry-After), in milliseconds. */
  readonly askedMs: number;
}

/**
 * Whether an outcome is about the target rather than about one delivery: no answer, 5xx, 429 and 408 are. Any other
 * answer, including 400 and 422, shows that the bot processes requests. So does a 501 to an event that is not a
 * message, and the 508 of a gateway that refuses its own webhook.
 */
export function isTargetFailure(outcome: AttemptOutcome, content: DeliveryContent): boolean {
  if (outcome.kind === 'failed') return true;
  if (outcome.isLoop || isNoHandler(outcome, content)) return false;
  return outcome.status >= 500 || outcome.status === 429 || outcome.status === 408;
}

/** How many more deliveries may start now. `underWay`: those in flight. */
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

/** A delivery starts. If the breaker is open and its pause is over, that delivery is the probe. */
export function afterStart(breaker: Breaker, now: number): Breaker {
  const isProbe = breaker.state === 'open' && now >= (breaker.nextProbeAt ?? 0);
  return isProbe ? { ...breaker, state: 'half_open' } : breaker;
}

/** The probe was aborted without a result. The next probe may start at once. */
export function afterAbortedProbe(breaker: Breaker): Breaker {
  return breaker.state === 'half_open' ? { ...breaker, state: 'open' } : breaker;
}

export function afterSignal(
  breaker: Breaker,
  signal: HealthSignal,
  concurrency: number,
  intervals: BreakerIntervals,
  now: number,
  random: number,
): Breaker {
  if (!signal.isTargetFailure) return afterAnswer(breaker, concurrency);
  const consecutiveFailures = breaker.consecutiveFailures + 1;
  if (breaker.state === 'closed' && consecutiveFailures < intervals.failures) {
    const ramp = breaker.ramp === null ? null : Math.max(1, Math.floor(breaker.ramp / 2));
    return { ...breaker, consecutiveFailures, ramp };
  }
  if (breaker.state !== 'closed' && !signal.isProbe) return breaker; // this attempt started before the breaker opened
  const pause = jittered(pauseAt(intervals.pausesMs, breaker.timesOpened), random);
  const longest = intervals.pausesMs.at(-1) ?? 0;
  return {
    state: 'open',
    consecutiveFailures,
    timesOpened: breaker.timesOpened + 1,
    openedAt: breaker.openedAt ?? now,
    nextProbeAt: now + Math.max(pause, Math.min(signal.askedMs, longest)),
    ramp: null,
  };
}

function afterAnswer(breaker: Breaker, concurrency: number): Breaker {
  if (breaker.state !== 'closed') return { ...CLOSED, timesOpened: breaker.timesOpened, ramp: 1 };
  if (breaker.ramp === null) return breaker.consecutiveFailures === 0 ? breaker : CLOSED;
  const ramp = breaker.ramp + 1;
  return ramp >= concurrency ? CLOSED : { ...breaker, consecutiveFailures: 0, ramp };
}

/**
 * The `own` breaker after someone else has stored theirs: replicas share openings and closings, and each counts
 * its own failures and has its own ramp. While someone else's probe is under way, the breaker is half open here as well.
 */
export function adopted(own: Breaker, { breaker, probeUntil }: Omit<StoredBreaker, 'targetId'>, now: number): Breaker {
  if (breaker === null) return own.state === 'closed' ? own : CLOSED;
  if (breaker.state === 'closed') return own.state === 'closed' && own.ramp !== null ? own : { ...breaker, ramp: 1 };
  return { ...breaker, state: probeUntil !== null && probeUntil > now ? 'half_open' : 'open', ramp: null };
}

/**
 * What to store of a change: openings, closings and a probe that was given up; null: the target is healthy again. Undefined:
 * nothing, so that an attempt costs no write.
 */
export function toStore(before: Breaker, after: Breaker): KeptBreaker | null | undefined {
  const hasOpened =
    after.state === 'open' && (after.nextProbeAt !== before.nextProbeAt || before.state === 'half_open');
  const hasClosed = after.state === 'closed' && before.state !== 'closed';
  if (hasOpened || hasClosed) return keptOf(after);
  const hasFinishedRamp = after.ramp === null && before.ramp !== null && after.state === 'closed';
  return hasFinishedRamp ? null : undefined;
}

export function keptOf(breaker: Breaker): KeptBreaker {
  const { state, consecutiveFailures, timesOpened, openedAt, nextProbeAt } = breaker;
  return { state, consecutiveFailures, timesOpened, openedAt, nextProbeAt };
}

/** Caps the next probe at the longest pause from now, however the clock was set in the meantime. */
export function capNextProbe(breaker: Breaker, intervals: BreakerIntervals, now: number): Breaker {
  if (breaker.nextProbeAt === null) return breaker;
  const latest = now + jittered(intervals.pausesMs.at(-1) ?? 0, 1);
  return breaker.nextProbeAt <= latest ? breaker : { ...breaker, nextProbeAt: latest };
}

/** Closes the breaker at once on a manual request, and ramps up from one request in flight. */
export function closedManually(breaker: Breaker): Breaker {
  return breaker.state === 'closed' ? breaker : { ...CLOSED, ramp: 1 };
}
