import { describe, expect, it } from 'vitest';
import { startClock } from '../support/clock.js';
import { deliveryOf, startDelivery } from '../support/delivery.js';
import type { DeliveryJson } from '../support/delivery.js';
import type { LocalGateway } from '../support/gateway.js';
import { QUICK_RETRIES_MS, until } from '../support/intervals.js';
import { textWebhook } from '../support/texts.js';

const intervals = { retryDelaysMs: QUICK_RETRIES_MS };
const MINUTE = 60_000;

function statusWebhook(id: string): string {
  const statuses = [{ id, status: 'read', recipient_id: 'alice', timestamp: '1712995378' }];
  return JSON.stringify({ statuses, event: { type: 'statuses', event: 'post' } });
}

/** The only delivery that ended as dead. */
async function deadOne(gateway: LocalGateway): Promise<DeliveryJson> {
  return await until(async () => {
    const { body } = await gateway.call<{ data: DeliveryJson[] }>('GET', '/v1/deliveries?status=dead');
    const [dead, ...more] = body.data;
    if (!dead || more.length > 0) throw new Error(`${body.data.length} are dead.`);
    return dead;
  });
}

/** Resolves when the only pending delivery has had the given number of attempts. */
async function attempted(gateway: LocalGateway, attempts: number): Promise<void> {
  await until(async () => {
    const { body } = await gateway.call<{ data: DeliveryJson[] }>('GET', '/v1/deliveries?status=pending');
    expect(body.data).toMatchObject([{ attempts }]);
  });
}

describe('an unknown host', () => {
  it('does not end a delivery before ten minutes, however short its schedule, and then gives the reason', async () => {
    const clock = startClock();
    const { gateway } = await startDelivery(
      { url: 'http://bot.invalid/', max_attempts: 100 },
      { effects: clock.effects, intervals },
    );
    await gateway.webhook(textWebhook('m-1'));
    await until(async () => expect((await deliveryOf(gateway, 'm-1')).attempts).toBeGreaterThan(6));
    expect((await deliveryOf(gateway, 'm-1')).status).toBe('pending');
    clock.advance(10 * MINUTE);
    expect((await deadOne(gateway)).last_error).toMatch(
      /^Cannot resolve "bot\.invalid" \(ENOTFOUND\): check the host name in the URL\. Not retried: the host did not exist at \d+ attempts within 10 minutes\.$/,
    );
  });
});

describe('an event without a handler at the target', () => {
  it.each([404, 405, 501])('is dead with a reason after three attempts that answer %i', async (status) => {
    const { gateway, bot } = await startDelivery();
    bot.otherwise = status;
    await gateway.webhook(statusWebhook('m-1'));
    const { attempts, last_error } = await deadOne(gateway);
    const expected = `The target answered ${status}. The target has no handler for statuses.post.`;
    expect({ attempts, last_error }).toEqual({ attempts: 3, last_error: expected });
    expect(bot.requests).toHaveLength(3);
  });

  it('has its attempts within two minutes for any schedule and Retry-After', async () => {
    const clock = startClock();
    const { gateway, bot } = await startDelivery({ retry_delays_seconds: [7 * 24 * 3600] }, { effects: clock.effects });
    bot.otherwise = (_request, response) => response.writeHead(404, { 'retry-after': '3600' }).end();
    await gateway.webhook(statusWebhook('m-1'));
    await bot.received(1);
    for (const count of [2, 3]) {
      await attempted(gateway, count - 1);
      clock.advance(MINUTE);
      await bot.received(count);
    }
    expect((await deadOne(gateway)).attempts).toBe(3);
  });

  it('is delivered when the bot behind a proxy is back in time', async () => {
    const { gateway, bot } = await startDelivery();
    bot.answers.push(404, 404);
    await gateway.webhook(statusWebhook('m-1'));
    await gateway.settled();
    expect(bot.requests).toHaveLength(3);
    const { body } = await gateway.call<{ data: unknown[] }>('GET', '/v1/deliveries?status=delivered');
    expect(body.data).toHaveLength(1);
  });

  it('does not include messages, which follow their schedule', async () => {
    const { gateway, bot } = await startDelivery();
    bot.answers.push(404, 405, 501, 404);
    await gateway.webhook(textWebhook('m-1'));
    await gateway.settled();
    expect(await deliveryOf(gateway, 'm-1')).toMatchObject({ status: 'delivered', attempts: 5 });
  });

  it('does not open the circuit breaker for messages by its 501', async () => {
    const { gateway, bot, target } = await startDelivery();
    bot.otherwise = 501;
    for (const id of ['m-1', 'm-2', 'm-3']) await gateway.webhook(statusWebhook(id));
    await gateway.settled();
    expect(bot.requests).toHaveLength(9);
    const { body } = await gateway.call('GET', `/v1/targets/${target.id}`);
    expect(body).toMatchObject({ breaker: { state: 'closed', consecutive_failures: 0 } });
  });
});
