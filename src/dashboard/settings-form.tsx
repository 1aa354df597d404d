import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import type { Preview } from '../contract/previews.js';
import { post } from './api.js';
import { isEmpty } from './changed-fields.js';
import { Form } from './form.js';
import type { Values } from './form.js';
import { announce } from './notice.js';
import { PeriodSelect, PreviewView, sinceOf } from './preview.js';
import type { PreviewState } from './preview.js';

interface SettingsFormProps<C extends object> {
  readonly label: string;
  /** Of the target or the channel in the API. */
  readonly path: string;
  /** The fields that differ from the stored settings. */
  readonly changesOf: (values: Values, data: FormData) => C;
  readonly onSave: (changes: C) => Promise<void>;
  readonly onClose: () => void;
  /** What a preview leaves out. */
  readonly previewNote: string;
  readonly children: ComponentChildren;
}

/** Changes stored settings, and shows before what the change would have done. */
export function SettingsForm<C extends object>(props: SettingsFormProps<C>) {
  const { label, path, changesOf, onSave, onClose, previewNote, children } = props;
  const state = useSignal<PreviewState>('none');
  const isOutdated = useSignal(false);
  const save = async (values: Values, data: FormData): Promise<void> => {
    const changes = changesOf(values, data);
    if (!isEmpty(changes)) {
      await onSave(changes);
      return;
    }
    announce('Nothing changed.');
    onClose();
  };
  const preview = async (values: Values, data: FormData): Promise<void> => {
    isOutdated.value = false;
    state.value = 'none';
    const changes = changesOf(values, data);
    if (isEmpty(changes)) {
      state.value = 'unchanged';
      return;
    }
    state.value = 'running';
    try {
      const since = sinceOf(values);
      state.value = await post<Preview>(`${path}/preview`, { changes, since });
    } catch (error) {
      state.value = 'none';
      throw error;
    }
  };
  return (
    <Form
      label={label}
      action="Save"
      onSubmit={save}
      onCancel={onClose}
      side={{ action: 'Preview', running: 'Previewing …', run: preview, fields: <PeriodSelect /> }}
      onEdit={() => (isOutdated.value = true)}
    >
      {children}
      <PreviewView state={state.value} isOutdated={isOutdated.value} note={previewNote} />
    </Form>
  );
}
