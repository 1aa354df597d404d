import type { Resync } from '../contract/resyncs.js';
import { useSignal } from '@preact/signals';
import { Status } from './badge.js';
import { CurlButton } from './copy.js';
import { channelFilter, choices, FilterBar } from './filters.js';
import { ChannelLink, IdLink } from './links.js';
import { useList } from './loading.js';
import { channels } from './names.js';
import { Empty } from './notice.js';
import { ResyncProgress } from './resync-progress.js';
import { ResyncPage } from './resync.js';
import { StartResync } from './resync-form.js';
import { href, queryOf, queryText, route } from './routes.js';
import { PageHead } from './shell.js';
import { ListTable } from './table.js';
import type { Column } from './table.js';
import { Time } from './time.js';

const REFRESH_MS = 5000;
const STATUS = {
  name: 'status',
  label: 'Status',
  kind: 'choice',
  options: choices(['running', 'finished', 'cancelled']),
} as const;

export function Resyncs() {
  const [id] = route.value.rest;
  return id === undefined ? <ResyncList /> : <ResyncPage key={id} id={id} />;
}

const COLUMNS: readonly Column<Resync>[] = [
  { head: 'Started', kind: 'time', cell: ({ created_at: at }) => <Time at={at} /> },
  { head: 'Resync', kind: 'id', cell: ({ id }) => <IdLink page="resyncs" id={id} /> },
  { head: 'Channel', kind: 'short', cell: ({ channel }) => <ChannelLink name={channel} /> },
  { head: 'Status', kind: 'badge', cell: ({ status }) => <Status status={status} /> },
  { head: 'Progress', cell: (resync) => <ResyncProgress resync={resync} /> },
  { head: 'Restored', kind: 'num', cell: ({ counts }) => counts.restored },
  { head: 'Failed', kind: 'num', cell: ({ counts }) => counts.failed + counts.not_restored },
];

function ResyncList() {
  const filter = queryOf(['status', 'channel']);
  const list = useList<Resync>('v1/resyncs', filter, REFRESH_MS);
  const starting = useSignal(false);
  return (
    <>
      <PageHead title="Resyncs">
        <CurlButton path={`v1/resyncs${queryText(filter)}`} />
        <button type="button" class="primary" data-key="n" onClick={() => (starting.value = true)}>
          Start a resync
        </button>
      </PageHead>
      <FilterBar filters={[STATUS, channelFilter()]} />
      <ListTable caption="Resyncs" list={list} columns={COLUMNS} keyOf={({ id }) => id} empty={<NoResyncs />} />
      {starting.value && <StartResync onClose={() => (starting.value = false)} />}
    </>
  );
}

function NoResyncs() {
  if (channels.value?.length === 0) {
    return (
      <Empty title="No resyncs: there is no channel yet.">
        <a href={href('channels')}>Add a channel</a>
      </Empty>
    );
  }
  if (route.value.query.size > 0) return <Empty title="No resync matches these filters." />;
  return (
    <Empty title="No resync yet.">
      <p>
        A resync brings lost messages back into Whapi, and no bot answers them again. You need their ids; an{' '}
        <a href={href('audits')}>audit</a> finds messages that never came.
      </p>
    </Empty>
  );
}
