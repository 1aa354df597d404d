import type { Attempt, DeliveryStatus, DeliveryWait, Verdict } from '../model.js';
import type { RecordedFilter } from './filters.js';

export interface DeliveryFilter extends RecordedFilter {
  readonly status?: DeliveryStatus | undefined;
  readonly target?: string | undefined;
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
  /** Null: settled, or waiting behind an earlier delivery of the same chat. */
  readonly nextAttemptAt: number | null;
  /** What it waits for besides `nextAttemptAt`; null: nothing, or settled. */
  readonly waitsFor: DeliveryWait | null;
  readonly settledAt: number | null;
  readonly lastError: string | null;
  /** A manual release made it. */
  readonly released: boolean;
  readonly webhookId: string;
  /** Indexes of the items that it carries among those of its webhook, ascending. */
  readonly positions: readonly number[];
  /** Length of its body. */
  readonly bytes: number;
  /** Its lanes: chats and kinds of event in which it is sent in order (I6). */
  readonly lanes: number;
  /** The delivery at the front of the lanes in which it waits (I6); null: it does not wait there. */
  readonly waitsForDelivery: string | null;
  /** When it becomes too old for its target, by the target's current setting; null: never, or settled. */
  readonly expiresAt: number | null;
}

export interface DeliveryDetail extends DeliveryView {
  readonly body: string;
  readonly log: readonly Attempt[];
}

/** Settled deliveries to send again. */
export interface RetryFilter extends DeliveryFilter {
  readonly status: Exclude<DeliveryStatus, 'pending'>;
}

export interface WaitingDelivery extends DeliveryView {
  /** An attempt is in flight: its lease is held. */
  readonly underWay: boolean;
}

export interface ExplainedDelivery extends WaitingDelivery {
  readonly log: readonly Attempt[];
  /** The delivery at the front of the lanes in which it waits (I6); null: it does not wait. */
  readonly ahead: WaitingDelivery | null;
}
