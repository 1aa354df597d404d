import { useComputed } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type UPlot from 'uplot';
import { theme } from './theme.js';

export interface Series {
  readonly name: string;
  readonly values: readonly (number | null)[];
  /** One of the chart colours of the stylesheet, from 1. */
  readonly color: number;
}

interface ChartProps {
  readonly title: string;
  /** Unix seconds, ascending. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  readonly format?: (value: number) => string;
}

const HEIGHT = 150;
const AXIS_FONT = '11px system-ui, sans-serif';
const plain = (value: number): string => value.toLocaleString(undefined, { maximumFractionDigits: 1 });

/**
 * Null where uPlot does not load: it throws in a browser whose language is no BCP 47 tag, such as Chromium in the locale C
 * (`en-US@posix`). The caption and the table remain.
 */
async function loadPlot(): Promise<typeof UPlot | null> {
  return await import('uplot').then(
    (module) => module.default,
    () => null,
  );
}

/**
 * Lines over time. The canvas says nothing to a screen reader, so the caption has the newest, the smallest and the
 * greatest value of each line, and a table has them all.
 */
export function Chart({ title, times, series, format = plain }: ChartProps) {
  const canvas = useRef<HTMLDivElement>(null);
  const legend = useRef<HTMLElement>(null);
  const isDark = useComputed(() => theme.value);
  useEffect(() => {
    const place = canvas.current;
    const swatches = [...(legend.current?.querySelectorAll('.swatch') ?? [])];
    if (place === null || times.length === 0) return undefined;
    const colors = swatches.map((swatch) => getComputedStyle(swatch).color);
    const data = [[...times], ...series.map(({ values }) => [...values])] as UPlot.AlignedData;
    let remove = (): void => undefined;
    let isGone = false;
    void loadPlot().then((Plot) => {
      if (isGone || Plot === null) return;
      const plot = new Plot(optionsOf(place, series, colors, format), data, place);
      const observer = new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: HEIGHT }));
      observer.observe(place);
      remove = () => {
        observer.disconnect();
        plot.destroy();
      };
    });
    return () => {
      isGone = true;
      remove();
    };
  }, [times, series, isDark.value]);
  return (
    <figure class="chart">
      <div class="plot" ref={canvas} aria-hidden="true" />
      <figcaption ref={legend}>
        <strong>{title}</strong>
        {series.map((line) => (
          <span key={line.name} class="legend">
            <span class={`swatch color-${line.color}`} aria-hidden="true">
              ●
            </span>{' '}
            {line.name} {summary(line.values, format)}
          </span>
        ))}
        <ChartTable title={title} times={times} series={series} format={format} />
      </figcaption>
    </figure>
  );
}

function summary(values: Series['values'], format: (value: number) => string): string {
  const known = values.filter((value) => value !== null);
  const now = known.at(-1);
  if (now === undefined) return 'no data';
  return `now ${format(now)}, min ${format(Math.min(...known))}, max ${format(Math.max(...known))}`;
}

const TABLE_ROWS = 60;
const TIME = new Intl.DateTimeFormat(undefined, {
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

function ChartTable({ title, times, series, format }: Required<ChartProps>) {
  const rows = times
    .map((time, index) => ({ time, index }))
    .slice(-TABLE_ROWS)
    .reverse();
  return (
    <details>
      <summary>Values</summary>
      <div class="scroll" tabIndex={0} role="region" aria-label={`${title}: values`}>
        <table>
          <thead>
            <tr>
              <th scope="col">Time</th>
              {series.map(({ name }) => (
                <th key={name} scope="col" class="num">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ time, index }) => (
              <tr key={time}>
                <td>{TIME.format(time * 1000)}</td>
                {series.map(({ name, values }) => {
                  const value = values[index] ?? null;
                  return (
                    <td key={name} class="num">
                      {value === null ? '–' : format(value)}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

const HOURS = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const DAYS = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });
const DAY_SECONDS = 86_400;

/** Local times; over more than two days, the days. */
function timeLabels(_plot: UPlot, ticks: readonly number[]): string[] {
  const span = (ticks.at(-1) ?? 0) - (ticks[0] ?? 0);
  const format = span > 2 * DAY_SECONDS ? DAYS : HOURS;
  return ticks.map((tick) => format.format(tick * 1000));
}

function optionsOf(
  place: HTMLElement,
  series: readonly Series[],
  colors: readonly string[],
  format: (value: number) => string,
): UPlot.Options {
  const style = getComputedStyle(place);
  const axis = {
    stroke: style.color,
    grid: { stroke: style.borderTopColor, width: 1 },
    ticks: { show: false },
    font: AXIS_FONT,
  };
  return {
    width: place.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
    axes: [
      { ...axis, values: timeLabels },
      { ...axis, size: 52, values: (_plot, ticks) => ticks.map(format) },
    ],
    series: [
      {},
      ...series.map(({ name }, index) => ({
        label: name,
        stroke: colors[index] ?? style.color,
        width: 1.5,
        points: { show: false },
      })),
    ],
  };
}
