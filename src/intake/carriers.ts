import type { EventMethod, EventName } from '../model.js';
import { unixSeconds } from './timestamp.js';
import { isRecord } from '../json.js';
import { stringOrNull } from '../json.js';

/** What an element says about itself, as far as verdicts and the order within a chat depend on it. */
export interface ItemFacts {
  /**
   * The message id that the item is judged by. For a message or an update, its own. For a chat, its last message,
   * unless it had that one before. For others (statuses, removals), the message that it is about, or null.
   */
  readonly messageId: string | null;
  readonly chatId: string | null;
  /** `messages[i].type`; null for other carriers. */
  readonly type: string | null;
  /** Unix seconds, as the message itself states; null if it has no time. */
  readonly timestamp: number | null;
  /** The channel's own number sent the message. */
  readonly fromMe: boolean;
  /** For a live location: the number of the position. */
  readonly sequence: number | null;
  /** For an update: a message of its own caused it (an edit, a reaction, a vote). */
  readonly ownTrigger: boolean;
  /**
   * What the item is about: `chat 1@g.us`, `message p.w30` … (a group is its chat). For repeatable items it tells a
   * retry of Whapi's from a second genuine event. Null if unknown.
   */
  readonly object: string | null;
}

/**
 * Which rows of the decision table can apply to an item: `message` 1–10 and 15–19, `update` 11, `chat` 12. Rows 13 (if
 * `repeatable`) and 14 can apply to all of them and to `other`.
 */
export type ItemKind = 'message' | 'update' | 'chat' | 'other';

/** What an array of a payload carries. */
export interface Carrier {
  readonly defaultEvent: EventName;
  readonly kind: ItemKind;
  readonly repeatable: boolean;
  readonly read: (element: unknown) => ItemFacts;
}

const event = (type: string, method: EventMethod): EventName => ({ type, method });
/** For the document as a whole, and for elements without any of these facts. */
export const NO_FACTS: ItemFacts = facts(null, null, null);

export const OTHER_CARRIER: Carrier = {
  defaultEvent: event('unknown', 'post'),
  kind: 'other',
  repeatable: false,
  read: () => NO_FACTS,
};

/** An array whose elements Whapi may repeat byte for byte. */
function repeatable(event: EventName, kind: ItemKind, read: Carrier['read']): Carrier {
  return { defaultEvent: event, kind, repeatable: true, read };
}

/** A repeatable array whose elements are about the object with the id at `path`: a chat, a group … */
function carrierAbout(event: EventName, kind: string, ...path: string[]): Carrier {
  return repeatable(event, 'other', (value) => {
    const found = idOrNull(valueAt(value, ...path));
    return facts(null, found, objectKey(kind, found));
  });
}

const CARRIERS: ReadonlyMap<string, Carrier> = new Map<string, Carrier>([
  ['messages', { defaultEvent: event('messages', 'post'), kind: 'message', repeatable: false, read: readMessage }],
  ['messages_updates', repeatable(event('messages', 'patch'), 'update', readUpdate)],
  ['messages_removed', repeatable(event('messages', 'delete'), 'other', readRemovedMessage)],
  ['statuses', repeatable(event('statuses', 'post'), 'other', readStatus)],
  ['chats', repeatable(event('chats', 'post'), 'chat', readChat)],
  ['chats_updates', repeatable(event('chats', 'patch'), 'chat', readChatUpdate)],
  ['chats_removed', carrierAbout(event('chats', 'delete'), 'chat')],
  ['contacts', carrierAbout(event('contacts', 'post'), 'contact', 'id')],
  ['contacts_updates', repeatable(event('contacts', 'patch'), 'other', readContactUpdate)],
  ['groups', repeatable(event('groups', 'post'), 'chat', readChat)],
  ['groups_updates', repeatable(event('groups', 'patch'), 'chat', readChatUpdate)],
  ['groups_participants', carrierAbout(event('groups', 'put'), 'chat', 'group_id')],
  [
    'presences',
    {
      defaultEvent: event('presences', 'post'),
      kind: 'other',
      repeatable: false,
      read: (value) => facts(null, idOrNull(valueAt(value, 'contact_id')), null),
    },
  ],
  ['labels', repeatable(event('labels', 'post'), 'other', readLabel)],
  ['labels_removed', repeatable(event('labels', 'delete'), 'other', readLabel)],
  ['calls', repeatable(event('calls', 'post'), 'other', readCall)],
]);

/**
 * What the array under a key carries; undefined if it carries no items. Rule 13 covers all `*_updates` and `*_removed`.
 */
