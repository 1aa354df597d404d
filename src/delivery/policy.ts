import { jittered, pauseAt, retryAfterMs } from '../backoff.js';
import { isOlderThan, leftOutAs } from '../intake/backlog.js';
import type { PolicyContent } from '../intake/backlog.js';
import { nameOf } from '../intake/event.js';
import type { DeliveryStatus, EventName, LeftOutStatus, Streak, Target, Verdict } from '../model.js';
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../durations.js';
import type { ChatFacts } from '../store/outbox.js';

/** How an attempt ended. */
export type AttemptOutcome =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly retryAfter: string | null;
      /** A gateway refused the webhook because it had come from that gateway (508 GW_LOOP). */
      readonly isLoop?: true;
    }
  /** Without a cause, the failure may be temporary. */
  | { readonly kind: 'failed'; readonly cause?: FailureCause };

/** `never`: cannot succeed with this target's settings. `unknown_host`: the host name does not exist at the moment. */
export type FailureCause = 'never' | 'unknown_host';

export interface NextState {
  readonly status: DeliveryStatus;
  /** When it is due again, in milliseconds since the epoch; only with `pending`. */
  readonly dueAt?: number;
  /** Why the delivery ended, if the error of the attempt does not explain it. */
  readonly reason?: string;
  readonly cause?: 'no_handler';
  /** Passed to the next attempt; only with `pending`. */
  readonly streak?: Streak | null;
}

/** What a delivery contains. */
export interface DeliveryContent {
  readonly event: EventName;
  /** One per item. */
  readonly verdicts: readonly Verdict[];
}

/** A delivery whose attempt has just ended. */
export interface AttemptedDelivery extends DeliveryContent {
  /** Attempts of the retry schedule so far, including this one if it belongs to the schedule. */
  readonly attempts: number;
  /** The attempt was requested manually, so it does not count towards the schedule. */
  readonly besideSchedule: boolean;
  /** When this attempt started, in milliseconds since the epoch. */
  readonly startedAt: number;
  /** The streak before this attempt. */
  readonly streak: Streak | null;
}

/** Pauses after the first, second … failed attempt; the last one is repeated. Jitter is added to each. */
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
/** Both limits must be reached: a new host name or a failing resolver gets ten minutes, whatever the schedule. */
const UNKNOWN_HOST_ATTEMPTS = 5;
const UNKNOWN_HOST_MS = 10 * MINUTE_MS;
/** How bots answer events that they do not know. A proxy may answer the same while the bot behind it restarts. */
const NO_HANDLER_STATUSES: readonly number[] = [404, 405, 501];
const NO_HANDLER_ATTEMPTS = 3;
const NO_HANDLER_MS = 2 * MINUTE_MS;
/**
 * The latest starts of the second and third attempt, counted from the start of the first one. A due delivery may start
 * a few seconds later, so these stay below NO_HANDLER_MS.
 */
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
 * What happens to a delivery after an attempt. Only a 2xx is a success. `random` is in [0, 1).
 * Retry-After makes a pause longer, never shorter: a target that always says "1" would use up all attempts in seconds.
 */
export function afterAttempt(
  outcome: AttemptOutcome,
  tried: AttemptedDelivery,
  policy: RetryPolicy,
  now: number,
  random: number,
): NextState {
  if (outcome.kind === 'answered' && outcome.status >= 200 && outcome.status < 300) return { status: 'delivered' };
  if (isGone(outcome)) return { status: 'pending', dueAt: now, streak: null }; // waits until the target is enabled
  const streak = nextStreak(outcome, tried, now);
  const end = endingOf(outcome, tried, streak, policy, now);
  if (end !== null) return { status: 'dead', ...end };
  const pause = jittered(pauseAt(policy.delaysMs, tried.attempts - 1), random);
  const requestedMs = outcome.kind === 'answered' ? retryAfterMs(outcome.retryAfter, now) : 0;
  const dueAt = Math.min(now + Math.max(pause, requestedMs), latestStart(streak, now));
  return { status: 'pending', dueAt, streak };
}

/** Statuses of servers that have no route, or no route for the method. */
export function isNoHandlerStatus(status: number): boolean {
  return NO_HANDLER_STATUSES.includes(status);
}

/** Whether the target has no handler for the event. Never true for a message: messages get every attempt. */
export function isNoHandler(outcome: AttemptOutcome, content: DeliveryContent): boolean {
  return outcome.kind === 'answered' && isNoHandlerStatus(outcome.status) && !hasMessage(content);
}

