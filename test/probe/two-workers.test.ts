import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import { PROBE_INTERVALS } from '../../src/probe/policy.js';
import type { ProbeCalls } from '../../src/probe/step.js';
import { startProbeWorker } from '../../src/probe/worker.js';
import { openSqliteStore } from '../../src/store/sqlite/engine.js';
import type { Store } from '../../src/store/store.js';
import { temporaryFolder } from '../support/files.js';
import { until } from '../support/intervals.js';
import { channel } from '../support/store.js';

const LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };
const FAILED = { answer: { kind: 'unreachable', reason: 'no route' }, at: 0, tookMs: 1 } as const;

async function openStore(): Promise<Store> {
  const store = openSqliteStore(join(temporaryFolder(), 'gateway.db'), systemEffects);
  onTestFinished(async () => await store.close());
  await store.registry.addChannel(channel('main'));
  return store;
}

it('a process that starts while another one runs a probe makes none of its calls a second time', async () => {
  const store = await openStore();
  let answer = (): void => undefined;
  const answered = new Promise<void>((resolve) => (answer = resolve));
  const read = vi.fn<ProbeCalls['read']>(async () => {
    await answered;
    return FAILED;
  });
  const take = vi.spyOn(store.turns, 'take');
  const intervals = { ...PROBE_INTERVALS, againMs: 1 };
  const shared = {
    store,
    calls: { read, resync: read },
    intervals,
    effects: systemEffects,
    log: LOG,
    onError: () => undefined,
  };
  const one = startProbeWorker({ ...shared, holder: 'one' });
  await one.begin('main', 'ABC', 60);
  await until(() => expect(read).toHaveBeenCalledTimes(1));
  const two = startProbeWorker({ ...shared, holder: 'two' });
  await until(() => expect(take.mock.calls.filter(([, holder]) => holder === 'two').length).toBeGreaterThan(1));
  answer();
  await until(async () => expect((await store.probes.of('main'))?.finishedAt).not.toBeNull());
  await Promise.all([one.stop(), two.stop()]);
  expect(read).toHaveBeenCalledTimes(1);
});
