import { jittered, pauseAt, retryAfterMs } from '../backoff.js';
import type { DeliveryStatus } from '../model.js';

/** What came of an attempt. */
export type Outcome =
  | { readonly kind: 'answered'; readonly status: number; readonly retryAfter: string | null }
  | { readonly kind: 'failed' };

export interface Next {
  readonly status: DeliveryStatus;
  /** When it is due again, in milliseconds since the epoch; only with `pending`. */
  readonly dueAt?: number;
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

export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly delaysMs: readonly number[];
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
  if (attempts >= policy.maxAttempts) return { status: 'dead' };
  const pause = jittered(pauseAt(policy.delaysMs, attempts - 1), JITTER, random);
  const asked = outcome.kind === 'answered' ? retryAfterMs(outcome.retryAfter, now) : 0;
  return { status: 'pending', dueAt: now + Math.max(pause, asked) };
}

/** Whether a message is too old to be sent now: `newestMessageAt` is in Unix seconds, null where the body has no message. */
export function isExpired(newestMessageAt: number | null, maxAgeSeconds: number | null, now: number): boolean {
  return newestMessageAt !== null && maxAgeSeconds !== null && now / SECOND - newestMessageAt > maxAgeSeconds;
}
