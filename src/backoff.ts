import { DAY_MS } from './durations.js';

/** Backoff arithmetic, shared by deliveries, resyncs and audits. */

/** A Retry-After beyond this is shortened to it. */
const LONGEST_RETRY_AFTER_MS = DAY_MS;

/** The share of a pause by which jitter makes it shorter or longer. */
const JITTER = 0.2;

/**
 * Adds jitter: `ms` give or take a fifth, so that what failed together is not retried together. `random` is in [0, 1).
 */
export function jittered(ms: number, random: number): number {
  return Math.round(ms * (1 + JITTER * (2 * random - 1)));
}

/** The pause at `step`, counted from 0; the last one is repeated. */
export function pauseAt(pausesMs: readonly number[], step: number): number {
  return pausesMs[Math.min(step, pausesMs.length - 1)] ?? 0;
}

/** Reads both forms of Retry-After (RFC 9110, 10.2.3), seconds or a date, as milliseconds from `now`; 0 if invalid. */
export function retryAfterMs(header: string | null, now: number): number {
  if (header === null) return 0;
  const text = header.trim();
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), LONGEST_RETRY_AFTER_MS);
}
