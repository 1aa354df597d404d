import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenBucket } from '../src/token-bucket.js';

const START = Date.UTC(2026, 0, 1);

describe('a token bucket', () => {
  it('starts full', () => {
    expect(new TokenBucket(5, 10, START).available(START)).toBe(10);
  });

  it('provides its rate in whole tokens', () => {
    const bucket = emptied(5, 10);
    expect([0, 199, 200, 399, 400, 1000].map((ms) => bucket.available(START + ms))).toEqual([0, 0, 1, 1, 2, 5]);
  });

  it('holds no more than its burst, however long it waits', () => {
    const bucket = emptied(5, 10);
    expect(bucket.available(START + 365 * 24 * 3600 * 1000)).toBe(10);
  });

  it('returns the wait for the next token, and 0 if one is available', () => {
    const bucket = emptied(0.5, 1);
    expect(bucket.waitMs(START)).toBe(2000);
    expect(bucket.waitMs(START + 1999)).toBe(1);
    expect(bucket.waitMs(START + 2000)).toBe(0);
  });

  it('may be overdrawn, and then waits until it has recovered', () => {
    const bucket = new TokenBucket(10, 2, START);
    bucket.take(3);
    expect(bucket.available(START)).toBeLessThan(1);
    expect(bucket.waitMs(START)).toBe(200);
  });

  it('neither gains nor loses tokens when the clock goes back', () => {
    const bucket = new TokenBucket(5, 10, START);
    bucket.take(7);
    expect(bucket.available(START - 3_600_000)).toBe(3);
    expect(bucket.available(START - 3_600_000 + 200)).toBe(4);
  });

  it('has a token once the returned wait is over', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 1000, noNaN: true }), fc.nat(5000), (rate, ms) => {
        const bucket = emptied(rate, Math.max(1, rate));
        const wait = bucket.waitMs(START + ms);
        // Rounding may lose a thousandth of a token, which the next millisecond provides.
        expect(bucket.available(START + ms + wait + 1)).toBeGreaterThanOrEqual(1);
      }),
    );
  });

  it('never provides more than its burst plus its rate, whenever it is asked', () => {
    const steps = fc.array(fc.nat(3000), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 100 }), steps, (rate, burst, pauses) => {
        const bucket = new TokenBucket(rate, burst, START);
        let now = START;
        let given = 0;
        for (const pause of pauses) {
          now += pause;
          const tokens = bucket.available(now);
          bucket.take(tokens);
          given += tokens;
          expect(given).toBeLessThanOrEqual(burst + ((now - START) * rate) / 1000 + 1e-6);
        }
      }),
    );
  });
});

function emptied(ratePerSecond: number, burst: number): TokenBucket {
  const bucket = new TokenBucket(ratePerSecond, burst, START);
  bucket.take(burst);
  return bucket;
}
