import { isUtf8 } from 'node:buffer';
import { GatewayError } from '../errors.js';
import type { EventMethod, EventName, Span } from '../model.js';
import { eventOf, isRecord } from './event.js';
import type { NamedEvent, RequestHint } from './event.js';
import { scanTopLevelArrays } from './scan.js';

/** What an element says of itself, as far as a verdict or the order of a chat depends on it. */
export interface Subject {
  /**
   * The message id that the item is judged by: a message's own, an update's own, of a chat the last message that it now
   * has and had not before. Otherwise (statuses, removals) the message that it is about, or null.
   */
  readonly messageId: string | null;
  readonly chatId: string | null;
  /** `messages[i].type`; null for other carriers. */
  readonly type: string | null;
  /** Unix seconds, by the message itself; null where it has none. */
  readonly timestamp: number | null;
  /** Of a live location: the number of this position. */
  readonly sequence: number | null;
  /** Of an update: it was caused by a message of its own (an edit, a reaction, a vote). */
  readonly ownTrigger: boolean;
}

/**
 * One element of a payload that is judged by itself. `kind` says which rows of the decision table can apply:
 * `message` 1–10, `update` 11, `chat` 12, any of them and `other` 13 (where `repeatable`) and 14.
 */
export interface Item extends Subject {
  readonly kind: 'message' | 'update' | 'chat' | 'other';
  /** The key of its array; '' when the document as a whole is the item. */
  readonly carrier: string;
  /** Which array of the document it stands in; -1 for the document as a whole. */
  readonly array: number;
  readonly span: Span;
  /** The method of the event as far as it concerns this carrier. */
  readonly method: EventMethod;
  /** Rule 13 applies: Whapi's retry of it can be told from a second genuine one by its bytes. */
  readonly repeatable: boolean;
}

/** A webhook's body, taken apart. */
export interface Document {
  readonly body: Buffer;
  readonly event: EventName;
  /** Whapi's id of the channel, where the body carries one. */
  readonly channelId: string | null;
  /** `health.status.text`, where the body tells of the channel's state (docs/whapi.md, Health). */
  readonly channelState: string | null;
  /** Never empty: a document without items is itself the one item. */
  readonly items: readonly Item[];
}

interface Carrier {
  readonly usual: EventName;
  readonly kind: Item['kind'];
  readonly repeatable: boolean;
  readonly read: (element: unknown) => Subject;
}

/**
 * Takes a webhook's body apart into items. Any JSON is accepted; what is no JSON in UTF-8 is refused.
 * @throws GatewayError GW_BAD_JSON, GW_TOO_LARGE (more items than one webhook may have)
 */
export function decode(body: Buffer, hint: RequestHint): Document {
  const root = parse(body);
  const top = isRecord(root) ? root : {};
  const arrays = scanTopLevelArrays(body, (key) => carrierOf(key) !== undefined);
  const usual = arrays[0] ? (carrierOf(arrays[0].key)?.usual ?? null) : null;
  const named = eventOf(top['event'], hint, usual);
  const isKeyUnique = new Set(arrays.map(({ key }) => key)).size === arrays.length;
  const items = arrays.flatMap(({ key, elements }, array) => {
    // JSON.parse keeps only the last value of a key that occurs twice; a bot may read either, so every array is judged.
    const values = isKeyUnique && Array.isArray(top[key]) ? top[key] : null;
    return elements.map((span, index) => {
      const value: unknown = values ? values[index] : JSON.parse(body.toString('utf8', span.start, span.end));
      return itemOf(key, array, span, value, named);
    });
  });
  const { event } = named;
  if (items.length === 0) items.push(wholeDocument(body, event));
  const channelId = typeof top['channel_id'] === 'string' && top['channel_id'] !== '' ? top['channel_id'] : null;
  return { body, event, channelId, channelState: text(at(top, 'health', 'status', 'text')), items };
}

function parse(body: Buffer): unknown {
  if (!isUtf8(body)) throw new GatewayError('GW_BAD_JSON', 'The body is not UTF-8, so it is not JSON (RFC 8259).');
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch (error) {
    // The parser's words quote the body, which is somebody's message: they stay out of the answer.
    throw new GatewayError('GW_BAD_JSON', 'The body is not valid JSON.', [], { cause: error });
  }
}

/** Written out field by field: this runs for every item, and spreads were a tenth of the time of a webhook. */
function itemOf(key: string, array: number, span: Span, value: unknown, named: NamedEvent): Item {
  const carrier = carrierOf(key) ?? OTHER_CARRIER;
  const { messageId, chatId, type, timestamp, sequence, ownTrigger } = carrier.read(value);
  return {
    kind: messageId === null ? 'other' : carrier.kind,
    carrier: key,
    array,
    span,
    method: named.isMethodNamed && named.event.type === carrier.usual.type ? named.event.method : carrier.usual.method,
    repeatable: carrier.repeatable,
    messageId,
    chatId,
    type,
    timestamp,
    sequence,
    ownTrigger,
  };
}

function wholeDocument(body: Buffer, event: EventName): Item {
  const span = { start: 0, end: body.length };
  return {
    kind: 'other',
    carrier: '',
    array: -1,
    span,
    method: event.method,
    repeatable: false,
    ...subject(null, null),
  };
}

