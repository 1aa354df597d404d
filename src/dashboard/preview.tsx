import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Difference, Preview } from '../contract/previews.js';
import { Status, VerdictBadge } from './badge.js';
import { Select } from './form.js';
import { IdLink, MessageLink } from './links.js';
import { Table } from './table.js';
import type { Column } from './table.js';
import { minutesAgo, Time } from './time.js';

/** What changed settings would have done to recorded webhooks. */

const DAY_MINUTES = 24 * 60;
/** When the Unix epoch began: before any webhook. */
const EVER = new Date(0).toISOString();
const PERIODS: readonly { readonly value: string; readonly text: string; readonly since: () => string }[] = [
  { value: 'day', text: 'the last 24 hours', since: () => minutesAgo(DAY_MINUTES) },
  { value: 'week', text: 'the last 7 days', since: () => minutesAgo(7 * DAY_MINUTES) },
  { value: 'all', text: 'all time', since: () => EVER },
];
const PERIOD = 'preview_period';

export const PeriodSelect = () => <Select name={PERIOD} label="Webhooks of" options={PERIODS} value="day" />;

/** The start of the chosen period. */
export const sinceOf = (values: Readonly<Record<string, string>>): string =>
  (PERIODS.find(({ value }) => value === values[PERIOD])?.since ?? (() => minutesAgo(DAY_MINUTES)))();

/** `unchanged`: no field differs from the stored settings. */
export type PreviewState = 'none' | 'unchanged' | 'running' | Preview;

interface PreviewProps {
  readonly state: PreviewState;
  /** The fields have changed since. */
  readonly isOutdated: boolean;
  /** What the preview leaves out. */
  readonly note: string;
}

/** The status stays in the document, so that screen readers read out what it comes to say. */
export function PreviewView({ state, isOutdated, note }: PreviewProps) {
  const preview = typeof state === 'string' ? null : state;
  return (
    <>
      <div class="preview-status" role="status">
        {state === 'unchanged' && <p>No setting has changed, so there is nothing to preview.</p>}
        {state === 'running' && <p class="dim">Reading recorded webhooks …</p>}
        {preview && <Summary preview={preview} />}
        {preview && isOutdated && <p class="notice warn">The fields have changed since this preview.</p>}
      </div>
      {preview && <Result preview={preview} note={note} />}
    </>
  );
}

function Summary({ preview: { webhooks, since, complete } }: { readonly preview: Preview }) {
  return (
    <p>
      <strong>Preview</strong> with {webhooks.toLocaleString()} recorded {webhooks === 1 ? 'webhook' : 'webhooks'}
      {since !== EVER && (
        <>
          {' '}
          since <Time at={since} />
        </>
      )}
      {!complete && ' (only the newest; more were recorded)'}. Nothing was changed.
    </p>
  );
}

function Result({ preview, note }: { readonly preview: Preview; readonly note: string }) {
  const element = useRef<HTMLElement>(null);
  const hasLinks = preview.targets.some(({ differences }) => differences.length > 0);
  useEffect(() => element.current?.scrollIntoView({ block: 'nearest' }), [preview]);
  return (
    <section class="preview" aria-label="Preview" ref={element}>
      {preview.targets.length === 0 && <p>There is no target yet.</p>}
      {preview.targets.map((target) => (
        <TargetPreview key={target.target} target={target} />
      ))}
      <p class="dim">
        {note}
        {hasLinks && ' Links open in a new tab.'}
      </p>
    </section>
  );
}

type TargetResult = Preview['targets'][number];
type Outcome = keyof TargetResult['before'];
interface Count {
  readonly outcome: Outcome;
  readonly before: number;
  readonly after: number;
}

const COUNTS: readonly Column<Count>[] = [
  { head: 'Items', kind: 'badge', cell: ({ outcome }) => <Status status={outcome} /> },
  { head: 'Now', kind: 'num', cell: ({ before }) => before.toLocaleString() },
  { head: 'Changed', kind: 'num', cell: ({ after }) => after.toLocaleString() },
];

function TargetPreview({ target: { name, before, after, differences } }: { readonly target: TargetResult }) {
  const counts = (Object.keys(before) as Outcome[])
    .map((outcome) => ({ outcome, before: before[outcome], after: after[outcome] }))
    .filter((count) => count.before + count.after > 0);
  return (
    <div class="preview-target">
      <h3>{name}</h3>
      {counts.length === 0 ? (
        <p>No items for this target.</p>
      ) : (
        <Table caption={`Items for ${name}`} columns={COUNTS} rows={counts} keyOf={({ outcome }) => outcome} />
      )}
      {counts.length > 0 && differences.length === 0 && <p>The change makes no difference.</p>}
      {differences.map((difference) => (
        <DifferenceView key={`${difference.before} ${difference.after}`} difference={difference} target={name} />
      ))}
    </div>
  );
}

type ChangedItem = Difference['items'][number];

const ITEMS: readonly Column<ChangedItem>[] = [
  { head: 'Received', kind: 'time', cell: ({ received_at: at }) => <Time at={at} /> },
  {
    head: 'Message',
    kind: 'id',
    cell: ({ channel, message_id: id }) => <MessageLink channel={channel} id={id} newTab />,
  },
  { head: 'Verdict', kind: 'badge', cell: ({ verdict, rule }) => <VerdictBadge verdict={verdict} rule={rule} /> },
  { head: 'Event', cell: ({ event, channel }) => `${event}, ${channel}` },
  { head: 'Webhook', kind: 'id', cell: ({ webhook }) => <IdLink page="webhooks" id={webhook} newTab /> },
];

/** Items that are shown of each difference before a person asks for more. */
const FIRST = 5;

interface DifferenceProps {
  readonly difference: Difference;
  /** Name of the target. */
  readonly target: string;
}

function DifferenceView({ difference: { before, after, count, items }, target }: DifferenceProps) {
  const isWhole = useSignal(false);
  const shown = isWhole.value ? items : items.slice(0, FIRST);
  const words = `${before} → ${after}`.replaceAll('_', ' ');
  return (
    <>
      <p>
        <Status status={before} /> → <Status status={after} />{' '}
        <span class="num">
          {count.toLocaleString()} {count === 1 ? 'item' : 'items'}
        </span>
        {count > shown.length && `, the first ${shown.length}:`}
      </p>
      <Table caption={`${words}, ${target}`} columns={ITEMS} rows={shown} keyOf={({ id }) => id} />
      {items.length > shown.length && (
        <p>
          <button type="button" class="small" onClick={() => (isWhole.value = true)}>
            Show {items.length}
          </button>
        </p>
      )}
    </>
  );
}
