import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Breakers } from '../../src/delivery/breakers.js';
import { startDeliveryLoop } from '../../src/delivery/loop.js';
import { systemEffects } from '../../src/effects.js';
import { retainForever } from '../../src/store/sqlite/database.js';
import { openStore } from '../../src/store/open.js';
import type { Store } from '../../src/store/store.js';
import { temporaryFolder } from '../support/files.js';
import { QUICK_BREAKER, QUICK_RETRIES_MS, until } from '../support/intervals.js';
import { SILENT } from '../support/sender.js';
import { channel, DAY, LEASE, message, messages, record, settlement, target } from '../support/store.js';

const TARGETS = 1000;

/** A store with a thousand targets, each with a channel of its own, and three more for the channel `main`. */
async function openCrowded(): Promise<Store> {
  const file = join(temporaryFolder(), 'gateway.db');
  const store = await openStore({ engine: 'sqlite', file }, systemEffects);
  onTestFinished(async () => await store.close());
  const names = Array.from({ length: TARGETS }, (_, index) => `c${index}`);
  await Promise.all([...names, 'main'].map(async (name) => await store.registry.addChannel(channel(name))));
  const owners = [...names, 'main', 'main', 'main'].entries();
  await Promise.all(
    [...owners].map(async ([index, name]) => await store.registry.addTarget(target(`t${index}`, { channels: [name] }))),
  );
  return store;
}

/** Counts the statements that run from now on. */
function countStatements(): { count: number } {
  const db = retainForever(new Database(':memory:'));
  const prototype = Object.getPrototypeOf(db.prepare('SELECT 1')) as Database.Statement;
  const spies = (['run', 'get', 'all'] as const).map((method) => vi.spyOn(prototype, method));
  onTestFinished(() => void vi.restoreAllMocks());
  return {
    get count() {
      return spies.reduce((sum, { mock }) => sum + mock.calls.length, 0);
    },
  };
}

/** Starts the loop and resolves when it has settled `expected` deliveries. */
async function deliver(store: Store, expected: number): Promise<{ readonly claims: readonly number[] }> {
  const claims: number[] = [];
  let settled = 0;
  const { outbox, registry, replicas } = store;
  const loop = startDeliveryLoop({
    store: {
      registry,
      replicas,
      outbox: {
        due: async () => await outbox.due(),
        claim: async (wanted, leaseMs) => {
          claims.push(wanted.length);
          return await outbox.claim(wanted, leaseMs);
        },
        offer: (targetId, offer) => outbox.offer(targetId, offer),
        chatFacts: async (delivery, wanted) => await outbox.chatFacts(delivery, wanted),
        settle: async (settlement) => await outbox.settle(settlement),
      },
    },
    sender: {
      send: async () =>
        await Promise.resolve({
          outcome: { kind: 'answered', status: 200, retryAfter: null },
          attempt: { startedAt: 0, durationMs: 0, status: 200, error: null },
        }),
      destroy: async () => await Promise.resolve(),
    },
    breakers: await Breakers.load({
      store,
      intervals: QUICK_BREAKER,
      effects: systemEffects,
      onChange: () => undefined,
    }),
    delaysMs: QUICK_RETRIES_MS,
    effects: systemEffects,
    onError: (error) => expect.fail(String(error)),
    notices: { ...SILENT, onSettled: () => (settled += 1) },
  });
  onTestFinished(async () => await loop.stop(0));
  await until(() => expect(settled).toBe(expected));
  await loop.stop(0);
  return { claims };
}

describe('a thousand targets', () => {
  it('cost nothing while three others have something due', async () => {
    const store = await openCrowded();
    await record(store, messages('A'), { channel: 'main' });
    const statements = countStatements();
    const { claims } = await deliver(store, 3);
    expect(Math.max(...claims)).toBe(3);
    expect(statements.count).toBeLessThan(200);
  });

  it('are not claimed for while each waits for a retry, and are found by one lookup each', async () => {
    const store = await openCrowded();
    for (let index = 0; index < TARGETS; index += 1)
      await record(store, messages(message('A')), { channel: `c${index}` });
    const wanted = Array.from({ length: TARGETS }, (_, index) => ({ targetId: `t${index}`, limit: 1 }));
    const { deliveries } = await store.outbox.claim(wanted, LEASE);
    await Promise.all(
      deliveries.map(async (each) => await store.outbox.settle(settlement(each, 'pending', Date.now() + DAY))),
    );
    await record(store, messages('B'), { channel: 'main' });
    const statements = countStatements();
    expect((await store.outbox.due()).targetIds.size).toBe(3);
    expect(statements.count).toBeLessThan(TARGETS + 10);
    expect(Math.max(...(await deliver(store, 3)).claims)).toBe(3);
  });
});