/** Also recognizes messages in events of other names: only messages are judged new or late. */
function hasMessage({ event, verdicts }: DeliveryContent): boolean {
  return event.type === 'messages' || verdicts.includes('new') || verdicts.includes('late');
}

function nextStreak(outcome: AttemptOutcome, tried: AttemptedDelivery, now: number): Streak | null {
  const { besideSchedule, streak } = tried;
  if (besideSchedule) return streak;
  const begun = newStreak(outcome, tried, now);
  if (begun === null || begun.cause !== streak?.cause) return begun;
  // The clock may have been set back since: no streak starts in the future.
  return { ...begun, since: Math.min(streak.since, begun.since), attempts: streak.attempts + 1 };
}

/** An unknown host counts from its first failure, a missing handler from the start of the first attempt. */
function newStreak(outcome: AttemptOutcome, tried: AttemptedDelivery, now: number): Streak | null {
  if (outcome.kind === 'failed')
    return outcome.cause === 'unknown_host' ? { cause: 'unknown_host', since: now, attempts: 1 } : null;
  return isNoHandler(outcome, tried) ? { cause: 'no_handler', since: tried.startedAt, attempts: 1 } : null;
}

/** When the next attempt must start, whatever the schedule and Retry-After say. */
function latestStart(streak: Streak | null, now: number): number {
  if (streak?.cause !== 'no_handler') return Infinity;
  return Math.max(now, streak.since + pauseAt(NO_HANDLER_LATEST_MS, streak.attempts - 1));
}

/** Why the delivery ends here; null if there is another attempt. */
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

/** 410: the target asks to receive nothing any more. */
export function isGone(outcome: AttemptOutcome): boolean {
  return outcome.kind === 'answered' && outcome.status === GONE;
}

/** Why a target that answered 410 is disabled. */
export function goneReason(now: number): string {
  return `The target answered 410 (Gone) at ${new Date(now).toISOString()}. Enable it to resume its deliveries.`;
}

/** Why further attempts cannot succeed; null if they may. */
function reasonToGiveUp(outcome: AttemptOutcome, streak: Streak | null, now: number): string | null {
  if (outcome.kind === 'answered') return null;
  if (outcome.cause === 'never') return 'Not retried: the next attempt would fail in the same way.';
  if (streak?.cause !== 'unknown_host') return null;
  const { attempts, since } = streak;
  if (attempts < UNKNOWN_HOST_ATTEMPTS || now - since < UNKNOWN_HOST_MS) return null;
  const minutes = Math.floor((now - since) / MINUTE_MS);
  return `Not retried: the host did not exist at ${attempts} attempts within ${minutes} minutes.`;
}

/** How a delivery ends without an attempt. */
export interface UnsentEnd {
  readonly status: 'expired' | LeftOutStatus;
  /** For people. */
  readonly reason: string;
}

/** How a delivery ends that its target's settings leave out; null: it is sent. */
export function leftOut(content: PolicyContent, target: Target, facts: ChatFacts, now: number): UnsentEnd | null {
  const status = leftOutAs(content, target, facts, now);
  return status === null ? null : { status, reason: `Not sent: ${reasonOf(status, content, target, now)}` };
}

function reasonOf(status: LeftOutStatus, content: PolicyContent, target: Target, now: number): string {
  if (status === 'answered') return 'the number itself has written in its chat since (skip_answered).';
  const why = `${backlogWords(content, target, now)}, and backlog_policy is ${target.backlogPolicy}.`;
  return status === 'withheld' ? why : `a newer message of its chat waits. ${capitalized(why)}`;
}

function backlogWords({ newestMessageAt }: PolicyContent, { backlogAfterSeconds }: Target, now: number): string {
  const age = Math.floor(now / SECOND_MS - (newestMessageAt ?? 0));
  if (age <= backlogAfterSeconds) return 'its messages came late';
  return `its newest message was ${age} s old, backlog_after_seconds is ${backlogAfterSeconds}`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * Why a message is too old to be sent; null if it is not. `newestMessageAt` is in Unix seconds, null if the body
 * contains no message.
 */
export function expiryReason(newestMessageAt: number | null, maxAgeSeconds: number | null, now: number): string | null {
  if (newestMessageAt === null || maxAgeSeconds === null) return null;
  if (!isOlderThan(newestMessageAt, maxAgeSeconds, now)) return null;
  const age = now / SECOND_MS - newestMessageAt;
  return `Not sent: its newest message was ${Math.floor(age)} s old, max_age_seconds is ${maxAgeSeconds}.`;
}
