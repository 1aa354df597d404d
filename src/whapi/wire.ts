/**
 * Whapi's JSON, as far as the gateway reads or writes it. Sources and doubts: docs/whapi.md.
 * Objects are open (`[key: string]: unknown`): Whapi adds fields without notice and its own examples break its schema.
 */

/** The text of the 404 that means "this token is of no channel", not "no such message" (docs/whapi.md, Errors). */
export const CHANNEL_NOT_FOUND = 'Channel not found';

/** The only `status.text` of a channel that can resync: logged in and running (docs/whapi.md, Health). */
export const HEALTHY = 'AUTH';

/** What a webhook is about. The subscription and Whapi's schema call the second key `method`. */
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

/** Every event that a webhook can subscribe to, as far as it is documented (docs/whapi.md, Envelope). */
export const DOCUMENTED_EVENTS: readonly EventName[] = Object.entries(METHODS_OF_TYPE).flatMap(([type, methods]) =>
  methods.map((method) => ({ type, method })),
);

/** Names of events that Whapi gave up; a webhook that has only these is sent nothing (docs/whapi.md, Settings). */
export const LEGACY_EVENT_TYPES: ReadonlySet<string> = new Set(['message', 'ack', 'chat', 'status']);

/** One WhatsApp message (docs/whapi.md, Message). The content lies under a key named after the type. */
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

/** The body of every refusal (docs/whapi.md, Errors). */
export interface ErrorBody {
  readonly error: {
    /** As a rule the HTTP status; nothing promises it. */
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
  /** The `count` that was asked for, not the number of messages given. */
  readonly count: number;
  readonly total: number;
  readonly offset: number;
  /** Positions of the first and the last message given; missing when there is none. */
  readonly first?: number;
  readonly last?: number;
}

/** Answer of `GET /health`, and the `health` of the channel.post webhook. */
export interface Health {
  /** Unix seconds. */
  readonly start_at: number;
  /** Seconds. */
  readonly uptime: number;
  /** Compare the text, never the code: only four codes are known. */
  readonly status: { readonly code: number; readonly text: string };
  readonly channel_id?: string;
  readonly [key: string]: unknown;
}

/** How event and method show in a webhook's URL and HTTP method (docs/whapi.md, Modes). */
export type WebhookMode = 'body' | 'path' | 'method';

/** Headers that a webhook may have (docs/whapi.md, Settings). */
export const MOST_WEBHOOK_HEADERS = 5;

/** One element of `webhooks` in the settings of a channel. */
export interface WebhookSetting {
  readonly url: string;
  /** Default: body. */
  readonly mode?: WebhookMode;
  /** At most MOST_WEBHOOK_HEADERS. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Left out, Whapi takes its old default, which no current event fits. */
  readonly events?: readonly EventName[];
  /** Whapi drops a webhook about a message that is older; null: none (docs/whapi.md, Settings). */
  readonly webhook_max_age_seconds?: number | null;
  readonly [key: string]: unknown;
}

/** `GET /settings`, and the partial body of `PATCH /settings`. */
export interface Settings {
  /** Milliseconds by which the delay between two attempts grows; 3,000 to 15,000. */
  readonly callback_backoff_delay_ms?: number;
  /** Milliseconds; 600,000 to 3,600,000. */
  readonly max_callback_backoff_delay_ms?: number;
  /** Keep unanswered webhooks on disk. */
  readonly callback_persist?: boolean;
  /** Replaced as a whole by a PATCH. */
  readonly webhooks?: readonly WebhookSetting[];
  readonly [key: string]: unknown;
}

/** Answer of `PATCH /settings`. */
export interface SettingsUpdate {
  readonly before_update: Settings;
  readonly after_update: Settings;
  /** Names of the fields that were changed. */
  readonly changes: readonly string[];
}

/** Body of `POST /settings/webhook_test`. What Whapi then sends is not documented (docs/whapi.md, Settings). */
export interface WebhookTest {
  readonly url: string;
  /** The type of event that is played. */
  readonly type: string;
  readonly mode: WebhookMode;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Body of a webhook: the items under the key of their kind, beside these two (docs/whapi.md, Envelope). */
export interface WebhookEnvelope {
  /** Real payloads write `event`, the schema `method`, one official bot shows neither. */
  readonly event?: { readonly type?: string; readonly event?: string; readonly method?: string };
  readonly channel_id?: string;
  readonly messages?: readonly WhapiMessage[];
  readonly [key: string]: unknown;
}
