import type { Attempt, DeliveryStatus, EventName, Streak, Target, Verdict } from '../model.js';
import type { DeliveryDetail, DeliveryFilter, DeliveryView } from './deliveries.js';
import type { Page, PageRequest } from './paging.js';

/** Deliveries from the commit that makes them to their settlement. */
export interface Outbox {
  /**
   * Takes due deliveries of each target and leases them for `leaseMs`: at most `limit`, of which at most `retries.most`
   * were tried before. `retries.kept` of the places go to such first, then first attempts take theirs, then other retries:
   * so neither kind waits behind the other. Of each kind the oldest due comes first. It ends with the delivery whose body
   * makes `bytes` full. `nextDueAt` is when the next one that may be taken falls due, null where none waits.
   */
  claim(wanted: readonly ClaimWant[], leaseMs: number): Promise<Claimed>;
  /** Writes what came of an attempt. False where the lease is no longer the caller's (I5): nothing was changed. */
  settle(settlement: Settlement): Promise<boolean>;
  /**
   * Sends a held item after all, however old its message is. With a message go its repetitions; a revision, and what is
   * no message, goes by itself. @throws GatewayError GW_NOT_FOUND, GW_NOT_HELD, GW_PAYLOAD_GONE
   */
  releaseItem(itemId: string, targetIds: readonly string[] | null): Promise<readonly string[]>;
  /** The same of the newest held sighting of a message. @throws GatewayError GW_NOT_FOUND, GW_NOT_HELD, GW_PAYLOAD_GONE */
  release(channel: string, messageId: string, targetIds: readonly string[] | null): Promise<readonly string[]>;
  /**
   * Retries a delivery manually. A settled one becomes pending again, at the end of its chats (I6) and with all
   * its attempts before it; an expired one is then sent however old its message is. A pending one keeps its place and
   * gets one attempt beside its schedule: at once, or where one is under way (I5) right after that.
   * @throws GatewayError GW_NOT_FOUND, GW_CONFLICT (its target was removed)
   */
  retry(deliveryId: string): Promise<DeliveryView>;
  deliveries(filter: DeliveryFilter, page: PageRequest): Promise<Page<DeliveryView>>;
  delivery(id: string): Promise<DeliveryDetail | null>;
  /** How much waits for a target, and how much ended as dead lately. Nothing of a target that does not exist. */
  loadOf(targetId: string): Promise<TargetLoad>;
}

export interface ClaimWant {
  readonly targetId: string;
  readonly limit: number;
  /** Left out: none is kept, and there may be as many as there are places. */
  readonly retries?: { readonly kept: number; readonly most: number };
  /** Left out: as many as there are. */
  readonly bytes?: number;
}

export interface Claimed {
  readonly deliveries: readonly Delivery[];
  readonly nextDueAt: number | null;
}

/** A claimed delivery: all that an attempt needs. */
export interface Delivery {
  readonly id: string;
  readonly lease: number;
  readonly target: Target;
  readonly channel: string;
  readonly event: EventName;
  readonly method: string;
  readonly suffix: string;
  readonly contentType: string | null;
  readonly body: Buffer;
  /** One per item sent. */
  readonly verdicts: readonly Verdict[];
  /** Attempts of its schedule already made since it was recorded or last retried by a person. */
  readonly attempts: number;
  /** A person asked for this attempt: when it fails, the schedule goes on as if it had not been made. */
  readonly besideSchedule: boolean;
  /** How the attempts before this one failed, where they did so in a way that counts. */
  readonly streak: Streak | null;
  /** The gateways that its webhook has come through. */
  readonly via: string | null;
  /** Unix seconds of the newest message in it; null where it carries none. */
  readonly newestMessageAt: number | null;
}

export interface Settlement {
  readonly id: string;
  readonly lease: number;
  readonly status: DeliveryStatus;
  /** When it is due again; only with status `pending`. */
  readonly dueAt?: number;
  /** Null where none was made (expired before it, or given back at shutdown). */
  readonly attempt: Attempt | null;
  /** What is shown as its last error; left out: the attempt's error, or without an attempt what was shown before. */
  readonly reason?: string;
  /** Why it ended as dead, where that is no alarm: the target has no handler for such events. */
  readonly cause?: 'no_handler';
  /** For the next claim; left out: as it was. */
  readonly streak?: Streak | null;
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
