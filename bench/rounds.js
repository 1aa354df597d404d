import { median } from './load.js';

/**
 * Measures every side once per round. The order changes from round to round (A B, B A, B A, A B; with three sides all six
 * orders), so that neither a slow spell of the machine nor the after-effects of the side before favour one. Resolves with one
 * object per round, with a result per side.
 */
export async function alternating(sides, rounds, measure) {
  const results = [];
  for (let round = 0; round < rounds; round += 1) results.push(await oneRound(sides, round, measure));
  return results;
}

/** One round, for a run that alternates several benches. */
export async function oneRound(sides, round, measure) {
  const first = Math.floor(round / 2) % sides.length;
  const order = round % 2 === 0 ? sides : sides.toReversed();
  const measured = {};
  for (const side of [...order.slice(first), ...order.slice(0, first)]) measured[side] = await measure(side, round);
  return measured;
}

/** Median, least and greatest of one figure of a side. */
export function figureOf(rounds, side, part, digits = 0) {
  return spreadOf(
    rounds.map((round) => round[side][part]),
    digits,
  );
}

/** Median, least and greatest of the ratio of that figure to another side's in the same round. */
export function ratioOf(rounds, part, side, baseline, digits = 3) {
  return spreadOf(
    rounds.map((round) => round[side][part] / round[baseline][part]),
    digits,
  );
}

export function spreadOf(numbers, digits = 0) {
  const rounded = (number) => Number(number.toFixed(digits));
  return {
    median: rounded(median(numbers)),
    min: rounded(Math.min(...numbers)),
    max: rounded(Math.max(...numbers)),
  };
}
