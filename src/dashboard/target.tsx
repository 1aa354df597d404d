import { useSignal } from '@preact/signals';
import type { ChangedTarget, RotatedSecret, Target, TargetChange, TargetTest } from '../contract/targets.js';
import { ApiError, get, patch, path, post, remove, wordsOf } from './api.js';
import { Status } from './badge.js';
import { changedFields } from './changed-fields.js';
import { CurlButton } from './copy.js';
import { Confirm, Dialog } from './dialog.js';
import { Facts, Section, Tile } from './facts.js';
import type { Fact } from './facts.js';
import { Field, Form } from './form.js';
import { useLoad } from './loading.js';
import { loadTargets } from './names.js';
import { announce, Pending, ProblemNotice, Warnings } from './notice.js';
import { go, href } from './routes.js';
import { SettingsForm } from './settings-form.js';
import { PageHead } from './shell.js';
import { TargetCharts } from './stats-charts.js';
import { TargetFields, targetOf } from './target-form.js';
import { OnceSecret } from './once-secret.js';
import { TargetState } from './target-state.js';
import { Countdown, Time } from './time.js';

type Open = 'edit' | 'rotate' | 'remove' | null;
const REFRESH_MS = 5000;

export function TargetPage({ id }: { readonly id: string }) {
  const {
    value: target,
    error,
    reload,
  } = useLoad(`target ${id}`, async () => await get<Target>(path('v1/targets', id)), REFRESH_MS);
  const open = useSignal<Open>(null);
  const test = useSignal<TargetTest | 'running' | null>(null);
  if (target === null) return <Pending error={error} retry={reload} />;
  const changed = (): void => {
    reload();
    void loadTargets();
  };
  const toggle = async (): Promise<void> => {
    await patch(path('v1/targets', id), { enabled: !target.enabled });
    announce(target.enabled ? 'Disabled. Deliveries wait.' : 'Enabled.');
    changed();
  };
  const send = async (): Promise<void> => {
    test.value = 'running';
    test.value = await post<TargetTest>(path('v1/targets', id, 'test'));
    reload();
  };
  const failed = (reason: unknown): void => {
    test.value = null;
    announce(wordsOf(reason), 'bad');
  };
  const close = (): void => void (open.value = null);
  return (
    <>
      <PageHead title={target.name} above={<a href={href('targets')}>Targets</a>}>
        <CurlButton path={path('v1/targets', id)} />
        <button type="button" disabled={test.value === 'running'} onClick={() => void send().catch(failed)}>
          {test.value === 'running' ? 'Sending …' : 'Send a test'}
        </button>
        <button type="button" onClick={() => (open.value = 'rotate')}>
          Rotate the secret
        </button>
        <button type="button" onClick={() => void toggle().catch(failed)}>
          {target.enabled ? 'Disable' : 'Enable'}
        </button>
        <button type="button" onClick={() => (open.value = 'remove')}>
          Remove
        </button>
        <button type="button" class="primary" data-key="n" onClick={() => (open.value = 'edit')}>
          Edit
        </button>
      </PageHead>
      {test.value !== null && test.value !== 'running' && <TestResult test={test.value} />}
      <Tiles target={target} />
      <TargetCharts id={id} />
      <Section title="Settings">
        <Facts facts={settingsOf(target)} />
      </Section>
      {open.value === 'edit' && <Edit target={target} onClose={close} onChanged={changed} />}
      {open.value === 'rotate' && <Rotate id={id} onClose={close} onChanged={changed} />}
      {open.value === 'remove' && <Removal target={target} onClose={close} />}
    </>
  );
}

function Tiles({ target }: { readonly target: Target }) {
  const { id, breaker, pending } = target;
  return (
    <div class="tiles">
      <Tile label="State" value={<TargetState target={target} />} note={target.disabled_reason} />
      {breaker.state !== 'closed' && breaker.next_probe_at !== null && (
        <Tile
          label="Next probe in"
          value={<Countdown at={breaker.next_probe_at} />}
          tone="bad"
          note={`${breaker.consecutive_failures} failures in a row`}
        />
      )}
      <Tile
        label="Pending deliveries"
        value={pending}
        href={href('deliveries', [], { status: 'pending', target: id })}
      />
      <Tile label="Oldest pending" value={<Time at={target.oldest_pending_at} none="none" />} />
      <Tile
        label="Dead deliveries, last 24 h"
        value={target.dead_last_day}
        href={href('deliveries', [], { status: 'dead', target: id })}
        tone={target.dead_last_day > 0 ? 'bad' : undefined}
      />
      <Tile label="Events without a handler, 24 h" value={target.unhandled_last_day} />
    </div>
  );
}

