import type { Verdict } from '../model.js';
import { get } from './api.js';
import { useLoad } from './loading.js';
import type { Loaded } from './loading.js';

export interface Quantiles<T> {
  readonly p50: T;
  readonly p95: T;
  readonly p99: T;
}

export interface Stats {
  readonly minutes: number;
  readonly channels: readonly {
    readonly channel: string;
    readonly last_webhook_at: string | null;
    readonly webhooks: number;
    readonly refused: number;
    readonly items: Readonly<Record<Verdict, number>>;
    readonly held: number;
  }[];
  readonly targets: readonly {
    readonly target: string;
    readonly name: string;
    readonly enabled: boolean;
    readonly pending: number;
    readonly oldest_pending_at: string | null;
    readonly breaker: { readonly state: string; readonly next_probe_at: string | null };
    readonly attempts: number;
    readonly failed_attempts: number;
    readonly delivered: number;
    readonly dead: number;
    readonly expired: number;
    readonly latency_ms: Quantiles<number> | null;
    readonly lag_ms: Quantiles<number> | null;
  }[];
  readonly series: Readonly<
    Record<Verdict | 'webhooks' | 'held' | 'attempts' | 'failed_attempts' | 'delivered' | 'dead', readonly number[]>
  > & {
    readonly from: string;
    readonly step_seconds: number;
    readonly latency_ms: Quantiles<readonly (number | null)[]>;
  };
}

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
