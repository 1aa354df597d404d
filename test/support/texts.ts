import type { WhapiMessage } from '../../src/whapi/wire.js';

export interface Text {
  readonly id: string;
  /** Default: its own chat. */
  readonly chat?: string;
  /** Unix seconds. */
  readonly at?: number;
}

export const LONG_AGO = 1_712_995_245;

/** A text message as Whapi describes it. */
export function textMessage({ id, chat = `chat-of-${id}`, at = LONG_AGO }: Text): WhapiMessage {
  return { id, type: 'text', chat_id: chat, from_me: false, timestamp: at, text: { body: `the text of ${id}` } };
}

/** The body of a webhook with text messages. A message may be given by its id alone. */
export function textWebhook(...texts: readonly (Text | string)[]): string {
  const messages = texts.map((text) => textMessage(typeof text === 'string' ? { id: text } : text));
  return JSON.stringify({ messages, event: { type: 'messages', event: 'post' } });
}
