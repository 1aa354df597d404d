import { isRecord, stringOrNull } from '../json.js';
import { valueAt } from './carriers.js';
import { unixSeconds } from './timestamp.js';

/** Identifies a message that comes under another id. */
export interface ContentFingerprint {
  /** Unix seconds, without fractions. */
  readonly sentAt: number;
  /** The texts to hash. Messages that share one of them are the same; none: too little tells this one from others. */
  readonly texts: readonly string[];
}

/** In characters. A person does not send a longer text twice within a second. */
const LEAST_TEXT_LENGTH = 20;
/** "hahahahahahahahahahaha" is quickly sent twice. */
const LEAST_DIFFERENT_CHARACTERS = 8;
const LEAST_HASH_LENGTH = 32;
const TEXT_TYPES: ReadonlySet<string> = new Set(['text', 'link_preview']);
/** Not stickers: the same one is sent twice in a row. */
const FILE_TYPES: ReadonlySet<string> = new Set(['image', 'video', 'gif', 'short', 'audio', 'voice', 'document']);
const GROUP = /^[\d-]+@g\.us$/;
/** A person, by phone number or LID. Where Whapi gives bare digits, they may be either. */
const PERSON = /^(\d{5,20})(@(s\.whatsapp\.net|c\.us|lid))?$/;

/**
 * The fingerprint of a message as Whapi shows it, in a webhook or as the answer to `GET /messages/{id}`. It covers type,
 * `from_me`, the second, the content, and
 * - in a chat with one person: a number that chat id and sender share with the other message, phone number or LID
 * - in a group: the chat and the sender's number
 * - of an own message: the chat.
 *
 * Content is a text of 20 characters or more, or the hash of a file with its caption. Anything else (short texts, stickers,
 * locations, reactions …) may be sent twice within a second, and has no texts. Null: it has no time.
 */
export function contentFingerprint(message: unknown): ContentFingerprint | null {
  if (!isRecord(message)) return null;
  const seconds = unixSeconds(message['timestamp']);
  if (seconds === null) return null;
  const sentAt = Math.floor(seconds);
  const { type, from_me: fromMe } = message;
  const content = typeof type === 'string' ? contentOf(type, message[type]) : null;
  if (content === null || typeof fromMe !== 'boolean') return { sentAt, texts: [] };
  const texts = placesOf(message, fromMe).map((place) => JSON.stringify([type, fromMe, sentAt, content, place]));
  return { sentAt, texts };
}

function contentOf(type: string, value: unknown): readonly string[] | null {
  if (TEXT_TYPES.has(type)) {
    const text = stringOrNull(valueAt(value, 'body'));
    return text !== null && isTelling(text) ? [text] : null;
  }
  const hash = FILE_TYPES.has(type) ? stringOrNull(valueAt(value, 'sha256')) : null;
  if (hash === null || hash.length < LEAST_HASH_LENGTH) return null;
  return [hash, stringOrNull(valueAt(value, 'caption')) ?? ''];
}

function isTelling(text: string): boolean {
  const characters = Array.from(text.trim());
  return characters.length >= LEAST_TEXT_LENGTH && new Set(characters).size >= LEAST_DIFFERENT_CHARACTERS;
}

/** Where and by whom it was sent, in each way that another copy of it may share. */
function placesOf(message: Record<string, unknown>, fromMe: boolean): readonly string[][] {
  const chat = stringOrNull(message['chat_id']) ?? '';
  const person = numberOf(chat);
  const isGroup = GROUP.test(chat);
  if (!isGroup && person === null) return [];
  if (fromMe) return [['chat', chat]];
  const sender = numberOf(stringOrNull(message['from']) ?? '');
  if (person !== null) return [...new Set([person, sender ?? person])].map((number) => ['person', number]);
  return sender === null ? [] : [['member', chat, sender]];
}

function numberOf(id: string): string | null {
  return PERSON.exec(id)?.[1] ?? null;
}
