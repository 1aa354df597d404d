/**
 * The glossary of the project, as types.
 *
 * - channel: one Whapi channel = one WhatsApp number = one Whapi token.
 * - webhook: one HTTP request from Whapi, kept as the bytes that came in.
 * - item: one element of a payload that is judged by itself.
 * - verdict: how the gateway judges an item.
 * - resync: a request to bring back message ids; owns one registration per id.
 * - registration: (channel, message id) is being brought back, from before the call to Whapi until its window closes.
 * - audit: compares the messages that Whapi has with those that arrived. seeding: writes the ids that Whapi has to the
 *   ledger.
 * - ledger: the lasting memory of message ids.
 * - placeholder: a message of type `unknown` that WhatsApp could not read yet; it does not make its id known.
 * - object: what an item is about (a chat, a contact, a message …); only the newest item about it can be repeated.
 * - target: a bot's endpoint. delivery: one body for one target. held: not sent to a target because of its verdict, or of
 *   the target's policies.
 * - backlog: a message that is late, or older than the target allows, when its turn comes.
 * - split: how a webhook with several items is sent to a target; a part is the body of one of these requests.
 * - released: a held item that was sent to targets on a manual request; also the delivery that this created.
 * - lane: the deliveries of one chat and one kind of event for one target, which are made in order.
 * - job: many retries or releases, done in the background in small steps.
 * - replica: one of the gateway processes that share a PostgreSQL database.
 * - lease: the right of one holder to a delivery, call, audit, probe or turn until a given time; a crash of the holder frees it.
 * - turn: the lease of a channel for one call to Whapi.
 */

export const VERDICTS = ['new', 'late', 'restored', 'duplicate', 'event'] as const;
export type Verdict = (typeof VERDICTS)[number];

export const EVENT_METHODS = ['post', 'put', 'patch', 'delete'] as const;
export type EventMethod = (typeof EVENT_METHODS)[number];

export const WEBHOOK_HTTP_METHODS = ['POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type WebhookHttpMethod = (typeof WEBHOOK_HTTP_METHODS)[number];

/** The name of an event, in Whapi's current plural spelling: `messages.post`, `statuses.put` … */
export interface EventName {
  readonly type: string;
  readonly method: EventMethod;
}

/** Half-open range of bytes in a webhook's body. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** One HTTP request from Whapi as it came in. `suffix` is what followed the channel's URL: '' or '/…'. */
export interface IncomingWebhook {
  readonly channel: string;
  readonly method: WebhookHttpMethod;
  readonly suffix: string;
  readonly contentType: string | null;
  readonly body: Buffer;
  /** The gateways that it has passed through, in the form of via.ts; left out if there are none. */
  readonly via?: string | null;
}

/** A verdict and the row of the decision table that gave it. */
export interface Judgement {
  readonly verdict: Verdict;
  readonly rule: number;
}

export const ON_REPLAY = ['deliver', 'hold'] as const;
export type OnReplay = (typeof ON_REPLAY)[number];

export interface Channel {
  readonly name: string;
  /** Whapi's own id of the channel, learned from the first webhook that carries one. */
  readonly channelId: string | null;
  readonly whapiToken: Sealed;
  readonly webhookSecret: Sealed;
  readonly whapiBaseUrl: string;
  readonly lateAfterSeconds: number;
  /** Milliseconds between the end of one call to Whapi and the next; null: the default spacing. */
  readonly resyncSpacingMs: number | null;
  /** How many calls to Whapi the gateway may make by itself per day (UTC); null: no limit. */
  readonly dailyCallBudget: number | null;
  /** Start a resync when Whapi reports a message missing to a client's call through `/whapi`. */
  readonly autoResync: boolean;
  /** What becomes of a replay: many unrequested old messages within a minute (intake/replays.ts). */
  readonly onReplay: OnReplay;
  /** How much older than its arrival a message of a replay is. */
  readonly replayAfterSeconds: number;
  /** How many such messages within a minute are a replay. */
  readonly replayMessages: number;
  readonly createdAt: number;
}

/** A secret as it is stored: encrypted. Only `encryption.ts` creates and opens one. */
export type Sealed = string & { readonly __sealed: unique symbol };

/** A secret that still signs until `expiresAt`. */
export interface ExpiringSecret {
  readonly secret: Sealed;
  readonly expiresAt: number;
}

export const TARGET_MODES = ['as_received', 'body', 'path', 'method'] as const;
export type TargetMode = (typeof TARGET_MODES)[number];

export const TARGET_SPLITS = ['none', 'chat', 'item'] as const;
export type TargetSplit = (typeof TARGET_SPLITS)[number];

export const BACKLOG_POLICIES = ['all', 'newest_per_chat', 'hold'] as const;
/** Which messages of the backlog are sent: all, the newest of each chat, or none. */
export type BacklogPolicy = (typeof BACKLOG_POLICIES)[number];

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
  /** One request for a whole webhook, for each of its chats, or for each of its items. */
  readonly split: TargetSplit;
  /** A JSON object of names and values, sealed as a whole: any header may be a secret. */
  readonly headers: Sealed;
  readonly secret: Sealed;
  /** Secrets from before a rotation that sign as well until they expire; newest first. */
  readonly previousSecrets: readonly ExpiringSecret[];
  readonly timeoutMs: number;
  readonly maxAttempts: number;
  /** Pauses after the first, second … failed attempt, the last one repeated; null: the default schedule. */
  readonly retryDelaysSeconds: readonly number[] | null;
  readonly maxAgeSeconds: number | null;
  readonly concurrency: number;
  readonly ratePerSecond: number | null;
  readonly backlogPolicy: BacklogPolicy;
  /** A message that is older than this at an attempt is backlog. */
  readonly backlogAfterSeconds: number;
  /** The pace of the backlog; null: as fast as everything else. */
  readonly backlogRatePerMinute: number | null;
  /** Do not send a message whose chat has a newer message of the channel's own number. */
  readonly skipAnswered: boolean;
  readonly enabled: boolean;
  /** Why the gateway disabled it; null if it did not. */
  readonly disabledReason: string | null;
  readonly createdAt: number;
}

