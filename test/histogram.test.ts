import { describe, expect, it } from 'vitest';
import { bucketOf, BUCKETS_MS, Histogram, quantilesOf } from '../src/histogram.js';

describe('a histogram', () => {
  it('counts a duration in the first bucket that it fits into', () => {
    for (const [bucket, most] of BUCKETS_MS.entries()) {
      expect(bucketOf(most)).toBe(bucket);
      expect(bucketOf(most * 1.0001)).toBe(bucket + 1);
    }
    expect(bucketOf(0)).toBe(0);
    expect([...BUCKETS_MS].sort((a, b) => a - b)).toEqual(BUCKETS_MS);
  });

  it('gives quantiles that are right to within their bucket', () => {
    const histogram = new Histogram();
    for (let ms = 1; ms <= 1000; ms += 1) histogram.observe(ms);
    const { p50 = 0, p95 = 0, p99 = 0 } = quantilesOf(histogram.counts) ?? {};
    for (const [quantile, wanted] of [
      [p50, 500],
      [p95, 950],
      [p99, 990],
    ] as const)
      expect(Math.abs(quantile - wanted) / wanted).toBeLessThan(0.05);
    expect(histogram.sumMs).toBe(500_500);
  });

  it('has no quantiles without a duration, and the greatest bound for what is above', () => {
    expect(quantilesOf(new Histogram().counts)).toBeNull();
    const histogram = new Histogram();
    histogram.observe(1e12);
    expect(quantilesOf(histogram.counts)).toEqual({ p50: 86_400_000, p95: 86_400_000, p99: 86_400_000 });
  });
});
