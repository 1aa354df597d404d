import type { Streak, Target, Verdict } from '../../model.js';
import type { Delivery } from '../outbox.js';
import { parseEventName } from './event-names.js';
import { deliveryId } from './ids.js';
import { isRank } from './pace.js';

/** The columns of a claimed delivery and its webhook that an attempt needs. */
export interface ClaimedColumns {
  readonly id: number;
  readonly channel: string;
  readonly created_at: number;
  readonly tries: number;
  readonly resume_at: number | null;
  /** JSON of a `Streak`; null: none. */
  readonly streak: string | null;
  /** Or its rank: see pace.ts. */
  readonly due_at: number;
  /** Comma list, one per item sent. */
  readonly verdicts: string;
  readonly newest_message_at: number | null;
  readonly event: string;
  readonly method: string;
  readonly suffix: string;
  readonly content_type: string | null;
  readonly via: string | null;
}

/** A delivery as its claim returns it. @param token of its lease, which ends at `until` (I5) */
export function leasedDelivery(
  row: ClaimedColumns,
  target: Target,
  token: number,
  until: number,
  body: Buffer,
): Delivery {
  return {
    id: deliveryId(row.id),
    lease: token,
    leaseEndsAt: until,
    target,
    channel: row.channel,
    event: parseEventName(row.event),
    method: row.method,
    suffix: row.suffix,
    contentType: row.content_type,
    body,
    verdicts: row.verdicts.split(',') as Verdict[],
    attempts: row.tries,
    besideSchedule: row.resume_at !== null,
    streak: row.streak === null ? null : (JSON.parse(row.streak) as Streak),
    via: row.via,
    recordedAt: row.created_at,
    isFromBacklog: isRank(row.due_at),
    newestMessageAt: row.newest_message_at,
  };
}
