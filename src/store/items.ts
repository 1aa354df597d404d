import type { Span, Verdict } from '../model.js';
import type { AuditFinding } from './audits.js';
import type { DeliveryView, ExplainedDelivery } from './deliveries.js';
import type { RecordedFilter } from './filters.js';
import type { MessageClaim } from './message-claims.js';
import type { Page, PageRequest } from './paging.js';
import type { ResyncMessageView } from './resyncs.js';

/** Judged items of webhooks, and the history of a message. */
export interface Items {
  /** Judged items of every event. */
  list(filter: ItemFilter, page: PageRequest): Promise<Page<ItemDetail>>;
  /** The items that are messages. */
  messages(filter: MessageFilter, page: PageRequest): Promise<Page<MessageView>>;
  /** Stored webhooks, newest first. */
  webhooks(filter: RecordedFilter, page: PageRequest): Promise<Page<WebhookSummary>>;
  /** @throws GatewayError GW_NOT_FOUND, GW_PAYLOAD_GONE (it was pruned) */
  webhook(id: string): Promise<WebhookDetail>;
  /** Everything that happened to one message id; null: nothing is known of it. */
  explain(channel: string, messageId: string): Promise<Explanation | null>;
}

/** What both a list of items and a bulk release can be narrowed to. */
export interface ItemConditions extends RecordedFilter {
  readonly verdict?: Verdict | undefined;
  /** Only items under a message id of this resync. */
  readonly resync?: string | undefined;
  /** Only items under this message id, in `channel` or in every channel. */
  readonly messageId?: string | undefined;
  /** Only items that this row of the decision table judged. */
  readonly rule?: number | undefined;
  /** Only `messages[i]` with an id. */
  readonly messagesOnly?: boolean | undefined;
}

export interface ItemFilter extends ItemConditions {
  readonly held?: boolean | undefined;
}

export type MessageFilter = Omit<ItemFilter, 'messagesOnly'>;

/** One judged item of a webhook. */
export interface ItemView {
  readonly id: string;
  readonly webhookId: string;
  /** Index among the items of its webhook, from 0. */
  readonly position: number;
  readonly channel: string;
  readonly event: string;
  /** The payload array that contains it; '' when the whole document is the item. */
  readonly carrier: string;
  /** The id that it is judged by, or that it names; null: it has none. */
  readonly messageId: string | null;
  readonly verdict: Verdict;
  readonly rule: number;
  /** It was withheld from a subscribing target because of its verdict. */
  readonly held: boolean;
  readonly seenAt: number;
  /** The audit whose release recorded it; null: it came from Whapi. */
  readonly auditId: string | null;
}

/** An item with the evidence for its verdict. */
export interface ItemDetail extends ItemView, Evidence {}

/** What a verdict was based on, as far as it is still stored. */
export interface Evidence {
  /** For a restored item: the registrations of its id, or of `sameAs`, whose windows were open. */
  readonly registrations: readonly Registration[];
  /** Their resyncs. */
  readonly resyncIds: readonly string[];
  /** When and in which webhook its message id was first seen; null: not in the ledger. */
  readonly firstSeenAt: number | null;
  readonly firstWebhookId: string | null;
  readonly firstItemId: string | null;
  /** When a seeding added its message id; null: none did. */
  readonly seededAt: number | null;
  /** For a repetition: what it repeats. */
  readonly earlier: EarlierItem | null;
  /** For a message that was restored under another id: the registered id. */
  readonly sameAs: string | null;
  /** For a late message: the newest message of its chat at that time. */
  readonly late: LateEvidence | null;
  /** For a message that is held as part of a replay. */
  readonly replay: ReplayEvidence | null;
}

export interface Registration {
  readonly resyncId: string;
  readonly registeredAt: number;
  readonly deliverUnseen: boolean;
  /** The last call to Whapi for it; null: none was made by then. */
  readonly askedAt: number | null;
  readonly windowClosesAt: number | null;
}

/** An item with the same bytes that was recorded before. */
export interface EarlierItem {
  readonly recordedAt: number;
  /** Null: it may have been pruned. */
  readonly webhookId: string | null;
  readonly itemId: string | null;
}

export interface LateEvidence {
  /** Unix seconds; null: it names no time. */
  readonly sentAt: number | null;
  /** Unix seconds: the newest message of the chat. */
  readonly newestSentAt: number;
  readonly newestReceivedAt: number;
  /** The channel's setting at that time. */
  readonly lateAfterSeconds: number;
}

export interface ReplayEvidence {
  /** Unix seconds. */
  readonly sentAt: number | null;
  /** When the first message of the replay came. */
  readonly beganAt: number;
  /** The channel's setting at that time. */
  readonly replayAfterSeconds: number;
}

/** One sighting of a message: an item that carried its id. */
export interface MessageView extends ItemDetail {
  readonly messageId: string;
}

/** Held items to release. Without `verdict`: all but `duplicate`, which the targets most likely have. */
export interface ReleaseFilter extends ItemConditions {
  /** To these targets; left out: to all subscribing targets. */
  readonly targets?: readonly string[] | undefined;
}

/** How a webhook came in. */
export interface WebhookView {
  readonly id: string;
  readonly channel: string;
  readonly method: string;
  readonly suffix: string;
  readonly contentType: string | null;
  readonly event: string;
  readonly receivedAt: number;
  /** The audit whose release recorded it; null: it came from Whapi. */
  readonly auditId: string | null;
}

/** A webhook without its content. */
export interface WebhookSummary extends WebhookView {
  /** Length of its body. */
  readonly bytes: number;
  /** How many items it has, how many of them are held, and how many have each verdict. */
  readonly items: number;
  readonly held: number;
  readonly verdicts: Readonly<Partial<Record<Verdict, number>>>;
}

/** A webhook as received, with its items and deliveries. */
export interface WebhookDetail extends WebhookView {
  readonly body: Buffer;
  /** `span`: byte range in the body; null: this version of the gateway splits the body differently. */
  readonly items: readonly (ItemDetail & { readonly span: Span | null })[];
  readonly deliveries: readonly DeliveryView[];
}

/** An item that carried or named a message id. */
export type Sighting = MessageView;

export interface Explanation {
  readonly channel: string;
  readonly messageId: string;
  /** The ledger row; null: not in the ledger. `firstSeenAt` null: resynced or seeded, but never seen. */
  readonly ledger: {
    readonly firstSeenAt: number | null;
    readonly lastSeenAt: number;
    readonly rule: number | null;
    /** When a seeding added the id; null: none did. */
    readonly seededAt: number | null;
  } | null;
  readonly sightings: readonly Sighting[];
  readonly resyncs: readonly ResyncMessageView[];
  /** The audits that found it missing. */
  readonly audits: readonly AuditFinding[];
  /** The newest claim of the message, over or not, until it is pruned; null: none. */
  readonly claim: MessageClaim | null;
  readonly deliveries: readonly ExplainedDelivery[];
}
