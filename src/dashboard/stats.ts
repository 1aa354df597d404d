import type { Stats } from '../contract/stats.js';
import { get } from './api.js';
import { useLoad } from './loading.js';
import type { Loaded } from './loading.js';

const REFRESH_MS = 10_000;

export const useStats = (
  minutes: number,
  filter: { readonly target?: string; readonly channel?: string } = {},
): Loaded<Stats> =>
  useLoad(
    `stats ${minutes} ${JSON.stringify(filter)}`,
    async () => await get<Stats>('v1/stats', { minutes, ...filter }),
    REFRESH_MS,
  );

/** Unix seconds of each entry of the series. */
export const timesOf = ({ from, step_seconds: step }: Stats['series'], length: number): number[] =>
  Array.from({ length }, (_, index) => Math.floor(Date.parse(from) / 1000) + index * step);

/** Counts of a step as a rate: per minute. */
export const perMinute = (counts: readonly number[], stepSeconds: number): number[] =>
  counts.map((count) => (count * 60) / stepSeconds);
