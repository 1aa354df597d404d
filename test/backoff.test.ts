import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jittered, pauseAt, retryAfterMs } from '../src/backoff.js';

const NOW = Date.UTC(2026, 0, 1);
const DAY_MS = 24 * 60 * 60 * 1000;

describe('jittered', () => {
  it('returns the length itself for a random value in the middle, and a fraction less or more at the ends', () => {
    expect([0, 0.25, 0.5, 0.75].map((random) => jittered(1000, random))).toEqual([800, 900, 1000, 1100]);
    expect(jittered(1000, 1 - Number.EPSILON)).toBe(1200);
  });

  it('stays within its range and in whole milliseconds for any random value', () => {
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.nat(DAY_MS), chance, (ms, random) => {
        const pause = jittered(ms, random);
        expect(Number.isInteger(pause)).toBe(true);
        expect(Math.abs(pause - ms)).toBeLessThanOrEqual(0.2 * ms + 0.5);
      }),
    );
  });
});

describe('pauseAt', () => {
  it('takes the pauses in order and repeats the last one', () => {
    expect([0, 1, 2, 3, 1000].map((step) => pauseAt([5, 30, 120], step))).toEqual([5, 30, 120, 120, 120]);
  });

  it('is 0 without pauses', () => {
    expect(pauseAt([], 3)).toBe(0);
  });
});

describe('retryAfterMs', () => {
  it.each([
    ['seconds', '120', 120_000],
    ['seconds with spaces', ' 7 ', 7000],
    ['zero seconds', '0', 0],
    ['a date', 'Thu, 01 Jan 2026 00:01:30 GMT', 90_000],
    ['a past date', 'Wed, 31 Dec 2025 23:59:00 GMT', 0],
    ['more than a day', '86401', DAY_MS],
    ['a date in the far future', 'Fri, 01 Jan 2100 00:00:00 GMT', DAY_MS],
    ['a number too large for a double', '9'.repeat(400), DAY_MS],
    ['a negative number', '-5', 0],
    ['words', 'soon', 0],
    ['nothing', '', 0],
  ])('reads %s', (_what, header, ms) => {
    expect(retryAfterMs(header, NOW)).toBe(ms);
  });

  it('is 0 without the header', () => {
    expect(retryAfterMs(null, NOW)).toBe(0);
  });

  it('is between 0 and a day for any header', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.integer().map(String), fc.date().map(String)), (header) => {
        const ms = retryAfterMs(header, NOW);
        expect(ms >= 0 && ms <= DAY_MS).toBe(true);
      }),
    );
  });
});
