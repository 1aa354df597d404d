import { useSignal } from '@preact/signals';
import type { Audit } from '../contract/audits.js';
import { post } from './api.js';
import { AuditPage } from './audit.js';
import { AuditProgress } from './audit-progress.js';
import { Status } from './badge.js';
import { CurlButton } from './copy.js';
import { Dialog } from './dialog.js';
import { channelFilter, choices, FilterBar } from './filters.js';
import { Field, Form, Select } from './form.js';
import { ChannelLink, IdLink } from './links.js';
import { useList } from './loading.js';
import { channels } from './names.js';
import { Empty } from './notice.js';
import { go, href, queryOf, queryText, route } from './routes.js';
import { PageHead } from './shell.js';
import { ListTable } from './table.js';
import type { Column } from './table.js';
import { fromLocalField, minutesAgo, Time, toLocalField } from './time.js';

const REFRESH_MS = 5000;
const WEEK_MINUTES = 7 * 24 * 60;
const STATUS = {
  name: 'status',
  label: 'Status',
  kind: 'choice',
  options: choices(['running', 'finished', 'failed', 'cancelled']),
} as const;

export function Audits() {
  const [id] = route.value.rest;
  return id === undefined ? <AuditList /> : <AuditPage key={id} id={id} />;
}

const COLUMNS: readonly Column<Audit>[] = [
  { head: 'Started', kind: 'time', cell: ({ created_at: at }) => <Time at={at} /> },
  {
    head: 'Audit',
    kind: 'id',
    cell: ({ id, kind }) => (
      <>
        <IdLink page="audits" id={id} /> {kind === 'seed' && <span class="dim">seeding</span>}
      </>
    ),
  },
  { head: 'Channel', kind: 'short', cell: ({ channel }) => <ChannelLink name={channel} /> },
  { head: 'Status', kind: 'badge', cell: ({ status }) => <Status status={status} /> },
  { head: 'Hours read', cell: (audit) => <AuditProgress audit={audit} /> },
  { head: 'At Whapi', kind: 'num', cell: ({ counts }) => counts.whapi_has },
  { head: 'Never came', kind: 'num', cell: ({ counts }) => counts.never_came },
];

function AuditList() {
  const filter = queryOf(['status', 'channel']);
  const list = useList<Audit>('v1/audits', filter, REFRESH_MS);
  const starting = useSignal(false);
  const hasNoChannel = channels.value?.length === 0;
  return (
    <>
      <PageHead title="Audits">
        <CurlButton path={`v1/audits${queryText(filter)}`} />
        <button type="button" class="primary" data-key="n" onClick={() => (starting.value = true)}>
          Start an audit
        </button>
      </PageHead>
      <FilterBar filters={[STATUS, channelFilter()]} />
      <ListTable
        caption="Audits"
        list={list}
        columns={COLUMNS}
        keyOf={({ id }) => id}
        empty={
          hasNoChannel ? (
            <Empty title="No audits: there is no channel yet.">
              <a href={href('channels')}>Add a channel</a>
            </Empty>
          ) : (
            <Empty title="No audit yet.">
              <p>An audit finds messages at Whapi that no webhook delivered.</p>
            </Empty>
          )
        }
      />
      {starting.value && <StartAudit onClose={() => (starting.value = false)} />}
    </>
  );
}

const StartAudit = ({ onClose }: { readonly onClose: () => void }) => (
  <Dialog title="Start an audit" onClose={onClose}>
    <Form
      label="Start an audit"
      action="Start"
      onCancel={onClose}
      onSubmit={async ({ channel = '', since = '', until = '' }) => {
        const end = fromLocalField(until);
        const audit = await post<Audit>('v1/audits', {
          channel,
          since: fromLocalField(since),
          ...(end !== '' && { until: end }),
        });
        go(href('audits', [audit.id]));
      }}
    >
      <Select
        name="channel"
        label="Channel"
        options={(channels.value ?? []).map(({ name }) => ({ value: name, text: name }))}
      />
      <Field name="since" label="Since" type="datetime-local" value={toLocalField(minutesAgo(WEEK_MINUTES))} required />
      <Field
        name="until"
        label="Until"
        type="datetime-local"
        hint="Empty: an hour ago, because Whapi may still be retrying"
      />
    </Form>
  </Dialog>
);
