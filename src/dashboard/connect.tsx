import { useSignal } from '@preact/signals';
import type { Connection, Disconnection, WhapiSettings } from '../contract/connect.js';
import { path, post } from './api.js';
import { Badge, Status } from './badge.js';
import { CurlButton } from './copy.js';
import { Dialog } from './dialog.js';
import { Field, Form, words } from './form.js';
import { announce, Warnings } from './notice.js';

interface ConnectProps {
  readonly channel: string;
  readonly what: 'connect' | 'disconnect';
  readonly onClose: () => void;
  readonly onChanged: () => void;
}

type Plan = Disconnection & Partial<Pick<Connection, 'warnings' | 'verified' | 'verification' | 'webhook_url'>>;

/** Connects or disconnects in two steps: the difference at Whapi first, then the change. */
export function ConnectDialog({ channel, what, onClose, onChanged }: ConnectProps) {
  const plan = useSignal<Plan | null>(null);
  const request = useSignal<Record<string, unknown>>({});
  const url = path('v1/channels', channel, what);
  const isDone = plan.value?.dry_run === false;
  const preview = async (values: Readonly<Record<string, string>>): Promise<void> => {
    const { public_url: publicUrl = '', events = '' } = values;
    request.value = {
      ...(publicUrl.trim() !== '' && { public_url: publicUrl.trim() }),
      ...(events.trim() !== '' && { events: words(events) }),
    };
    plan.value = await post<Plan>(url, { ...request.value, dry_run: true });
  };
  const apply = async (): Promise<void> => {
    plan.value = await post<Plan>(url, request.value);
    announce(what === 'connect' ? 'Connected.' : 'Disconnected.');
    onChanged();
  };
  return (
    <Dialog title={`${what === 'connect' ? 'Connect' : 'Disconnect'} ${channel}`} onClose={onClose} wide>
      {plan.value === null ? (
        <Form label="Show the change" action="Show the change" onSubmit={preview} onCancel={onClose}>
          {what === 'connect' ? (
            <ConnectFields />
          ) : (
            <p>Removes the gateway's webhook from the settings at Whapi. It leaves other webhooks as they are.</p>
          )}
        </Form>
      ) : (
        <>
          <PlanView plan={plan.value} />
          {isDone ? (
            <p class="actions">
              <button type="button" class="primary" onClick={onClose}>
                Close
              </button>
            </p>
          ) : (
            <Form
              label="Apply the change"
              action={plan.value.changed ? 'Apply the change' : 'Apply anyway, and test'}
              onSubmit={apply}
              onCancel={onClose}
            >
              <CurlButton method="POST" path={url} body={request.value} />
            </Form>
          )}
        </>
      )}
    </Dialog>
  );
}

function ConnectFields() {
  return (
    <>
      <p>
        Sets the gateway's webhook at Whapi, and asks Whapi for a test. The next step shows the change before it is
        made.
      </p>
      <Field
        name="public_url"
        label="Public URL of the gateway"
        placeholder="https://gateway.example.com"
        hint="Empty: PUBLIC_URL, or the one used before"
      />
      <Field name="events" label="Events" hint="Empty: those that your targets take, and channel.post" />
    </>
  );
}

function PlanView({ plan }: { readonly plan: Plan }) {
  const { changes, before, after, warnings = [], verified, verification, dry_run: dryRun } = plan;
  return (
    <>
      {!dryRun && verification !== undefined && (
        <div class={`notice ${verified === true ? 'good' : 'warn'}`} role="status">
          <p>
            <Status status={verified === true ? 'ok' : 'warn'} /> {verification}
          </p>
        </div>
      )}
      <h3>{dryRun ? 'What would change' : 'What changed'}</h3>
      {changes.length === 0 ? (
        <p>No changes: the settings at Whapi are already right.</p>
      ) : (
        <ul>
          {changes.map((change) => (
            <li key={change}>{change}</li>
          ))}
        </ul>
      )}
      <Warnings texts={warnings.map(({ message }) => message)} />
      <div class="columns diff">
        <SettingsView title="Before" settings={before} other={after} sign="−" />
        <SettingsView title="After" settings={after} other={before} sign="+" />
      </div>
    </>
  );
}

interface SettingsProps {
  readonly title: string;
  readonly settings: WhapiSettings;
  readonly other: WhapiSettings;
  readonly sign: '+' | '−';
}

/** One side of the difference: what the other side has not is marked with a sign and a colour. */
function SettingsView({ title, settings, other, sign }: SettingsProps) {
  const theirs = new Set(linesOf(other));
  return (
    <div>
      <h3>{title}</h3>
      <ul class="lines">
        {linesOf(settings).map((line) => {
          const differs = !theirs.has(line);
          return (
            <li key={line} class={differs ? (sign === '+' ? 'added' : 'removed') : undefined}>
              <span class="sign" aria-hidden="true">
                {differs ? sign : ' '}
              </span>
              {line} {differs && <span class="visually-hidden">({sign === '+' ? 'added' : 'removed'})</span>}
            </li>
          );
        })}
      </ul>
      {settings.webhooks.length === 0 && <Badge tone="quiet">no webhooks</Badge>}
    </div>
  );
}

const linesOf = ({ callback_persist: persist, webhooks }: WhapiSettings): string[] => [
  `callback_persist: ${persist}`,
  ...webhooks.flatMap(({ url, mode, events, headers, webhook_max_age_seconds: maxAge }) => [
    url,
    `${url} mode: ${mode}`,
    ...events.map((event) => `${url} event: ${event}`),
    ...Object.entries(headers).map(([name, value]) => `${url} header ${name}: ${value}`),
    ...(maxAge === null ? [] : [`${url} webhook_max_age_seconds: ${maxAge}`]),
  ]),
];
