import type { Resync, ResyncMessage, ResyncReport } from '../contract/resyncs.js';
import { useEffect } from 'preact/hooks';
import { get, path, post, wordsOf } from './api.js';
import { Status } from './badge.js';
import { CurlButton } from './copy.js';
import { Facts, Section, Tile } from './facts.js';
import { choices, FilterBar } from './filters.js';
import type { Filter } from './filters.js';
import { BulkRelease } from './item-table.js';
import { ChannelLink, MessageLink } from './links.js';
import { useList, useLoad } from './loading.js';
import { announce, Empty, Pending } from './notice.js';
import { ResyncProgress } from './resync-progress.js';
import { href, queryOf } from './routes.js';
import { PageHead } from './shell.js';
import { ListTable } from './table.js';
import type { Column } from './table.js';
import { duration, Time } from './time.js';

const REFRESH_MS = 2000;
const FILTERS: readonly Filter[] = [
  {
    name: 'status',
    label: 'Status',
    kind: 'choice',
    options: choices(['queued', 'requesting', 'waiting', 'restored', 'not_restored', 'failed', 'cancelled']),
  },
  {
    name: 'held',
    label: 'Held',
    kind: 'choice',
    options: [
      { value: 'true', text: 'held' },
      { value: 'false', text: 'not held' },
    ],
  },
];

export function ResyncPage({ id }: { readonly id: string }) {
  const {
    value: report,
    error,
    reload,
  } = useLoad(`resync ${id}`, async () => await get<ResyncReport>(path('v1/resyncs', id, 'report')), REFRESH_MS);
  const query = queryOf(['status', 'held']);
  const list = useList<ResyncMessage>(path('v1/resyncs', id, 'messages'), query);
  const settled = report === null ? 0 : report.resync.total - report.unsettled;
  useEffect(() => {
    if (settled > 0 && list.rows.length <= 50) list.reload();
  }, [settled]);
  if (report === null) return <Pending error={error} retry={reload} />;
  const { resync } = report;
  const cancel = (): void => {
    post(path('v1/resyncs', id, 'cancel')).then(
      () => {
        announce('Cancelled. Whapi gets no more calls for it.');
        reload();
      },
      (reason: unknown) => announce(wordsOf(reason), 'bad'),
    );
  };
  return (
    <>
      <PageHead title={`Resync ${id}`} above={<a href={href('resyncs')}>Resyncs</a>}>
        <CurlButton path={path('v1/resyncs', id, 'report')} />
        {resync.status === 'running' && (
          <button type="button" onClick={cancel}>
            Cancel the resync
          </button>
        )}
      </PageHead>
      <p>
        <Status status={resync.status} /> on <ChannelLink name={resync.channel} />, started{' '}
        <Time at={resync.created_at} />
      </p>
      <ResyncProgress resync={resync} />
      <Report report={report} />
      <Section
        title="Messages"
        actions={report.held.total > 0 && <BulkRelease filter={{ resync: id }} onDone={reload} />}
      >
        <FilterBar filters={FILTERS} />
        <ListTable
          caption="Messages of the resync"
          list={list}
          columns={columnsOf(resync)}
          keyOf={({ message_id: messageId }) => messageId}
          empty={<Empty title="No message matches these filters." />}
        />
      </Section>
    </>
  );
}

/** What came of it: known before, never seen, held, failed and why. */
function Report({ report }: { readonly report: ResyncReport }) {
  const { resync, restored, not_restored: notRestored, failed, held, calls } = report;
  const list = (status: string): string => href('resyncs', [resync.id], { status });
  return (
    <>
      <div class="tiles">
        <Tile
          label="Restored"
          value={restored.total}
          href={list('restored')}
          note={`${restored.proven_by.webhook} proven by a webhook, ${restored.proven_by.poll} by Whapi's answer`}
        />
        <Tile label="Known before" value={restored.already_known} note="a webhook had carried them" />
        <Tile label="Never seen before" value={restored.never_seen_before} note="no webhook ever carried them" />
        <Tile
          label="Held now"
          value={held.total}
          href={href('held', [], { resync: resync.id })}
          note="a release would send them"
        />
        <Tile
          label="Not restored"
          value={notRestored}
          href={list('not_restored')}
          tone={notRestored > 0 ? 'warn' : undefined}
        />
        <Tile label="Failed" value={failed.total} href={list('failed')} tone={failed.total > 0 ? 'bad' : undefined} />
      </div>
      {failed.reasons.length > 0 && (
        <ul>
          {failed.reasons.map(({ error, count }) => (
            <li key={error}>
              {count} × {error}
            </li>
          ))}
        </ul>
      )}
      <Facts
        facts={[
          ['Calls to Whapi', `${calls.resync} resync, ${calls.poll} poll`],
          ['Pace', resync.rate_per_minute === null ? 'unknown' : `${resync.rate_per_minute} settled per minute`],
          ['Window', duration(resync.window_seconds * 1000)],
          ['Unseen messages', resync.deliver_unseen ? 'delivered' : 'held'],
          resync.finished_at !== null && ['Finished', <Time key="finished" at={resync.finished_at} />],
        ]}
      />
    </>
  );
}

const columnsOf = ({ channel }: Resync): readonly Column<ResyncMessage>[] => [
  { head: 'Message', kind: 'id', cell: ({ message_id: id }) => <MessageLink channel={channel} id={id} /> },
  { head: 'Status', kind: 'badge', cell: ({ status }) => <Status status={status} /> },
  { head: 'Asked', kind: 'time', cell: ({ asked_at: at }) => <Time at={at} none="not yet" /> },
  { head: 'Restored', kind: 'time', cell: ({ restored_at: at }) => <Time at={at} /> },
  { head: 'Calls', kind: 'num', cell: ({ calls, polls }) => `${calls} + ${polls}` },
  {
    head: 'Result',
    cell: ({ known_before: known, held, proof, error }) => (
      <>
        {known ? 'known before' : 'never seen before'}
        {held && ', held'}
        {proof !== null && `, proven by ${proof === 'webhook' ? 'a webhook' : "Whapi's answer"}`}
        {error !== null && <span class="dim clamp">{error}</span>}
      </>
    ),
  },
];
