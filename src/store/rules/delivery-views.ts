import { SECOND_MS } from '../../durations.js';
import type { DeliveryStatus, DeliveryWait, Verdict } from '../../model.js';
import { deliveryId, encodeNumber } from './ids.js';
import { isRank } from './pace.js';
import type { DeliveryView, WaitingDelivery } from '../deliveries.js';

/** A delivery as an engine reads it for people, with what its view needs of its webhook and its target. */
export interface StoredDelivery {
  readonly id: number;
  readonly status: DeliveryStatus;
  readonly targetId: string;
  readonly channel: string;
  readonly event: string;
  /** Comma list, one per item sent. */
  readonly verdicts: string;
  /** Lanes in which it waits; 0 or less: none. */
  readonly blocked: number;
  /** Or its rank (pace.ts); null: it is settled. */
  readonly dueAt: number | null;
  /** When its lease ends or has ended; null: it is not leased. */
  readonly leasedUntil: number | null;
  readonly attempts: number;
  readonly createdAt: number;
  readonly settledAt: number | null;
  readonly lastError: string | null;
  readonly isTargetEnabled: boolean;
  /** The state of its target's breaker; null: it has none. */
  readonly breaker: string | null;
  readonly released: boolean;
  readonly webhookId: number;
  /** Null: all items of its webhook. */
  readonly positions: readonly number[] | null;
  readonly bytes: number;
  readonly lanes: number;
  readonly newestMessageAt: number | null;
  readonly maxAgeSeconds: number | null;
}

/** The greatest time that a `Date` can hold; a sender may claim any time. */
const LATEST_DATE = 8.64e15;

/**
 * While a delivery is in flight, its next attempt is due when its lease ends (I5).
 * @param front the delivery at the front of the lanes in which it waits; null: it does not wait there
 */
export function deliveryViewOf(stored: StoredDelivery, front: number | null): DeliveryView {
  const verdicts = stored.verdicts.split(',') as Verdict[];
  const isPending = stored.status === 'pending';
  const dueAt = stored.leasedUntil ?? stored.dueAt;
  return {
    id: deliveryId(stored.id),
    status: stored.status,
    target: stored.targetId,
    channel: stored.channel,
    event: stored.event,
    verdicts,
    attempts: stored.attempts,
    createdAt: stored.createdAt,
    nextAttemptAt: isPending && stored.blocked <= 0 && dueAt !== null && !isRank(dueAt) ? dueAt : null,
    waitsFor: isPending ? waitOf(stored) : null,
    settledAt: stored.settledAt,
    lastError: stored.lastError,
    released: stored.released,
    webhookId: encodeNumber(stored.webhookId),
    positions: stored.positions ?? [...verdicts.keys()],
    bytes: stored.bytes,
    lanes: stored.lanes,
    waitsForDelivery: front === null ? null : deliveryId(front),
    expiresAt: isPending ? expiryOf(stored) : null,
  };
}

/** The same for an explanation, with whether it is in flight. */
export function waitingViewOf(stored: StoredDelivery, front: number | null): WaitingDelivery {
  return { ...deliveryViewOf(stored, front), underWay: stored.leasedUntil !== null };
}

function waitOf({ blocked, isTargetEnabled, breaker, dueAt }: StoredDelivery): DeliveryWait | null {
  if (blocked > 0) return 'earlier_delivery';
  if (!isTargetEnabled) return 'target_enabled';
  if (breaker === 'open') return 'breaker';
  return dueAt !== null && isRank(dueAt) ? 'backlog_rate' : null;
}

function expiryOf({ newestMessageAt, maxAgeSeconds }: StoredDelivery): number | null {
  if (newestMessageAt === null || maxAgeSeconds === null) return null;
  const expiresAt = Math.ceil((newestMessageAt + maxAgeSeconds) * SECOND_MS);
  return expiresAt <= LATEST_DATE ? expiresAt : null;
}
