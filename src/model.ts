/**
 * The words of the project (the glossary), as types.
 *
 * - channel: one Whapi channel = one WhatsApp number = one Whapi token.
 * - webhook: one HTTP request from Whapi, kept as the bytes that came.
 * - item: one element of a payload that is judged by itself.
 * - verdict: what the gateway says of an item.
 * - resync: a request to bring back message ids; it owns one registration per id.
 * - registration: (channel, message id) is being brought back, from before the call to Whapi until its window closes.
 * - audit: a comparison of the messages that Whapi has with those that came. seeding: the ledger is told of them.
 * - ledger: the lasting memory of message ids.
 * - placeholder: a message of type `unknown`, which WhatsApp could not read yet; it does not make its id known.
 * - object: what an item is about (a chat, a contact, a message …); a repeat counts only against the newest item about it.
 * - target: a bot's endpoint. delivery: one body for one target. held: not sent to a target because of its verdict.
 * - split: how a target is sent a webhook of several items; a part is the body of one of these requests.
 * - released: a held item that a person had sent after all; so is the delivery that this made.
 * - lane: the deliveries of one chat and one kind of event for one target, which are made in order.
 * - job: bulk work, many retries or releases, done in the background in small steps.
 */

export const VERDICTS = ['new', 'late', 'restored', 'duplicate', 'event'] as const;
export type Verdict = (typeof VERDICTS)[number];

export const EVENT_METHODS = ['post', 'put', 'patch', 'delete'] as const;
export type EventMethod = (typeof EVENT_METHODS)[number];

