/**
 * Whapi's JSON, as far as the gateway reads or writes it. Sources and open questions: docs/whapi.md.
 * Objects are open (`[key: string]: unknown`): Whapi adds fields without notice, and its own examples break its schema.
 */

/** The text of a 404 that means "unknown token" rather than "unknown message" (docs/whapi.md, Errors). */
export const CHANNEL_NOT_FOUND = 'Channel not found';

/** The only `status.text` of a channel that can resync: logged in and running (docs/whapi.md, Health). */
export const HEALTHY = 'AUTH';

/** The name of an event. Subscriptions and Whapi's schema call the second key `method`. */
export interface EventName {
  /** messages, statuses, chats, contacts, groups, presences, calls, channel, users, labels, service; an open set. */
  readonly type: string;
  readonly method: 'post' | 'put' | 'patch' | 'delete';
}

const METHODS_OF_TYPE: Readonly<Record<string, readonly EventName['method'][]>> = {
  messages: ['post', 'put', 'patch', 'delete'],
  statuses: ['post', 'put'],
  chats: ['post', 'put', 'patch', 'delete'],
  contacts: ['post', 'patch'],
  groups: ['post', 'put', 'patch'],
  presences: ['post'],
  calls: ['post'],
  labels: ['post', 'delete'],
  channel: ['post', 'patch'],
  users: ['post', 'delete'],
  service: ['post'],
};

/** Every documented event that a webhook can subscribe to (docs/whapi.md, Envelope). */
export const DOCUMENTED_EVENTS: readonly EventName[] = Object.entries(METHODS_OF_TYPE).flatMap(([type, methods]) =>
  methods.map((method) => ({ type, method })),
);

/** Event names that Whapi retired. A webhook that only has these receives nothing (docs/whapi.md, Settings). */
export const LEGACY_EVENT_TYPES: ReadonlySet<string> = new Set(['message', 'ack', 'chat', 'status']);

/** One WhatsApp message (docs/whapi.md, Message). Its content is under a key named after its type. */
export interface WhapiMessage {
  readonly id: string;
  /** text, image, action, poll, poll_update …; an open set. */
  readonly type: string;
  /** `<digits>@s.whatsapp.net`, `<digits>@g.us`, `<digits>@newsletter`, `<digits>@lid`, or `stories`. */
  readonly chat_id: string;
  readonly from_me: boolean;
  /** Unix seconds: when the message was sent, not when the webhook was. */
  readonly timestamp: number;
  readonly [key: string]: unknown;
}

/** The body of every error (docs/whapi.md, Errors). */
export interface ErrorBody {
  readonly error: {
    /** Usually the HTTP status, but that is not guaranteed. */
    readonly code: number;
    readonly message: string;
    readonly details?: string;
    readonly href?: string;
    readonly support?: string;
  };
}

/** Answer of `GET /messages/list` and `GET /messages/list/{ChatID}`. */
export interface MessagesList {
  readonly messages: readonly WhapiMessage[];
  /** The requested `count`, not the number of messages in the answer. */
  readonly count: number;
  readonly total: number;
  readonly offset: number;
  /** Positions of the first and the last message in the answer; missing if there are none. */
  readonly first?: number;
  readonly last?: number;
}

/** Answer of `GET /health`, and the `health` of the channel.post webhook. */
export interface Health {
  /** Unix seconds. */
  readonly start_at: number;
  /** Seconds. */
  readonly uptime: number;
  /** Compare the text, not the code: only four codes are known. */
  readonly status: { readonly code: number; readonly text: string };
  readonly channel_id?: string;
  readonly [key: string]: unknown;
}

/** How event and method appear in a webhook's URL and HTTP method (docs/whapi.md, Modes). */
export type WebhookMode = 'body' | 'path' | 'method';

/** The most headers that a webhook may have (docs/whapi.md, Settings). */
export const MOST_WEBHOOK_HEADERS = 5;

/** One element of `webhooks` in the settings of a channel. */
export interface WebhookSetting {
  readonly url: string;
  /** Default: body. */
  readonly mode?: WebhookMode;
  /** At most MOST_WEBHOOK_HEADERS. */
  readonly headers?: Readonly<Record<string, string>>;
  /** If left out, Whapi uses an old default that matches no current event. */
  readonly events?: readonly EventName[];
  /** Whapi drops webhooks about older messages; null: no limit (docs/whapi.md, Settings). */
  readonly webhook_max_age_seconds?: number | null;
  readonly [key: string]: unknown;
}

/** `GET /settings`, and the partial body of `PATCH /settings`. */
export interface Settings {
  /** Milliseconds added to the delay after each attempt; 3,000 to 15,000. */
  readonly callback_backoff_delay_ms?: number;
  /** Milliseconds; 600,000 to 3,600,000. */
  readonly max_callback_backoff_delay_ms?: number;
  /** Keep unanswered webhooks on disk. */
  readonly callback_persist?: boolean;
  /** A PATCH replaces the whole list. */
  readonly webhooks?: readonly WebhookSetting[];
  readonly [key: string]: unknown;
}

/** Answer of `PATCH /settings`. */
export interface SettingsUpdate {
  readonly before_update: Settings;
  readonly after_update: Settings;
  /** Names of the changed fields. */
  readonly changes: readonly string[];
}

/** Body of `POST /settings/webhook_test`. What Whapi sends then is not documented (docs/whapi.md, Settings). */
export interface WebhookTest {
  readonly url: string;
  /** The type of event to simulate. */
  readonly type: string;
  readonly mode: WebhookMode;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Body of a webhook: the items under the key of their kind, beside these two (docs/whapi.md, Envelope). */
export interface WebhookEnvelope {
  /** Real payloads use `event`, the schema `method`; one official bot expects neither. */
  readonly event?: { readonly type?: string; readonly event?: string; readonly method?: string };
  readonly channel_id?: string;
  readonly messages?: readonly WhapiMessage[];
  readonly [key: string]: unknown;
}
