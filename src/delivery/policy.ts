import { jittered, pauseAt, retryAfterMs } from '../backoff.js';
import { nameOf } from '../intake/event.js';
import type { DeliveryStatus, EventName, Streak, Target, Verdict } from '../model.js';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../durations.js';

/** What came of an attempt. */
export type AttemptOutcome =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly retryAfter: string | null;
      /** A gateway refused it because the webhook has come from that gateway (508 GW_LOOP). */
      readonly isLoop?: true;
    }
  /** Without a cause it may go away by itself. */
  | { readonly kind: 'failed'; readonly cause?: FailureCause };

/** `never`: this cannot succeed as the target is set up. `unknown_host`: there is no such name, now. */
export type FailureCause = 'never' | 'unknown_host';

export interface NextState {
  readonly status: DeliveryStatus;
  /** When it is due again, in milliseconds since the epoch; only with `pending`. */
  readonly dueAt?: number;
  /** Why it ends, where the attempt's own error does not say it all. */
  readonly reason?: string;
  readonly cause?: 'no_handler';
  /** For the next attempt; only with `pending`. */
  readonly streak?: Streak | null;
}

/** What a delivery carries. */
export interface DeliveryContent {
  readonly event: EventName;
  /** One for each item. */
  readonly verdicts: readonly Verdict[];
}

/** A delivery whose attempt has just ended. */
export interface AttemptedDelivery extends DeliveryContent {
  /** Attempts of its schedule, this one included where it is one of them. */
  readonly attempts: number;
  /** A person asked for this attempt: it takes nothing from the schedule. */
  readonly besideSchedule: boolean;
  /** When this attempt began, in milliseconds since the epoch. */
  readonly startedAt: number;
  /** Of the attempts before this one. */
  readonly streak: Streak | null;
}

/** Pauses after the first, second … failed attempt; the last one is repeated. */
export const RETRY_DELAYS_MS: readonly number[] = [
  5 * SECOND_MS,
  30 * SECOND_MS,
  2 * MINUTE_MS,
  10 * MINUTE_MS,
  30 * MINUTE_MS,
  HOUR_MS,
  3 * HOUR_MS,
  6 * HOUR_MS,
  12 * HOUR_MS,
];
/** Each pause is drawn from so much around its length, so that what failed together does not come back together. */
/** Both must be over: a name that was just made, or a resolver that stumbled, has had ten minutes whatever the schedule. */
const UNKNOWN_HOST_ATTEMPTS = 5;
const UNKNOWN_HOST_MS = 10 * MINUTE_MS;
/** A proxy may answer so while the bot behind it restarts; but this is what bots answer to events that they do not know. */
const NO_HANDLER_STATUSES: readonly number[] = [404, 405, 501];
const NO_HANDLER_ATTEMPTS = 3;
const NO_HANDLER_MS = 2 * MINUTE_MS;
/** When the second and third attempt begin at the latest, counted from the first: what is due then is not sent at once. */
const NO_HANDLER_LATEST_MS: readonly number[] = [55 * SECOND_MS, 110 * SECOND_MS];
const GONE = 410;

export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly delaysMs: readonly number[];
}

export function policyOf(
  { maxAttempts, retryDelaysSeconds }: Pick<Target, 'maxAttempts' | 'retryDelaysSeconds'>,
  defaultDelaysMs: readonly number[],
): RetryPolicy {
  return { maxAttempts, delaysMs: retryDelaysSeconds?.map((seconds) => seconds * SECOND_MS) ?? defaultDelaysMs };
}

/**
 * What becomes of a delivery after an attempt. Only a 2xx is a success. `random` is in [0, 1).
 * Retry-After makes a pause longer, never shorter: a target that always says "1" would burn all attempts in seconds.
 */
export function afterAttempt(outcome: AttemptOutcome, tried: AttemptedDelivery, policy: RetryPolicy, now: number, random: number): NextState {
  if (outcome.kind === 'answered' && outcome.status >= 200 && outcome.status < 300) return { status: 'delivered' };
  if (isGone(outcome)) return { status: 'pending', dueAt: now, streak: null }; // switched off: it waits for a person
  const streak = nextStreak(outcome, tried, now);
  const end = endingOf(outcome, tried, streak, policy, now);
  if (end !== null) return { status: 'dead', ...end };
  const pause = jittered(pauseAt(policy.delaysMs, tried.attempts - 1), random);
  const asked = outcome.kind === 'answered' ? retryAfterMs(outcome.retryAfter, now) : 0;
  const dueAt = Math.min(now + Math.max(pause, asked), latestStart(streak, now));
  return { status: 'pending', dueAt, streak };
}

