import { useSignal } from '@preact/signals';
import type { Probe } from '../contract/probes.js';
import { get, path, post, remove, wordsOf } from './api.js';
import { Badge } from './badge.js';
import { CopyButton } from './copy.js';
import { Dialog } from './dialog.js';
import { Section } from './facts.js';
import { Check, Field, Form } from './form.js';
import { useLoad } from './loading.js';
import { announce, Pending } from './notice.js';
import { Table } from './table.js';
import type { Column } from './table.js';
import { Time } from './time.js';

type Finding = Probe['findings'][number];
const REFRESH_MS = 3000;

const RESULTS = {
  true: <Badge tone="good">holds</Badge>,
  false: <Badge tone="bad">does not hold</Badge>,
  null: <Badge tone="quiet">not known</Badge>,
} as const;

const COLUMNS: readonly Column<Finding>[] = [
  { head: 'Result', kind: 'badge', cell: ({ holds }) => RESULTS[`${holds}`] },
  { head: 'Assumption', cell: ({ text }) => text },
  {
    head: 'Seen',
    cell: ({ observed, meaning }) => (
      <>
        {observed}
        {meaning !== null && <strong class="fix">{meaning}</strong>}
      </>
    ),
  },
];

/** What Whapi does on this channel. The last result is read on request: most channels have none. */
export function ProbeSection({ channel }: { readonly channel: string }) {
  const isShown = useSignal(false);
  const isOpen = useSignal(false);
  return (
    <Section
      title="Probe"
      actions={
        <>
          <button type="button" class="small" onClick={() => (isShown.value = true)}>
            Show the last result
          </button>
          <button type="button" class="small" onClick={() => (isOpen.value = true)}>
            Probe this channel
          </button>
        </>
      }
    >
      {isShown.value ? (
        <Result channel={channel} />
      ) : (
        <p>Resyncs one message and watches whether what the gateway assumes about Whapi holds on this channel.</p>
      )}
      {isOpen.value && (
        <ProbeDialog
          channel={channel}
          onClose={() => (isOpen.value = false)}
          onBegun={() => {
            isShown.value = true;
            isOpen.value = false;
          }}
        />
      )}
    </Section>
  );
}

function Result({ channel }: { readonly channel: string }) {
  const url = path('v1/channels', channel, 'probe');
  const { value: probe, error, reload } = useLoad(`probe ${channel}`, async () => await get<Probe>(url), REFRESH_MS);
  if (probe === null) return <Pending error={error} retry={reload} />;
  const { summary, status, started_at: startedAt, findings, report } = probe;
  const cancel = (): void => {
    remove(url).then(
      () => {
        announce('The probe is cancelled.');
        reload();
      },
      (reason: unknown) => announce(wordsOf(reason), 'bad'),
    );
  };
  return (
    <>
      <p role="status">
        <strong>{summary}</strong> Started <Time at={startedAt} />
        {status === 'running' ? (
          <>
            {' '}
            <button type="button" class="small" onClick={cancel}>
              Cancel the probe
            </button>
          </>
        ) : (
          <>
            . Report for an issue, without personal data: <CopyButton text={report} />
          </>
        )}
      </p>
      {status !== 'failed' && (
        <Table
          caption="Assumptions about Whapi"
          columns={COLUMNS}
          rows={findings}
          keyOf={({ assumption }) => assumption}
        />
      )}
    </>
  );
}

interface DialogProps {
  readonly channel: string;
  readonly onClose: () => void;
  readonly onBegun: () => void;
}

const ProbeDialog = ({ channel, onClose, onBegun }: DialogProps) => (
  <Dialog title={`Probe ${channel}`} onClose={onClose}>
    <p>
      Resyncs one message of the real channel and watches for up to two hours. Bots behind the gateway do not get it;
      other webhooks of the channel at Whapi do.
    </p>
    <Form
      label="Probe the channel"
      action="Start"
      onCancel={onClose}
      onSubmit={async ({ message_id: messageId = '', consent }) => {
        const body = { message_id: messageId.trim(), consent: consent === 'on' };
        await post<Probe>(path('v1/channels', channel, 'probe'), body);
        announce('The probe is running.');
        onBegun();
      }}
    >
      <Field
        name="message_id"
        label="Message id"
        required
        hint="A message that Whapi still has, or that a webhook brought in the last days"
      />
      <Check name="consent" label="I agree that this message is resynced on the real channel." />
    </Form>
  </Dialog>
);
