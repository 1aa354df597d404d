import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BREAKER_INTERVALS } from '../../src/delivery/breaker.js';
import { Breakers } from '../../src/delivery/breakers.js';
import type { AttemptOutcome } from '../../src/delivery/policy.js';
import { systemEffects } from '../../src/effects.js';
import { openStore } from '../../src/store/open.js';
import type { Store } from '../../src/store/store.js';
import { temporaryFolder } from '../support/files.js';
import { manualClock, MINUTE, target } from '../support/store.js';
import type { Clock } from '../support/store.js';

const BOT = target('bot');
const DELIVERY = { target: BOT, event: { type: 'messages', method: 'post' }, verdicts: ['new'] } as const;
const FAILURE: AttemptOutcome = { kind: 'answered', status: 500, retryAfter: null };
const ANSWER: AttemptOutcome = { kind: 'answered', status: 200, retryAfter: null };

interface Stage {
  readonly clock: Clock;
  readonly store: Store;
  readonly one: Breakers;
  readonly two: Breakers;
}

/** The breakers of two processes on one store. */
async function stage(): Promise<Stage> {
  const clock = manualClock();
  const effects = { ...systemEffects, now: clock.now, random: () => 0.5 };
  const store = await openStore({ engine: 'sqlite', file: join(temporaryFolder(), 'gateway.db') }, effects);
  onTestFinished(async () => await store.close());
  await store.registry.addTarget(BOT);
  const options = { store, intervals: BREAKER_INTERVALS, effects, onChange: () => undefined };
  return { clock, store, one: await Breakers.load(options), two: await Breakers.load(options) };
}

async function attempt(breakers: Breakers, outcome: AttemptOutcome | null, id = 'dlv'): Promise<boolean> {
  const isSent = await breakers.started({ ...DELIVERY, id });
  if (isSent) await breakers.ended({ ...DELIVERY, id }, outcome);
  return isSent;
}

async function fail(breakers: Breakers): Promise<void> {
  for (let count = 0; count < BREAKER_INTERVALS.failures; count += 1) await attempt(breakers, FAILURE);
}

/** Both know that the target's breaker is open, and its probe is due. */
async function stageOpen(): Promise<Stage> {
  const staged = await stage();
  await fail(staged.one);
  await staged.two.refresh();
  staged.clock.advance(MINUTE);
  return staged;
}

describe('the circuit breaker of a target, in two processes', () => {
  it('opens for both, while failures are counted by each', async () => {
    const { one, two } = await stage();
    await attempt(two, FAILURE);
    expect(two.of('bot')).toMatchObject({ state: 'closed', consecutiveFailures: 1 });
    await fail(one);
    await two.refresh();
    expect([one, two].map((each) => each.of('bot').state)).toEqual(['open', 'open']);
    expect(two.freeSlots(BOT, 0)).toBe(0);
  });

  it('opens once if both find it failing, without a longer pause', async () => {
    const { one, two } = await stage();
    await Promise.all([fail(one), fail(two)]);
    expect([one, two].map((each) => each.of('bot').timesOpened)).toEqual([1, 1]);
  });

  it('is probed by one of them, and the other one sends nothing meanwhile', async () => {
    const { one, two } = await stageOpen();
    const started = [one, two].map(async (each, at) => await each.started({ ...DELIVERY, id: `dlv ${at}` }));
    expect(await Promise.all(started)).toEqual([true, false]);
    expect([one, two].map((each) => each.of('bot').state)).toEqual(['half_open', 'half_open']);
    expect(two.freeSlots(BOT, 0)).toBe(0);
  });

  it('closes for both when the probe of one is answered, and each ramps up', async () => {
    const { one, two } = await stageOpen();
    expect(await attempt(one, ANSWER)).toBe(true);
    await two.refresh();
    expect([one, two].map((each) => each.of('bot'))).toMatchObject([
      { state: 'closed', ramp: 1 },
      { state: 'closed', ramp: 1 },
    ]);
  });

  it('stays open for both when the probe fails, with a longer pause', async () => {
    const { one, two } = await stageOpen();
    await attempt(one, FAILURE);
    await two.refresh();
    expect(two.of('bot')).toEqual(one.of('bot'));
    expect(two.of('bot')).toMatchObject({ state: 'open', timesOpened: 2 });
  });

  it('may be probed by the other one at once if the probe was aborted, and later if its process is gone', async () => {
    const { clock, one, two } = await stageOpen();
    await attempt(one, null);
    await two.refresh();
    expect(await two.started({ ...DELIVERY, id: 'dlv' })).toBe(true);
    await one.refresh();
    expect(one.freeSlots(BOT, 0)).toBe(0);
    clock.advance(MINUTE);
    expect(await one.started({ ...DELIVERY, id: 'dlv' })).toBe(true);
  });

  it('is closed by an answer to one of them, although the other one has changed it meanwhile', async () => {
    const { store, one, two } = await stage();
    await fail(one);
    await two.ended({ ...DELIVERY, id: 'dlv' }, ANSWER); // it does not know yet that the breaker is open
    await two.refresh();
    expect(two.of('bot').state).toBe('open');
    await two.ended({ ...DELIVERY, id: 'dlv' }, ANSWER);
    await one.close('bot');
    expect(await store.breakers.all()).toMatchObject([{ version: 2, breaker: { state: 'closed' } }]);
    expect(one.of('bot')).toMatchObject({ state: 'closed', ramp: 1 });
  });

  it('applies the result of a loser to what the winner has stored', async () => {
    const { one, two } = await stageOpen();
    await one.started({ ...DELIVERY, id: 'dlv' });
    await one.ended({ ...DELIVERY, id: 'dlv' }, FAILURE);
    await two.ended({ ...DELIVERY, id: 'other' }, ANSWER); // sent before the breaker opened
    await one.refresh();
    expect([one, two].map((each) => each.of('bot').state)).toEqual(['closed', 'closed']);
  });

  it('is probed although its opening could not be stored', async () => {
    const { clock, store, one } = await stage();
    const change = store.breakers.change.bind(store.breakers);
    store.breakers.change = async () => await Promise.reject(new Error('the disk is full'));
    await fail(one).catch(() => undefined);
    store.breakers.change = change;
    clock.advance(MINUTE);
    expect(await attempt(one, ANSWER)).toBe(true);
    expect(await store.breakers.all()).toMatchObject([{ breaker: { state: 'closed' } }]);
  });
});
