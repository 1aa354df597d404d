import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { startBot } from '../support/bot.js';
import { WEBHOOK_SECRET } from '../support/client.js';
import { deliveryOf, requestTo, startDelivery } from '../support/delivery.js';
import { startLocal } from '../support/gateway.js';
import type { LocalGateway } from '../support/gateway.js';
import { QUICK_RETRIES_MS, until } from '../support/intervals.js';
import { textWebhook } from '../support/texts.js';

const intervals = { retryDelaysMs: QUICK_RETRIES_MS };
const LOOP = 'The target answered 508. The target leads back to this gateway.';

/** The URL at which a gateway accepts webhooks of its channel `main` without a header. */
function ingressOf({ url }: LocalGateway): string {
  return `${url}/webhooks/main/s/${WEBHOOK_SECRET}`;
}

/** A ring of gateways: each one's target leads to the gateway before it, and the first one's to the last. */
async function ringOf(count: number): Promise<LocalGateway[]> {
  const gateways = await Promise.all(Array.from({ length: count }, async () => await startLocal({ intervals })));
  for (const [index, gateway] of gateways.entries()) {
    await gateway.addChannel();
    await gateway.addTarget({ url: ingressOf(gateways.at(index - 1) ?? gateway) });
  }
  return gateways;
}

async function sightingsOf(gateway: LocalGateway, id: string): Promise<number> {
  const { body } = await gateway.call<{ sightings: unknown[] }>('GET', `/v1/messages/main/${id}`);
  return body.sightings.length;
}

describe('a target that leads back to its gateway', () => {
  it('is refused with 508 GW_LOOP: the delivery is dead at once and nothing is recorded twice', async () => {
    const [gateway] = (await ringOf(1)) as [LocalGateway];
    await gateway.webhook(textWebhook('m-1'));
    await gateway.settled();
    const { status, attempts, last_error, log } = await deliveryOf(gateway, 'm-1');
    expect({ status, attempts, last_error }).toEqual({ status: 'dead', attempts: 1, last_error: LOOP });
    expect(log[0]?.response).toContain('"GW_LOOP"');
    expect(await sightingsOf(gateway, 'm-1')).toBe(1);
  });

  it('opens no circuit breaker, and its waiting deliveries end with the reason too', async () => {
    const [gateway] = (await ringOf(1)) as [LocalGateway];
    const ids = ['m-1', 'm-2', 'm-3', 'm-4', 'm-5', 'm-6', 'm-7'];
    for (const id of ids) await gateway.webhook(textWebhook(id));
    await gateway.settled();
    for (const id of ids) expect(await deliveryOf(gateway, id)).toMatchObject({ attempts: 1, last_error: LOOP });
    const { body } = await gateway.call<{ data: unknown[] }>('GET', '/v1/targets');
    expect(body.data).toMatchObject([{ enabled: true, breaker: { state: 'closed', consecutive_failures: 0 } }]);
  });

  it.each([2, 3])('is detected across %i gateways, each recording the webhook once', async (count) => {
    const gateways = await ringOf(count);
    const [first] = gateways as [LocalGateway];
    await first.webhook(textWebhook('m-1'));
    // Against the order of the list: each leads to the one before it.
    const way = [first, ...gateways.slice(1).reverse()];
    await until(async () => expect((await deliveryOf(way.at(-1) ?? first, 'm-1')).status).toBe('dead'));
    const ends = await Promise.all(way.map(async (gateway) => await deliveryOf(gateway, 'm-1')));
    expect(ends.map(({ status }) => status)).toEqual([...Array<string>(count - 1).fill('delivered'), 'dead']);
    expect(ends.at(-1)?.last_error).toBe(LOOP);
    for (const gateway of way) expect(await sightingsOf(gateway, 'm-1')).toBe(1);
  });

  it('is still detected after a restart, because a gateway keeps its name', async () => {
    const { gateway, bot } = await startDelivery();
    await gateway.webhook(textWebhook('m-1'));
    const via = String((await requestTo(bot)).headers['x-gateway-via']);
    await gateway.close();
    const again = await startLocal({ folder: gateway.folder });
    const { status, body } = await again.webhook(textWebhook('m-2'), { headers: { 'x-gateway-via': via } });
    expect({ status, code: body.code }).toEqual({ status: 508, code: 'GW_LOOP' });
    expect((await again.call('GET', '/v1/messages/main/m-2')).status).toBe(404);
  });
});

