import type {
  AuditKind,
  AuditStatus,
  Channel,
  EventName,
  IncomingWebhook,
  Proof,
  ResyncMessageStatus,
  ResyncStatus,
  Span,
} from '../model.js';
import type { DeliveryDetail, DeliveryFilter, DeliveryView, ExplainedDelivery } from './deliveries.js';
import type { TargetLoad } from './health.js';
import type { ItemDetail, ItemFilter, ItemView, MessageFilter, MessageView } from './items.js';
import type { JobView } from './jobs.js';
import type { CallHistory } from './store.js';

export interface PageRequest {
  readonly limit: number;
  readonly cursor: string | null;
}

export interface Page<T> {
  readonly data: readonly T[];
  readonly nextCursor: string | null;
}

/** What people look at. Lists are newest first. @throws GatewayError GW_BAD_REQUEST (a cursor that is none) */
export interface Views {
  resyncs(page: PageRequest): Promise<Page<ResyncView>>;
  resync(id: string): Promise<ResyncView | null>;
  resyncMessages(id: string, page: PageRequest, filter?: ResyncMessageFilter): Promise<Page<ResyncMessageView>>;
  resyncReport(id: string): Promise<ResyncReport | null>;
  audits(page: PageRequest): Promise<Page<AuditView>>;
  audit(id: string): Promise<AuditView | null>;
  /** The messages that never came, oldest first. */
  auditMessages(id: string, page: PageRequest): Promise<Page<AuditMessageView>>;
  /** Judged items of whatever event. */
  items(filter: ItemFilter, page: PageRequest): Promise<Page<ItemDetail>>;
  /** The items that are messages. */
  messages(filter: MessageFilter, page: PageRequest): Promise<Page<MessageView>>;
  /** @throws GatewayError GW_NOT_FOUND, GW_PAYLOAD_GONE (it was pruned) */
  webhook(id: string): Promise<WebhookDetail>;
  /** Everything that happened to one message id; null where nothing is known of it. */
  explain(channel: string, messageId: string): Promise<Explanation | null>;
  deliveries(filter: DeliveryFilter, page: PageRequest): Promise<Page<DeliveryView>>;
  delivery(id: string): Promise<DeliveryDetail | null>;
  /** The events of the newest thousand webhooks, by channel. */
  recentEvents(): Promise<ReadonlyMap<string, readonly EventName[]>>;
  /** When the newest webhook of a channel came, at or after `since`; null: none did. */
  lastWebhookAt(channel: string, since: number): Promise<number | null>;
  /**
   * How the newest webhook of an event came, of one of these channels (null: of any); where there is none, how the newest
   * one of another event came. Null where none is among the newest 10,000 of all channels.
   */
  lastForm(event: EventName, channels: readonly string[] | null): Promise<WebhookForm | null>;
  /** How much waits for a target, and how much ended as dead lately. Nothing of a target that does not exist. */
  loadOf(targetId: string): Promise<TargetLoad>;
  jobs(page: PageRequest): Promise<Page<JobView>>;
  job(id: string): Promise<JobView | null>;
}

/** How an event shows in the HTTP method and the path of its webhook: by the mode that is set at Whapi. */
export interface WebhookForm extends Pick<IncomingWebhook, 'method' | 'suffix'> {
  readonly event: EventName;
}

export interface ResyncView {
  readonly id: string;
  readonly channel: string;
  readonly status: ResyncStatus;
  readonly counts: Readonly<Record<ResyncMessageStatus, number>>;
  readonly deliverUnseen: boolean;
  readonly windowSeconds: number;
  readonly createdAt: number;
  /** When the last message was settled; null while one is not. */
  readonly finishedAt: number | null;
  /** Null once the resync is over, and where its channel is no more. */
  readonly progress: ResyncProgress | null;
}

/** What the rate and the time of the end are worked out from. */
export interface ResyncProgress extends CallHistory {
  readonly channel: Channel;
  /** Messages settled within the last minutes, and how many milliseconds of the resync those are. */
  readonly settledLately: number;
  readonly latelyMs: number;
  /** How long a call with `resync=true` usually takes; null: none was answered yet. */
  readonly callMs: number | null;
  /** From the call to the proof, on average of the last restored messages; null: none was restored yet. */
  readonly restoreMs: number | null;
  /** The last call with `resync=true` for a message that is still waited for. */
  readonly lastAskedAt: number | null;
  /** Ids of resyncs made before this one that the same channel has yet to ask for. */
  readonly ahead: number;
}

