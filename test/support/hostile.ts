import { expect } from 'vitest';
import { startBot } from './bot.js';
import type { Bot, BotRequest } from './bot.js';

/** Clears a terminal, reverses text, rings, begins a control sequence of one byte, and forges a line. */
export const HOSTILE = '\u001b[2J\u202e\u0007\u009b\u2028\r\nforged';

export const UNPRINTABLE = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u;

/** A Whapi that uses hostile words wherever it may choose them. `health`: the state of its channel. */
export async function startHostileWhapi(health = 'AUTH'): Promise<Bot> {
  return await startBot(0, ({ url }: BotRequest, response) => {
    const error = { error: { code: 403, message: HOSTILE, details: HOSTILE } };
    const settings = {
      callback_persist: true,
      webhooks: [
        {
          ...{ url: `https://crm.example/${HOSTILE}`, mode: HOSTILE, headers: { [HOSTILE]: 'x' } },
          events: [{ type: HOSTILE, method: HOSTILE }],
        },
      ],
    };
    if (url.startsWith('/health')) response.end(JSON.stringify({ status: { code: 4, text: health } }));
    else if (url.startsWith('/settings')) response.end(JSON.stringify(settings));
    else response.writeHead(403, { 'content-type': 'application/json' }).end(JSON.stringify(error));
    return true;
  });
}

/** Asserts that no text in a JSON value is unprintable, except for `body` and for line ends in `response`. */
export function expectPrintable(value: unknown, name = ''): void {
  if (typeof value === 'string' && name !== 'body') {
    expect({ [name]: name === 'response' ? value.replace(/[\t\r\n]/g, '') : value }).not.toEqual({
      [name]: expect.stringMatching(UNPRINTABLE) as unknown,
    });
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, each] of Object.entries(value)) {
      expect(key).not.toMatch(UNPRINTABLE);
      expectPrintable(each, key);
    }
  }
}
