import { useSignal } from '@preact/signals';
import type { NewResync, Resync } from '../contract/resyncs.js';
import { post } from './api.js';
import { Dialog } from './dialog.js';
import { Check, Field, Form, Select, words } from './form.js';
import { channels } from './names.js';
import { announce } from './notice.js';
import { go, href, route } from './routes.js';

const MAX_IDS = 10_000;
const DEFAULT_WINDOW_HOURS = 72;

/** Ids from pasted text or a file: separated by blanks, lines or commas, each once. */
export function idsOf(text: string): { readonly ids: readonly string[]; readonly duplicates: number } {
  const found = words(text)
    .map((word) => word.replace(/^["']|["']$/g, ''))
    .filter((word) => word !== '');
  const ids = [...new Set(found)];
  return { ids, duplicates: found.length - ids.length };
}

export function StartResync({ onClose }: { readonly onClose: () => void }) {
  const text = useSignal('');
  const area = useSignal(0);
  const { ids, duplicates } = idsOf(text.value);
  const read = (file: File | undefined): void => {
    void file?.text().then((content) => {
      text.value = content;
      area.value++; // the field takes its text anew
    });
  };
  const start = async (values: Readonly<Record<string, string>>): Promise<void> => {
    const { channel = '', deliver_unseen: unseen, window_hours: hours = '' } = values;
    const body: NewResync = {
      channel,
      message_ids: [...ids],
      deliver_unseen: unseen === 'on',
      ...(hours.trim() !== '' && { window_seconds: Math.round(Number(hours) * 3600) }),
    };
    const resync = await post<Resync>('v1/resyncs', body);
    announce(`Started a resync of ${resync.total} messages.`);
    go(href('resyncs', [resync.id]));
  };
  return (
    <Dialog title="Start a resync" onClose={onClose} wide>
      <Form
        label="Start a resync"
        action={`Start for ${ids.length.toLocaleString()}`}
        onSubmit={start}
        onCancel={onClose}
      >
        <Select
          name="channel"
          label="Channel"
          value={route.value.query.get('channel') ?? undefined}
          options={(channels.value ?? []).map(({ name }) => ({ value: name, text: name }))}
        />
        <Field
          key={area.value}
          name="ids"
          label="Message ids"
          rows={8}
          value={text.value}
          required
          hint="Separated by lines, blanks or commas"
          onInput={(value) => (text.value = value)}
        />
        <p role="status" class={ids.length > MAX_IDS ? 'bad-text' : 'dim'}>
          {ids.length.toLocaleString()} ids{duplicates > 0 && `, ${duplicates.toLocaleString()} duplicates left out`}
          {ids.length > MAX_IDS && `. A resync takes ${MAX_IDS.toLocaleString()} at most.`}
        </p>
        <label class="field">
          Or a file
          <input
            type="file"
            accept=".txt,.csv,text/*"
            onChange={({ currentTarget }) => read(currentTarget.files?.[0])}
          />
        </label>
        <Check name="deliver_unseen" label="Deliver restored messages that no webhook ever carried" />
        <Field
          name="window_hours"
          label="Window, hours"
          type="number"
          value={DEFAULT_WINDOW_HOURS}
          hint="How long after the last call an id counts as coming back"
        />
      </Form>
    </Dialog>
  );
}
