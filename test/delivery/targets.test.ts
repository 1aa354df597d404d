import { expect, it, vi } from 'vitest';
import type { Sender } from '../../src/delivery/send.js';
import { Slots } from '../../src/delivery/slots.js';
import { createTargets } from '../../src/delivery/targets.js';
import { startLoopStage } from '../support/delivery-loop.js';
import { until } from '../support/intervals.js';
import { target } from '../support/store.js';

const LIMITED = target('bot', { concurrency: 16, ratePerSecond: 6, backlogRatePerMinute: 90 });
const NOW = Date.UTC(2026, 0, 15, 12);

/** The targets as one of `alive` processes sees them. */
function sharedBy(state: { alive: number }, of = LIMITED) {
  const listed = [of];
  return createTargets({ targets: async () => await Promise.resolve(listed) }, { alive: () => state.alive });
}

it('a process that shares a target with two others takes a third of its concurrency, rate and backlog pace', async () => {
  const targets = sharedBy({ alive: 3 });
  await targets.refresh();
  expect(targets.get('bot')).toEqual({ ...LIMITED, concurrency: 6, ratePerSecond: 2, backlogRatePerMinute: 30 });
});

it('a process alone takes all of it', async () => {
  const targets = sharedBy({ alive: 1 });
  await targets.refresh();
  expect(targets.get('bot')).toBe(LIMITED);
});

it('more processes than a target has slots have one each, and no limit stays no limit', async () => {
  const targets = sharedBy({ alive: 3 }, target('bot', { concurrency: 2 }));
  await targets.refresh();
  expect(targets.get('bot')).toMatchObject({ concurrency: 1, ratePerSecond: null, backlogRatePerMinute: null });
});

it('the share changes with the number of processes', async () => {
  const state = { alive: 3 };
  const targets = sharedBy(state);
  expect([await targets.refresh(), await targets.refresh()]).toEqual([true, false]);
  state.alive = 2;
  expect([await targets.refresh(), targets.get('bot')?.concurrency]).toEqual([true, 8]);
});

it('a claim asks for no more than the share of the rate', async () => {
  const targets = sharedBy({ alive: 3 });
  await targets.refresh();
  expect(new Slots().want(targets.get('bot') ?? LIMITED, 6, 1, NOW)).toMatchObject({ limit: 2, backlog: 1 });
});

it('a delivery loop has no more in flight than its share', async () => {
  const answers: (() => void)[] = [];
  let most = 0;
  const attempt = { startedAt: NOW, durationMs: 1, status: 200, error: null };
  const sender: Sender = {
    send: async () => {
      await new Promise<void>((answer) => (most = Math.max(most, answers.push(answer))));
      return { outcome: { kind: 'answered', status: 200, retryAfter: null }, attempt };
    },
    whyRefused: () => null,
    destroy: async () => await Promise.resolve(),
  };
  const { store, record } = await startLoopStage({ concurrency: 6 }, {}, sender);
  vi.spyOn(store.replicas, 'alive').mockReturnValue(3);
  await record(...Array.from({ length: 10 }, (_, index) => `m${index}-1`));
  await until(async () => {
    answers.shift()?.();
    expect((await store.outbox.loadOf('bot')).pending).toBe(0);
  });
  expect(most).toBe(2);
});
