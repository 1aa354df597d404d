import { describe, expect, it } from 'vitest';
import { MINUTE, stage, START, target } from '../../support/store.js';
import type { OpenFixture, OpenTwo } from '../../support/store.js';
import type { KeptBreaker } from '../../../src/store/breakers.js';
import type { Store } from '../../../src/store/store.js';
import { stageStores } from './turns.js';

const OPEN: KeptBreaker = {
  state: 'open',
  consecutiveFailures: 5,
  timesOpened: 2,
  openedAt: START,
  nextProbeAt: START + MINUTE,
};
const RECOVERING: KeptBreaker = { ...OPEN, state: 'closed', openedAt: null, nextProbeAt: null };
/** Closed by a person. */
const CLOSED_MANUALLY: KeptBreaker = { ...RECOVERING, consecutiveFailures: 0, timesOpened: 0 };

/** Saves breakers of a target one after the other and returns the last version. */
async function save(store: Store, targetId: string, ...breakers: (KeptBreaker | null)[]): Promise<number> {
  let version = 0;
  for (const breaker of breakers) version = (await store.breakers.change(targetId, version, breaker)).stored.version;
  return version;
}

/** Circuit breakers of targets. */
export function healthContract(open: OpenFixture, openTwo: OpenTwo): void {
  describe('the circuit breaker of a target', () => {
    it('is stored per target and survives a restart', async () => {
      const fixture = await stage(open, [target('bot'), target('archive'), target('third')]);
      await save(fixture.store, 'bot', OPEN);
      await save(fixture.store, 'archive', OPEN, RECOVERING);
      await save(fixture.store, 'third', OPEN, CLOSED_MANUALLY);
      await fixture.restart();
      expect(await fixture.store.breakers.all()).toEqual([
        { targetId: 'bot', version: 1, breaker: OPEN, probeUntil: null },
        { targetId: 'archive', version: 2, breaker: RECOVERING, probeUntil: null },
        { targetId: 'third', version: 2, breaker: CLOSED_MANUALLY, probeUntil: null },
      ]);
    });

    it('is healthy once the target has recovered, and is deleted with the target', async () => {
      const { store } = await stage(open, [target('bot'), target('archive')]);
      await save(store, 'bot', OPEN, null);
      await save(store, 'archive', OPEN);
      await store.registry.removeTarget('archive');
      await save(store, 'archive', OPEN);
      await save(store, 'nobody', OPEN);
      expect(await store.breakers.all()).toEqual([{ targetId: 'bot', version: 2, breaker: null, probeUntil: null }]);
    });

    it('is the same list until something changes', async () => {
      const { store } = await stage(open);
      await save(store, 'bot', OPEN);
      const before = await store.breakers.all();
      expect(await store.breakers.all()).toBe(before);
      await store.breakers.change('bot', 1, RECOVERING);
      expect(await store.breakers.all()).not.toBe(before);
    });
  });

  describe('the circuit breaker of a target, changed by two processes', () => {
    it('is that of the first one, and the other one is told', async () => {
      const { a, b } = await stageStores(openTwo);
      const changed = await Promise.all(
        [a, b].map(async (store, at) => await store.breakers.change('bot', 0, { ...OPEN, timesOpened: at })),
      );
      const first = changed.findIndex(({ isMade }) => isMade);
      expect(changed.map(({ isMade }) => isMade).sort()).toEqual([false, true]);
      for (const { stored } of changed) expect(stored).toMatchObject({ version: 1, breaker: { timesOpened: first } });
    });

    it('is not changed by a process that has missed that it closed and opened again', async () => {
      const { a, b } = await stageStores(openTwo);
      await save(a, 'bot', OPEN, null, OPEN);
      expect(await b.breakers.change('bot', 1, RECOVERING)).toMatchObject({ isMade: false, stored: { version: 3 } });
    });

    it('gives its probe to one of them', async () => {
      const { a, b } = await stageStores(openTwo);
      const version = await save(a, 'bot', OPEN);
      const taken = await Promise.all(
        [a, b].map(async (store) => await store.breakers.takeProbe('bot', version, OPEN, MINUTE)),
      );
      const probing = { version: version + 1, breaker: OPEN, probeUntil: START + MINUTE };
      expect(taken.map(({ isMade }) => isMade).sort()).toEqual([false, true]);
      expect(taken.map(({ stored }) => stored)).toMatchObject([probing, probing]);
      expect(await b.breakers.takeProbe('bot', version + 1, OPEN, MINUTE)).toMatchObject({ isMade: false });
    });

    it('gives its probe to the next one when the lease ends, or the probe does', async () => {
      const { fixture, a, b } = await stageStores(openTwo);
      await a.breakers.takeProbe('bot', await save(a, 'bot', OPEN), OPEN, MINUTE);
      fixture.clock.advance(MINUTE);
      expect(await b.breakers.takeProbe('bot', 2, OPEN, MINUTE)).toMatchObject({ isMade: true });
      await b.breakers.change('bot', 3, OPEN);
      expect(await a.breakers.takeProbe('bot', 4, OPEN, MINUTE)).toMatchObject({ isMade: true });
    });
  });
}
