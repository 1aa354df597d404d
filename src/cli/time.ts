import { CommandError, EXIT } from '../errors.js';

const AGO = /^(\d+)(min|h|d|w)$/;
const UNIT_MS: Readonly<Record<string, number>> = { min: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** A time as the API takes it: ISO 8601 as it is, `12h` as twelve hours ago. @throws CommandError */
export function timeOf(text: string, now: number): string {
  const [, count, unit] = AGO.exec(text) ?? [];
  if (count !== undefined && unit !== undefined) {
    return new Date(now - Number(count) * (UNIT_MS[unit] ?? 0)).toISOString();
  }
  if (!Number.isNaN(Date.parse(text)) && /^\d{4}-\d\d-\d\d/.test(text)) return new Date(text).toISOString();
  throw new CommandError(
    EXIT.usage,
    `"${text}" is no time: write 2026-01-31T12:00:00Z, or how long ago: 30min, 12h, 7d, 4w.`,
  );
}
