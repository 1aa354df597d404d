import type { Audit, AuditMessage } from '../contract/audits.js';
import { all, useLoad } from './loading.js';
import { Pending } from './notice.js';
import { path } from './api.js';

/** Days of a range at most; a longer one shows its newest days. */
const MAX_DAYS = 366;
const DAY_NAME = new Intl.DateTimeFormat(undefined, {
  weekday: 'long',
  year: 'numeric',
  month: 'long',
  day: 'numeric',
});
const MONTH = new Intl.DateTimeFormat(undefined, { month: 'short' });

interface Day {
  readonly date: Date;
  readonly missing: number;
  readonly back: number;
}

/** A local date as a key: `2026-11-27`. */
const keyOf = (date: Date): string =>
  [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, '0')).join('-');

function daysOf(audit: Audit, messages: readonly AuditMessage[]): Day[] {
  const counts = new Map<string, { missing: number; back: number }>();
  for (const { sent_at: at, released_at: released, first_seen_at: seen } of messages) {
    const key = keyOf(new Date(at));
    const { missing, back } = counts.get(key) ?? { missing: 0, back: 0 };
    const isBack = released !== null || seen !== null;
    counts.set(key, isBack ? { missing, back: back + 1 } : { missing: missing + 1, back });
  }
  const days: Day[] = [];
  const end = new Date(audit.until);
  for (let date = new Date(audit.since); keyOf(date) <= keyOf(end); date = nextDay(date)) {
    days.push({ date, ...(counts.get(keyOf(date)) ?? { missing: 0, back: 0 }) });
  }
  return days.slice(-MAX_DAYS);
}

const nextDay = (date: Date): Date => new Date(date.getFullYear(), date.getMonth(), date.getDate() + 1);

/** From none to many, in five steps. */
const levelOf = (missing: number): number =>
  missing === 0 ? 0 : missing < 3 ? 1 : missing < 10 ? 2 : missing < 50 ? 3 : 4;

/** One square for each day of an audit, the darker the more messages never came. A text says the number. */
export function Calendar({ audit }: { readonly audit: Audit }) {
  const key = `calendar ${audit.id} ${audit.counts.never_came} ${audit.counts.released}`;
  const { value: messages, error } = useLoad(
    key,
    async () => await all<AuditMessage>(path('v1/audits', audit.id, 'messages')),
  );
  if (messages === null) return <Pending error={error} />;
  const days = daysOf(audit, messages);
  return (
    <>
      {messages.length < audit.counts.never_came && (
        <p class="dim">Of the first {messages.length.toLocaleString()} messages that never came.</p>
      )}
      <ol class="calendar" aria-label="Missing messages by day">
        {days.map((day) => (
          <DaySquare key={keyOf(day.date)} day={day} />
        ))}
      </ol>
      <p class="dim">
        <span class="day level-0 sample" aria-hidden="true" /> every message came{' '}
        <span class="day level-2 sample" aria-hidden="true" /> some never came{' '}
        <span class="day level-4 sample" aria-hidden="true" /> 50 or more
      </p>
    </>
  );
}

function DaySquare({ day: { date, missing, back } }: { readonly day: Day }) {
  const text = `${DAY_NAME.format(date)}: ${missing === 0 ? 'none missing' : `${missing} never came`}${back > 0 ? `, ${back} came later` : ''}`;
  return (
    <li class={`day level-${levelOf(missing)}`} title={text}>
      <span class="visually-hidden">{text}</span>
      <span aria-hidden="true">
        {date.getDate() === 1 ? MONTH.format(date) : date.getDate()}
        {missing > 0 && <b>{missing}</b>}
      </span>
    </li>
  );
}