function subject(messageId: string | null, chatId: string | null, ownTrigger = false): Subject {
  return { messageId, chatId, type: null, timestamp: null, sequence: null, ownTrigger };
}

// What each array of a payload carries (docs/whapi.md, Envelope).

const usual = (type: string, method: EventMethod): EventName => ({ type, method });
const OTHER_CARRIER: Carrier = {
  usual: usual('unknown', 'post'),
  kind: 'other',
  repeatable: false,
  read: () => subject(null, null),
};

const CARRIERS: ReadonlyMap<string, Carrier> = new Map<string, Carrier>([
  ['messages', { usual: usual('messages', 'post'), kind: 'message', repeatable: false, read: readMessage }],
  ['messages_updates', { usual: usual('messages', 'patch'), kind: 'update', repeatable: true, read: readUpdate }],
  [
    'messages_removed',
    { usual: usual('messages', 'delete'), kind: 'other', repeatable: true, read: readRemovedMessage },
  ],
  ['statuses', { usual: usual('statuses', 'post'), kind: 'other', repeatable: true, read: readStatus }],
  ['chats', { usual: usual('chats', 'post'), kind: 'chat', repeatable: true, read: readChat }],
  ['chats_updates', { usual: usual('chats', 'patch'), kind: 'chat', repeatable: true, read: readChatUpdate }],
  ['chats_removed', { usual: usual('chats', 'delete'), kind: 'other', repeatable: true, read: chatIn() }],
  ['contacts', { usual: usual('contacts', 'post'), kind: 'other', repeatable: true, read: chatIn('id') }],
  [
    'contacts_updates',
    { usual: usual('contacts', 'patch'), kind: 'other', repeatable: true, read: chatIn('after_update', 'id') },
  ],
  ['groups', { usual: usual('groups', 'post'), kind: 'chat', repeatable: true, read: readChat }],
  ['groups_updates', { usual: usual('groups', 'patch'), kind: 'chat', repeatable: true, read: readChatUpdate }],
  ['groups_participants', { usual: usual('groups', 'put'), kind: 'other', repeatable: true, read: chatIn('group_id') }],
  ['presences', { usual: usual('presences', 'post'), kind: 'other', repeatable: false, read: chatIn('contact_id') }],
  ['labels', { usual: usual('labels', 'post'), kind: 'other', repeatable: true, read: () => subject(null, null) }],
  [
    'labels_removed',
    { usual: usual('labels', 'delete'), kind: 'other', repeatable: true, read: () => subject(null, null) },
  ],
  ['calls', { usual: usual('calls', 'post'), kind: 'other', repeatable: true, read: chatIn('chat_id') }],
]);

/** Carriers that Whapi may add: rule 13 names all `*_updates` and `*_removed`. */
function carrierOf(key: string): Carrier | undefined {
  const known = CARRIERS.get(key);
  if (known) return known;
  const match = /^(.{1,64})_(updates|removed)$/.exec(key);
  if (!match) return undefined;
  const method = match[2] === 'updates' ? 'patch' : 'delete';
  return { usual: usual(match[1] ?? '', method), kind: 'other', repeatable: true, read: () => subject(null, null) };
}

function readMessage(value: unknown): Subject {
  if (!isRecord(value) || typeof value['id'] !== 'string') return subject(null, null);
  const position = value['type'] === 'live_location' ? at(value, 'live_location', 'sequence_number') : null;
  return {
    messageId: value['id'],
    chatId: text(value['chat_id']),
    type: text(value['type']),
    timestamp: typeof value['timestamp'] === 'number' ? value['timestamp'] : null,
    // A number above 2^53 is rounded by the parser: two positions could look like one.
    sequence: Number.isSafeInteger(position) ? (position as number) : null,
    ownTrigger: false,
  };
}

function readUpdate(value: unknown): Subject {
  const id = text(at(value, 'id')) ?? text(at(value, 'after_update', 'id')) ?? text(at(value, 'before_update', 'id'));
  const trigger = text(at(value, 'trigger', 'id'));
  const chat = text(at(value, 'after_update', 'chat_id')) ?? text(at(value, 'before_update', 'chat_id'));
  return subject(id, chat, trigger !== null && trigger !== id);
}

function readChat(value: unknown): Subject {
  return subject(text(at(value, 'last_message', 'id')), text(at(value, 'id')));
}

function readChatUpdate(value: unknown): Subject {
  const last = text(at(value, 'after_update', 'last_message', 'id'));
  const before = text(at(value, 'before_update', 'last_message', 'id'));
  const chat = text(at(value, 'after_update', 'id')) ?? text(at(value, 'before_update', 'id'));
  return subject(last === before ? null : last, chat);
}

function readStatus(value: unknown): Subject {
  return subject(text(at(value, 'id')), text(at(value, 'recipient_id')));
}

function readRemovedMessage(value: unknown): Subject {
  return subject(text(value), null);
}

function chatIn(...path: string[]): (value: unknown) => Subject {
  return (value) => subject(null, text(at(value, ...path)));
}

function at(value: unknown, ...path: string[]): unknown {
  let current = value;
  for (const key of path) {
    if (!isRecord(current) || !Object.hasOwn(current, key)) return undefined;
    current = current[key];
  }
  return current;
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
