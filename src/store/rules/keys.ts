import { hash } from 'node:crypto';
import type { Item } from '../../intake/decode.js';

/** Length of every key in bytes: 128 bits of SHA-256 make a chance collision among a billion ids one in 10^20. */
export const KEY_BYTES = 16;

/**
 * The key of a message id: (channel, id) exactly, never the chat. JSON notation keeps apart what UTF-8 would merge (lone
 * surrogates) and where the channel's name ends.
 */
export function messageKey(channel: string, messageId: string): Buffer {
  return digest(`message ${channel} ${JSON.stringify(messageId)}`);
}

/** The key of a chat. */
export function chatKey(channel: string, chatId: string): Buffer {
  return digest(`chat ${channel} ${JSON.stringify(chatId)}`);
}

/** The key of what is known of a group, a chat, a contact …, whatever event tells of it. */
export function objectKey(channel: string, object: string): Buffer {
  return digest(`object ${channel} ${JSON.stringify(object)}`);
}

/**
 * The keys of the lanes that items stand in (I6), one after the other, none twice: one lane for a chat and a kind of event.
 * What belongs to no chat shares a lane with its like.
 */
export function laneKeys(channel: string, items: readonly Pick<Item, 'eventType' | 'chatId'>[]): Buffer {
  const lanes = new Map(items.map(({ eventType, chatId }) => [`${eventType} ${chatId ?? ''}`, { eventType, chatId }]));
  return Buffer.concat([...lanes.values()].map(({ eventType, chatId }) => laneKey(channel, eventType, chatId ?? '')));
}

/** That of messages is the chat's own key, as it was when a chat had one lane: what waits from then keeps its place. */
function laneKey(channel: string, eventType: string, chatId: string): Buffer {
  if (eventType === 'messages') return chatKey(channel, chatId);
  return digest(`lane ${channel} ${eventType} ${JSON.stringify(chatId)}`);
}

/**
 * What tells a repetition of a message from another one under the same id: its bytes, whatever the event; of a live
 * location the number of its position.
 */
export function fingerprintKey(channel: string, item: Item, body: Buffer): Buffer {
  const position = item.type === 'live_location' ? item.sequence : null;
  if (position === null) return digest(`trace ${channel} messages ${itemText(item, body)}`);
  return digest(`position ${channel} ${JSON.stringify(item.messageId)} ${position}`);
}

/** What tells a repetition of an item that is no message: its bytes under its event. */
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
  // A buffer from the digest itself would come with memory of its own, half of the time of a key.
  return Buffer.from(hash('sha256', text, 'binary').slice(0, KEY_BYTES), 'latin1');
}
