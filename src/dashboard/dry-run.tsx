import { useSignal } from '@preact/signals';
import type { JudgeRequest, Trial, TrialSettings } from '../contract/judge.js';
import type { Target } from '../contract/targets.js';
import { post } from './api.js';
import { changedFields, isEmpty } from './changed-fields.js';
import { CurlButton } from './copy.js';
import { Field, Form, numberOrNull, Select, words } from './form.js';
import type { Values } from './form.js';
import { JudgementView } from './judgement.js';
import { IdLink } from './links.js';
import { channels, targets } from './names.js';
import { Empty } from './notice.js';
import { href, route } from './routes.js';
import { PageHead } from './shell.js';
import { SPLITS, VerdictChecks } from './target-form.js';

const METHODS = ['POST', 'PUT', 'PATCH', 'DELETE'].map((value) => ({ value, text: value }));
const EXAMPLE = `{"messages":[{"id":"a.new.message","type":"text","timestamp":1764249600,"chat_id":"4915100000000@s.whatsapp.net"}],"event":{"type":"messages","event":"post"}}`;

/** What the gateway would do with a webhook, under other settings if wanted. Nothing is stored or sent. */
export function DryRun() {
  const stored = route.value.query.get('webhook');
  const request = useSignal<JudgeRequest | null>(null);
  const trial = useSignal<Trial | null>(null);
  if (channels.value?.length === 0) {
    return (
      <>
        <PageHead title="Dry run" />
        <Empty title="There is no channel yet.">
          <a href={href('channels')}>Add a channel</a>
        </Empty>
      </>
    );
  }
  const judge = async (values: Values, data: FormData): Promise<void> => {
    const settings = settingsOf(values, data);
    request.value = { ...(stored === null ? webhookOf(values) : { webhook: stored }), ...(settings && { settings }) };
    trial.value = await post<Trial>('v1/judge', request.value);
  };
  return (
    <>
      <PageHead title="Dry run">
        {request.value && <CurlButton method="POST" path="v1/judge" body={request.value} />}
      </PageHead>
      <p>
        What the gateway would do with a webhook: each verdict, and what each target would get. Nothing is stored or
        sent.
      </p>
      <Form key={stored ?? ''} label="Dry run" action="Judge" onSubmit={judge}>
        {stored === null ? (
          <PastedFields />
        ) : (
          <p>
            The stored webhook <IdLink page="webhooks" id={stored} />, judged as when it arrived.{' '}
            <a href={href('dry-run')}>Paste a body</a> instead.
          </p>
        )}
        <details>
          <summary>Try other settings</summary>
          <Field
            name="late_after_seconds"
            label="Late after, seconds"
            type="number"
            hint="Empty: as the channel has it"
          />
          {(targets.value ?? []).map((target) => (
            <TargetSettings key={target.id} target={target} />
          ))}
        </details>
      </Form>
      {trial.value && <JudgementView trial={trial.value} />}
    </>
  );
}

const PastedFields = () => (
  <>
    <div class="fields">
      <Select
        name="channel"
        label="Channel"
        options={(channels.value ?? []).map(({ name }) => ({ value: name, text: name }))}
      />
      <Select name="method" label="Method" options={METHODS} />
      <Field name="suffix" label="Path suffix" hint="What Whapi's modes append, such as /messages/post" />
    </div>
    <Field name="body" label="Body" rows={10} value={EXAMPLE} required />
    <p class="dim">
      Or take a stored one: open a webhook on <a href={href('live')}>Live</a>, and choose Dry run there.
    </p>
  </>
);

function webhookOf({ channel = '', method = '', body = '', suffix = '' }: Values): JudgeRequest {
  const known = METHODS.find(({ value }) => value === method)?.value as JudgeRequest['method'] & string;
  return { channel, body, method: known, ...(suffix.trim() !== '' && { suffix: suffix.trim() }) };
}

/** The settings of one target that decide what it gets. Names of fields end with its id. */
function TargetSettings({ target }: { readonly target: Target }) {
  const { id, name } = target;
  return (
    <fieldset>
      <legend>{name}</legend>
      <div class="fields">
        <Field name={`events ${id}`} label="Events" value={target.events.join(' ')} />
        <Select name={`split ${id}`} label="Split" options={SPLITS} value={target.split} />
      </div>
      <VerdictChecks name={`deliver ${id}`} chosen={target.deliver} brief />
    </fieldset>
  );
}

/** Only what differs from the stored settings; null: nothing does. */
function settingsOf(values: Values, data: FormData): TrialSettings | null {
  const late = numberOrNull(values['late_after_seconds']);
  const changed = Object.fromEntries((targets.value ?? []).flatMap((target) => changesOf(target, values, data)));
  const settings = {
    ...(late !== null && { late_after_seconds: late }),
    ...(!isEmpty(changed) && { targets: changed }),
  };
  return isEmpty(settings) ? null : settings;
}

type Changes = NonNullable<TrialSettings['targets']>[string];

function changesOf(target: Target, values: Values, data: FormData): [string, Changes][] {
  const { id } = target;
  const now = {
    events: words(values[`events ${id}`] ?? ''),
    deliver: data.getAll(`deliver ${id}`) as Target['deliver'],
    split: values[`split ${id}`] as Target['split'],
  };
  const changes: Changes = changedFields(now, target);
  return isEmpty(changes) ? [] : [[id, changes]];
}
