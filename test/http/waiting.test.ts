import { describe, expect, it } from 'vitest';
import { answerLater, expectProblem, startApi } from '../support/api.js';
import { deliveryOf, startDelivery } from '../support/delivery.js';
import type { LocalGateway } from '../support/gateway.js';
import { QUICK_BREAKER, until } from '../support/intervals.js';
import { textWebhook } from '../support/texts.js';

const HOUR = 3_600_000;
/** Nothing is retried while a test runs. */
const SLOW = { intervals: { retryDelaysMs: [HOUR] } };

interface Explained {
  readonly deliveries: readonly { readonly id: string; readonly waiting: string | null }[];
}

async function whyWaits(gateway: LocalGateway, id: string): Promise<string | null> {
  const { body } = await gateway.call<Explained>('GET', `/v1/messages/main/${id}`);
  return body.deliveries[0]?.waiting ?? null;
}

async function untilTried(gateway: LocalGateway, id: string): Promise<void> {
  await until(async () => expect((await deliveryOf(gateway, id)).attempts).toBe(1));
}

describe('the reason why a delivery is pending', () => {
  it('is its next attempt, with its last error', async () => {
    const { gateway, bot } = await startDelivery({}, SLOW);
    bot.otherwise = 500;
    await gateway.webhook(textWebhook('A'));
    await untilTried(gateway, 'A');
    expect(await whyWaits(gateway, 'A')).toMatch(/^its next attempt is at .*Z \(1 attempt so far; last error: .*500/);
  });

  it("is the delivery ahead of it in its chat, with that one's own reason", async () => {
    const { gateway, bot } = await startDelivery({}, SLOW);
    bot.otherwise = 500;
    for (const id of ['A', 'B', 'C']) await gateway.webhook(textWebhook({ id, chat: 'one-chat' }));
    await untilTried(gateway, 'A');
    const { id } = await deliveryOf(gateway, 'A');
    const words = new RegExp(`^waits for delivery ${id}, which is ahead of it: its next attempt is at .*500`);
    expect(await whyWaits(gateway, 'C')).toMatch(words);
  });

  it('is an open circuit breaker, since when, and the time of the next probe', async () => {
    const breaker = { ...QUICK_BREAKER, failures: 1, pausesMs: [HOUR] };
    const { gateway, bot } = await startDelivery({}, { intervals: { ...SLOW.intervals, breaker } });
    bot.otherwise = 503;
    await gateway.webhook(textWebhook('A'));
    await untilTried(gateway, 'A');
    await gateway.webhook(textWebhook('B'));
    expect(await whyWaits(gateway, 'B')).toMatch(
      /^the circuit breaker of the target is open since .*Z; next probe at .*Z \(not tried yet\)$/,
    );
  });

  it('is a disabled target, with the reason', async () => {
    const { gateway, bot, target } = await startDelivery({}, SLOW);
    bot.otherwise = 410;
    await gateway.webhook(textWebhook('A'));
    await untilTried(gateway, 'A');
    expect(await whyWaits(gateway, 'A')).toMatch(
      new RegExp(`^target "bot" is disabled \\(.*410.*\\)\\. To send it: "targets enable ${target.id}"$`),
    );
  });

  it('is an attempt in progress', async () => {
    const { gateway, bot } = await startDelivery({}, SLOW);
    const { answer, give } = answerLater();
    bot.otherwise = answer;
    await gateway.webhook(textWebhook('A'));
    await bot.received(1);
    expect(await whyWaits(gateway, 'A')).toBe('an attempt is under way (not tried yet)');
    give(200);
    await gateway.settled();
    expect(await whyWaits(gateway, 'A')).toBeNull();
  });

  it('is the rate limit of its target', async () => {
    const { gateway } = await startDelivery({ rate_per_second: 0.01 }, SLOW);
    await gateway.webhook(textWebhook('A'));
    await gateway.settled();
    for (const id of ['B', 'C', 'D']) await gateway.webhook(textWebhook(id));
    expect(await whyWaits(gateway, 'D')).toMatch(/^it is due; the target takes at most 0\.01 requests a second/);
  });
});

describe('GET /v1/messages/{channel}/{message_id}', () => {
  it('distinguishes an unknown channel from an unknown message', async () => {
    const gateway = await startApi();
    const unknownMessage = await gateway.call('GET', '/v1/messages/main/A');
    expectProblem(unknownMessage, 404, 'GW_NOT_FOUND');
    expect(unknownMessage.body['detail']).toBe('No message "A" in channel "main".');
    const unknownChannel = await gateway.call('GET', '/v1/messages/shop/A');
    expectProblem(unknownChannel, 404, 'GW_NOT_FOUND');
    expect(unknownChannel.body['detail']).toBe('There is no channel "shop". Channels: main.');
  });
});