export const WEBHOOK_HTTP_METHODS = ['POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type WebhookHttpMethod = (typeof WEBHOOK_HTTP_METHODS)[number];

/** What a webhook is about, in Whapi's current plural spelling: `messages.post`, `statuses.put` … */
export interface EventName {
  readonly type: string;
  readonly method: EventMethod;
}

/** Half-open range of bytes in a webhook's body. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** One HTTP request from Whapi as it came. `suffix` is what followed the channel's URL: '' or '/…'. */
export interface IncomingWebhook {
  readonly channel: string;
  readonly method: WebhookHttpMethod;
  readonly suffix: string;
  readonly contentType: string | null;
  readonly body: Buffer;
  /** The gateways that it has come through, as via.ts writes them; none where it is left out. */
  readonly via?: string | null;
}

/** A verdict with the number of the decision table's row that gave it. */
export interface Judgement {
  readonly verdict: Verdict;
  readonly rule: number;
}

export interface Channel {
  readonly name: string;
  /** Whapi's own id of the channel, learned from the first webhook that carries one. */
  readonly channelId: string | null;
  readonly whapiToken: Sealed;
  readonly webhookSecret: Sealed;
  readonly whapiBaseUrl: string;
  readonly lateAfterSeconds: number;
  /** Between the end of one call to Whapi and the next; null: the usual spacing. */
  readonly resyncSpacingMs: number | null;
  /** Calls to Whapi on one day (UTC) that the gateway makes by itself; null: no limit. */
  readonly dailyCallBudget: number | null;
  /** A message that Whapi says it does not have, to a call that passed through, is brought back unasked. */
  readonly autoResync: boolean;
  readonly createdAt: number;
}

/** A secret as it is stored: encrypted. Only `encryption.ts` makes and opens one. */
export type Sealed = string & { readonly __sealed: unique symbol };

/** A secret that signs until `expiresAt`. */
export interface ExpiringSecret {
  readonly secret: Sealed;
  readonly expiresAt: number;
}

export const TARGET_MODES = ['as_received', 'body', 'path', 'method'] as const;
export type TargetMode = (typeof TARGET_MODES)[number];

export const TARGET_SPLITS = ['none', 'chat', 'item'] as const;
export type TargetSplit = (typeof TARGET_SPLITS)[number];

export interface Target {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  /** Channel names, or `*`. */
  readonly channels: readonly string[];
  /** `*`, `messages`, `messages.post`, `messages.*`. */
  readonly events: readonly string[];
  readonly deliver: readonly Verdict[];
  readonly mode: TargetMode;
  /** One request for the whole of a webhook, for each of its chats, or for each of its items. */
  readonly split: TargetSplit;
  /** A JSON object of names and values, sealed as a whole: an Authorization is as secret as the next line. */
  readonly headers: Sealed;
  readonly secret: Sealed;
  /** Secrets from before a rotation, which sign too until they expire; newest first. */
  readonly previousSecrets: readonly ExpiringSecret[];
  readonly timeoutMs: number;
  readonly maxAttempts: number;
  /** Pauses after the first, second … failed attempt, the last one repeated; null: the gateway's own schedule. */
  readonly retryDelaysSeconds: readonly number[] | null;
  readonly maxAgeSeconds: number | null;
  readonly concurrency: number;
  readonly ratePerSecond: number | null;
  readonly enabled: boolean;
  /** Why the gateway itself switched it off; null where it did not. */
  readonly disabledReason: string | null;
  readonly createdAt: number;
}

/** How long after the last call to Whapi an id counts as coming back, unless a resync says otherwise: 72 hours. */
export const DEFAULT_WINDOW_SECONDS = 259_200;

export const DELIVERY_STATUSES = ['pending', 'delivered', 'dead', 'expired'] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/** What a pending delivery waits for, besides its time. */
export const DELIVERY_WAITS = ['earlier_delivery', 'target_enabled', 'breaker'] as const;
export type DeliveryWait = (typeof DELIVERY_WAITS)[number];

export const JOB_KINDS = ['retry', 'release'] as const;
export type JobKind = (typeof JOB_KINDS)[number];

export const JOB_STATUSES = ['running', 'finished', 'cancelled'] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

export const RESYNC_STATUSES = ['running', 'finished', 'cancelled'] as const;
export type ResyncStatus = (typeof RESYNC_STATUSES)[number];

export const RESYNC_MESSAGE_STATUSES = [
  'queued',
  'requesting',
  'waiting',
  'restored',
  'not_restored',
  'failed',
  'cancelled',
] as const;
export type ResyncMessageStatus = (typeof RESYNC_MESSAGE_STATUSES)[number];

export const AUDIT_KINDS = ['audit', 'seed'] as const;
/** audit: compares Whapi's list of messages with the ledger. seed: writes the ids of the list into the ledger. */
export type AuditKind = (typeof AUDIT_KINDS)[number];

export const AUDIT_STATUSES = ['running', 'finished', 'failed', 'cancelled'] as const;
export type AuditStatus = (typeof AUDIT_STATUSES)[number];

/** The type of a message that WhatsApp could not read yet; the message follows under the same id (docs/whapi.md, Message). */
export const PLACEHOLDER_TYPE = 'unknown';

/** One element of Whapi's list of messages (docs/whapi.md, Reading messages). */
export interface ListedMessage {
  readonly id: string;
  /** Unix seconds: when the message was sent. */
  readonly timestamp: number;
  readonly type: string | null;
  readonly chatId: string | null;
  /** The element's bytes as Whapi gave them. */
  readonly json: Buffer;
}

/** What proved that a message is restored: a webhook that carried it, or a plain GET that Whapi answered 200. */
export const PROOFS = ['webhook', 'poll'] as const;
export type Proof = (typeof PROOFS)[number];

/**
 * Why a channel makes no calls to Whapi for now: it is not logged in or not running; Whapi is busy or cannot be reached;
 * its quota is used up; it does not know the token; our own daily budget is used up; another call is under way.
 */
export const PAUSE_CODES = ['not_ready', 'busy', 'quota', 'wrong_token', 'budget', 'other_call'] as const;
export type PauseCode = (typeof PAUSE_CODES)[number];

export interface Pause {
  readonly code: PauseCode;
  /** In words, with what to do where somebody has to do something. */
  readonly reason: string;
  /** The first trouble since the last call that Whapi answered. */
  readonly since: number;
  /** When Whapi is asked again; the run goes on by itself. */
  readonly nextCheckAt: number;
}

/** How a check of the doctor ends. */
export const CHECK_STATUSES = ['ok', 'warn', 'fail'] as const;
export type CheckStatus = (typeof CHECK_STATUSES)[number];

/** What connecting a channel warns about: settings at Whapi that it does not change by itself. */
export const WARNING_CODES = [
  'same_bot',
  'past_gateway',
  'max_age',
  'legacy_events',
  'no_targets',
  'restart_needed',
  'insecure_url',
  'private_url',
] as const;

export const BREAKER_STATES = ['closed', 'open', 'half_open'] as const;

/** The circuit breaker of a target: delivery/breaker.ts tells what it does. */
export interface Breaker {
  readonly state: (typeof BREAKER_STATES)[number];
  readonly consecutiveFailures: number;
  /** Since the target was last well. */
  readonly timesOpened: number;
  /** When the trouble began; null while it is closed. */
  readonly openedAt: number | null;
  readonly nextProbeAt: number | null;
  /** How many requests may be in flight while it recovers; null: as many as the target's concurrency. */
  readonly ramp: number | null;
}

/** One try to bring a delivery to its target. */
export interface Attempt {
  readonly startedAt: number;
  readonly durationMs: number;
  /** The target's HTTP status; null when no answer came. */
  readonly status: number | null;
  /** What went wrong, in words; null after a success. */
  readonly error: string | null;
  /** The beginning of the target's answer, at most 2 KiB of text; only of a failure, and where it said something. */
  readonly response?: string;
}

/** What came of a test event. */
export interface TargetTest extends Attempt {
  /** Which event was sent: `messages.post`. */
  readonly event: string;
  /** Where it was sent: the HTTP method, and the URL's path (a query may hold a secret). */
  readonly method: string;
  readonly path: string;
  /** What to change where the target has no handler there; otherwise null. */
  readonly fix: string | null;
}

/** Consecutive attempts of a delivery's schedule that failed in the same way, the newest one included. */
export interface Streak {
  /** `no_handler`: the target answers that it does not take this event. `unknown_host`: there is no such name. */
  readonly cause: 'no_handler' | 'unknown_host';
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly attempts: number;
}
