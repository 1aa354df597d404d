import { expect, it, onTestFinished } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import { openPostgresStore } from '../../src/store/postgres/engine.js';
import type { Store } from '../../src/store/store.js';
import { until } from '../support/intervals.js';
import { locationOf, useDatabases } from '../support/postgres/fixture.js';
import { channel, manualClock, MINUTE } from '../support/store.js';

const databases = useDatabases();
/** Signs of life come at once. */
const sleep: typeof systemEffects.sleep = async (ms, signal) => await systemEffects.sleep(Math.min(ms, 20), signal);

async function openAt(url: string, now: () => number): Promise<Store> {
  const store = await openPostgresStore(locationOf(url), { ...systemEffects, sleep }, now);
  onTestFinished(async () => await store.close());
  return store;
}

it('the last refusal of a channel is seen by other processes a minute later, although nothing more comes', async () => {
  const [url, clock] = [await databases.create(), manualClock()];
  const [store, other] = [await openAt(url, clock.now), await openAt(url, clock.now)];
  await store.registry.addChannel(channel('main'));
  store.traffic.countRefusal('main', 'GW_UNAUTHORIZED');
  store.traffic.countRefusal('main', 'GW_UNAUTHORIZED');
  const seen = async () => (await other.traffic.of('main')).refused.today;
  await until(async () => expect(await seen()).toBe(1));
  clock.advance(MINUTE);
  await until(async () => expect(await seen()).toBe(2));
});
