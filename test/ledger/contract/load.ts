import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DAY, messages, MINUTE, settlement, stage, START, status } from '../../support/ledger.js';
import type { OpenStore } from '../../support/ledger.js';
import { LoadModel, loadSteps } from './load-model.js';

const NOTHING = { pending: 0, oldestPendingAt: null, lastError: null, deadLastDay: 0, unhandledLastDay: [] };

/** What an operator sees of a target: what waits, and what ended as dead lately. */
export function loadContract(open: OpenStore): void {
  describe('the load of a target', () => {
    it('is nothing at first, and of a target that does not exist', async () => {
      const { ledger } = await stage(open);
      expect([await ledger.loadOf('bot'), await ledger.loadOf('nobody')]).toEqual([NOTHING, NOTHING]);
    });

    it('has the number of pending deliveries, the age of the oldest and the last error', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      store.clock.advance(MINUTE);
      await store.record(messages('B'));
      await store.settle(await store.claimOne(), 'pending', START + 2 * MINUTE);
      expect(await store.ledger.loadOf('bot')).toEqual({
        ...NOTHING,
        pending: 2,
        oldestPendingAt: START,
        lastError: 'The target answered 500.',
      });
    });

    it('counts dead deliveries for a day, those without a handler apart, by event', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      await store.settle(await store.claimOne(), 'dead');
      await store.record(status('A'));
      await store.ledger.settle({ ...settlement(await store.claimOne(), 'dead'), cause: 'no_handler' });
      const unhandledLastDay = [{ event: 'statuses.post', count: 1 }];
      expect(await store.ledger.loadOf('bot')).toEqual({ ...NOTHING, deadLastDay: 1, unhandledLastDay });
      store.clock.advance(DAY);
      expect(await store.ledger.loadOf('bot')).toMatchObject({ deadLastDay: 1 });
      store.clock.advance(DAY);
      expect(await store.ledger.loadOf('bot')).toEqual(NOTHING);
    });

    it('no longer counts a dead delivery that is sent again', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      const { id, lease } = await store.claimOne();
      await store.settle({ id, lease }, 'dead');
      await store.ledger.retry(id);
      expect(await store.ledger.loadOf('bot')).toMatchObject({ pending: 1, deadLastDay: 0 });
    });

    it('is what a count of its deliveries gives, whatever happens', async () => {
      await fc.assert(
        fc.asyncProperty(loadSteps, async (steps) => {
          const model = await LoadModel.start(await stage(open, []));
          for (const step of steps) await model.play(step);
        }),
        { numRuns: 25 },
      );
    });
  });
}