export function carrierOf(key: string): Carrier | undefined {
  const known = CARRIERS.get(key);
  if (known) return known;
  const match = /^(.{1,64})_(updates|removed)$/.exec(key);
  if (!match) return undefined;
  const [, kind = '', change] = match;
  return repeatable(event(kind, change === 'updates' ? 'patch' : 'delete'), 'other', (value) => {
    if (kind === 'labels') return readLabel();
    return facts(
      null,
      null,
      objectKey(OBJECTS.get(kind) ?? kind, idOrNull(value) ?? idOrNull(valueAt(value, 'id')) ?? updatedId(value)),
    );
  });
}

/** The kind of object that arrays are about. For all others it is named like the array. */
const OBJECTS: ReadonlyMap<string, string> = new Map([
  ['statuses', 'message'],
  ['groups', 'chat'],
  ['contacts', 'contact'],
  ['calls', 'call'],
]);

function readMessage(value: unknown): ItemFacts {
  const messageId = isRecord(value) ? idOrNull(value['id']) : null;
  if (!isRecord(value) || messageId === null) return NO_FACTS;
  const type = stringOrNull(value['type']);
  const position = type === 'live_location' ? valueAt(value, 'live_location', 'sequence_number') : null;
  return {
    messageId,
    chatId: shortId(value['chat_id']),
    type,
    timestamp: unixSeconds(value['timestamp']),
    fromMe: value['from_me'] === true,
    // JSON.parse rounds numbers above 2^53, so two positions could look the same.
    sequence: Number.isSafeInteger(position) ? (position as number) : null,
    ownTrigger: false,
    object: null,
  };
}

function readUpdate(value: unknown): ItemFacts {
  const messageId = idOrNull(valueAt(value, 'id')) ?? updatedId(value);
  const trigger = idOrNull(valueAt(value, 'trigger', 'id'));
  const chat =
    idOrNull(valueAt(value, 'after_update', 'chat_id')) ?? idOrNull(valueAt(value, 'before_update', 'chat_id'));
  return facts(messageId, chat, objectKey('message', messageId), trigger !== null && trigger !== messageId);
}

function readChat(value: unknown): ItemFacts {
  const chat = idOrNull(valueAt(value, 'id'));
  return facts(idOrNull(valueAt(value, 'last_message', 'id')), chat, objectKey('chat', chat));
}

function readChatUpdate(value: unknown): ItemFacts {
  const last = idOrNull(valueAt(value, 'after_update', 'last_message', 'id'));
  const before = idOrNull(valueAt(value, 'before_update', 'last_message', 'id'));
  const chat = updatedId(value);
  return facts(last === before ? null : last, chat, objectKey('chat', chat));
}

function readContactUpdate(value: unknown): ItemFacts {
  const contact = updatedId(value);
  return facts(null, contact, objectKey('contact', contact));
}

function readStatus(value: unknown): ItemFacts {
  const messageId = idOrNull(valueAt(value, 'id'));
  return facts(messageId, idOrNull(valueAt(value, 'recipient_id')), objectKey('message', messageId));
}

function readRemovedMessage(value: unknown): ItemFacts {
  const messageId = idOrNull(value);
  return facts(messageId, null, objectKey('message', messageId));
}

/** Whapi's schema removes a label by id, its example by name, so all labels count as one object. */
function readLabel(): ItemFacts {
  return facts(null, null, 'labels');
}

function readCall(value: unknown): ItemFacts {
  return facts(null, idOrNull(valueAt(value, 'chat_id')), objectKey('call', idOrNull(valueAt(value, 'id'))));
}

/** The id of what an update is about. */
function updatedId(value: unknown): string | null {
  return idOrNull(valueAt(value, 'after_update', 'id')) ?? idOrNull(valueAt(value, 'before_update', 'id'));
}

/** The value at a path of keys; undefined if there is none. */
export function valueAt(value: unknown, ...path: string[]): unknown {
  let current = value;
  for (const key of path) {
    if (!isRecord(current) || !Object.hasOwn(current, key)) return undefined;
    current = current[key];
  }
  return current;
}

/** An empty string is not an id. */
function idOrNull(value: unknown): string | null {
  return value === '' ? null : stringOrNull(value);
}

/** Ids of chats and channels have some dozen characters. Longer ones count as missing: each target's delivery hashes the id. */
const LONGEST_CHAT_ID = 1024;

/** The id of a chat or channel. */
export function shortId(value: unknown): string | null {
  const id = idOrNull(value);
  return id !== null && id.length <= LONGEST_CHAT_ID ? id : null;
}

function facts(messageId: string | null, chat: string | null, object: string | null, ownTrigger = false): ItemFacts {
  const chatId = shortId(chat);
  return { messageId, chatId, type: null, timestamp: null, fromMe: false, sequence: null, ownTrigger, object };
}

function objectKey(kind: string, id: string | null): string | null {
  return id === null ? null : `${kind} ${id}`;
}