/** The default window: how long after the last call to Whapi an id may come back. 72 hours. */
export const DEFAULT_WINDOW_SECONDS = 259_200;

/**
 * How a delivery ends when its target's policies leave it out. superseded: a newer message of its chat waits. answered: its
 * chat has a newer message of the channel's own number. withheld: it is backlog. Its items are held.
 */
export const LEFT_OUT_STATUSES = ['superseded', 'answered', 'withheld'] as const;
export type LeftOutStatus = (typeof LEFT_OUT_STATUSES)[number];

export const SETTLED_STATUSES = ['delivered', 'dead', 'expired', ...LEFT_OUT_STATUSES] as const;
export const DELIVERY_STATUSES = ['pending', ...SETTLED_STATUSES] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/**
 * What becomes of an item at a target in a preview. sent: its delivery is attempted. held: because of its verdict.
 * not_subscribed: the target does not take its event or channel.
 */
export const PREVIEW_OUTCOMES = ['sent', 'held', 'expired', ...LEFT_OUT_STATUSES, 'not_subscribed'] as const;
export type PreviewOutcome = (typeof PREVIEW_OUTCOMES)[number];

/** What a pending delivery waits for, besides its due time. */
export const DELIVERY_WAITS = ['earlier_delivery', 'target_enabled', 'breaker', 'backlog_rate'] as const;
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

/**
 * The type of a placeholder: WhatsApp could not read the message yet, it follows under the same id (docs/whapi.md,
 * Message).
 */
export const PLACEHOLDER_TYPE = 'unknown';

/** One element of Whapi's list of messages (docs/whapi.md, Reading messages). */
export interface ListedMessage {
  readonly id: string;
  /** Unix seconds: when the message was sent. */
  readonly timestamp: number;
  readonly type: string | null;
  readonly chatId: string | null;
  /** The element's bytes as Whapi sent them. */
  readonly json: Buffer;
}

/** What proved that a message was restored: a webhook that carried it, or a plain GET that Whapi answered 200. */
export const PROOFS = ['webhook', 'poll'] as const;
export type Proof = (typeof PROOFS)[number];

/**
 * Why a channel makes no calls to Whapi at the moment. not_ready: it is not logged in or not running. busy: Whapi is
 * busy or cannot be reached. quota: its quota at Whapi is used up. wrong_token: Whapi does not know its token. budget:
 * its own daily budget is used up. other_call: another caller's call is under way.
 */
export const PAUSE_CODES = ['not_ready', 'busy', 'quota', 'wrong_token', 'budget', 'other_call'] as const;
export type PauseCode = (typeof PAUSE_CODES)[number];

export interface Pause {
  readonly code: PauseCode;
  /** The cause, and what to do if someone has to act. */
  readonly reason: string;
  /** The first failure since the last call that Whapi answered. */
  readonly since: number;
  /** When Whapi is asked again; the run resumes by itself. */
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

/** The circuit breaker of a target; see delivery/breaker.ts. */
export interface Breaker {
  readonly state: (typeof BREAKER_STATES)[number];
  readonly consecutiveFailures: number;
  /** How often it opened since it was last fully closed. */
  readonly timesOpened: number;
  /** When it opened first; null while it is closed. */
  readonly openedAt: number | null;
  readonly nextProbeAt: number | null;
  /** The most requests in flight while it ramps up; null: the target's concurrency. */
  readonly ramp: number | null;
}

/** One attempt to send a delivery to its target. */
export interface Attempt {
  readonly startedAt: number;
  readonly durationMs: number;
  /** The target's HTTP status; null if no answer came. */
  readonly status: number | null;
  /** What went wrong, for people; null after a success. */
  readonly error: string | null;
  /** The start of the target's answer to a failed attempt, at most 2 KiB of text; left out if it was empty. */
  readonly response?: string;
}

/** The result of a test event. */
export interface TargetTest extends Attempt {
  /** The event that was sent: `messages.post`. */
  readonly event: string;
  /** Where it was sent: the HTTP method, and the URL's path (a query may hold a secret). */
  readonly method: string;
  readonly path: string;
  /** What to change if the target has no handler there; otherwise null. */
  readonly fix: string | null;
}

/** Consecutive attempts of a delivery's schedule that failed in the same way, including the latest. */
export interface Streak {
  /** `no_handler`: the target does not take this event. `unknown_host`: its host name does not exist. */
  readonly cause: 'no_handler' | 'unknown_host';
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly attempts: number;
}
