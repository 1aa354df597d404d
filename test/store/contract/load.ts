import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DAY, messages, MINUTE, settlement, stage, START, status } from '../../support/store.js';
import type { OpenFixture } from '../../support/store.js';
import { LoadModel, loadSteps } from './load-model.js';

const NOTHING = { pending: 0, oldestPendingAt: null, lastError: null, deadLastDay: 0, unhandledLastDay: [] };

/** The load of a target as an operator sees it: pending deliveries and recent dead ones. */
export function loadContract(open: OpenFixture): void {
  describe('the load of a target', () => {
    it('is zero at first, and for an unknown target', async () => {
      const { store } = await stage(open);
      expect([await store.outbox.loadOf('bot'), await store.outbox.loadOf('nobody')]).toEqual([NOTHING, NOTHING]);
    });

    it('contains the number of pending deliveries, the age of the oldest and the last error', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      fixture.clock.advance(MINUTE);
      await fixture.record(messages('B'));
      await fixture.settle(await fixture.claimOne(), 'pending', START + 2 * MINUTE);
      expect(await fixture.store.outbox.loadOf('bot')).toEqual({
        ...NOTHING,
        pending: 2,
        oldestPendingAt: START,
        lastError: 'The target answered 500.',
      });
    });

    it('counts dead deliveries of the last day by event, those without a handler separately', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      await fixture.settle(await fixture.claimOne(), 'dead');
      await fixture.record(status('A'));
      await fixture.store.outbox.settle({ ...settlement(await fixture.claimOne(), 'dead'), cause: 'no_handler' });
      const unhandledLastDay = [{ event: 'statuses.post', count: 1 }];
      expect(await fixture.store.outbox.loadOf('bot')).toEqual({ ...NOTHING, deadLastDay: 1, unhandledLastDay });
      fixture.clock.advance(DAY);
      expect(await fixture.store.outbox.loadOf('bot')).toMatchObject({ deadLastDay: 1 });
      fixture.clock.advance(DAY);
      expect(await fixture.store.outbox.loadOf('bot')).toEqual(NOTHING);
    });

    it('no longer counts a dead delivery once it is retried', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      const { id, lease } = await fixture.claimOne();
      await fixture.settle({ id, lease }, 'dead');
      await fixture.store.outbox.retry(id);
      expect(await fixture.store.outbox.loadOf('bot')).toMatchObject({ pending: 1, deadLastDay: 0 });
    });

    it('equals a count of its deliveries after any history', async () => {
      await fc.assert(
        fc.asyncProperty(loadSteps, async (steps) => {
          const model = await LoadModel.start(await stage(open, []));
          for (const step of steps) await model.play(step);
        }),
        { numRuns: 15 },
      );
    }, 60_000);
  });
}
