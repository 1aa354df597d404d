import type { Attempt, DeliveryStatus, DeliveryWait, Verdict } from '../model.js';

export interface DeliveryFilter {
  readonly status?: DeliveryStatus | undefined;
  readonly target?: string | undefined;
  readonly channel?: string | undefined;
  /** `messages.post`; `messages` or `messages.*` for all of that type. */
  readonly event?: string | undefined;
  /** Recorded at or after. */
  readonly since?: number | undefined;
  /** Recorded before. */
  readonly until?: number | undefined;
}

export interface DeliveryView {
  readonly id: string;
  readonly status: DeliveryStatus;
  readonly target: string;
  readonly channel: string;
  readonly event: string;
  readonly verdicts: readonly Verdict[];
  readonly attempts: number;
  readonly createdAt: number;
  /** Null once settled, and while an earlier delivery of the same chat is not settled. */
  readonly nextAttemptAt: number | null;
  /** What must come first, besides its time; null once settled, and where nothing must. */
  readonly waitsFor: DeliveryWait | null;
  readonly settledAt: number | null;
  readonly lastError: string | null;
  /** A person's release made it. */
  readonly released: boolean;
}

export interface DeliveryDetail extends DeliveryView {
  readonly body: string;
  readonly log: readonly Attempt[];
}

/** Settled deliveries that are to be sent again. */
export interface RetryFilter extends DeliveryFilter {
  readonly status: Exclude<DeliveryStatus, 'pending'>;
}

export interface WaitingDelivery extends DeliveryView {
  /** An attempt is being made: its lease is held. */
  readonly underWay: boolean;
}

export interface ExplainedDelivery extends WaitingDelivery {
  readonly log: readonly Attempt[];
  /** The delivery at the front, for which it waits because of I6; null where it waits for none. */
  readonly ahead: WaitingDelivery | null;
}
