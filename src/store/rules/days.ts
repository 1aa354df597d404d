import { DAY_MS, HOUR_MS } from '../../durations.js';

/** The UTC day of a time, counted from the Unix epoch. */
export function utcDay(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

/** The UTC hour of a time, counted from the Unix epoch. */
export function utcHour(ms: number): number {
  return Math.floor(ms / HOUR_MS);
}
