import type { Stats } from '../contract/stats.js';
import { useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { Chart } from './chart.js';
import { Section } from './facts.js';
import { Pending } from './notice.js';
import { perMinute, timesOf, useStats } from './stats.js';

const SPANS = [
  { label: '1 h', minutes: 60 },
  { label: '24 h', minutes: 1440 },
  { label: '7 d', minutes: 7 * 1440 },
];

interface SpanProps {
  readonly minutes: number;
  readonly onChange: (minutes: number) => void;
}

/** A choice of how far back. */
export function Spans({ minutes, onChange }: SpanProps) {
  return (
    <span class="ranges" role="group" aria-label="Time span">
      {SPANS.map((span) => (
        <button
          key={span.label}
          type="button"
          class="small"
          aria-pressed={span.minutes === minutes}
          onClick={() => onChange(span.minutes)}
        >
          {span.label}
        </button>
      ))}
    </span>
  );
}

const milliseconds = (value: number): string => `${Math.round(value).toLocaleString()} ms`;

export function LatencyChart({ series, title }: { readonly series: Stats['series']; readonly title: string }) {
  const { latency_ms: latency } = series;
  const times = useMemo(() => timesOf(series, latency.p50.length), [series]);
  const lines = useMemo(
    () => [
      { name: 'p50', values: latency.p50, color: 1 },
      { name: 'p95', values: latency.p95, color: 2 },
      { name: 'p99', values: latency.p99, color: 3 },
    ],
    [series],
  );
  return <Chart title={title} times={times} series={lines} format={milliseconds} />;
}

interface RateProps {
  readonly series: Stats['series'];
  readonly title: string;
  readonly lines: readonly {
    readonly name: string;
    readonly of: Exclude<keyof Stats['series'], 'from' | 'step_seconds' | 'latency_ms'>;
    readonly color: number;
  }[];
}

/** Counts per minute over time. */
export function RateChart({ series, title, lines }: RateProps) {
  const times = useMemo(() => timesOf(series, series.webhooks.length), [series]);
  const rates = useMemo(
    () => lines.map(({ name, of, color }) => ({ name, color, values: perMinute(series[of], series.step_seconds) })),
    [series],
  );
  return <Chart title={title} times={times} series={rates} />;
}

const ATTEMPTS: RateProps['lines'] = [
  { name: 'delivered', of: 'delivered', color: 1 },
  { name: 'failed attempts', of: 'failed_attempts', color: 4 },
];

/** Rate and latency of one target. */
export function TargetCharts({ id }: { readonly id: string }) {
  const minutes = useSignal(60);
  const { value: stats, error } = useStats(minutes.value, { target: id });
  const target = stats?.targets.find((each) => each.target === id);
  return (
    <Section title="Traffic" actions={<Spans minutes={minutes.value} onChange={(next) => (minutes.value = next)} />}>
      {stats === null && <Pending error={error} />}
      {target && (
        <p>
          {target.attempts.toLocaleString()} attempts, {target.failed_attempts.toLocaleString()} failed.{' '}
          {target.latency_ms &&
            `Answers after ${milliseconds(target.latency_ms.p50)} (p50), ${milliseconds(target.latency_ms.p95)} (p95), ${milliseconds(target.latency_ms.p99)} (p99).`}{' '}
          {target.lag_ms &&
            `From commit to success ${milliseconds(target.lag_ms.p50)} (p50), ${milliseconds(target.lag_ms.p95)} (p95).`}
        </p>
      )}
      {stats && (
        <div class="charts">
          <RateChart title="Deliveries per minute" series={stats.series} lines={ATTEMPTS} />
          <LatencyChart title="Latency of the target" series={stats.series} />
        </div>
      )}
    </Section>
  );
}
