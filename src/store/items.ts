import type { Span, Verdict } from '../model.js';
import type { AuditFinding } from './audits.js';
import type { DeliveryView, ExplainedDelivery } from './deliveries.js';
import type { Page, PageRequest } from './paging.js';
import type { ResyncMessageView } from './resyncs.js';

/** Judged items of webhooks, and everything that happened to a message. */
export interface Items {
  /** Judged items of whatever event. */
  list(filter: ItemFilter, page: PageRequest): Promise<Page<ItemDetail>>;
  /** The items that are messages. */
  messages(filter: MessageFilter, page: PageRequest): Promise<Page<MessageView>>;
  /** @throws GatewayError GW_NOT_FOUND, GW_PAYLOAD_GONE (it was pruned) */
  webhook(id: string): Promise<WebhookDetail>;
  /** Everything that happened to one message id; null where nothing is known of it. */
  explain(channel: string, messageId: string): Promise<Explanation | null>;
}

export interface MessageFilter {
  readonly channel?: string | undefined;
  readonly verdict?: Verdict | undefined;
  readonly held?: boolean | undefined;
}

/** What both a list of items and a release of many can be narrowed to. */
export interface ItemConditions {
  readonly channel?: string | undefined;
  readonly verdict?: Verdict | undefined;
  /** `messages.post`; `messages` or `messages.*` for all of that type. */
  readonly event?: string | undefined;
  /** Recorded at or after. */
  readonly since?: number | undefined;
  /** Recorded before. */
  readonly until?: number | undefined;
  /** Only items under a message id that this resync asked for. */
  readonly resync?: string | undefined;
  /** Only items under this message id: of `channel`, or of every channel. */
  readonly messageId?: string | undefined;
  /** Only `messages[i]` with an id. */
  readonly messagesOnly?: boolean | undefined;
}

export interface ItemFilter extends ItemConditions {
  readonly held?: boolean | undefined;
}

/** One judged item of a webhook. */
export interface ItemView {
  readonly id: string;
  readonly webhookId: string;
  /** Among the items of its webhook, from 0. */
  readonly position: number;
  readonly channel: string;
  readonly event: string;
  /** The array of the payload in which it stands; '' where the document as a whole is the item. */
  readonly carrier: string;
  /** The id that it is judged by, or that it names; null where it has none. */
  readonly messageId: string | null;
  readonly verdict: Verdict;
  readonly rule: number;
  /** A target that subscribes to it was not sent it because of its verdict. */
  readonly held: boolean;
  readonly seenAt: number;
  /** The audit whose release recorded it; null: a webhook from Whapi. */
  readonly auditId: string | null;
}

/** What an item's verdict rests on, as far as the store can still tell. */
export interface ItemDetail extends ItemView {
  /** Of a restored item: the resyncs that had registered its id by then. */
  readonly resyncIds: readonly string[];
  /** When and in which webhook its message id was first seen; null where the ledger does not say. */
  readonly firstSeenAt: number | null;
  readonly firstWebhookId: string | null;
}

/** One sighting of a message. */
export interface MessageView extends ItemView {
  readonly messageId: string;
}

/** Held items that are to be sent after all. Without `verdict`: all but `duplicate`, which the targets most likely have. */
export interface ReleaseFilter extends ItemConditions {
  /** To these targets; left out: to all that subscribe. */
  readonly targets?: readonly string[] | undefined;
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
