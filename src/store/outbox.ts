import type { Attempt, DeliveryStatus, EventName, Streak, Target, Verdict } from '../model.js';
import type { DeliveryDetail, DeliveryFilter, DeliveryView } from './deliveries.js';
import type { Page, PageRequest } from './paging.js';

/** Deliveries, from the commit that makes them to their settlement. */
export interface Outbox {
  /**
   * The targets for which a claim may find something. A target without a waiting delivery costs nothing: of a thousand
   * targets, few have one.
   */
  due(): Promise<Due>;
  /**
   * Leases due deliveries of each target for `leaseMs` (I5): at most `limit`, with at most `retries.most` retries among
   * them. `retries.kept` places are reserved for retries, then come first attempts, then more retries, so that neither kind
   * waits behind the other. Within a kind the one that has been due longest comes first; of a backlog with a pace, the one
   * whose chat has the newest message. The claim ends with the delivery
   * whose body exceeds `bytes`. `nextDueAt`: when the next delivery that may be claimed is due; null: none waits.
   */
  claim(wanted: readonly ClaimWant[], leaseMs: number): Promise<Claimed>;
  /**
   * From now on `intake.record` may lease new deliveries of this target as it records them, without a claim (I5): up to
   * `offer.count`, until their bodies exceed `offer.bytes`. Each call replaces the previous offer; `count: 0` withdraws it.
   * An offer is a permission, not a promise: a delivery that must wait for its chat (I6), for example, is claimed as usual.
   */
  offer(targetId: string, offer: Offer): void;
  /** What is recorded of the chats of a leased delivery's messages, as far as it is `wanted`. */
  chatFacts(delivery: LeasedBody, wanted: WantedFacts): Promise<ChatFacts>;
  /**
   * Saves the outcome of an attempt. Returns false if the lease is no longer the caller's (I5): nothing was changed. After
   * GW_STORE_UNAVAILABLE it is not known whether it was saved: the same call again returns true if either of them has saved it.
   */
  settle(settlement: Settlement): Promise<boolean>;
  /**
   * Releases a held item, however old its message is; `targetIds` null: to all subscribing targets. The repetitions of a
   * message are released with it; every other item, a revision too, is released by itself. Returns the ids of the new
   * deliveries. @throws GatewayError GW_NOT_FOUND, GW_NOT_HELD, GW_PAYLOAD_GONE
   */
  releaseItem(itemId: string, targetIds: readonly string[] | null): Promise<readonly string[]>;
  /** Releases the newest held sighting of a message in the same way. @throws GatewayError GW_NOT_FOUND, GW_NOT_HELD, GW_PAYLOAD_GONE */
  release(channel: string, messageId: string, targetIds: readonly string[] | null): Promise<readonly string[]>;
  /**
   * Retries a delivery manually. A settled delivery becomes pending again, at the end of its chats (I6) and with a fresh
   * retry schedule; one that expired or was left out is then sent however old its message is. A pending delivery keeps its place and gets one
   * extra attempt outside its schedule: at once, or right after an attempt that is in flight (I5).
   * @throws GatewayError GW_NOT_FOUND, GW_CONFLICT (its target was removed)
   */
  retry(deliveryId: string): Promise<DeliveryView>;
  deliveries(filter: DeliveryFilter, page: PageRequest): Promise<Page<DeliveryView>>;
  delivery(id: string): Promise<DeliveryDetail | null>;
  /** How many deliveries wait for a target; none for an unknown one. A number of thousands may be a minute old. */
  pendingOf(targetId: string): Promise<PendingLoad>;
  /** The same, and how many ended as dead lately. */
  loadOf(targetId: string): Promise<TargetLoad>;
}

export interface Due {
  /** The targets with a delivery that is due. */
  readonly targetIds: ReadonlySet<string>;
  /** When the first delivery of another target is due; null: none waits. */
  readonly nextDueAt: number | null;
}

