import { describe, expect, it } from 'vitest';
import type { Figures, RollupRow, RollupStep } from '../../../src/store/rollups.js';
import { DAY, HOUR, MINUTE, SECOND, START } from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';

const STEPS: readonly RollupStep[] = [10_000, 300_000, 3_600_000];

export function rollupsContract(open: OpenFixture): void {
  describe('counts over time', () => {
    it('are added up in every step, and survive a restart', async () => {
      const fixture = await open();
      await count(fixture, START, { new: 1 });
      await count(fixture, START + 9 * SECOND, { new: 2, late: 1 });
      await fixture.restart();
      await count(fixture, START + 10 * SECOND, { new: 4 });
      expect(await pointsIn(fixture, 10_000)).toEqual([
        [0, { new: 3, late: 1 }],
        [10 * SECOND, { new: 4 }],
      ]);
      for (const step of [300_000, 3_600_000] as const)
        expect(await pointsIn(fixture, step)).toEqual([[0, { new: 7, late: 1 }]]);
    });

    it('are those of one subject', async () => {
      const fixture = await open();
      await count(fixture, START, { new: 1 }, ['c:a', 'c:b', 't:a']);
      expect(await pointsIn(fixture, 10_000, 'c:b')).toEqual([[0, { new: 1 }]]);
      expect(await pointsIn(fixture, 10_000, 'c:c')).toEqual([]);
      const sums = await fixture.store.rollups.sums('c:', { from: START, stepMs: 10_000 });
      expect([...sums.keys()]).toEqual(['c:a', 'c:b']);
    });

    it('sum up to what the series has, from any step on and over all steps', async () => {
      const fixture = await open();
      const at = [0, 10 * SECOND, 4 * MINUTE, 5 * MINUTE, 58 * MINUTE, 61 * MINUTE, 5 * HOUR];
      for (const [power, offset] of at.entries()) await count(fixture, START + offset, { new: 2 ** power });
      const sumFrom = async (from: number, stepMs: RollupStep): Promise<number> => {
        const sums = await fixture.store.rollups.sums('c:', { from, stepMs });
        return sums.get('c:shop')?.['new'] ?? 0;
      };
      for (const [power, offset] of at.entries()) {
        const rest = 2 ** at.length - 2 ** power;
        expect(await sumFrom(START + offset, 10_000)).toBe(rest);
      }
      expect(await sumFrom(START + 5 * MINUTE, 300_000)).toBe(2 ** 7 - 2 ** 3);
      expect(await sumFrom(START + HOUR, 3_600_000)).toBe(2 ** 7 - 2 ** 5);
    });

    it('are added in several transactions if there are many, and each is reported once it is added', async () => {
      const fixture = await open();
      const rows = Array.from({ length: 100 }, (_, n) => ({ subject: `c:${n}`, figures: { new: n } }));
      const added: RollupRow[] = [];
      await fixture.store.rollups.add(rows, START, (row) => added.push(row));
      expect(added).toEqual(rows);
      expect((await fixture.store.rollups.sums('c:', { from: START, stepMs: 10_000 })).size).toBe(100);
    });

    it('are kept for an hour, a day and 90 days, and those of the future are dropped', async () => {
      const fixture = await open();
      for (const offset of [0, 2 * HOUR, 200 * DAY]) await count(fixture, START + offset, { new: 1 });
      const stepsAt = async (now: number): Promise<number[]> => {
        await fixture.store.rollups.prune(now);
        return await Promise.all(STEPS.map(async (step) => (await pointsIn(fixture, step)).length));
      };
      expect(await stepsAt(START + 2 * HOUR)).toEqual([1, 2, 2]);
      expect(await stepsAt(START + 26 * HOUR + 10 * MINUTE)).toEqual([0, 0, 2]);
      expect(await stepsAt(START + 91 * DAY)).toEqual([0, 0, 0]);
    });
  });
}

async function count({ store }: StoreFixture, at: number, figures: Figures, subjects = ['c:shop']): Promise<void> {
  const rows = subjects.map((subject) => ({ subject, figures }));
  await store.rollups.add(rows, at, () => undefined);
}

async function pointsIn({ store }: StoreFixture, stepMs: RollupStep, subject = 'c:shop'): Promise<[number, Figures][]> {
  const points = await store.rollups.series(subject, { from: START, stepMs });
  return points.map(({ start, figures }) => [start - START, figures]);
}
