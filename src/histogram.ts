/**
 * Counts of durations by size: plain numbers, so that an observation costs some nanoseconds. A quantile is right to within
 * its bucket. Pure.
 */

/** Upper bounds of the buckets, in milliseconds; one more bucket takes what is above. */
export const BUCKETS_MS: readonly number[] = [
  ...[0.1, 0.2, 0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700],
  ...[1000, 1500, 2000, 3000, 5000, 7000, 10_000, 15_000, 30_000, 60_000, 120_000],
  ...[300_000, 900_000, 3_600_000, 14_400_000, 86_400_000],
];
export const BUCKET_COUNT = BUCKETS_MS.length + 1;

/** The bucket of a duration. */
export function bucketOf(ms: number): number {
  let low = 0;
  let high = BUCKETS_MS.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ms <= (BUCKETS_MS[middle] ?? Infinity)) high = middle;
    else low = middle + 1;
  }
  return low;
}

export class Histogram {
  readonly counts = new Float64Array(BUCKET_COUNT);
  sumMs = 0;

  observe(ms: number): void {
    const bucket = bucketOf(ms);
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sumMs += ms;
  }
}

export interface Quantiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** Quantiles in milliseconds, between the bounds of their buckets in proportion; null: nothing was counted. */
export function quantilesOf(counts: ArrayLike<number>): Quantiles | null {
  const total = Array.from(counts).reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  const at = (share: number): number => quantile(counts, share * total);
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

function quantile(counts: ArrayLike<number>, rank: number): number {
  let below = 0;
  for (let bucket = 0; bucket < counts.length; bucket += 1) {
    const count = counts[bucket] ?? 0;
    if (count > 0 && below + count >= rank) {
      const from = BUCKETS_MS[bucket - 1] ?? 0;
      const to = BUCKETS_MS[bucket] ?? from;
      return round(from + ((to - from) * (rank - below)) / count);
    }
    below += count;
  }
  return BUCKETS_MS.at(-1) ?? 0;
}

/** Three digits are more than a bucket tells. */
const round = (ms: number): number => Number(ms.toPrecision(3));
