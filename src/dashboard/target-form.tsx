import type { NewTarget, Target } from '../contract/targets.js';
import type { Verdict } from '../model.js';
import { Check, Field, numberOrNull, Select, words } from './form.js';
import type { Values } from './form.js';
import { hasHiddenValues, headerLines, headersOf } from './target-headers.js';

/** The settings of a target as a form, and back. */

const VERDICTS: readonly (readonly [verdict: Verdict, meaning: string])[] = [
  ['new', 'never seen before'],
  ['late', 'never seen before, but older than what its chat received'],
  ['event', 'everything that is not a new message: statuses, edits, groups'],
  ['restored', 'brought back by a resync'],
  ['duplicate', 'received before'],
];
const MODES = [
  { value: 'as_received', text: 'as received' },
  { value: 'body', text: 'body' },
  { value: 'path', text: 'path' },
  { value: 'method', text: 'method' },
];
export const SPLITS = [
  { value: 'none', text: 'one request per webhook' },
  { value: 'chat', text: 'one per chat' },
  { value: 'item', text: 'one per item' },
];

const BACKLOG_POLICIES = [
  { value: 'all', text: 'send all' },
  { value: 'newest_per_chat', text: 'send the newest of each chat' },
  { value: 'hold', text: 'hold' },
];

export function TargetFields({ target }: { readonly target?: Target }) {
  return (
    <>
      <div class="fields">
        <Field name="name" label="Name" value={target?.name} required />
        <Field name="url" label="URL" value={target?.url} required placeholder="https://bot.example.com/hook" />
        <Field
          name="channels"
          label="Channels"
          value={(target?.channels ?? ['*']).join(' ')}
          hint="Names, or * for all"
        />
        <Field
          name="events"
          label="Events"
          value={(target?.events ?? ['*']).join(' ')}
          hint="Such as messages.post statuses, or * for all"
        />
      </div>
      <fieldset>
        <legend>Verdicts that it gets</legend>
        <VerdictChecks name="deliver" chosen={target?.deliver ?? ['new', 'late', 'event']} />
      </fieldset>
      <details>
        <summary>How it is sent</summary>
        <div class="fields">
          <Select name="mode" label="Mode" options={MODES} value={target?.mode ?? 'as_received'} />
          <Select name="split" label="Split" options={SPLITS} value={target?.split ?? 'none'} />
          <Field
            name="max_age_seconds"
            label="Maximum age, seconds"
            type="number"
            value={target?.max_age_seconds}
            hint="Older messages expire. Empty: no limit"
          />
          <Field name="timeout_ms" label="Timeout, ms" type="number" value={target?.timeout_ms ?? 30_000} />
          <Field name="max_attempts" label="Attempts" type="number" value={target?.max_attempts ?? 10} />
          <Field name="concurrency" label="Requests in flight" type="number" value={target?.concurrency ?? 16} />
          <Field
            name="rate_per_second"
            label="Requests per second"
            type="number"
            value={target?.rate_per_second}
            hint="Empty: no limit"
          />
          <Field
            name="retry_delays_seconds"
            label="Retry delays, seconds"
            value={target?.retry_delays_seconds?.join(' ')}
            hint="After each failed attempt, such as 5 60 600. Empty: 5 s to 12 h"
          />
        </div>
        <HeadersField headers={target?.headers ?? {}} />
      </details>
      <BacklogFields target={target} />
    </>
  );
}

const HeadersField = ({ headers }: { readonly headers: Target['headers'] }) => (
  <Field
    name="headers"
    label="Headers"
    value={headerLines(headers)}
    rows={3}
    hint={`One per line, such as X-Tenant: seven.${
      hasHiddenValues(headers) ? ' To change any of them, type the hidden values (***) again.' : ''
    }`}
  />
);

function BacklogFields({ target }: { readonly target: Target | undefined }) {
  return (
    <details>
      <summary>Backlog: messages that come late</summary>
      <div class="fields">
        <Select
          name="backlog_policy"
          label="Backlog"
          options={BACKLOG_POLICIES}
          value={target?.backlog_policy ?? 'all'}
        />
        <Field
          name="backlog_after_seconds"
          label="Backlog from an age of, seconds"
          type="number"
          value={target?.backlog_after_seconds ?? 600}
        />
        <Field
          name="backlog_rate_per_minute"
          label="Backlog per minute"
          type="number"
          value={target?.backlog_rate_per_minute}
          hint="Newest chats first. Empty: no limit"
        />
      </div>
      <Check
        name="skip_answered"
        value="yes"
        checked={target?.skip_answered ?? false}
        label="Skip messages that the number itself has answered since"
      />
    </details>
  );
}

interface VerdictChecksProps {
  readonly name: string;
  readonly chosen: readonly Verdict[];
  /** Without the meaning of each. */
  readonly brief?: boolean;
}

/** The verdicts that a target gets. */
export function VerdictChecks({ name, chosen, brief = false }: VerdictChecksProps) {
  return (
    <div class={brief ? 'brief' : undefined}>
      {VERDICTS.map(([verdict, meaning]) => (
        <Check
          key={verdict}
          name={name}
          value={verdict}
          checked={chosen.includes(verdict)}
          label={
            <>
              {verdict} {!brief && <span class="dim">{meaning}</span>}
            </>
          }
        />
      ))}
    </div>
  );
}

/** The body of a request from the fields. */
export function targetOf(values: Values, data: FormData): NewTarget {
  const { name = '', url = '', channels = '', events = '', mode = '', split = '' } = values;
  return {
    name: name.trim(),
    url: url.trim(),
    channels: words(channels),
    events: words(events),
    deliver: data.getAll('deliver') as Verdict[],
    mode: mode as NewTarget['mode'] & string,
    split: split as NewTarget['split'] & string,
    headers: headersOf(values['headers'] ?? ''),
    max_age_seconds: numberOrNull(values['max_age_seconds']),
    retry_delays_seconds: delaysOf(values['retry_delays_seconds'] ?? ''),
    rate_per_second: numberOrNull(values['rate_per_second']),
    backlog_policy: values['backlog_policy'] as NewTarget['backlog_policy'] & string,
    backlog_rate_per_minute: numberOrNull(values['backlog_rate_per_minute']),
    skip_answered: data.has('skip_answered'),
    ...requiredNumbers(values),
  };
}

/** What is not a number goes to the gateway as it is, for its error to name it. */
const delaysOf = (text: string): number[] | null =>
  text.trim() === ''
    ? null
    : words(text).map((word) => (Number.isNaN(Number(word)) ? (word as unknown as number) : Number(word)));

const NUMBERS = ['timeout_ms', 'max_attempts', 'concurrency', 'backlog_after_seconds'] as const;

/** An emptied number keeps what it was: the field is left out. */
const requiredNumbers = (values: Values): Partial<Record<(typeof NUMBERS)[number], number>> =>
  Object.fromEntries(
    NUMBERS.flatMap((name) => {
      const value = numberOrNull(values[name]);
      return value === null ? [] : [[name, value]];
    }),
  );