/** What came of a resync, in the end or so far. */
export interface ResyncReport {
  readonly resync: ResyncView;
  /** Restored, and a webhook had carried it before it was registered. */
  readonly alreadyKnown: number;
  /** Restored, and no webhook had ever carried it before. */
  readonly neverSeenBefore: number;
  /** Calls with resync=true, and plain GETs. */
  readonly calls: number;
  readonly polls: number;
  /** Of restored messages: what proved it. */
  readonly proofs: Readonly<Record<Proof, number>>;
  /** Why messages failed, most frequent first, at most twenty. */
  readonly failures: readonly { readonly error: string; readonly count: number }[];
  /** What a release of the messages of this resync would send now. */
  readonly held: number;
}

export interface ResyncMessageFilter {
  readonly status?: ResyncMessageStatus | undefined;
  readonly held?: boolean | undefined;
}

export interface ResyncMessageView {
  readonly resyncId: string;
  readonly messageId: string;
  readonly status: ResyncMessageStatus;
  /** Calls with resync=true that were made. */
  readonly calls: number;
  readonly polls: number;
  readonly registeredAt: number;
  readonly askedAt: number | null;
  readonly restoredAt: number | null;
  readonly proof: Proof | null;
  /** A webhook had carried it before it was registered. */
  readonly known: boolean;
  /** A release of its resync would send it now. */
  readonly held: boolean;
  readonly windowClosesAt: number | null;
  readonly error: string | null;
}

export interface AuditView {
  readonly id: string;
  readonly kind: AuditKind;
  readonly channel: string;
  readonly status: AuditStatus;
  /** Unix seconds, both included. */
  readonly since: number;
  readonly until: number;
  readonly memorySince: number;
  /** Unix seconds: read up to here. */
  readonly readUntil: number;
  readonly round: number;
  /** Whapi's count went on changing in every round: what came behind the reading is not in the counts. */
  readonly unsettled: boolean;
  readonly counts: AuditCounts;
  readonly createdAt: number;
  readonly endedAt: number | null;
  readonly error: string | null;
}

/** Of an audit `whapiHas = seen + neverCame + beforeMemory`, of a seeding `whapiHas = seen + seeded`. */
export interface AuditCounts {
  readonly whapiHas: number;
  /** A webhook carried it; of a seeding: the ledger had it. */
  readonly seen: number;
  readonly neverCame: number;
  /** No webhook is known, and none needs to be: sent before the gateway's memory begins. */
  readonly beforeMemory: number;
  readonly seeded: number;
  /** Of those that never came: recorded by a release. */
  readonly released: number;
}

export interface AuditMessageView {
  readonly messageId: string;
  readonly type: string | null;
  readonly chatId: string | null;
  /** Unix seconds. */
  readonly sentAt: number;
  readonly foundAt: number;
  readonly releasedAt: number | null;
  /** A webhook, or a release, has brought it since. */
  readonly firstSeenAt: number | null;
}

/** What an audit says of a message. */
export interface AuditFinding {
  readonly auditId: string;
  readonly foundAt: number;
  readonly releasedAt: number | null;
}

/** A webhook as it came, and what became of it. */
export interface WebhookDetail {
  readonly id: string;
  readonly channel: string;
  readonly method: string;
  readonly suffix: string;
  readonly contentType: string | null;
  readonly event: string;
  readonly receivedAt: number;
  readonly auditId: string | null;
  readonly body: Buffer;
  /** With the range of bytes in the body: null where this version takes the body apart in another way. */
  readonly items: readonly (ItemView & { readonly span: Span | null })[];
  /** `positions`: which of its items. */
  readonly deliveries: readonly (DeliveryView & { readonly positions: readonly number[] })[];
}

/** A message id as it was met: in `messages`, or named by another item. */
export type Sighting = MessageView;

export interface Explanation {
  readonly channel: string;
  readonly messageId: string;
  /** What the ledger remembers; null where the id is not in it. `firstSeenAt` null: asked for or seeded, but never seen. */
  readonly ledger: {
    readonly firstSeenAt: number | null;
    readonly lastSeenAt: number;
    readonly rule: number | null;
    /** When a seeding wrote it; null where none did. */
    readonly seededAt: number | null;
  } | null;
  readonly sightings: readonly Sighting[];
  readonly resyncs: readonly ResyncMessageView[];
  /** The audits that found that it never came. */
  readonly audits: readonly AuditFinding[];
  readonly deliveries: readonly ExplainedDelivery[];
}
