import { describe, expect, it } from 'vitest';
import type { KeptBreaker } from '../../../src/ledger/health.js';
import { MINUTE, stage, START, target } from '../../support/ledger.js';
import type { OpenStore } from '../../support/ledger.js';

const OPEN: KeptBreaker = {
  state: 'open',
  consecutiveFailures: 5,
  timesOpened: 2,
  openedAt: START,
  nextProbeAt: START + MINUTE,
};
const RECOVERING: KeptBreaker = { ...OPEN, state: 'closed', openedAt: null, nextProbeAt: null };

/** Circuit breakers of targets. */
export function healthContract(open: OpenStore): void {
  describe('the breaker of a target', () => {
    it('is kept, one for each target, and outlives a restart', async () => {
      const store = await stage(open, [target('bot'), target('archive')]);
      await store.ledger.keepBreaker('bot', OPEN);
      await store.ledger.keepBreaker('archive', OPEN);
      await store.ledger.keepBreaker('archive', RECOVERING);
      await store.restart();
      expect(await store.ledger.breakers()).toEqual([
        { targetId: 'bot', ...OPEN },
        { targetId: 'archive', ...RECOVERING },
      ]);
    });

    it('goes when the target is well, and when it is removed', async () => {
      const { ledger } = await stage(open, [target('bot'), target('archive')]);
      for (const id of ['bot', 'archive']) await ledger.keepBreaker(id, OPEN);
      await ledger.keepBreaker('bot', null);
      await ledger.removeTarget('archive');
      await ledger.keepBreaker('archive', OPEN);
      await ledger.keepBreaker('nobody', OPEN);
      expect(await ledger.breakers()).toEqual([]);
    });
  });
}
