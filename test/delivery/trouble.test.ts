import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { startBot } from '../support/bot.js';
import type { Bot } from '../support/bot.js';
import { unreachableUrl } from '../support/api.js';
import { startClock } from '../support/clock.js';
import type { TestClock } from '../support/clock.js';
import { deliveriesOf, deliveryOf, idsSentTo, startDelivery } from '../support/delivery.js';
import type { DeliveryStage } from '../support/delivery.js';
import { startLocal } from '../support/gateway.js';
import type { LocalGateway, LocalOptions } from '../support/gateway.js';
import { QUICK_BREAKER, until } from '../support/intervals.js';
import { textWebhook } from '../support/texts.js';

const HOUR = 3_600_000;
/** Longer than any pause of a circuit breaker before its second probe. */
const WHILE = 60_000;

interface BreakerJson {
  readonly state: string;
  readonly consecutive_failures: number;
  readonly opened_at: string | null;
  readonly next_probe_at: string | null;
  readonly concurrency: number | null;
}

interface Stage extends DeliveryStage {
  readonly clock: TestClock;
  readonly options: LocalOptions;
}

/** A gateway with a frozen clock and real intervals: retries come after an hour, probes after seconds. */
async function stage(settings: Record<string, unknown> = {}): Promise<Stage> {
  const clock = startClock({ stopped: true });
  const breaker = { ...QUICK_BREAKER, pausesMs: [5000, 15_000] };
  const options = { effects: clock.effects, intervals: { retryDelaysMs: [HOUR], breaker } };
  return { clock, options, ...(await startDelivery({ concurrency: 1, ...settings }, options)) };
}

/** Texts `m-<from>` … `m-<to>`, each in its own chat. */
async function sendTexts(gateway: LocalGateway, from: number, to: number): Promise<void> {
  for (let number = from; number <= to; number += 1) await gateway.webhook(textWebhook(`m-${number}`));
}

async function breakerOf(gateway: LocalGateway, id: string): Promise<BreakerJson> {
  return (await gateway.call<{ breaker: BreakerJson }>('GET', `/v1/targets/${id}`)).body.breaker;
}

async function untilState(gateway: LocalGateway, id: string, state: string): Promise<BreakerJson> {
  return await until(async () => {
    const breaker = await breakerOf(gateway, id);
    expect(breaker.state).toBe(state);
    return breaker;
  });
}

/** A failing bot that has met its fifth failure of twenty texts. */
async function troubled(settings: Record<string, unknown> = {}): Promise<Stage> {
  const staged = await stage(settings);
  staged.bot.otherwise = 503;
  await sendTexts(staged.gateway, 1, 20);
  await untilState(staged.gateway, staged.target.id, 'open');
  return staged;
}

function hold(bot: Bot): ServerResponse[] {
  const waiting: ServerResponse[] = [];
  bot.otherwise = (_request, response) => void waiting.push(response);
  return waiting;
}

describe('a target with an open circuit breaker', () => {
  it('is sent nothing after five failures in a row, and the waiting deliveries use no attempts', async () => {
    const { gateway, bot, target } = await troubled();
    expect(await breakerOf(gateway, target.id)).toMatchObject({ state: 'open', consecutive_failures: 5 });
    expect(bot.requests).toHaveLength(5);
    expect(await deliveryOf(gateway, 'm-6')).toMatchObject({ status: 'pending', attempts: 0, waits_for: 'breaker' });
  });

  it('is sent one probe after the pause, a different delivery each time, and the rest once it has recovered', async () => {
    const { gateway, bot, target, clock } = await troubled();
    for (const probes of [1, 2, 3]) {
      clock.advance(WHILE);
      await bot.received(5 + probes);
      await untilState(gateway, target.id, 'open');
    }
    expect(idsSentTo(bot)).toEqual(['m-1', 'm-2', 'm-3', 'm-4', 'm-5', 'm-6', 'm-7', 'm-8']);
    bot.otherwise = 200;
    clock.advance(WHILE);
    await bot.received(20);
    expect(new Set(idsSentTo(bot)).size).toBe(20);
    clock.advance(2 * HOUR);
    await gateway.settled();
    expect(bot.requests).toHaveLength(28);
  });

  it('stays paused across a restart', async () => {
    const { gateway, bot, target, clock, options } = await troubled();
    const before = await breakerOf(gateway, target.id);
    await gateway.close();
    const again = await startLocal({ folder: gateway.folder, ...options });
    await again.webhook(textWebhook('m-21'));
    expect(await breakerOf(again, target.id)).toEqual(before);
    expect(bot.requests).toHaveLength(5);
    bot.otherwise = 200;
    clock.advance(WHILE);
    await bot.received(21);
    await until(async () => expect((await breakerOf(again, target.id)).state).toBe('closed'));
  });

  it('is probed within minutes even if the clock goes back by a day', async () => {
    const { gateway, bot, clock, options } = await troubled();
    await gateway.close();
    clock.jump(-24 * HOUR);
    const again = await startLocal({ folder: gateway.folder, ...options });
    bot.otherwise = 200;
    await again.webhook(textWebhook('m-21'));
    clock.advance(WHILE);
    await bot.received(6);
    expect(idsSentTo(bot).at(5)).toBe('m-21');
  });

  it('that refuses connections is paused too, and resumes at once under a new URL', async () => {
    const { gateway, bot, target } = await stage({ url: await unreachableUrl() });
    await sendTexts(gateway, 1, 9);
    await untilState(gateway, target.id, 'open');
    await gateway.call('PATCH', `/v1/targets/${target.id}`, { url: bot.url });
    await bot.received(4);
    expect(idsSentTo(bot)).toEqual(['m-6', 'm-7', 'm-8', 'm-9']);
  });

  it('does not affect another target', async () => {
    const { gateway, target } = await troubled();
    const healthy = await startBot();
    await gateway.addTarget({ name: 'healthy', url: healthy.url });
    await sendTexts(gateway, 21, 25);
    await healthy.received(5);
    expect((await breakerOf(gateway, target.id)).state).toBe('open');
  });

  it('is not one whose bot refuses some deliveries, because a 4xx is an answer', async () => {
    const { gateway, bot, target } = await stage();
    bot.otherwise = 422;
    await sendTexts(gateway, 1, 20);
    await bot.received(20);
    expect(await breakerOf(gateway, target.id)).toMatchObject({ state: 'closed', consecutive_failures: 0 });
  });

  it('is not probed with an expired message', async () => {
    const { gateway, bot, target, clock } = await stage({ max_age_seconds: 600 });
    bot.otherwise = 503;
    const fresh = (ms = 0): number => Math.floor((clock.now() + ms) / 1000);
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await gateway.webhook(textWebhook({ id, at: fresh() }));
    await gateway.webhook(textWebhook({ id: 'young', at: fresh(HOUR) }));
    await untilState(gateway, target.id, 'open');
    bot.otherwise = 200;
    clock.advance(HOUR / 2);
    await bot.received(6);
    expect(idsSentTo(bot).at(-1)).toBe('young');
    expect(await deliveryOf(gateway, 'f')).toMatchObject({ status: 'expired', attempts: 0 });
  });
});

