import type { GatewayError } from './errors.js';
import type { Breaker, EventName } from './model.js';
import type { Recorded } from './store/intake.js';
import type { Delivery, Settlement } from './store/outbox.js';

/** Those who want to know what happens. Called after the commit, while a request or delivery waits: it must cost little. */
export interface Observer {
  /** A webhook was recorded. */
  onRecorded(webhook: RecordedWebhook): void;
  /** A webhook of a known channel was refused. */
  onRefused(channel: string, error: GatewayError): void;
  /** A delivery was settled: after each attempt, and when it ended without one. */
  onSettled(delivery: Delivery, settlement: Settlement): void;
  /** A circuit breaker opened or closed. */
  onBreaker(targetId: string, breaker: Breaker): void;
}

export interface RecordedWebhook {
  readonly channel: string;
  readonly event: EventName;
  readonly recorded: Recorded;
  /** How long the store took, waiting for its turn included. */
  readonly commitMs: number;
}

/** Tells each of them. */
export function tellBoth(one: Observer, other: Observer): Observer {
  return {
    onRecorded: (webhook) => {
      one.onRecorded(webhook);
      other.onRecorded(webhook);
    },
    onRefused: (channel, error) => {
      one.onRefused(channel, error);
      other.onRefused(channel, error);
    },
    onSettled: (delivery, settlement) => {
      one.onSettled(delivery, settlement);
      other.onSettled(delivery, settlement);
    },
    onBreaker: (targetId, breaker) => {
      one.onBreaker(targetId, breaker);
      other.onBreaker(targetId, breaker);
    },
  };
}
