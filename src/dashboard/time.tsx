import { computed, signal } from '@preact/signals';
import type { ReadonlySignal } from '@preact/signals';

/** Times as a person reads them: local time and age, both kept current. The only file that reads the clock. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The current time in milliseconds, each second. Only countdowns read it. */
export const clock = signal(Date.now());
/** The same, every ten seconds: enough for ages. */
const slowClock = computed(() => Math.floor(clock.value / (10 * SECOND)) * 10 * SECOND);

setInterval(() => (clock.value = Date.now()), SECOND);

/** The current time in milliseconds, exact. Use `clock` for what is shown. */
export const nowMs = (): number => Date.now();

const TIME_OF_DAY = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DATE_AND_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const SHORT_DATE = new Intl.DateTimeFormat(undefined, {
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
});

/** `45 s`, `3 min`, `2 h 5 min`, `4 d`. */
export function duration(ms: number): string {
  const of = Math.max(0, Math.round(ms / SECOND) * SECOND);
  if (of < MINUTE) return `${of / SECOND} s`;
  if (of < HOUR) return `${Math.floor(of / MINUTE)} min`;
  if (of < DAY) {
    const minutes = Math.floor((of % HOUR) / MINUTE);
    return `${Math.floor(of / HOUR)} h${minutes === 0 ? '' : ` ${minutes} min`}`;
  }
  return `${Math.floor(of / DAY)} d`;
}

/** `1:05`, `2:00:07`: what is left until a time. */
export function countdown(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / SECOND));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const [hours = 0, ...rest] = parts;
  const padded = rest.map((part, index) => (index > 0 || hours > 0 ? String(part).padStart(2, '0') : String(part)));
  return hours > 0 ? [hours, ...padded].join(':') : padded.join(':');
}

export function ageText(atMs: number, now: number): string {
  const ago = now - atMs;
  if (ago < 0) return ago > -10 * SECOND ? 'now' : `in ${duration(-ago)}`;
  return ago < 10 * SECOND ? 'just now' : `${duration(ago)} ago`;
}

function localText(at: Date, now: number): string {
  if (now - at.getTime() < 20 * HOUR && at.getTime() - now < 20 * HOUR) return TIME_OF_DAY.format(at);
  return SHORT_DATE.format(at);
}

interface TimeProps {
  /** ISO 8601. */
  readonly at: string | null;
  /** Shown in place of null. */
  readonly none?: string;
}

/** A time, local and as an age. The tooltip has the date and UTC. */
export function Time({ at, none = '–' }: TimeProps) {
  if (at === null) return <span class="dim">{none}</span>;
  const date = new Date(at);
  const title = `${DATE_AND_TIME.format(date)} (${at})`;
  return (
    <time class="time" dateTime={at} title={title}>
      <span>{localText(date, slowClock.peek())}</span> <Age atMs={date.getTime()} />
    </time>
  );
}

function Age({ atMs }: { readonly atMs: number }) {
  return <span class="dim age">{ageText(atMs, slowClock.value)}</span>;
}

/** Counts down to a time; `over` is shown once it has passed. */
export function Countdown({ at, over = 'now' }: { readonly at: string; readonly over?: string }) {
  const left = Date.parse(at) - clock.value;
  return (
    <time class="countdown num" dateTime={at} title={DATE_AND_TIME.format(new Date(at))}>
      {left <= 0 ? over : countdown(left)}
    </time>
  );
}

/** ISO time of some minutes ago, for links to lists; a step of a minute keeps the link the same for a while. */
export const minutesAgo = (minutes: number): string =>
  new Date(Math.floor((Date.now() - minutes * MINUTE) / MINUTE) * MINUTE).toISOString();

/** The value of a `datetime-local` field as ISO 8601 in UTC, and back. */
export const fromLocalField = (value: string): string => {
  const at = new Date(value);
  return Number.isNaN(at.getTime()) ? '' : at.toISOString();
};
export function toLocalField(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return '';
  return new Date(at.getTime() - at.getTimezoneOffset() * MINUTE).toISOString().slice(0, 19);
}

/** Runs a function every `ms` while the page is visible; returns how to stop it. */
export function everyVisible(ms: number, run: () => void): () => void {
  const timer = setInterval(() => {
    if (document.visibilityState === 'visible') run();
  }, ms);
  return () => clearInterval(timer);
}

export type Clock = ReadonlySignal<number>;
