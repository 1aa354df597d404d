import { breakerTimes } from '../doctor/target-checks.js';
import type { Breaker, Target } from '../model.js';
import { counted } from '../quantities.js';
import { iso } from './schemas.js';
import type { ExplainedDelivery, WaitingDelivery } from '../store/deliveries.js';

export interface WaitingFacts {
  /** Null: it was removed. */
  readonly target: Target | null;
  readonly breaker: Breaker;
  readonly now: number;
}

/** Why a pending delivery waits, in words, and what that waits for; null where it is settled. */
export function whyWaiting(delivery: ExplainedDelivery, facts: WaitingFacts): string | null {
  if (delivery.status !== 'pending') return null;
  const { ahead } = delivery;
  if (delivery.waitsFor !== 'earlier_delivery' || !ahead) return reasonOf(delivery, facts);
  return `waits for delivery ${ahead.id}, which is ahead of it: ${reasonOf(ahead, facts)}`;
}

function reasonOf(delivery: WaitingDelivery, { target, breaker, now }: WaitingFacts): string {
  const { attempts, lastError, nextAttemptAt, underWay } = delivery;
  const tried = attempts === 0 ? 'not tried yet' : `${counted(attempts, 'attempt')} so far`;
  const error = lastError === null ? '' : `; last error: ${lastError}`;
  if (underWay) return `an attempt is under way (${tried}${error})`;
  if (target?.enabled === false) return disabled(target);
  if (breaker.state !== 'closed') return `${breakerWords(breaker)} (${tried}${error})`;
  if (delivery.waitsFor === 'backlog_rate' && target !== null) return paceWords(target);
  if (nextAttemptAt === null) return 'an earlier delivery is ahead of it';
  if (nextAttemptAt > now) return `its next attempt is at ${iso(nextAttemptAt)} (${tried}${error})`;
  return `it is due${rateWords(target)} (${tried}${error})`;
}

function paceWords({ backlogRatePerMinute: rate }: Target): string {
  const pace = rate === null ? '' : `, at most ${rate} a minute (backlog_rate_per_minute)`;
  return `it waits for its turn in the backlog of the target, newest chats first${pace}`;
}

function disabled({ name, id, disabledReason }: Target): string {
  const why = disabledReason === null ? '' : ` (${disabledReason})`;
  return `target "${name}" is disabled${why}. To send it: "targets enable ${id}"`;
}

function breakerWords(breaker: Breaker): string {
  const { since, probe } = breakerTimes(breaker);
  return `the circuit breaker of the target is open${since}; ${probe}`;
}

function rateWords(target: Target | null): string {
  const rate = target?.ratePerSecond ?? null;
  if (rate !== null) return `; the target takes at most ${rate} requests a second (rate_per_second)`;
  return target ? `; the target takes at most ${target.concurrency} requests at a time (concurrency)` : '';
}
