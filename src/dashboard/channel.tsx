import { useSignal } from '@preact/signals';
import type { Audit } from '../contract/audits.js';
import type { Channel, ChannelChange } from '../contract/channels.js';
import { lengthText } from '../contract/explained-words.js';
import { ApiError, get, patch, path, post, remove } from './api.js';
import { changedFields } from './changed-fields.js';
import { ChannelFields, channelOf } from './channel-form.js';
import { LastWebhook } from './last-webhook.js';
import { ConnectDialog } from './connect.js';
import { CopyButton, CurlButton } from './copy.js';
import { Confirm, Dialog } from './dialog.js';
import { DoctorSection } from './doctor.js';
import { Facts, Section } from './facts.js';
import { Field, Form } from './form.js';
import { useLoad } from './loading.js';
import { loadChannels } from './names.js';
import { announce, Pending, ProblemNotice } from './notice.js';
import { ProbeSection } from './probe.js';
import { ReplayNotice } from './replay.js';
import { go, href } from './routes.js';
import { SettingsForm } from './settings-form.js';
import { PageHead } from './shell.js';
import { fromLocalField, Time } from './time.js';

type Open = 'connect' | 'disconnect' | 'edit' | 'seed' | 'remove' | null;
const REFRESH_MS = 10_000;

export function ChannelPage({ name }: { readonly name: string }) {
  const {
    value: channel,
    error,
    reload,
  } = useLoad(`channel ${name}`, async () => await get<Channel>(path('v1/channels', name)), REFRESH_MS);
  const open = useSignal<Open>(null);
  if (channel === null) return <Pending error={error} retry={reload} />;
  const close = (): void => void (open.value = null);
  const button = (what: Open & string, text: string) => (
    <button type="button" onClick={() => (open.value = what)}>
      {text}
    </button>
  );
  return (
    <>
      <PageHead title={name} above={<a href={href('channels')}>Channels</a>}>
        <CurlButton path={path('v1/channels', name)} />
        {button('edit', 'Edit')}
        {button('seed', 'Seed the ledger')}
        {button('disconnect', 'Disconnect')}
        {button('remove', 'Remove')}
        <button type="button" class="primary" data-key="n" onClick={() => (open.value = 'connect')}>
          Connect
        </button>
      </PageHead>
      <ReplayNotice channel={channel} />
      <Section title="Settings">
        <ChannelFacts channel={channel} />
      </Section>
      <DoctorSection subject={name} />
      <ProbeSection channel={name} />
      {(open.value === 'connect' || open.value === 'disconnect') && (
        <ConnectDialog channel={name} what={open.value} onClose={close} onChanged={reload} />
      )}
      {open.value === 'edit' && <Edit channel={channel} onClose={close} onChanged={reload} />}
      {open.value === 'seed' && <Seed name={name} onClose={close} />}
      {open.value === 'remove' && <Removal name={name} onClose={close} />}
    </>
  );
}

function ChannelFacts({ channel }: { readonly channel: Channel }) {
  const { refused, name } = channel;
  return (
    <Facts
      facts={[
        ['Last webhook', <LastWebhook key="last" at={channel.last_webhook_at} />],
        [
          'Webhooks',
          <a key="webhooks" href={href('live', [], { channel: name })}>
            show them
          </a>,
        ],
        [
          'Held items',
          <a key="held" href={href('held', [], { channel: name })}>
            show them
          </a>,
        ],
        refused.today > 0 && [
          'Refused today',
          <span key="refused">
            {refused.today}, the last <Time at={refused.last_at} /> with {refused.last_code}
          </span>,
        ],
        [
          'Webhook URL',
          <span key="url">
            <code class="break">{channel.webhook_url}</code> <CopyButton text={channel.webhook_url} />
          </span>,
        ],
        ['Id at Whapi', channel.channel_id ?? 'not known yet'],
        ['Base URL of Whapi', channel.whapi_base_url],
        ['Late after', lengthText(channel.late_after_seconds)],
        ['Pause between calls', channel.resync_spacing_ms === null ? 'one second' : `${channel.resync_spacing_ms} ms`],
        ['Daily call budget', channel.daily_call_budget === null ? 'no limit' : `${channel.daily_call_budget} calls`],
        ['Resync on demand', channel.auto_resync ? 'on' : 'off'],
        ['Replays', replaySetting(channel)],
        channel.last_replay !== null && ['Last replay', <Time key="replay" at={channel.last_replay.last_at} />],
        ['Added', <Time key="added" at={channel.created_at} />],
      ]}
    />
  );
}

function replaySetting({ on_replay: what, replay_messages: messages, replay_after_seconds: after }: Channel): string {
  return `${what} them: ${messages} or more messages a minute that are older than ${lengthText(after)}`;
}

interface ActionProps {
  readonly onClose: () => void;
  readonly onChanged: () => void;
}

function Edit({ channel, onClose, onChanged }: ActionProps & { readonly channel: Channel }) {
  const url = path('v1/channels', channel.name);
  return (
    <Dialog title={`Edit ${channel.name}`} onClose={onClose} wide>
      <SettingsForm<ChannelChange>
        label="Edit the channel"
        path={url}
        changesOf={(values) => changedFields(channelOf(values, false), channel)}
        onSave={async (changes) => {
          await patch<Channel>(url, changes);
          announce('Saved.');
          onChanged();
          onClose();
        }}
        onClose={onClose}
        previewNote="Of a channel's settings, a preview tries “Late after” only. It does not look for replays."
      >
        <ChannelFields channel={channel} />
      </SettingsForm>
    </Dialog>
  );
}

const Seed = ({ name, onClose }: { readonly name: string; readonly onClose: () => void }) => (
  <Dialog title="Seed the ledger" onClose={onClose}>
    <p>
      Reads Whapi's list of messages and remembers their ids. If one comes back later, it is a duplicate, whichever
      client resynced it.
    </p>
    <Form
      label="Seed the ledger"
      action="Start"
      onCancel={onClose}
      onSubmit={async ({ since = '' }) => {
        const from = fromLocalField(since);
        const audit = await post<Audit>(path('v1/channels', name, 'seed'), from === '' ? {} : { since: from });
        go(href('audits', [audit.id]));
      }}
    >
      <Field name="since" label="Since" type="datetime-local" hint="Empty: as far back as ids are remembered" />
    </Form>
  </Dialog>
);

/** Without force first: the gateway says what is under way, and only then it is forced. */
function Removal({ name, onClose }: { readonly name: string; readonly onClose: () => void }) {
  const error = useSignal<ApiError | null>(null);
  const isForced = error.value?.code === 'GW_UNDER_WAY';
  const confirm = (): void => {
    remove(`${path('v1/channels', name)}${isForced ? '?force=true' : ''}`).then(
      () => {
        announce(`Removed ${name}.`);
        void loadChannels();
        go(href('channels'));
      },
      (reason: unknown) => (error.value = reason instanceof ApiError ? reason : null),
    );
  };
  return (
    <Confirm
      title={`Remove ${name}`}
      action={isForced ? 'Remove it anyway' : 'Remove'}
      danger
      onConfirm={confirm}
      onClose={onClose}
    >
      <p>Its webhooks are refused from then on. Removing does not disconnect it at Whapi: disconnect it first.</p>
      <ProblemNotice error={error.value} />
    </Confirm>
  );
}
