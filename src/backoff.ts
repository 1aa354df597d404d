import { DAY_MS } from './durations.js';
/** Backoff arithmetic, shared by deliveries, resyncs and audits. */

/** Who asks for a longer pause is asked again after this. */
const LONGEST_RETRY_AFTER_MS = DAY_MS;

/** Share of a pause by which it may be shorter or longer. */
const JITTER = 0.2;

/** Adds jitter: `ms` give or take a fifth, so that what failed together is retried apart. `random` is in [0, 1). */
export function jittered(ms: number, random: number): number {
  return Math.round(ms * (1 + JITTER * (2 * random - 1)));
}

/** The pause number `step` (from 0); the last one is repeated. */
export function pauseAt(pausesMs: readonly number[], step: number): number {
  return pausesMs[Math.min(step, pausesMs.length - 1)] ?? 0;
}

/** Both forms of Retry-After (RFC 9110, 10.2.3), seconds or a date, as milliseconds from `now`; 0 where it makes no sense. */
export function retryAfterMs(header: string | null, now: number): number {
  if (header === null) return 0;
  const text = header.trim();
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), LONGEST_RETRY_AFTER_MS);
}
