import { once } from 'node:events';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { expect, it } from 'vitest';
import { PendingWebhooks, readBody } from '../../src/http/pending.js';

it.each(['before', 'while'])(
  'a body whose connection ends %s reading is refused and frees its memory budget',
  async (when) => {
    const pending = new PendingWebhooks(1000);
    const share = pending.admit(1000);
    const request = new IncomingMessage(new Socket());
    const closed = once(request, 'close');
    if (when === 'before') request.destroy();
    if (when === 'before') await closed;
    const reading = readBody(request, 1000, share).finally(() => share.free());
    request.destroy();
    await expect(reading).rejects.toMatchObject({ code: 'GW_BAD_REQUEST' });
    const others = [pending.admit(900), pending.admit(100)];
    expect(() => pending.admit(1)).toThrow(expect.objectContaining({ code: 'GW_OVERLOADED' }) as Error);
    others.forEach((other) => other.free());
  },
);