function settingsOf(target: Target): Fact[] {
  const { retry_delays_seconds: delays, headers, previous_secrets_expire_at: previous } = target;
  return [
    ['Id', <code key="id">{target.id}</code>],
    [
      'URL',
      <span key="url" class="break">
        {target.url}
      </span>,
    ],
    ['Channels', target.channels.join(', ')],
    ['Events', target.events.join(', ')],
    ['Verdicts', target.deliver.join(', ')],
    ['Mode, split', `${target.mode}, ${target.split}`],
    ['Maximum age', target.max_age_seconds === null ? 'no limit' : `${target.max_age_seconds} s`],
    ['Timeout', `${target.timeout_ms} ms`],
    ['Attempts', target.max_attempts],
    ['Retry delays', delays === null ? '5 s to 12 h' : delays.map((delay) => `${delay} s`).join(', ')],
    ['In flight, per second', `${target.concurrency}, ${target.rate_per_second ?? 'no limit'}`],
    ['Backlog', backlogWords(target)],
    ['Answered messages', target.skip_answered ? 'skipped' : 'sent'],
    Object.keys(headers).length > 0 && [
      'Headers',
      Object.entries(headers)
        .map(([name, value]) => `${name}: ${value}`)
        .join(', '),
    ],
    previous.length > 0 && ['Earlier secrets sign until', previous.map((at) => <Time key={at} at={at} />)],
    ['Added', <Time key="added" at={target.created_at} />],
  ];
}

function backlogWords(target: Target): string {
  const { backlog_policy: policy, backlog_after_seconds: after, backlog_rate_per_minute: rate } = target;
  const pace = rate === null ? 'no limit' : `${rate} per minute`;
  return `${policy.replaceAll('_', ' ')}, from ${after} s, ${pace}`;
}

function TestResult({ test }: { readonly test: TargetTest }) {
  return (
    <div class={`notice ${test.delivered ? 'good' : 'bad'}`} role="status">
      <p>
        <Status status={test.delivered ? 'delivered' : 'failed'} /> {test.method} {test.path} with an empty {test.event}
        : {test.status ?? 'no answer'} in {test.duration_ms} ms
      </p>
      {test.error && <p>{test.error}</p>}
      {test.fix && <p>{test.fix}</p>}
      {test.response && <pre>{test.response}</pre>}
    </div>
  );
}

interface ActionProps {
  readonly onClose: () => void;
  readonly onChanged: () => void;
}

function Edit({ target, onClose, onChanged }: ActionProps & { readonly target: Target }) {
  const warnings = useSignal<readonly string[]>([]);
  const url = path('v1/targets', target.id);
  return (
    <Dialog title={`Edit ${target.name}`} onClose={onClose} wide>
      <SettingsForm<TargetChange>
        label="Edit the target"
        path={url}
        changesOf={(values, data) => changedFields(targetOf(values, data), target)}
        onSave={async (changes) => {
          const changed = await patch<ChangedTarget>(url, changes);
          warnings.value = changed.warnings.map(({ message }) => message);
          announce('Saved. It applies to the next attempt.');
          onChanged();
          if (warnings.value.length === 0) onClose();
        }}
        onClose={onClose}
        previewNote="“Sent” means that it is attempted: retries, rates and failures are left out."
      >
        <Warnings texts={warnings.value} />
        <TargetFields target={target} />
      </SettingsForm>
    </Dialog>
  );
}

function Rotate({ id, onClose, onChanged }: ActionProps & { readonly id: string }) {
  const made = useSignal<RotatedSecret | null>(null);
  return (
    <Dialog title="Rotate the signing secret" onClose={onClose}>
      {made.value === null ? (
        <Form
          label="Rotate the signing secret"
          action="Make a new secret"
          onCancel={onClose}
          onSubmit={async ({ grace_seconds: grace = '' }) => {
            made.value = await post<RotatedSecret>(path('v1/targets', id, 'rotate-secret'), {
              grace_seconds: Number(grace),
            });
            onChanged();
          }}
        >
          <Field
            name="grace_seconds"
            label="The old secret also signs for, seconds"
            type="number"
            value={86_400}
            hint="0: only the new secret signs from now on"
          />
        </Form>
      ) : (
        <OnceSecret what="The new signing secret" secret={made.value.secret} />
      )}
    </Dialog>
  );
}

/** Asks first without force: the gateway says what is under way, and only then it is forced. */
function Removal({ target, onClose }: { readonly target: Target; readonly onClose: () => void }) {
  const error = useSignal<ApiError | null>(null);
  const isForced = error.value?.code === 'GW_UNDER_WAY';
  const confirm = (): void => {
    remove(`${path('v1/targets', target.id)}${isForced ? '?force=true' : ''}`).then(
      () => {
        announce(`Removed ${target.name}.`);
        void loadTargets();
        go(href('targets'));
      },
      (reason: unknown) => (error.value = reason instanceof ApiError ? reason : null),
    );
  };
  return (
    <Confirm
      title={`Remove ${target.name}`}
      action={isForced ? 'Remove it anyway' : 'Remove'}
      danger
      onConfirm={confirm}
      onClose={onClose}
    >
      <p>Nothing is sent to it any more, and its signing secret is deleted.</p>
      <ProblemNotice error={error.value} />
    </Confirm>
  );
}
