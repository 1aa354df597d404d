import { useSignal } from '@preact/signals';
import type { CreatedTarget, Target } from '../contract/targets.js';
import { post } from './api.js';
import { CurlButton } from './copy.js';
import { Dialog } from './dialog.js';
import { Warnings, Empty } from './notice.js';
import { useList } from './loading.js';
import { loadTargets } from './names.js';
import { OnceSecret } from './once-secret.js';
import { href, route } from './routes.js';
import { PageHead } from './shell.js';
import { ListTable } from './table.js';
import type { Column } from './table.js';
import { TargetState } from './target-state.js';
import { TargetFields, targetOf } from './target-form.js';
import { Form } from './form.js';
import { TargetPage } from './target.js';
import { Time } from './time.js';

const REFRESH_MS = 5000;

export function Targets() {
  const [id] = route.value.rest;
  return id === undefined ? <TargetList /> : <TargetPage key={id} id={id} />;
}

const COLUMNS: readonly Column<Target>[] = [
  {
    head: 'Target',
    cell: ({ id, name, url }) => (
      <>
        <a href={href('targets', [id])}>{name}</a>
        <span class="dim break">{url}</span>
      </>
    ),
  },
  { head: 'State', kind: 'badge', cell: (target) => <TargetState target={target} /> },
  {
    head: 'Pending',
    kind: 'num',
    cell: ({ id, pending }) => <a href={href('deliveries', [], { status: 'pending', target: id })}>{pending}</a>,
  },
  { head: 'Oldest', kind: 'time', cell: ({ oldest_pending_at: oldest }) => <Time at={oldest} /> },
  {
    head: 'Dead (24 h)',
    kind: 'num',
    cell: ({ id, dead_last_day: dead }) => <a href={href('deliveries', [], { status: 'dead', target: id })}>{dead}</a>,
  },
  { head: 'Receives', cell: receivedBy },
];

function receivedBy({ events, deliver, backlog_policy: policy, skip_answered: skips }: Target): string {
  const backlog = policy === 'all' ? [] : [`backlog: ${policy.replaceAll('_', ' ')}`];
  return [events.join(', '), deliver.join(', '), ...backlog, ...(skips ? ['answered: skipped'] : [])].join(' · ');
}

function TargetList() {
  const list = useList<Target>('v1/targets', {}, REFRESH_MS);
  const adding = useSignal(false);
  const reload = (): void => {
    list.reload();
    void loadTargets();
  };
  return (
    <>
      <PageHead title="Targets">
        <CurlButton path="v1/targets" />
        <button type="button" class="primary" data-key="n" onClick={() => (adding.value = true)}>
          Add a target
        </button>
      </PageHead>
      <ListTable
        caption="Targets"
        list={list}
        columns={COLUMNS}
        keyOf={({ id }) => id}
        empty={
          <Empty title="No target yet.">
            <p>A target is the endpoint of a bot. Add one, and it gets every new message of your channels.</p>
          </Empty>
        }
      />
      {adding.value && <AddTarget onClose={() => (adding.value = false)} onAdded={reload} />}
    </>
  );
}

interface AddProps {
  readonly onClose: () => void;
  readonly onAdded: () => void;
}

function AddTarget({ onClose, onAdded }: AddProps) {
  const made = useSignal<CreatedTarget | null>(null);
  return (
    <Dialog title={made.value === null ? 'Add a target' : 'Target added'} onClose={onClose} wide>
      {made.value === null ? (
        <Form
          label="Add a target"
          action="Add the target"
          onCancel={onClose}
          onSubmit={async (values, data) => {
            made.value = await post<CreatedTarget>('v1/targets', targetOf(values, data));
            onAdded();
          }}
        >
          <TargetFields />
        </Form>
      ) : (
        <>
          <Warnings texts={made.value.warnings.map(({ message }) => message)} />
          <OnceSecret what="The signing secret" secret={made.value.secret} />
          <p class="actions">
            <a class="button primary" href={href('targets', [made.value.id])}>
              Open the target
            </a>
          </p>
        </>
      )}
    </Dialog>
  );
}
