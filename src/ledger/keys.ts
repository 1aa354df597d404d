import { hash } from 'node:crypto';
import type { Item } from '../intake/decode.js';

/** Length of every key in bytes: 128 bits of SHA-256 make a chance collision among a billion ids one in 10^20. */
export const KEY_BYTES = 16;

/**
 * The key of a message id: (channel, id) exactly, never the chat. JSON notation keeps apart what UTF-8 would merge (lone
 * surrogates) and where the channel's name ends.
 */
export function messageKey(channel: string, messageId: string): Buffer {
  return digest(`message ${channel} ${JSON.stringify(messageId)}`);
}

/** The key of a chat; of '' for what belongs to no chat. */
export function chatKey(channel: string, chatId: string): Buffer {
  return digest(`chat ${channel} ${JSON.stringify(chatId)}`);
}

/**
 * What tells a repetition of an item from a second genuine one: its bytes under its event, of a message its bytes
 * whatever the event, of a live location the number of its position.
 */
export function traceKey(channel: string, event: string, item: Item, body: Buffer): Buffer {
  if (item.kind !== 'message') return digest(`trace ${channel} ${event} ${textOf(item, body)}`);
  const position = item.type === 'live_location' ? item.sequence : null;
  if (position === null) return digest(`trace ${channel} messages ${textOf(item, body)}`);
  return digest(`position ${channel} ${JSON.stringify(item.messageId)} ${position}`);
}

function textOf({ span }: Item, body: Buffer): string {
  return body.toString('latin1', span.start, span.end);
}

function digest(text: string): Buffer {
  // A buffer from the digest itself would come with memory of its own, half of the time of a key.
  return Buffer.from(hash('sha256', text, 'binary').slice(0, KEY_BYTES), 'latin1');
}