describe('a recovering target', () => {
  it('is sent one delivery at a time at first, one more per answer, without a burst', async () => {
    const { gateway, bot, target, clock } = await troubled({ concurrency: 4 });
    const before = bot.requests.length;
    const waiting = hold(bot);
    clock.advance(WHILE);
    for (const [answered, inFlight] of [
      [0, 1],
      [1, 1],
      [2, 2],
      [3, 3],
      [4, 4],
      [5, 4],
    ] as const) {
      await bot.received(before + answered + inFlight);
      await until(() => expect(waiting).toHaveLength(inFlight));
      waiting.shift()?.writeHead(200).end();
    }
    expect(await breakerOf(gateway, target.id)).toMatchObject({ state: 'closed', concurrency: null });
  });
});

describe("an operator's action on a target", () => {
  it.each([
    [
      'enables it',
      async (gateway: LocalGateway, id: string) => await gateway.call('PATCH', `/v1/targets/${id}`, { enabled: true }),
    ],
    ['tests it', async (gateway: LocalGateway, id: string) => await gateway.call('POST', `/v1/targets/${id}/test`)],
  ])('closes its circuit breaker at once: %s', async (_how, act) => {
    const { gateway, bot, target } = await troubled();
    bot.otherwise = 200;
    expect((await act(gateway, target.id)).status).toBe(200);
    await until(() => expect(idsSentTo(bot)).toHaveLength(20));
    expect((await breakerOf(gateway, target.id)).state).toBe('closed');
  });

  it('does not close it by a failed test or an unrelated change', async () => {
    const { gateway, bot, target } = await troubled();
    await gateway.call('POST', `/v1/targets/${target.id}/test`);
    await gateway.call('PATCH', `/v1/targets/${target.id}`, { name: 'renamed' });
    expect((await breakerOf(gateway, target.id)).state).toBe('open');
    expect(idsSentTo(bot)).toHaveLength(5);
  });
});

describe('retries that hang', () => {
  it('leave slots to first attempts, because retries get a quarter', async () => {
    const { gateway, bot, clock } = await stage({ concurrency: 8, timeout_ms: 60_000 });
    bot.otherwise = 422;
    await sendTexts(gateway, 1, 20);
    await until(async () => expect((await deliveriesOf(gateway, 'm-20'))[0]?.attempts).toBe(1));
    const waiting = hold(bot);
    clock.advance(2 * HOUR);
    await bot.received(22);
    await sendTexts(gateway, 21, 26);
    await bot.received(28);
    expect(idsSentTo(bot).slice(22).sort()).toEqual(['m-21', 'm-22', 'm-23', 'm-24', 'm-25', 'm-26']);
    expect(waiting).toHaveLength(8);
    for (const response of waiting) response.destroy();
  });
});

describe('the reason why a delivery is pending', () => {
  it('is an earlier delivery of its chat, its target, or its due time', async () => {
    const { gateway, bot, target } = await stage();
    bot.otherwise = 422;
    for (const id of ['a-1', 'a-2']) await gateway.webhook(textWebhook({ id, chat: 'a' }));
    await until(async () => expect((await deliveryOf(gateway, 'a-1')).attempts).toBe(1));
    const waits = async (id: string): Promise<string | null> => (await deliveryOf(gateway, id)).waits_for;
    expect([await waits('a-1'), await waits('a-2')]).toEqual([null, 'earlier_delivery']);
    await gateway.call('PATCH', `/v1/targets/${target.id}`, { enabled: false });
    expect(await waits('a-1')).toBe('target_enabled');
  });
});
