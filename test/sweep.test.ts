import { join } from 'node:path';
import { expect, describe, it, onTestFinished } from 'vitest';
import { ConfirmedClock } from '../src/confirmed-clock.js';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../src/durations.js';
import { systemEffects } from '../src/effects.js';
import { openStore } from '../src/store/open.js';
import type { Store } from '../src/store/store.js';
import { startSweep } from '../src/sweep.js';
import { temporaryFolder } from './support/files.js';
import { channel, messages, record } from './support/store.js';

const START = Date.UTC(2026, 0, 5, 12);
const RETENTION = { payloadMs: 7 * DAY_MS, ledgerMs: 400 * DAY_MS };

/** Two clocks: `run` lets time pass, `jump` sets the machine's clock. */
function clocks() {
  const state = { now: START, monotonic: 5 };
  return {
    effects: { now: () => state.now, monotonic: () => state.monotonic },
    run: (ms: number) => {
      state.now += ms;
      state.monotonic += ms;
    },
    jump: (ms: number) => void (state.now += ms),
  };
}

/** A clock that is asked every minute, with the jumps that it has reported. */
function confirmedClock(confirmedAt: number | null = START) {
  const { effects, run, jump } = clocks();
  const jumps: number[] = [];
  const clock = new ConfirmedClock({ effects, confirmedAt, onJump: (byMs) => void jumps.push(byMs) });
  const passed = (ms: number): boolean => {
    let isConfirmed = clock.now() !== null;
    for (let left = ms; left > 0; left -= MINUTE_MS) {
      run(MINUTE_MS);
      isConfirmed = clock.now() !== null;
    }
    return isConfirmed;
  };
  return { effects, jump, jumps, passed };
}

describe('a confirmed clock', () => {
  it('tells the time while the clock runs evenly or is adjusted slightly', () => {
    const { jump, jumps, passed } = confirmedClock();
    jump(MINUTE_MS);
    expect([passed(HOUR_MS), jumps]).toEqual([true, []]);
  });

  it('does not tell it for an hour after a jump forward, which it reports once', () => {
    const { jump, jumps, passed } = confirmedClock();
    jump(365 * DAY_MS);
    expect([passed(0), passed(HOUR_MS - MINUTE_MS), passed(MINUTE_MS)]).toEqual([false, false, true]);
    expect(jumps).toEqual([365 * DAY_MS]);
  });

  it('begins the hour again with another jump, and not with a correction back', () => {
    const { jump, passed } = confirmedClock();
    jump(DAY_MS);
    passed(HOUR_MS / 2);
    jump(DAY_MS);
    expect(passed(HOUR_MS / 2)).toBe(false);
    jump(-2 * DAY_MS);
    expect(passed(HOUR_MS / 2)).toBe(true);
  });

  it.each([
    ['the clock jumped while the process was down, or it was down for weeks', START - 21 * DAY_MS, [21 * DAY_MS]],
    ['no time was ever confirmed', null, []],
  ])('does not tell it in the first hour if %s', (_, confirmedAt, reported) => {
    const { jumps, passed } = confirmedClock(confirmedAt);
    expect([passed(HOUR_MS - MINUTE_MS), passed(MINUTE_MS), jumps]).toEqual([false, true, reported]);
  });

  it.each([START - 5 * MINUTE_MS, START + DAY_MS])(
    'tells it at once after a short restart, or a set back clock (%d)',
    (at) => {
      expect(confirmedClock(at).passed(0)).toBe(true);
    },
  );
});

/** Resolves with how to end the sleep that begins next. */
function nextSleep() {
  let resolve: (wake: () => void) => void = () => undefined;
  const promise = new Promise<() => void>((settle) => (resolve = settle));
  return { promise, resolve: (wake: () => void) => resolve(wake) };
}

/** A sweep on a real store. `minutes` lets the time of both clocks pass, one turn of the sweep after the other. */
async function sweeping() {
  const { effects, run, jump } = clocks();
  const file = join(temporaryFolder(), 'gateway.db');
  const open = async (): Promise<Store> =>
    await openStore({ engine: 'sqlite', file }, { ...systemEffects, ...effects });
  const state = { store: await open(), jumps: [] as number[], errors: [] as unknown[] };
  await state.store.registry.addChannel(channel('main'));
  let asleep = nextSleep();
  const sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    await new Promise<void>((wake) => {
      signal?.addEventListener('abort', () => wake());
      asleep.resolve(() => {
        asleep = nextSleep();
        run(ms);
        wake();
      });
    });
  };
  const start = () =>
    startSweep({
      ...{ store: state.store, retention: RETENTION, effects: { ...effects, sleep } },
      onJump: (byMs) => void state.jumps.push(byMs),
      onError: (error) => void state.errors.push(error),
    });
  let loop = start();
  const stop = async (): Promise<void> => {
    await loop.stop();
    await state.store.close();
  };
  onTestFinished(stop);
  const minutes = async (count: number): Promise<void> => {
    const until = effects.monotonic() + count * MINUTE_MS;
    while (effects.monotonic() < until) (await asleep.promise)();
    await asleep.promise;
  };
  return {
    state,
    minutes,
    jump,
    restart: async (): Promise<void> => {
      await stop();
      asleep = nextSleep();
      state.store = await open();
      loop = start();
    },
    knows: async (id: string) => (await state.store.items.explain('main', id)) !== null,
  };
}

describe('a sweep', () => {
  it('deletes nothing while the clock is ahead, however often it looks, and continues in time afterwards', async () => {
    const { state, minutes, jump, knows } = await sweeping();
    await minutes(61);
    await record(state.store, messages('A'));
    jump(500 * DAY_MS);
    await minutes(59);
    jump(-500 * DAY_MS);
    await minutes(180);
    expect([await knows('A'), state.jumps, state.errors]).toEqual([true, [500 * DAY_MS], []]);
  });

  it('deletes nothing if the clock was ahead at a restart, also at the second one', async () => {
    const { state, minutes, jump, restart, knows } = await sweeping();
    await minutes(61);
    await record(state.store, messages('A'));
    jump(500 * DAY_MS);
    await restart();
    await minutes(30);
    await restart();
    await minutes(30);
    expect(await knows('A')).toBe(true);
    expect(state.jumps).toHaveLength(2);
  });

  it('deletes what is old once the time was confirmed for an hour, as after weeks without power', async () => {
    const { state, minutes, jump, restart, knows } = await sweeping();
    await minutes(61);
    await record(state.store, messages('A'));
    jump(401 * DAY_MS);
    await restart();
    await minutes(58);
    expect(await knows('A')).toBe(true);
    await minutes(5);
    expect(await knows('A')).toBe(false);
  });
});
