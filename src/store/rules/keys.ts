import { hash } from 'node:crypto';
import type { Item } from '../../intake/decode.js';

/** Length of a key in bytes. With 128 bits of SHA-256, two of a billion ids collide with a probability of one in 10^20. */
export const KEY_BYTES = 16;

/**
 * The key of a message id: (channel, id) exactly, never the chat. JSON notation keeps lone surrogates apart, which UTF-8
 * would merge, and marks where the channel's name ends.
 */
export function messageKey(channel: string, messageId: string): Buffer {
  return digest(`message ${channel} ${JSON.stringify(messageId)}`);
}

/** The key of a chat. */
export function chatKey(channel: string, chatId: string): Buffer {
  return digest(`chat ${channel} ${JSON.stringify(chatId)}`);
}

/** The key of a group, chat, contact, label or message as an object, the same for every event about it. */
export function objectKey(channel: string, object: string): Buffer {
  return digest(`object ${channel} ${JSON.stringify(object)}`);
}

/**
 * The concatenated keys of the lanes of some items (I6), without repetitions: one lane for each chat and kind of event.
 * Items of one kind that belong to no chat share a lane.
 */
export function laneKeys(channel: string, items: readonly Pick<Item, 'eventType' | 'chatId'>[]): Buffer {
  const lanes = new Map(items.map((item) => [`${item.eventType} ${item.chatId ?? ''}`, item]));
  return Buffer.concat([...lanes.values()].map((item) => laneKey(channel, item)));
}

/**
 * The key of an item's lane. The lane of messages has the chat's own key, as when a chat had one lane, so that older
 * deliveries keep their place.
 */
export function laneKey(channel: string, { eventType, chatId }: Pick<Item, 'eventType' | 'chatId'>): Buffer {
  if (eventType === 'messages') return chatKey(channel, chatId ?? '');
  return digest(`lane ${channel} ${eventType} ${JSON.stringify(chatId ?? '')}`);
}

/**
 * The fingerprint that tells a repetition of a message from another one under the same id: its bytes, whatever the event,
 * or the sequence number of a live location. Stored hashes contain its former name, "trace".
 */
export function fingerprintKey(channel: string, item: Item, body: Buffer): Buffer {
  const position = item.type === 'live_location' ? item.sequence : null;
  if (position === null) return digest(`trace ${channel} messages ${itemText(item, body)}`);
  return digest(`position ${channel} ${JSON.stringify(item.messageId)} ${position}`);
}

/** The key of one text of a message's content fingerprint: see intake/content-fingerprint.ts. */
export function contentKey(channel: string, text: string): Buffer {
  return digest(`content ${channel} ${text}`);
}

/** The fingerprint of an item that is no message: its bytes and its event. */
export function eventFingerprintKey(channel: string, event: string, item: Item, body: Buffer): Buffer {
  return digest(`trace ${channel} ${event} ${itemText(item, body)}`);
}

/** The keys in a buffer of concatenated keys. */
export function* keysIn(keys: Buffer): Generator<Buffer> {
  for (let at = 0; at < keys.length; at += KEY_BYTES) yield keys.subarray(at, at + KEY_BYTES);
}

function itemText({ span }: Item, body: Buffer): string {
  return body.toString('latin1', span.start, span.end);
}

function digest(text: string): Buffer {
  // A buffer returned by the digest has memory of its own, which takes half of the time of a key.
  return Buffer.from(hash('sha256', text, 'binary').slice(0, KEY_BYTES), 'latin1');
}
