import { EVENT_METHODS } from '../model.js';
import type { EventMethod, EventName, WebhookHttpMethod } from '../model.js';
import { isRecord } from '../json.js';

/**
 * Whapi's current event types, and the singular and legacy spellings that old payloads and settings use (docs/whapi.md,
 * Modes).
 */
export const TYPES: ReadonlyMap<string, string> = new Map([
  ...['messages', 'statuses', 'chats', 'contacts', 'groups', 'presences', 'calls', 'labels', 'users'].map(
    (type) => [type, type] as const,
  ),
  ...['channel', 'service'].map((type) => [type, type] as const),
  ['message', 'messages'],
  ['status', 'statuses'],
  ['ack', 'statuses'],
  ['chat', 'chats'],
  ['contact', 'contacts'],
  ['group', 'groups'],
  ['presence', 'presences'],
  ['call', 'calls'],
  ['label', 'labels'],
  ['user', 'users'],
  ['channels', 'channel'],
]);

/** Unknown types are accepted if they have this form, because they may become part of a target's URL. */
const TYPE_PATTERN = /^[A-Za-z_][\w-]{0,63}$/;

/** What the request says about the event if the body does not. */
export interface RequestHint {
  readonly method: WebhookHttpMethod;
  readonly suffix: string;
}

export interface NamedEvent {
  readonly event: EventName;
  /** The body or the request states the method. Otherwise it is only the default of the body's first key. */
  readonly isMethodExplicit: boolean;
}

/** `messages.post` */
export function nameOf({ type, method }: EventName): string {
  return `${type}.${method}`;
}

/**
 * The event of a webhook. Its `event` field comes first: `{type, event}` in real payloads, `{type, method}` in Whapi's
 * schema. What is missing or unknown there comes from the path suffix, then from the HTTP method, and finally from the
 * default of the body's keys. So an odd event name cannot let a restored message slip through.
 */
export function eventOf(field: unknown, hint: RequestHint, defaultEvent: EventName | null): NamedEvent {
  const fields = isRecord(field) ? field : {};
  const path = eventOfSuffix(hint);
  const method = knownMethod(fields['event']) ?? knownMethod(fields['method']) ?? path.method;
  return {
    event: {
      type: knownType(fields['type']) ?? path.type ?? defaultEvent?.type ?? 'unknown',
      method: method ?? defaultEvent?.method ?? (hint.method.toLowerCase() as EventMethod),
    },
    isMethodExplicit: method !== undefined,
  };
}

/** Path mode appends `/type/method`; method mode appends `/type` and uses the event's method as HTTP method. */
function eventOfSuffix({ method, suffix }: RequestHint): {
  type?: string | undefined;
  method?: EventMethod | undefined;
} {
  const parts = suffix.split('/').filter((part) => part !== '');
  const last = parts.at(-1);
  const verb = method.toLowerCase() as EventMethod;
  const lastAsMethod = knownMethod(last);
  if (lastAsMethod !== undefined && parts.length > 1)
    return { type: TYPES.get(parts.at(-2) ?? ''), method: lastAsMethod };
  const type = TYPES.get(last ?? '');
  // Body mode sends every event as POST, so a POST without a suffix says nothing about the event.
  if (type !== undefined || verb !== 'post') return { type, method: verb };
  return {};
}

function knownType(value: unknown): string | undefined {
  if (typeof value !== 'string' || !TYPE_PATTERN.test(value)) return undefined;
  return TYPES.get(value.toLowerCase()) ?? value;
}

function knownMethod(value: unknown): EventMethod | undefined {
  if (typeof value !== 'string') return undefined;
  const word = value.toLowerCase();
  return EVENT_METHODS.find((method) => method === word);
}
