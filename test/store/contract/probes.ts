import { describe, expect, it } from 'vitest';
import type { ProbeFacts, ProbeView } from '../../../src/store/probes.js';
import { DAY, HOUR, MINUTE, refusal, stage, START } from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';

const FACTS: ProbeFacts = {
  ...{ watchUntil: START + HOUR, before: null, call: null, lastGet: null, gets: 0, foundAt: null },
  ...{ original: null, originalFrom: null, message: null, copies: [] },
};
const PROBE: ProbeView = { channel: 'main', messageId: 'A', startedAt: START, finishedAt: null, facts: FACTS };
const OVER: ProbeView = { ...PROBE, finishedAt: START + MINUTE, facts: { ...FACTS, gets: 3 } };

/** The contract of `Probes`. */
export function probesContract(open: OpenFixture): void {
  describe('probes', () => {
    it('run once per channel, and go on after a restart', async () => {
      const fixture = await stage(open, []);
      await fixture.store.probes.begin(PROBE);
      await expect(fixture.store.probes.begin({ ...PROBE, startedAt: START + 1 })).rejects.toEqual(
        refusal('GW_CONFLICT'),
      );
      await fixture.restart();
      expect(await fixture.store.probes.running()).toEqual([PROBE]);
    });

    it('keep their result until the next one of the channel', async () => {
      const { store } = await stage(open, []);
      await store.probes.begin(PROBE);
      expect(await store.probes.save(OVER)).toBe(true);
      expect(await store.probes.save({ ...PROBE, facts: { ...FACTS, gets: 4 } })).toBe(false);
      expect([await store.probes.of('main'), await store.probes.running()]).toEqual([OVER, []]);
      const next = { ...PROBE, startedAt: START + HOUR };
      await store.probes.begin(next);
      expect(await store.probes.save(OVER)).toBe(false);
      expect(await store.probes.of('main')).toEqual(next);
    });

    it('end when they are cancelled, with what was known and the call, and are not resumed after a restart', async () => {
      const fixture = await stage(open, []);
      await expect(fixture.store.probes.cancel('main', START, null)).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await fixture.store.probes.begin(PROBE);
      await fixture.store.probes.save({ ...PROBE, facts: { ...FACTS, gets: 2 } });
      const call = { at: START, tookMs: null, status: null, outcome: 'interrupted', reason: 'cancelled' } as const;
      const cancelled = { ...OVER, facts: { ...FACTS, gets: 2, call, isCancelled: true } };
      expect(await fixture.store.probes.cancel('main', START + MINUTE, call)).toEqual(cancelled);
      await expect(fixture.store.probes.cancel('main', START, null)).rejects.toEqual(refusal('GW_CONFLICT'));
      expect(await fixture.store.probes.save({ ...PROBE, facts: FACTS })).toBe(false);
      await fixture.restart();
      const { probes } = fixture.store;
      expect([await probes.of('main'), await probes.running()]).toEqual([cancelled, []]);
    });

    it('need a channel, and go with it', async () => {
      const { store } = await stage(open, []);
      await expect(store.probes.begin({ ...PROBE, channel: 'other' })).rejects.toEqual(refusal('GW_NOT_FOUND'));
      await store.probes.begin(PROBE);
      await store.registry.removeChannel('main');
      expect([await store.probes.save(OVER), await store.probes.of('main')]).toEqual([false, null]);
    });

    it('forget the id of their message as payloads are pruned, and keep the rest', async () => {
      const fixture = await stage(open, []);
      await fixture.store.probes.begin(PROBE);
      await prune(fixture, 2 * DAY);
      expect(await fixture.store.probes.of('main')).toEqual(PROBE);
      await fixture.store.probes.save(OVER);
      await prune(fixture, 0);
      expect(await fixture.store.probes.of('main')).toEqual({ ...OVER, messageId: null });
    });
  });
}

/** Prunes what is older than a day, after some time. */
async function prune({ store, clock }: StoreFixture, afterMs: number): Promise<void> {
  clock.advance(afterMs);
  while (await store.upkeep.prune({ payloadMs: DAY, ledgerMs: 400 * DAY }, clock.now()));
}