describe('a 508 from another server', () => {
  it('is an ordinary failure, because shared hosts answer it when they are busy', async () => {
    const { gateway, bot } = await startDelivery();
    bot.answers.push(508, (_request, response) => response.writeHead(508).end('{"code":"busy"}'));
    await gateway.webhook(textWebhook('m-1'));
    await gateway.settled();
    expect(await deliveryOf(gateway, 'm-1')).toMatchObject({ status: 'delivered', attempts: 3 });
  });
});

describe('x-gateway-via', () => {
  it('names the gateway and the delivery, the same for every attempt', async () => {
    const { gateway, bot } = await startDelivery();
    bot.answers.push(500);
    await gateway.webhook(textWebhook('m-1'));
    const [first, second] = await bot.received(2);
    expect(first?.headers['x-gateway-via']).toMatch(/^gtw_[\w-]{20};dlv_[0-9a-z]{11}$/);
    expect(first?.headers['x-gateway-via']).toContain(`;${String(first?.headers['webhook-id'])}`);
    expect(second?.headers['x-gateway-via']).toBe(first?.headers['x-gateway-via']);
  });

  it('is appended to the received value without the parts that no gateway writes', async () => {
    const { gateway, bot } = await startDelivery();
    const headers = { 'x-gateway-via': 'gtw_other;dlv_1, <script>, gtw_next;dlv_2' };
    expect((await gateway.webhook(textWebhook('m-1'), { headers })).status).toBe(200);
    const via = String((await requestTo(bot)).headers['x-gateway-via']).split(', ');
    expect(via).toEqual(['gtw_other;dlv_1', 'gtw_next;dlv_2', expect.stringMatching(/^gtw_.{20};dlv_/)]);
  });

  it('is sent with a target test too, which detects a loop', async () => {
    const [gateway] = (await ringOf(1)) as [LocalGateway];
    const { body } = await gateway.call<{ data: { id: string }[] }>('GET', '/v1/targets');
    const test = await gateway.call('POST', `/v1/targets/${body.data[0]?.id}/test`);
    expect(test.body).toMatchObject({ delivered: false, status: 508 });
  });

  it('does not reveal without the secret whether a gateway knows the value', async () => {
    const { gateway, bot } = await startDelivery();
    await gateway.webhook(textWebhook('m-1'));
    const headers = { 'x-gateway-via': String((await requestTo(bot)).headers['x-gateway-via']) };
    expect((await gateway.webhook(textWebhook('m-2'), { headers, secret: 'wrong' })).status).toBe(401);
  });
});

describe('user-agent', () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };

  it('is the name and version of the gateway, at a delivery and at a test', async () => {
    const { gateway, bot, target } = await startDelivery();
    await gateway.webhook(textWebhook('m-1'));
    await gateway.call('POST', `/v1/targets/${target.id}/test`);
    const agents = (await bot.received(2)).map(({ headers }) => headers['user-agent']);
    expect(agents).toEqual([`whapi-resync-gateway/${version}`, `whapi-resync-gateway/${version}`]);
  });

  it("can be replaced by a target's own header", async () => {
    const { gateway } = await startDelivery();
    const bot = await startBot();
    await gateway.addTarget({ url: bot.url, headers: { 'User-Agent': 'let me through' } });
    await gateway.webhook(textWebhook('m-1'));
    expect((await requestTo(bot)).headers['user-agent']).toBe('let me through');
  });
});
