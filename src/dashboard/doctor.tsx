import { useSignal } from '@preact/signals';
import type { Check, DoctorReport } from '../contract/doctor.js';
import { get } from './api.js';
import { Status } from './badge.js';
import { CurlButton } from './copy.js';
import { Section } from './facts.js';
import { useLoad } from './loading.js';
import { Pending } from './notice.js';
import { Table } from './table.js';
import type { Column } from './table.js';
import { Time } from './time.js';

const COLUMNS: readonly Column<Check>[] = [
  { head: 'Result', kind: 'badge', cell: ({ status }) => <Status status={status} /> },
  { head: 'Check', kind: 'short', cell: ({ name }) => name.replaceAll('_', ' ') },
  { head: 'Of', kind: 'short', cell: ({ subject }) => subject },
  {
    head: 'Found',
    cell: ({ message, fix }) => (
      <>
        {message}
        {fix !== null && <strong class="fix">{fix}</strong>}
      </>
    ),
  },
];

const RANK = { fail: 0, warn: 1, ok: 2 };

/** The doctor's checks, the worst first. `subject` shows those of one channel. It asks Whapi, so it runs on request. */
export function DoctorSection({ subject }: { readonly subject?: string }) {
  const { value: report, error, loading, reload } = useLoad('doctor', async () => await get<DoctorReport>('v1/doctor'));
  const all = useSignal(false);
  const checks = (report?.checks ?? []).filter((check) => subject === undefined || check.subject === subject);
  const shown = checks
    .filter(({ status }) => all.value || status !== 'ok')
    .sort((a, b) => RANK[a.status] - RANK[b.status]);
  const fine = checks.filter(({ status }) => status === 'ok').length;
  return (
    <Section
      title="Doctor"
      actions={
        <>
          <CurlButton path="v1/doctor" />
          <button type="button" class="small" disabled={loading} onClick={reload}>
            {loading ? 'Checking …' : 'Check again'}
          </button>
        </>
      }
    >
      {report === null && <Pending error={error} />}
      {report && (
        <p>
          {checks.length} checks, {fine} ok, checked <Time at={report.checked_at} />{' '}
          {fine > 0 && (
            <button type="button" class="small" aria-pressed={all.value} onClick={() => (all.value = !all.value)}>
              Show the ok ones
            </button>
          )}
        </p>
      )}
      {shown.length > 0 && (
        <Table
          caption="Checks of the doctor"
          columns={COLUMNS}
          rows={shown}
          keyOf={({ name, subject: of, message }) => `${name} ${of} ${message}`}
        />
      )}
    </Section>
  );
}
