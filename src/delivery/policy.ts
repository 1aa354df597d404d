import { jittered, pauseAt, retryAfterMs } from '../backoff.js';
import type { DeliveryStatus, Target } from '../model.js';

/** What came of an attempt. */
export type Outcome =
  | { readonly kind: 'answered'; readonly status: number; readonly retryAfter: string | null }
  /** Without a cause it may go away by itself. */
  | { readonly kind: 'failed'; readonly cause?: FailureCause };

/** `never`: this cannot succeed as the target is set up. `unknown_host`: there is no such name, now. */
export type FailureCause = 'never' | 'unknown_host';

export interface Next {
  readonly status: DeliveryStatus;
  /** When it is due again, in milliseconds since the epoch; only with `pending`. */
  readonly dueAt?: number;
  /** Why it ends before its last attempt. */
  readonly reason?: string;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Pauses after the first, second … failed attempt; the last one is repeated. */
export const RETRY_DELAYS_MS: readonly number[] = [
  5 * SECOND,
  30 * SECOND,
  2 * MINUTE,
  10 * MINUTE,
  30 * MINUTE,
  HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
];
/** Each pause is drawn from so much around its length, so that what failed together does not come back together. */
const JITTER = 0.2;
/** By then a name that was just made, or a resolver that stumbled, has had twelve minutes. */
const UNKNOWN_HOST_ATTEMPTS = 5;
const GONE = 410;

export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly delaysMs: readonly number[];
}

export function policyOf(
  { maxAttempts, retryDelaysSeconds }: Pick<Target, 'maxAttempts' | 'retryDelaysSeconds'>,
  usualDelaysMs: readonly number[],
): RetryPolicy {
  return { maxAttempts, delaysMs: retryDelaysSeconds?.map((seconds) => seconds * SECOND) ?? usualDelaysMs };
}

/**
 * What becomes of a delivery after its attempt number `attempts`. Only a 2xx is a success. `random` is in [0, 1).
 * Retry-After makes a pause longer, never shorter: a target that always says "1" would burn all attempts in seconds.
 */
export function afterAttempt(
  outcome: Outcome,
  attempts: number,
  policy: RetryPolicy,
  now: number,
  random: number,
): Next {
  if (outcome.kind === 'answered' && outcome.status >= 200 && outcome.status < 300) return { status: 'delivered' };
  if (isGone(outcome)) return { status: 'pending', dueAt: now }; // the target is switched off: it waits for a person
  if (attempts >= policy.maxAttempts) return { status: 'dead' };
  const reason = hopelessness(outcome, attempts);
  if (reason !== null) return { status: 'dead', reason };
  const pause = jittered(pauseAt(policy.delaysMs, attempts - 1), JITTER, random);
  const asked = outcome.kind === 'answered' ? retryAfterMs(outcome.retryAfter, now) : 0;
  return { status: 'pending', dueAt: now + Math.max(pause, asked) };
}

/** 410: the target asks to be sent nothing any more. */
export function isGone(outcome: Outcome): boolean {
  return outcome.kind === 'answered' && outcome.status === GONE;
}

/** What is said of a target that was switched off for that. */
export function goneReason(now: number): string {
  return `The target answered 410 (Gone) at ${new Date(now).toISOString()}. Enable it to have its deliveries sent.`;
}

/** Why more attempts would be in vain; null where they may not be. */
function hopelessness(outcome: Outcome, attempts: number): string | null {
  if (outcome.kind === 'answered') return null;
  if (outcome.cause === 'never') return 'It was not tried again: that would not help.';
  if (outcome.cause === 'unknown_host' && attempts >= UNKNOWN_HOST_ATTEMPTS) {
    return `It was not tried again: there was no such host at ${attempts} attempts.`;
  }
  return null;
}

/**
 * Why a message is too old to be sent now; null where it is not. `newestMessageAt` is in Unix seconds, null where the body
 * has no message.
 */
export function expiry(newestMessageAt: number | null, maxAgeSeconds: number | null, now: number): string | null {
  if (newestMessageAt === null || maxAgeSeconds === null) return null;
  const age = now / SECOND - newestMessageAt;
  if (age <= maxAgeSeconds) return null;
  return `Not sent: its newest message was ${Math.floor(age)} s old, max_age_seconds is ${maxAgeSeconds}.`;
}
