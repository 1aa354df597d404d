import { usageError } from '../errors.js';

const AGO = /^(\d+)(min|h|d|w)$/;
const UNIT_MS: Readonly<Record<string, number>> = { min: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
/** How the help describes a time. */
export const TIME_WORDS = 'ISO 8601, or how long ago, for example 7d';

/** A time as the API takes it: ISO 8601 as it is, `12h` as twelve hours before `now`. @throws CommandError */
export function timeOf(option: string, text: string, now: number): string {
  const [, count, unit] = AGO.exec(text) ?? [];
  const written = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : NaN;
  const time = new Date(count === undefined ? written : now - Number(count) * (UNIT_MS[unit ?? ''] ?? NaN));
  if (!Number.isNaN(time.getTime())) return time.toISOString();
  throw usageError(
    `Invalid ${option} "${text}": expected a time such as 2026-01-31T12:00:00Z, or how long ago, such as 30min, 12h, 7d or 4w.`,
  );
}
