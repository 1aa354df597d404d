import type { Figures, RollupRange, RollupStep } from '../rollups.js';

/** How counts over time are kept. Pure. */

const HOUR = 3_600_000;
const STEPS: readonly { readonly stepMs: RollupStep; readonly keptMs: number }[] = [
  { stepMs: 10_000, keptMs: HOUR },
  { stepMs: 300_000, keptMs: 24 * HOUR },
  { stepMs: 3_600_000, keptMs: 90 * 24 * HOUR },
];

/** The rows that a count at `at` belongs to. */
export function rowsAt(at: number): readonly { readonly stepMs: RollupStep; readonly start: number }[] {
  return STEPS.map(({ stepMs }) => ({ stepMs, start: at - (at % stepMs) }));
}

/** The rows of each step that are kept: what starts before `from`, or long after `now`, is not. */
export function keptAt(now: number): readonly { stepMs: RollupStep; from: number; until: number }[] {
  return STEPS.map(({ stepMs, keptMs }) => ({ stepMs, from: now - keptMs - stepMs, until: now + 24 * HOUR }));
}

/**
 * The rows that add up to everything from `from` on: the smallest step up to the next boundary of a larger one. A row of
 * the largest step holds what has happened so far, so nothing is left out at the end.
 */
export function coverOf({ from, stepMs }: RollupRange): readonly { stepMs: RollupStep; from: number; until: number }[] {
  const cover: { stepMs: RollupStep; from: number; until: number }[] = [];
  let start = from;
  const steps = STEPS.map((step) => step.stepMs).filter((step) => step >= stepMs);
  for (const [index, step] of steps.entries()) {
    const larger = steps[index + 1];
    const until = larger === undefined ? Number.MAX_SAFE_INTEGER : Math.ceil(start / larger) * larger;
    if (until > start) cover.push({ stepMs: step, from: start, until });
    start = until;
  }
  return cover;
}

/** The sums of both, by name. */
export function addFigures(one: Figures, other: Figures): Figures {
  const sum: Record<string, number> = { ...one };
  for (const [name, count] of Object.entries(other)) sum[name] = (sum[name] ?? 0) + count;
  return sum;
}
