import { describe, expect, it } from 'vitest';
import type { AttemptJson } from '../support/delivery.js';
import { deliveryOf, startDelivery } from '../support/delivery.js';
import { textWebhook } from '../support/texts.js';

const KIB = 1024;

/** The stored answer, as `GET /v1/deliveries/{id}` shows it. */
async function keptOf(status: number, body: Buffer | string): Promise<string | null | undefined> {
  const { gateway, bot } = await startDelivery({ max_attempts: 1 });
  bot.otherwise = (_request, response) => response.writeHead(status, { 'content-type': 'text/plain' }).end(body);
  await gateway.webhook(textWebhook('m-1'));
  await gateway.settled();
  const { id } = await deliveryOf(gateway, 'm-1');
  const { body: detail } = await gateway.call<{ log: AttemptJson[] }>('GET', `/v1/deliveries/${id}`);
  return detail.log[0]?.response;
}

describe('the answer of a bot to a failed attempt', () => {
  it('is stored with the attempt and shown by the delivery, its message and a target test', async () => {
    const { gateway, bot, target } = await startDelivery({ max_attempts: 1 });
    bot.otherwise = (_request, response) => response.writeHead(422).end('{"error":"no such chat"}');
    await gateway.webhook(textWebhook('m-1'));
    await gateway.settled();
    const { log } = await deliveryOf(gateway, 'm-1');
    expect(log).toMatchObject([{ status: 422, response: '{"error":"no such chat"}' }]);
    const { body } = await gateway.call('POST', `/v1/targets/${target.id}/test`);
    expect(body).toMatchObject({ delivered: false, status: 422, response: '{"error":"no such chat"}' });
  });

  it.each([
    ['two KiB of a long answer', 'a'.repeat(100 * KIB), 'a'.repeat(2 * KIB)],
    ['whole characters', `a${'é'.repeat(2 * KIB)}`, `a${'é'.repeat(KIB - 1)}`],
    ['U+FFFD for invalid UTF-8', Buffer.from([0x61, 0xff, 0xc3, 0x28, 0x62]), 'a\ufffd\ufffd(b'],
    ['still at most two KiB when U+FFFD makes it longer', Buffer.alloc(2 * KIB, 0xff), '\ufffd'.repeat(682)],
    ['U+FFFD for terminal control characters', 'a\u0000b\u001b[2Jc\u009bd\r\n\te', 'a\ufffdb\ufffd[2Jc\ufffdd\r\n\te'],
    ['nothing of an empty one', '', null],
  ])('is stored as text: %s', async (_what, body, expected) => {
    expect(await keptOf(500, body)).toBe(expected);
  });

  it('is cut off when the bot never stops sending', async () => {
    const { gateway, bot } = await startDelivery({ max_attempts: 1 });
    const chunk = Buffer.alloc(64 * KIB, 'a');
    const closed = new Promise<number>((resolve) => {
      bot.otherwise = (_request, response) => {
        let poured = 0;
        const more = (): void => {
          poured += chunk.length;
          response.write(chunk);
        };
        response.writeHead(500).on('drain', more);
        response.on('close', () => resolve(poured));
        more();
      };
    });
    await gateway.webhook(textWebhook('m-1'));
    expect(await closed).toBeLessThan(64 * KIB * KIB);
    await gateway.settled();
    expect((await deliveryOf(gateway, 'm-1')).log).toMatchObject([{ status: 500, response: 'a'.repeat(2 * KIB) }]);
  });
});

describe('the answer of a bot to a successful attempt', () => {
  it('is not stored', async () => {
    expect(await keptOf(200, 'thank you')).toBeNull();
  });
});
