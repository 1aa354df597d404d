import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from './durations.js';

const UNITS = [
  [DAY_MS, 'day'],
  [HOUR_MS, 'hour'],
  [MINUTE_MS, 'minute'],
  [SECOND_MS, 'second'],
] as const;

/** A number with its noun: `1 webhook`, `3 webhooks`. */
export function counted(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** A duration in its largest unit, rounded down: `3 days`. */
export function durationText(ms: number): string {
  const [size, unit] = UNITS.find(([each]) => ms >= each) ?? UNITS[3];
  return counted(Math.max(0, Math.floor(ms / size)), unit);
}
