import { describe, expect, it, onTestFinished } from 'vitest';
import { startClockWatch } from '../src/clock.js';
import { startApi } from './support/api.js';
import { startBot } from './support/bot.js';
import { startClock } from './support/clock.js';
import { until } from './support/intervals.js';
import { textWebhook } from './support/texts.js';

const HOUR_MS = 60 * 60 * 1000;

/** A watch on two clocks that the test controls. `look` makes it compare them, `fails` makes the next report fail. */
function watch() {
  const clocks = { now: 1_700_000_000_000, monotonic: 5 };
  const state = { told: [] as number[], errors: 0, fails: false };
  let wake: () => void = () => undefined;
  const loop = startClockWatch({
    effects: {
      now: () => clocks.now,
      monotonic: () => clocks.monotonic,
      sleep: async (_ms, signal) =>
        await new Promise((resolve) => {
          wake = resolve;
          signal?.addEventListener('abort', () => resolve());
        }),
    },
    onSetBack: async (byMs) => {
      if (state.fails) throw new Error('the store is away');
      state.told.push(byMs);
      await Promise.resolve();
    },
    onError: () => void (state.errors += 1),
  });
  onTestFinished(async () => await loop.stop());
  const compare = async (passedMs: number, shownMs: number): Promise<void> => {
    await new Promise((settled) => setImmediate(settled));
    clocks.monotonic += passedMs;
    clocks.now += shownMs;
    wake();
    await new Promise((settled) => setImmediate(settled));
  };
  return { state, look: compare };
}

describe('the clock watch', () => {
  it('reports once that the clock went back, and by how much', async () => {
    const { state, look } = watch();
    await look(1000, 1000 - HOUR_MS);
    await look(1000, 1000);
    expect(state.told).toEqual([HOUR_MS]);
  });

  it('reports nothing for a clock that runs, is adjusted slightly or goes forward', async () => {
    const { state, look } = watch();
    for (const shown of [1000, 900, 1100, 0, HOUR_MS, 1000]) await look(1000, shown);
    expect(state.told).toEqual([]);
  });

  it('repeats a report that failed', async () => {
    const { state, look } = watch();
    state.fails = true;
    await look(1000, -HOUR_MS);
    expect(state).toMatchObject({ told: [], errors: 1 });
    state.fails = false;
    await look(1000, 1000);
    expect(state.told).toEqual([HOUR_MS + 1000]);
  });
});

it.each([
  ['back', -24 * HOUR_MS],
  ['forward', 24 * HOUR_MS],
])('a clock that jumps %s by a day delays neither a retry nor a new message (I4)', async (_how, ms) => {
  const clock = startClock();
  const gateway = await startApi({ effects: clock.effects, intervals: { retryDelaysMs: [1500] } });
  const bot = await startBot();
  await gateway.addTarget({ url: bot.url });
  bot.answers.push(500);
  await gateway.webhook(textWebhook({ id: 'a', chat: 'one' }));
  await until(async () => {
    const { body } = await gateway.call<{ data: unknown[] }>('GET', '/v1/deliveries');
    expect(body.data).toMatchObject([{ attempts: 1, status: 'pending' }]);
  });
  clock.jump(ms);
  await gateway.webhook(textWebhook({ id: 'b', chat: 'one' }));
  expect((await bot.received(3)).map(({ ids }) => ids)).toEqual([['a'], ['a'], ['b']]);
});
