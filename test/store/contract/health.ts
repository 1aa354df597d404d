import { describe, expect, it } from 'vitest';
import { MINUTE, stage, START, target } from '../../support/store.js';
import type { OpenFixture } from '../../support/store.js';
import type { KeptBreaker } from '../../../src/store/breakers.js';

const OPEN: KeptBreaker = {
  state: 'open',
  consecutiveFailures: 5,
  timesOpened: 2,
  openedAt: START,
  nextProbeAt: START + MINUTE,
};
const RECOVERING: KeptBreaker = { ...OPEN, state: 'closed', openedAt: null, nextProbeAt: null };

/** Circuit breakers of targets. */
export function healthContract(open: OpenFixture): void {
  describe('the circuit breaker of a target', () => {
    it('is stored per target and survives a restart', async () => {
      const fixture = await stage(open, [target('bot'), target('archive')]);
      await fixture.store.breakers.keep('bot', OPEN);
      await fixture.store.breakers.keep('archive', OPEN);
      await fixture.store.breakers.keep('archive', RECOVERING);
      await fixture.restart();
      expect(await fixture.store.breakers.notClosed()).toEqual([
        { targetId: 'bot', ...OPEN },
        { targetId: 'archive', ...RECOVERING },
      ]);
    });

    it('is deleted when the target recovers or is removed', async () => {
      const { store } = await stage(open, [target('bot'), target('archive')]);
      for (const id of ['bot', 'archive']) await store.breakers.keep(id, OPEN);
      await store.breakers.keep('bot', null);
      await store.registry.removeTarget('archive');
      await store.breakers.keep('archive', OPEN);
      await store.breakers.keep('nobody', OPEN);
      expect(await store.breakers.notClosed()).toEqual([]);
    });
  });
}
