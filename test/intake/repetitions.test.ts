import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { repetitionsIn } from '../../src/intake/repetitions.js';

/** The length of the longest end of `before` that `now` starts with, by trying each. */
function overlapOf(before: readonly string[], now: readonly string[]): number {
  for (let length = Math.min(before.length, now.length); length > 0; length -= 1) {
    if (before.slice(before.length - length).join() === now.slice(0, length).join()) return length;
  }
  return 0;
}

describe('the items that repeat what was recorded last about their object', () => {
  it('are those at the start that the last webhook ended with, and each that equals the one before it', () => {
    const fingerprints = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 12 });
    fc.assert(
      fc.property(fingerprints, fingerprints, (before, now) => {
        const isSame = now.map((fingerprint, at) => fingerprint === now[at - 1]);
        const distinct = now.filter((_, at) => isSame[at] === false);
        const overlap = overlapOf(before, distinct);
        const { isRepetition, last } = repetitionsIn(before, now);
        const places = now.map((_, at) => isSame.slice(0, at + 1).filter((same) => !same).length);
        expect(isRepetition).toEqual(now.map((_, at) => isSame[at] === true || (places[at] ?? 0) <= overlap));
        expect(last).toEqual(overlap === distinct.length ? null : distinct);
      }),
      { numRuns: 2000 },
    );
  });

  it('are found among a hundred thousand about one object without comparing each with each', () => {
    const now = Array.from({ length: 100_000 }, (_, at) => (at % 2 === 0 ? 'added' : 'removed'));
    const { isRepetition } = repetitionsIn([...now, 'renamed'], now);
    expect(isRepetition).not.toContain(true);
  });
});
