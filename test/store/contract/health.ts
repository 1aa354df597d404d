import { describe, expect, it } from 'vitest';
import type { KeptBreaker } from '../../../src/store/health.js';
import { MINUTE, stage, START, target } from '../../support/store.js';
import type { OpenFixture } from '../../support/store.js';

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
      await fixture.store.keepBreaker('bot', OPEN);
      await fixture.store.keepBreaker('archive', OPEN);
      await fixture.store.keepBreaker('archive', RECOVERING);
      await fixture.restart();
      expect(await fixture.store.breakers()).toEqual([
        { targetId: 'bot', ...OPEN },
        { targetId: 'archive', ...RECOVERING },
      ]);
    });

    it('goes when the target is well, and when it is removed', async () => {
      const { store } = await stage(open, [target('bot'), target('archive')]);
      for (const id of ['bot', 'archive']) await store.keepBreaker(id, OPEN);
      await store.keepBreaker('bot', null);
      await store.removeTarget('archive');
      await store.keepBreaker('archive', OPEN);
      await store.keepBreaker('nobody', OPEN);
      expect(await store.breakers()).toEqual([]);
    });
  });
}