/** How servers answer where they have no route, or none for the method. */
export function isNoHandlerStatus(status: number): boolean {
  return NO_HANDLER_STATUSES.includes(status);
}

/** The target answers that it takes no such event. A message is never taken for one: it is worth every attempt. */
export function isNoHandler(outcome: AttemptOutcome, content: DeliveryContent): boolean {
  return outcome.kind === 'answered' && isNoHandlerStatus(outcome.status) && !hasMessage(content);
}

/** Whatever the event is called: only messages are new or late. */
function hasMessage({ event, verdicts }: DeliveryContent): boolean {
  return event.type === 'messages' || verdicts.includes('new') || verdicts.includes('late');
}

function nextStreak(outcome: AttemptOutcome, tried: AttemptedDelivery, now: number): Streak | null {
  const { besideSchedule, streak } = tried;
  if (besideSchedule) return streak;
  const begun = newStreak(outcome, tried, now);
  if (begun === null || begun.cause !== streak?.cause) return begun;
  // The clock may have been set back since: no streak begins in the future.
  return { ...begun, since: Math.min(streak.since, begun.since), attempts: streak.attempts + 1 };
}

/** An unknown host counts from its first failure, a missing handler from the first attempt on. */
function newStreak(outcome: AttemptOutcome, tried: AttemptedDelivery, now: number): Streak | null {
  if (outcome.kind === 'failed')
    return outcome.cause === 'unknown_host' ? { cause: 'unknown_host', since: now, attempts: 1 } : null;
  return isNoHandler(outcome, tried) ? { cause: 'no_handler', since: tried.startedAt, attempts: 1 } : null;
}

/** When the next attempt has to begin, whatever schedule and Retry-After say. */
function latestStart(streak: Streak | null, now: number): number {
  if (streak?.cause !== 'no_handler') return Infinity;
  return Math.max(now, streak.since + pauseAt(NO_HANDLER_LATEST_MS, streak.attempts - 1));
}

/** Why there is no further attempt; null where there is one. */
function endingOf(
  outcome: AttemptOutcome,
  tried: AttemptedDelivery,
  streak: Streak | null,
  { maxAttempts }: RetryPolicy,
  now: number,
): Pick<NextState, 'reason' | 'cause'> | null {
  const { attempts, besideSchedule, event } = tried;
  const isLast = attempts >= maxAttempts;
  if (isNoHandler(outcome, tried)) {
    const reason = `The target has no handler for ${nameOf(event)}.`;
    const isOver = streak !== null && (streak.attempts >= NO_HANDLER_ATTEMPTS || now - streak.since >= NO_HANDLER_MS);
    return isLast || (isOver && !besideSchedule) ? { reason, cause: 'no_handler' } : null;
  }
  if (outcome.kind === 'answered' && outcome.isLoop) return { reason: 'The target leads back to this gateway.' };
  if (isLast) return {};
  const reason = reasonToGiveUp(outcome, besideSchedule ? null : streak, now);
  return reason === null ? null : { reason };
}

/** 410: the target asks to be sent nothing any more. */
export function isGone(outcome: AttemptOutcome): boolean {
  return outcome.kind === 'answered' && outcome.status === GONE;
}

/** What is said of a target that was switched off for that. */
export function goneReason(now: number): string {
  return `The target answered 410 (Gone) at ${new Date(now).toISOString()}. Enable it to have its deliveries sent.`;
}

/** Why more attempts would be in vain; null where they may not be. */
function reasonToGiveUp(outcome: AttemptOutcome, streak: Streak | null, now: number): string | null {
  if (outcome.kind === 'answered') return null;
  if (outcome.cause === 'never') return 'It was not tried again: that would not help.';
  if (streak?.cause !== 'unknown_host') return null;
  const { attempts, since } = streak;
  if (attempts < UNKNOWN_HOST_ATTEMPTS || now - since < UNKNOWN_HOST_MS) return null;
  const minutes = Math.floor((now - since) / MINUTE_MS);
  return `It was not tried again: there was no such host at ${attempts} attempts within ${minutes} minutes.`;
}

/**
 * Why a message is too old to be sent now; null where it is not. `newestMessageAt` is in Unix seconds, null where the body
 * has no message.
 */
export function expiryReason(newestMessageAt: number | null, maxAgeSeconds: number | null, now: number): string | null {
  if (newestMessageAt === null || maxAgeSeconds === null) return null;
  const age = now / SECOND_MS - newestMessageAt;
  if (age <= maxAgeSeconds) return null;
  return `Not sent: its newest message was ${Math.floor(age)} s old, max_age_seconds is ${maxAgeSeconds}.`;
}
