import type { EventMethod, EventName } from '../model.js';
import { unixSeconds } from './timestamp.js';
import { isRecord } from '../json.js';

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
  /**
   * What it is about: `chat 1@g.us`, `message p.w30`, … (a group is its chat). Of a repeatable item it tells Whapi's retry
   * from a second genuine one. Null where that is not known.
   */
  readonly object: string | null;
}

/**
 * Which rows of the decision table can apply to an item: `message` 1–10 and 15–17, `update` 11, `chat` 12, any of them and
 * `other` 13 (where `repeatable`) and 14.
 */
export type ItemKind = 'message' | 'update' | 'chat' | 'other';

/** What an array of a payload carries. */
export interface Carrier {
  readonly usual: EventName;
  readonly kind: ItemKind;
  readonly repeatable: boolean;
  readonly read: (element: unknown) => Subject;
}

const usual = (type: string, method: EventMethod): EventName => ({ type, method });
/** Of the document as a whole, and of elements that say nothing. */
export const NO_SUBJECT: Subject = subject(null, null, null);

export const OTHER_CARRIER: Carrier = {
  usual: usual('unknown', 'post'),
  kind: 'other',
  repeatable: false,
  read: () => NO_SUBJECT,
};

/** An array whose elements Whapi may send again, byte for byte. */
function repeatable(event: EventName, kind: ItemKind, read: Carrier['read']): Carrier {
  return { usual: event, kind, repeatable: true, read };
}

/** An array whose elements are about what stands at `path`: a chat, a group … */
function about(event: EventName, kind: string, ...path: string[]): Carrier {
  return repeatable(event, 'other', (value) => {
    const found = id(at(value, ...path));
    return subject(null, found, objectNamed(kind, found));
  });
}

const CARRIERS: ReadonlyMap<string, Carrier> = new Map<string, Carrier>([
  ['messages', { usual: usual('messages', 'post'), kind: 'message', repeatable: false, read: readMessage }],
  ['messages_updates', repeatable(usual('messages', 'patch'), 'update', readUpdate)],
  ['messages_removed', repeatable(usual('messages', 'delete'), 'other', readRemovedMessage)],
  ['statuses', repeatable(usual('statuses', 'post'), 'other', readStatus)],
  ['chats', repeatable(usual('chats', 'post'), 'chat', readChat)],
  ['chats_updates', repeatable(usual('chats', 'patch'), 'chat', readChatUpdate)],
  ['chats_removed', about(usual('chats', 'delete'), 'chat')],
  ['contacts', about(usual('contacts', 'post'), 'contact', 'id')],
  ['contacts_updates', repeatable(usual('contacts', 'patch'), 'other', readContactUpdate)],
  ['groups', repeatable(usual('groups', 'post'), 'chat', readChat)],
  ['groups_updates', repeatable(usual('groups', 'patch'), 'chat', readChatUpdate)],
  ['groups_participants', about(usual('groups', 'put'), 'chat', 'group_id')],
  [
    'presences',
    {
      usual: usual('presences', 'post'),
      kind: 'other',
      repeatable: false,
      read: (value) => subject(null, id(at(value, 'contact_id')), null),
    },
  ],
  ['labels', repeatable(usual('labels', 'post'), 'other', readLabel)],
  ['labels_removed', repeatable(usual('labels', 'delete'), 'other', readLabel)],
  ['calls', repeatable(usual('calls', 'post'), 'other', readCall)],
]);

/** What the array under a key carries; undefined where it carries no items. Rule 13 names all `*_updates` and `*_removed`. */
export function carrierOf(key: string): Carrier | undefined {
  const known = CARRIERS.get(key);
  if (known) return known;
  const match = /^(.{1,64})_(updates|removed)$/.exec(key);
  if (!match) return undefined;
  const [, kind = '', change] = match;
  return repeatable(usual(kind, change === 'updates' ? 'patch' : 'delete'), 'other', (value) => {
    if (kind === 'labels') return readLabel();
    return subject(
      null,
      null,
      objectNamed(OBJECTS.get(kind) ?? kind, id(value) ?? id(at(value, 'id')) ?? idAfter(value)),
    );
  });
}

/** What the arrays of a kind are about; of any other kind, its own name. */
const OBJECTS: ReadonlyMap<string, string> = new Map([
  ['statuses', 'message'],
  ['groups', 'chat'],
  ['contacts', 'contact'],
  ['calls', 'call'],
]);

function readMessage(value: unknown): Subject {
  const messageId = isRecord(value) ? id(value['id']) : null;
  if (!isRecord(value) || messageId === null) return NO_SUBJECT;
  const type = text(value['type']);
  const position = type === 'live_location' ? at(value, 'live_location', 'sequence_number') : null;
  return {
    messageId,
    chatId: id(value['chat_id']),
    type,
    timestamp: unixSeconds(value['timestamp']),
    // A number above 2^53 is rounded by the parser: two positions could look like one.
    sequence: Number.isSafeInteger(position) ? (position as number) : null,
    ownTrigger: false,
    object: null,
  };
}

function readUpdate(value: unknown): Subject {
  const messageId = id(at(value, 'id')) ?? idAfter(value);
  const trigger = id(at(value, 'trigger', 'id'));
  const chat = id(at(value, 'after_update', 'chat_id')) ?? id(at(value, 'before_update', 'chat_id'));
  return subject(messageId, chat, objectNamed('message', messageId), trigger !== null && trigger !== messageId);
}

function readChat(value: unknown): Subject {
  const chat = id(at(value, 'id'));
  return subject(id(at(value, 'last_message', 'id')), chat, objectNamed('chat', chat));
}

function readChatUpdate(value: unknown): Subject {
  const last = id(at(value, 'after_update', 'last_message', 'id'));
  const before = id(at(value, 'before_update', 'last_message', 'id'));
  const chat = idAfter(value);
  return subject(last === before ? null : last, chat, objectNamed('chat', chat));
}

function readContactUpdate(value: unknown): Subject {
  const contact = idAfter(value);
  return subject(null, contact, objectNamed('contact', contact));
}

function readStatus(value: unknown): Subject {
  const messageId = id(at(value, 'id'));
  return subject(messageId, id(at(value, 'recipient_id')), objectNamed('message', messageId));
}

function readRemovedMessage(value: unknown): Subject {
  const messageId = id(value);
  return subject(messageId, null, objectNamed('message', messageId));
}

/** A removed label goes by its id in Whapi's schema and by its name in Whapi's example, so all labels are one object. */
function readLabel(): Subject {
  return subject(null, null, 'labels');
}

function readCall(value: unknown): Subject {
  return subject(null, id(at(value, 'chat_id')), objectNamed('call', id(at(value, 'id'))));
}

/** Of an update, the id of what it is about. */
function idAfter(value: unknown): string | null {
  return id(at(value, 'after_update', 'id')) ?? id(at(value, 'before_update', 'id'));
}

/** The value at a path of keys; undefined where there is none. */
export function at(value: unknown, ...path: string[]): unknown {
  let current = value;
  for (const key of path) {
    if (!isRecord(current) || !Object.hasOwn(current, key)) return undefined;
    current = current[key];
  }
  return current;
}

export function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** An empty id names nothing. */
function id(value: unknown): string | null {
  return value === '' ? null : text(value);
}

function subject(messageId: string | null, chatId: string | null, object: string | null, ownTrigger = false): Subject {
  return { messageId, chatId, type: null, timestamp: null, sequence: null, ownTrigger, object };
}

function objectNamed(kind: string, id: string | null): string | null {
  return id === null ? null : `${kind} ${id}`;
}
