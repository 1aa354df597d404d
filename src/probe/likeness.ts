import { hash } from 'node:crypto';
import { isRecord, stringOrNull } from '../json.js';

/** What is kept of a message to compare another copy with it: hashes, nothing that can be read. */
export interface Likeness {
  /** Of each field, by its name. That of the content leaves out what Whapi may make anew, such as a link. */
  readonly fields: Readonly<Record<string, string>>;
  /** The name of the field with the content. */
  readonly content: string | null;
}

/** What may be said of a message in public. */
export interface MessageFacts {
  readonly type: string;
  readonly fromMe: boolean | null;
  /** Seconds; null: it names no time. */
  readonly age: number | null;
  readonly chat: 'person' | 'lid' | 'group' | 'newsletter' | 'story' | 'other';
}

/** Whether a copy has the same value; null: it cannot be told. */
export interface Comparison {
  readonly id: boolean | null;
  readonly chatId: boolean | null;
  readonly timestamp: boolean | null;
  readonly content: boolean | null;
  /** The names of other fields with another value, or in one of the copies only. */
  readonly otherFields: readonly string[];
}

export const NOT_COMPARED: Comparison = { id: null, chatId: null, timestamp: null, content: null, otherFields: [] };

/** Of media, Whapi makes these anew. */
const MADE_ANEW: ReadonlySet<string> = new Set(['link', 'preview']);
const COMPARED: ReadonlySet<string> = new Set(['id', 'chat_id', 'timestamp']);
const MOST_FIELDS = 100;
const HASH_LENGTH = 16;

/** Null: it is not a message. */
export function likenessOf(message: unknown): Likeness | null {
  if (!isRecord(message)) return null;
  const type = stringOrNull(message['type']);
  const content = type !== null && Object.hasOwn(message, type) ? type : null;
  const fields = Object.entries(message)
    .slice(0, MOST_FIELDS)
    .map(([name, value]) => [name, digest(name === content ? lasting(value) : value)] as const);
  return { fields: Object.fromEntries(fields), content };
}

export function compare(original: Likeness, copy: Likeness): Comparison {
  const isSame = (name: string): boolean | null => {
    const [one, other] = [original.fields[name], copy.fields[name]];
    return one === undefined && other === undefined ? null : one === other;
  };
  const names = new Set([...Object.keys(original.fields), ...Object.keys(copy.fields)]);
  const { content } = original;
  const others = [...names].filter((name) => !COMPARED.has(name) && name !== content && isSame(name) === false);
  return {
    ...{ id: isSame('id'), chatId: isSame('chat_id'), timestamp: isSame('timestamp') },
    content: content === null ? null : isSame(content),
    otherFields: others.sort(),
  };
}

/** Whether a message under another id is the original all the same: its content, and its time or its chat. */
export function isCopy({ content, timestamp, chatId }: Comparison): boolean {
  return content === true && (timestamp === true || chatId === true);
}

/** @param now milliseconds since the epoch */
export function factsOf(message: unknown, now: number): MessageFacts | null {
  if (!isRecord(message)) return null;
  const { type, from_me: fromMe, timestamp, chat_id: chatId } = message;
  const sentAt = Number(timestamp);
  return {
    type: stringOrNull(type) ?? 'none',
    fromMe: typeof fromMe === 'boolean' ? fromMe : null,
    age: sentAt > 0 ? Math.max(0, Math.round(now / 1000 - sentAt)) : null,
    chat: chatKindOf(stringOrNull(chatId) ?? ''),
  };
}

const CHAT_KINDS: readonly (readonly [RegExp, MessageFacts['chat']])[] = [
  [/@(s\.whatsapp\.net|c\.us)$/, 'person'],
  [/@lid$/, 'lid'],
  [/@g\.us$/, 'group'],
  [/@newsletter$/, 'newsletter'],
  [/^stories$|@broadcast$/, 'story'],
];

function chatKindOf(chatId: string): MessageFacts['chat'] {
  return CHAT_KINDS.find(([pattern]) => pattern.test(chatId))?.[1] ?? 'other';
}

function lasting(value: unknown): unknown {
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => !MADE_ANEW.has(name)));
}

function digest(value: unknown): string {
  return hash('sha256', JSON.stringify(sorted(value)), 'base64url').slice(0, HASH_LENGTH);
}

/** With the keys of objects in alphabetical order: Whapi may order them in another way. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}
