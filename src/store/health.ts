import type { Breaker } from '../model.js';

/** Circuit breakers that are not closed: they outlive a restart. */
export interface Health {
  breakers(): Promise<readonly (KeptBreaker & { readonly targetId: string })[]>;
  /** Replaces the breaker of a target; null: it is closed. Does nothing for a target that was removed. */
  keepBreaker(targetId: string, breaker: KeptBreaker | null): Promise<void>;
}

export type KeptBreaker = Omit<Breaker, 'ramp'>;

/** Webhooks of channels, accepted and refused. Counts of refusals are kept roughly: a crash may lose those of a minute. */
export interface Traffic {
  /** Counts a refused webhook of an existing channel. Costs no commit: counts are written once a minute at most. */
  refused(channel: string, code: string): void;
  trafficOf(channel: string): Promise<ChannelTraffic>;
}

export interface ChannelTraffic {
  /** When the last webhook was accepted; null: none was. */
  readonly lastWebhookAt: number | null;
  readonly refused: {
    readonly lastAt: number | null;
    /** `GW_…` */
    readonly lastCode: string | null;
    /** Since midnight, UTC. */
    readonly today: number;
  };
}

/** What waits for a target; nothing for one that does not exist. `LastDay` covers the last 24 hours, and up to an hour more. */
export interface TargetLoad {
  readonly pending: number;
  /** When the oldest pending delivery was recorded; null where none is pending. */
  readonly oldestPendingAt: number | null;
  /** Of a pending delivery that was tried; null where none was. */
  readonly lastError: string | null;
  /** Dead deliveries of the last day that were not sent again since; those in `unhandledLastDay` are not counted. */
  readonly deadLastDay: number;
  /** Dead for want of a handler, by event (`statuses.post`). */
  readonly unhandledLastDay: readonly { readonly event: string; readonly count: number }[];
}
