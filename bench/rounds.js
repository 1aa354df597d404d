import { median } from './load.js';

/**
 * Measures every side once per round, in an order that moves on by one each round, so that neither a slow spell of the
 * machine nor what the side before leaves behind favours one. Resolves with one object per round, with a result per side.
 */
export async function alternating(sides, rounds, measure) {
  const results = [];
  for (let round = 0; round < rounds; round += 1) {
    const first = round % sides.length;
    const measured = {};
    for (const side of [...sides.slice(first), ...sides.slice(0, first)]) measured[side] = await measure(side, round);
    results.push(measured);
  }
  return results;
}

/** Median, least and greatest of one figure of a side. */
export function figureOf(rounds, side, part, digits = 0) {
  return spreadOf(
    rounds.map((round) => round[side][part]),
    digits,
  );
}

/** The same of its ratio to another side's figure in the same round. */
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
