import type { Document } from '../intake/decode.js';
import type {
  Attempt,
  Channel,
  DeliveryStatus,
  EventName,
  IncomingWebhook,
  Pause,
  ResyncMessageStatus,
  Sealed,
  Streak,
  Target,
  Verdict,
} from '../model.js';
import type { Audits } from './audits.js';
import type { CallsDue, ChannelCallLog, ChannelState } from './calls.js';
import type { DeliveryView } from './deliveries.js';
import type { Health, Traffic } from './health.js';
import type { Jobs } from './jobs.js';
import type { OneResyncs } from './one-resyncs.js';
import type { ResyncStates } from './resync-states.js';
import type { Upkeep } from './upkeep.js';
import type { ResyncView, Views } from './views.js';

/**
 * The store, as business operations. Every engine keeps these invariants:
 *
 * - I1 answered ⇒ stored: `record` resolves after the commit that holds the webhook, its verdicts and its deliveries.
 * - I2 registered before asked: `register` resolves after the commit; a registration outlives the answer, whatever it is.
 * - I3 one item, one verdict; one delivery per target, or one of each part where the target has a `split`: a webhook fed
 *   twice, or twice at one instant, gives no more.
 * - I4 nothing lost: a committed delivery ends only as delivered, dead or expired; a held item can be released until its
 *   payload is pruned.
 * - I5 a claim is a lease: only the holder of a lease's token may settle it; an expired lease is due again.
 * - I6 order per chat: for one target, the deliveries of one chat and one kind of event are made one at a time, in the
 *   order recorded.
 *
 * Times are milliseconds since the Unix epoch unless a name says otherwise. An operation that the store cannot take now
 * (full disk, lost connection) rejects with GatewayError GW_STORE_UNAVAILABLE and has changed nothing.
 */
export interface Store
  extends
    Intake,
    Outbox,
    Jobs,
    Resyncs,
    OneResyncs,
    ResyncStates,
    ChannelCallLog,
    Audits,
    Registry,
    Health,
    Traffic,
    Views,
    Upkeep {}

export interface Intake {
  /**
   * Judges the items of a webhook and writes everything that follows, in one transaction.
   * @throws GatewayError GW_NOT_FOUND (no such channel), GW_CHANNEL_MISMATCH
   */
  record(webhook: IncomingWebhook, document: Document): Promise<Recorded>;
}

export interface Recorded {
  readonly verdicts: readonly Verdict[];
  /** Deliveries became due: a hint for the delivery loop. */
  readonly deliveries: number;
}

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

export interface Resyncs {
  /**
   * Commits a resync and the registrations of all its ids (I2), in steps, so that webhooks do not wait for ten thousand
   * of them; nothing is asked before the last one. An id that another resync has proven restored, and whose window is
   * still open, is restored at once and never asked again. An id that another resync is bringing back joins it: one call
   * and one poll at a time serve all resyncs of the id, the longest of their windows holds, and each ends by itself. It
   * is asked for again at once where the last call was made more than an hour ago. The same idempotency key with the
   * same fingerprint gives the resync made then. @throws GatewayError GW_NOT_FOUND (no such channel), GW_IDEMPOTENCY_MISMATCH
   */
  register(request: ResyncRequest): Promise<ResyncView>;
  /**
   * Takes the next call to Whapi that is due for a channel, the kind `prefer` first, counts it, and keeps it for
   * `leaseMs`. A call with `resync=true` is committed as asked before it is returned (I2).
   */
  takeCall(channel: string, prefer: ResyncCall['kind'], leaseMs: number): Promise<ResyncCall | null>;
  /** Writes what came of a call, for every resync of the id. A message whose webhook came meanwhile stays restored. */
  settleCall(call: ResyncCall, result: CallResult): Promise<void>;
  /** The channels with calls to make, and what is known of the calls made so far. */
  pendingCalls(): Promise<readonly ChannelCalls[]>;
  /** Closes the windows that have run out; ids that Whapi was asked for and that never came go into the ledger. */
  closeWindows(): Promise<number>;
  /** Cancels what is queued; what Whapi was already asked for stays registered. @throws GatewayError GW_NOT_FOUND */
  cancelResync(id: string): Promise<ResyncView>;
}

