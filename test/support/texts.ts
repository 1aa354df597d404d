import type { WhapiMessage } from '../../src/whapi/wire.js';

export interface Text {
  readonly id: string;
  /** Default: a chat of its own. */
  readonly chat?: string;
  /** Unix seconds. */
  readonly at?: number;
}

export const LONG_AGO = 1_712_995_245;

/** A text message as Whapi describes it. */
export function textMessage({ id, chat = `chat-of-${id}`, at = LONG_AGO }: Text): WhapiMessage {
  return { id, type: 'text', chat_id: chat, from_me: false, timestamp: at, text: { body: `the text of ${id}` } };
}

/** The body of a webhook that brings text messages. A message may be named by its id alone. */
export function textWebhook(...texts: readonly (Text | string)[]): string {
  const messages = texts.map((text) => textMessage(typeof text === 'string' ? { id: text } : text));
  return JSON.stringify({ messages, event: { type: 'messages', event: 'post' } });
}
