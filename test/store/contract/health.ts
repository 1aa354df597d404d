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
  describe('the breaker of a target', () => {
    it('is kept, one for each target, and outlives a restart', async () => {
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

    it('goes when the target is well, and when it is removed', async () => {
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
