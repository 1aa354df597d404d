import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Webhook } from '../contract/items.js';
import { get, path } from './api.js';
import { CurlButton } from './copy.js';
import { Field, Form, numberOrNull, Select } from './form.js';
import { JudgementView, judge } from './judgement.js';
import type { Judged, JudgeRequest } from './judgement.js';
import { channels, targets } from './names.js';
import { announce, Empty } from './notice.js';
import { href, route } from './routes.js';
import { PageHead } from './shell.js';
import { TargetFields, targetOf } from './target-form.js';

const METHODS = ['POST', 'PUT', 'PATCH', 'DELETE'].map((value) => ({ value, text: value }));
const EXAMPLE =
  '{"messages":[{"id":"PASTE-A-WEBHOOK","type":"text","timestamp":1764249600,"chat_id":"4915100000000@s.whatsapp.net"}],"event":{"type":"messages","event":"post"}}';

/** What the gateway would do with a webhook, under other settings if wanted. Nothing is stored or sent. */
export function DryRun() {
  const stored = route.value.query.get('webhook') ?? '';
  const start = useSignal<Partial<Webhook>>({ body: EXAMPLE });
  const version = useSignal(0);
  const request = useSignal<JudgeRequest | null>(null);
  const judged = useSignal<Judged | null>(null);
  const withTarget = useSignal(false);
  const load = async (id: string): Promise<void> => {
    start.value = await get<Webhook>(path('v1/webhooks', id));
    version.value++;
  };
  useEffect(() => {
    if (stored !== '') load(stored).catch((error: unknown) => announce(String(error), 'bad'));
  }, [stored]);
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
  return (
    <>
      <PageHead title="Dry run">
        {request.value && <CurlButton method="POST" path="v1/judge" body={request.value} />}
      </PageHead>
      <p>
        What the gateway would do with a webhook now: each verdict, and what each target would get. Nothing is stored or
        sent.
      </p>
      <Form
        key={version.value}
        label="Dry run"
        action="Judge"
        onSubmit={async (values, data) => {
          const { channel = '', method = '', body = '', suffix = '' } = values;
          const late = numberOrNull(values['late_after_seconds']);
          request.value = {
            ...{ channel, body, method },
            ...(suffix.trim() !== '' && { suffix: suffix.trim() }),
            settings: {
              ...(late !== null && { late_after_seconds: late }),
              ...(withTarget.value && { targets: [targetOf(values, data)] }),
            },
          };
          judged.value = await judge(request.value);
        }}
      >
        <div class="fields">
          <Select
            name="channel"
            label="Channel"
            value={start.value.channel}
            options={(channels.value ?? []).map(({ name }) => ({ value: name, text: name }))}
          />
          <Select name="method" label="Method" value={start.value.method} options={METHODS} />
          <Field
            name="suffix"
            label="Path suffix"
            value={start.value.suffix}
            hint="What Whapi's modes append, such as /messages/post"
          />
          <Field
            name="late_after_seconds"
            label="Late after, seconds"
            type="number"
            hint="Empty: as the channel has it"
          />
        </div>
        <Field name="body" label="Body" rows={10} value={start.value.body} required />
        <details onToggle={({ currentTarget }) => (withTarget.value = currentTarget.open)}>
          <summary>Instead of the stored targets ({targets.value?.length ?? 0}), try this one</summary>
          {withTarget.value && <TargetFields />}
        </details>
      </Form>
      {judged.value && <JudgementView judged={judged.value} />}
    </>
  );
}
