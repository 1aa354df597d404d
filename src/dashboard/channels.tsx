import { useSignal } from '@preact/signals';
import type { Channel, CreatedChannel } from '../contract/channels.js';
import { post } from './api.js';
import { ChannelFields, channelOf } from './channel-form.js';
import { ChannelPage } from './channel.js';
import { CurlButton } from './copy.js';
import { Dialog } from './dialog.js';
import { DoctorSection } from './doctor.js';
import { Form } from './form.js';
import { LastWebhook } from './last-webhook.js';
import { useFeedReload } from './live-list.js';
import { useList } from './loading.js';
import { loadChannels } from './names.js';
import { Empty } from './notice.js';
import { href, route } from './routes.js';
import { PageHead } from './shell.js';
import { ListTable } from './table.js';
import type { Column } from './table.js';
import { OnceSecret } from './once-secret.js';

export function Channels() {
  const [name] = route.value.rest;
  return name === undefined ? <ChannelList /> : <ChannelPage key={name} name={name} />;
}

const COLUMNS: readonly Column<Channel>[] = [
  { head: 'Channel', kind: 'short', cell: ({ name }) => <a href={href('channels', [name])}>{name}</a> },
  { head: 'Last webhook', kind: 'time', cell: ({ last_webhook_at: at }) => <LastWebhook at={at} /> },
  {
    head: 'Refused today',
    kind: 'num',
    cell: ({ refused }) => (refused.today > 0 ? `${refused.today} (${refused.last_code ?? '?'})` : '0'),
  },
  { head: 'Replays', kind: 'short', cell: ({ on_replay: what }) => (what === 'hold' ? 'held' : 'delivered') },
  { head: 'Id at Whapi', kind: 'id', cell: ({ channel_id: id }) => id ?? <span class="dim">not known yet</span> },
  { head: 'Webhook URL', cell: ({ webhook_url: url }) => <code class="break">{url}</code> },
];

function ChannelList() {
  const list = useList<Channel>('v1/channels', {});
  const adding = useSignal(false);
  useFeedReload(list, ({ webhooks }) => webhooks.length > 0);
  const reload = (): void => {
    list.reload();
    void loadChannels();
  };
  return (
    <>
      <PageHead title="Channels">
        <CurlButton path="v1/channels" />
        <button type="button" class="primary" data-key="n" onClick={() => (adding.value = true)}>
          Add a channel
        </button>
      </PageHead>
      <ListTable
        caption="Channels"
        list={list}
        columns={COLUMNS}
        keyOf={({ name }) => name}
        empty={
          <Empty title="No channel yet.">
            <p>
              A channel is one WhatsApp number at Whapi. Add it with its API token from Whapi's panel, then connect it.
            </p>
          </Empty>
        }
      />
      <DoctorSection />
      {adding.value && <AddChannel onClose={() => (adding.value = false)} onAdded={reload} />}
    </>
  );
}

interface AddProps {
  readonly onClose: () => void;
  readonly onAdded: () => void;
}

function AddChannel({ onClose, onAdded }: AddProps) {
  const made = useSignal<CreatedChannel | null>(null);
  return (
    <Dialog title={made.value === null ? 'Add a channel' : 'Channel added'} onClose={onClose} wide>
      {made.value === null ? (
        <Form
          label="Add a channel"
          action="Add the channel"
          onCancel={onClose}
          onSubmit={async (values) => {
            made.value = await post<CreatedChannel>('v1/channels', channelOf(values, true));
            onAdded();
          }}
        >
          <ChannelFields />
        </Form>
      ) : (
        <>
          <OnceSecret what="The webhook secret" secret={made.value.webhook_secret} />
          <p>Next: connect it, so that Whapi sends its webhooks here. Connecting sets the secret at Whapi for you.</p>
          <p class="actions">
            <a class="button primary" href={href('channels', [made.value.name])}>
              Open the channel
            </a>
          </p>
        </>
      )}
    </Dialog>
  );
}