export interface ClaimWant {
  readonly targetId: string;
  readonly limit: number;
  /** `kept`: places reserved for retries; `most`: maximum of retries. Left out: none reserved, no maximum but `limit`. */
  readonly retries?: { readonly kept: number; readonly most: number };
  /** Left out: no limit. */
  readonly bytes?: number;
  /**
   * The backlog of this target has a pace (`backlogRatePerMinute`): how many deliveries of it the claim may lease. Left out:
   * no pace. What a person has retried, and what the target's settings will leave out, does not count.
   */
  readonly backlog?: number;
}

export interface Claimed {
  readonly deliveries: readonly Delivery[];
  readonly nextDueAt: number | null;
}

/** How many new deliveries of a target may be leased as they are recorded. */
export interface Offer {
  readonly count: number;
  /** Of their bodies together. The last one may exceed it. */
  readonly bytes: number;
  readonly leaseMs: number;
}

/** A leased delivery, with everything that an attempt needs. */
export interface Delivery {
  readonly id: string;
  /** The token of its lease (I5). */
  readonly lease: number;
  /** When its lease ends (I5), Unix milliseconds. */
  readonly leaseEndsAt: number;
  readonly target: Target;
  readonly channel: string;
  readonly event: EventName;
  readonly method: string;
  readonly suffix: string;
  readonly contentType: string | null;
  readonly body: Buffer;
  /** One per item sent. */
  readonly verdicts: readonly Verdict[];
  /** Scheduled attempts made since it was recorded or last retried manually. */
  readonly attempts: number;
  /** Someone requested this attempt manually: if it fails, the schedule continues as if it had not been made. */
  readonly besideSchedule: boolean;
  /** How the attempts just before this one failed in a row; null: no such failure is counted. */
  readonly streak: Streak | null;
  /** The gateways through which its webhook came; null: none. */
  readonly via: string | null;
  /** When it was recorded, Unix milliseconds. */
  readonly recordedAt: number;
  /** It was claimed as one of the `backlog` that a pace lets out. */
  readonly isFromBacklog: boolean;
  /** Unix seconds of its newest message; null: it carries none, or is sent however old it is. */
  readonly newestMessageAt: number | null;
}

/** A leased delivery, as far as the facts of its chats depend on it. */
export type LeasedBody = Pick<Delivery, 'id' | 'channel' | 'method' | 'suffix' | 'body'>;

/** What is recorded of the chats of a delivery's messages. */
export interface ChatFacts {
  /** Each of its items is a message after which the number itself wrote in that chat. */
  readonly isAnswered: boolean;
  /** A newer message of each of its chats waits for the same target, behind it (I6). */
  readonly isFollowed: boolean;
}

/** Which facts to read. Those that are left out are false. */
export interface WantedFacts {
  readonly answered: boolean;
  readonly followed: boolean;
}

export interface Settlement {
  readonly id: string;
  readonly lease: number;
  readonly status: DeliveryStatus;
  /** When it is due again; only with status `pending`. Left out: since before, because it is returned without an attempt. */
  readonly dueAt?: number;
  /** Null: no attempt was made (it expired, the target's policies left it out, or it was returned). */
  readonly attempt: Attempt | null;
  /** The `lastError` to show; left out: the attempt's error, or without an attempt the previous one. */
  readonly reason?: string;
  /** Why it ended as dead when that is no reason to alert: the target has no handler for such events. */
  readonly cause?: 'no_handler';
  /** For the next claim; left out: unchanged. */
  readonly streak?: Streak | null;
}

/** What waits for a target. */
export interface PendingLoad {
  readonly pending: number;
  /** When the oldest pending delivery was recorded; null: none is pending. */
  readonly oldestPendingAt: number | null;
}

/** The load of a target. `…LastDay` covers the last 24 hours and up to one hour more. */
export interface TargetLoad extends PendingLoad {
  /** The last error of a pending delivery; null: none was attempted. */
  readonly lastError: string | null;
  /** Dead deliveries that were not retried since, without those in `unhandledLastDay`. */
  readonly deadLastDay: number;
  /** Dead deliveries for which the target has no handler, by event (`statuses.post`). */
  readonly unhandledLastDay: readonly { readonly event: string; readonly count: number }[];
}
