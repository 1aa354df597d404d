import { useSignal } from '@preact/signals';
import type { Audit, AuditMessage, AuditRelease } from '../contract/audits.js';
import { get, path, post, wordsOf } from './api.js';
import { AuditProgress } from './audit-progress.js';
import { Status } from './badge.js';
import { Calendar } from './calendar.js';
import { CurlButton } from './copy.js';
import { Dialog } from './dialog.js';
import { Section, Tile } from './facts.js';
import { Form } from './form.js';
import { ChannelLink, MessageLink } from './links.js';
import { useList, useLoad } from './loading.js';
import { announce, Empty, Pending, ProblemNotice, Warnings } from './notice.js';
import { href } from './routes.js';
import { PageHead } from './shell.js';
import { ListTable } from './table.js';
import type { Column } from './table.js';
import { Time } from './time.js';

const REFRESH_MS = 3000;

export function AuditPage({ id }: { readonly id: string }) {
  const {
    value: audit,
    error,
    reload,
  } = useLoad(`audit ${id}`, async () => await get<Audit>(path('v1/audits', id)), REFRESH_MS);
  const list = useList<AuditMessage>(path('v1/audits', id, 'messages'), {});
  const releasing = useSignal(false);
  if (audit === null) return <Pending error={error} retry={reload} />;
  const cancel = (): void => {
    post(path('v1/audits', id, 'cancel')).then(
      () => {
        announce('Cancelled. What it found stays.');
        reload();
      },
      (reason: unknown) => announce(wordsOf(reason), 'bad'),
    );
  };
  const isAudit = audit.kind === 'audit';
  return (
    <>
      <PageHead title={`${isAudit ? 'Audit' : 'Seeding'} ${id}`} above={<a href={href('audits')}>Audits</a>}>
        <CurlButton path={path('v1/audits', id)} />
        {audit.status === 'running' && (
          <button type="button" onClick={cancel}>
            Cancel
          </button>
        )}
        {isAudit && audit.counts.never_came > 0 && audit.status !== 'running' && (
          <button type="button" class="primary" data-key="n" onClick={() => (releasing.value = true)}>
            Release …
          </button>
        )}
      </PageHead>
      <p>
        <Status status={audit.status} /> of <ChannelLink name={audit.channel} />, from <Time at={audit.since} /> to{' '}
        <Time at={audit.until} />
      </p>
      {audit.status === 'running' && <AuditProgress audit={audit} />}
      {audit.error !== null && <Warnings texts={[audit.error]} />}
      <Warnings texts={audit.warnings} />
      <Counts audit={audit} />
      {isAudit && <Findings audit={audit} list={list} />}
      {releasing.value && <ReleaseAudit audit={audit} onClose={() => (releasing.value = false)} onDone={list.reload} />}
    </>
  );
}

function Counts({ audit }: { readonly audit: Audit }) {
  const { counts, kind } = audit;
  return (
    <div class="tiles">
      <Tile label="Messages at Whapi" value={counts.whapi_has} />
      <Tile label={kind === 'audit' ? 'Carried by a webhook' : 'Known before'} value={counts.seen} />
      {kind === 'audit' ? (
        <>
          <Tile label="Never came" value={counts.never_came} tone={counts.never_came > 0 ? 'warn' : 'good'} />
          <Tile label="Before the memory" value={counts.before_memory} note="the gateway cannot tell" />
          <Tile label="Released" value={counts.released} />
        </>
      ) : (
        <Tile label="Seeded" value={counts.seeded} />
      )}
    </div>
  );
}

const columnsOf = (channel: string): readonly Column<AuditMessage>[] => [
  { head: 'Sent', kind: 'time', cell: ({ sent_at: at }) => <Time at={at} /> },
  { head: 'Message', kind: 'id', cell: ({ message_id: id }) => <MessageLink channel={channel} id={id} /> },
  { head: 'Type', kind: 'short', cell: ({ type }) => type ?? '–' },
  { head: 'Chat', kind: 'short', cell: ({ chat_id: chat }) => <span class="break">{chat ?? '–'}</span> },
  {
    head: 'Since then',
    cell: ({ released_at: released, first_seen_at: seen }) =>
      released !== null ? (
        <>
          released <Time at={released} />
        </>
      ) : seen !== null ? (
        <>
          came <Time at={seen} />
        </>
      ) : (
        'still missing'
      ),
  },
];

function Findings({ audit, list }: { readonly audit: Audit; readonly list: ReturnType<typeof useList<AuditMessage>> }) {
  return (
    <>
      <Section title="By day">
        <Calendar audit={audit} />
      </Section>
      <Section title="Messages that never came">
        <ListTable
          caption="Messages that never came"
          list={list}
          columns={columnsOf(audit.channel)}
          keyOf={({ message_id: id }) => id}
          empty={
            <Empty
              title={
                audit.status === 'running' ? 'None so far.' : 'None. Webhooks delivered every message in this range.'
              }
            />
          }
        />
      </Section>
    </>
  );
}

interface ReleaseProps {
  readonly audit: Audit;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

function ReleaseAudit({ audit, onClose, onDone }: ReleaseProps) {
  const url = path('v1/audits', audit.id, 'release');
  const { value: plan, error } = useLoad(
    `release ${audit.id}`,
    async () => await post<AuditRelease>(url, { dry_run: true }),
  );
  const send = async (): Promise<void> => {
    const done = await post<AuditRelease>(url);
    announce(`Released ${done.messages} messages: ${done.deliveries} deliveries queued.`);
    onDone();
    onClose();
  };
  return (
    <Dialog title="Release the missing messages" onClose={onClose}>
      <ProblemNotice error={error} />
      {plan && (
        <Form label="Release" action={`Release ${plan.messages.toLocaleString()}`} onSubmit={send} onCancel={onClose}>
          <p class="big">
            <span class="num">{plan.messages.toLocaleString()}</span> messages
          </p>
          <p>
            Each is sent once, as late, to the targets that take late messages. {plan.came_meanwhile} came meanwhile and
            are left out.
          </p>
        </Form>
      )}
    </Dialog>
  );
}