export interface ResyncRequest {
  readonly channel: string;
  readonly messageIds: readonly string[];
  readonly deliverUnseen: boolean;
  readonly windowSeconds: number;
  readonly idempotency: { readonly key: string; readonly fingerprint: string } | null;
}

/** What is known of the calls to Whapi of a channel, over restarts. */
export interface CallHistory {
  /** On this day, UTC. */
  readonly callsToday: number;
  readonly lastCallAt: number | null;
  /** When Whapi last said that the channel can resync. */
  readonly healthyAt: number | null;
  /** Calls in a row, health checks included, that told of trouble. */
  readonly failures: number;
  readonly pause: Pause | null;
}

export interface ChannelCalls extends ChannelState, CallsDue {}

/** A call to Whapi that is to be made for one registered id. */
export interface ResyncCall {
  readonly kind: 'resync' | 'poll';
  readonly resyncId: string;
  readonly position: number;
  readonly channel: Channel;
  readonly messageId: string;
  readonly windowSeconds: number;
  /** When the resync was registered. */
  readonly registeredAt: number;
  /** Calls of this kind already made for this registration, this one not counted. */
  readonly made: number;
}

export interface CallResult {
  readonly status: ResyncMessageStatus;
  /** The next call for this id; null: none. */
  readonly nextAt: number | null;
  /** When the window closes; undefined: as it was; null: it is open without an end, for the id is asked for again. */
  readonly closesAt?: number | null;
  /** Whapi refused the call, so it brings nothing back: the id does not go into the ledger when the window closes. */
  readonly refused?: boolean;
  readonly error?: string | null;
  /** How long Whapi took to answer; of interest where it did. */
  readonly tookMs?: number;
  /** Why the channel makes no calls for now; left out or null: it may go on. */
  readonly pause?: NewPause | null;
}

/** The store knows since when. */
export type NewPause = Omit<Pause, 'since'>;

export interface CheckResult {
  readonly pause: NewPause | null;
  /** The channel cannot resync, or could not for a while since it last could: what was asked for since is asked again. */
  readonly wasAway: boolean;
}

/** What the gateway has set up at Whapi for a channel, so that it can be undone. */
export interface Connection {
  /** Where Whapi was told to send the channel's webhooks. */
  readonly webhookUrl: string;
  /** `callback_persist` was off before, and is to be off again. */
  readonly hasSetPersist: boolean;
  readonly connectedAt: number;
}

export interface Registry {
  channels(): Promise<readonly Channel[]>;
  channel(name: string): Promise<Channel | null>;
  /** @throws GatewayError GW_CONFLICT (the name is taken) */
  addChannel(channel: Channel): Promise<void>;
  /** A change that may end a pause of its calls to Whapi has them tried at once. @throws GatewayError GW_NOT_FOUND */
  changeChannel(name: string, change: Partial<Omit<Channel, 'name' | 'createdAt'>>): Promise<Channel>;
  /** Its resyncs are cancelled; deliveries already recorded go on. @throws GatewayError GW_NOT_FOUND */
  removeChannel(name: string): Promise<void>;
  connection(channel: string): Promise<Connection | null>;
  /** What an earlier connect has set stays to be undone. @throws GatewayError GW_NOT_FOUND (no such channel) */
  rememberConnection(channel: string, connection: Connection): Promise<void>;
  forgetConnection(channel: string): Promise<void>;
  targets(): Promise<readonly Target[]>;
  target(id: string): Promise<Target | null>;
  addTarget(target: Target): Promise<void>;
  /** @throws GatewayError GW_NOT_FOUND */
  changeTarget(id: string, change: Partial<Omit<Target, 'id' | 'createdAt'>>): Promise<Target>;
  /**
   * Gives a target a new secret. The one before it signs until `previousExpiresAt`, those before that as long as they
   * were given; null: from now on only the new one signs.
   * @throws GatewayError GW_NOT_FOUND, GW_CONFLICT (too many earlier ones still sign)
   */
  rotateSecret(id: string, secret: Sealed, previousExpiresAt: number | null): Promise<Target>;
  /** Disables a target for a reason of its own, unless it was disabled or given another URL meanwhile: then false. */
  switchOff(target: Pick<Target, 'id' | 'url'>, reason: string): Promise<boolean>;
  /** Its pending deliveries end as dead. @throws GatewayError GW_NOT_FOUND */
  removeTarget(id: string): Promise<void>;
}
