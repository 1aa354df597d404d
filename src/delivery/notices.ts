import type { Effects } from '../effects.js';
import { nameOf } from '../intake/event.js';
import type { Log } from '../log.js';
import type { Breaker, Target } from '../model.js';
import { Throttle } from '../throttle.js';
import { HOUR_MS } from '../durations.js';
import type { Observer } from '../observer.js';
import type { Delivery, Settlement } from '../store/outbox.js';

/** What deliveries log. */
export interface DeliveryNotices {
  /** A delivery was settled. */
  onSettled(delivery: Delivery, settlement: Settlement): void;
  /** The gateway disabled a target. */
  onDisabled(target: Target, reason: string): void;
  /** A circuit breaker opened or closed. */
  onBreaker(targetId: string, breaker: Breaker): void;
}

/** A target without a handler refuses every event of that kind: one line an hour is enough. */
const UNHANDLED_EVERY_MS = HOUR_MS;

export function deliveryNotices(
  log: Log,
  effects: Pick<Effects, 'now'>,
  observer: Pick<Observer, 'onSettled' | 'onBreaker'>,
): DeliveryNotices {
  const unhandled = new Throttle(UNHANDLED_EVERY_MS, effects);
  return {
    onSettled: (delivery, settlement) => {
      observer.onSettled(delivery, settlement);
      const { id, target, channel, event: named, attempts } = delivery;
      const { status, cause, attempt, reason } = settlement;
      if (status !== 'dead') return;
      const event = nameOf(named);
      if (cause === 'no_handler') {
        const deliveries = unhandled.count(`${target.id} ${event}`);
        const fix = 'Add a handler to the bot, or leave the event out of the events of the target.';
        if (deliveries !== null) log.info({ target: target.id, event, deliveries, fix }, 'target has no handler');
        return;
      }
      const about = { target: target.id, delivery: id, channel, event, attempts: attempts + (attempt ? 1 : 0) };
      log.warn({ ...about, error: reason ?? attempt?.error ?? null }, 'delivery dead');
    },
    onDisabled: ({ id }, reason) => log.warn({ target: id, reason }, 'target disabled'),
    onBreaker: (target, breaker) => {
      observer.onBreaker(target, breaker);
      const { state, consecutiveFailures, nextProbeAt } = breaker;
      if (state === 'closed') log.info({ target }, 'circuit breaker closed, deliveries resumed');
      else {
        const next_probe_at = nextProbeAt === null ? null : new Date(nextProbeAt).toISOString();
        const about = { target, consecutive_failures: consecutiveFailures, next_probe_at };
        log.warn(about, 'circuit breaker opened, probing with one delivery');
      }
    },
  };
}
