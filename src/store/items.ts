import type { Verdict } from '../model.js';

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
