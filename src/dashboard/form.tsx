import { useSignal } from '@preact/signals';
import type { Signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import type { ApiError } from './api.js';
import { asApiError } from './loading.js';
import { ProblemNotice } from './notice.js';

/** Forms read their fields when they are sent, so typing renders nothing again. */

export type Values = Readonly<Record<string, string>>;

type Work = (values: Values, data: FormData) => Promise<void>;

interface FormProps {
  readonly label: string;
  readonly action: string;
  readonly onSubmit: Work;
  readonly onCancel?: () => void;
  /** Something else to do with the values, by a button beside the main one. */
  readonly side?: SideAction;
  /** A field has changed. */
  readonly onEdit?: () => void;
  readonly children: ComponentChildren;
}

interface SideAction {
  readonly action: string;
  /** In place of `action` while it runs. */
  readonly running: string;
  readonly run: Work;
  /** Fields before the button. */
  readonly fields: ComponentChildren;
}

export function Form({ label, action, onSubmit, onCancel, side, onEdit, children }: FormProps) {
  const error = useSignal<ApiError | null>(null);
  const busy = useSignal(false);
  const sideBusy = useSignal(false);
  const start = (form: HTMLFormElement, isRunning: Signal<boolean>, work: Work): void => {
    if (isRunning.peek()) return;
    const data = new FormData(form);
    const values = Object.fromEntries([...data].map(([name, value]) => [name, typeof value === 'string' ? value : '']));
    isRunning.value = true;
    error.value = null;
    work(values, data)
      .catch((reason: unknown) => (error.value = asApiError(reason)))
      .finally(() => (isRunning.value = false));
  };
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    start(event.currentTarget as HTMLFormElement, busy, onSubmit);
  };
  return (
    <form aria-label={label} onSubmit={submit} onInput={onEdit}>
      {children}
      <ProblemNotice error={error.value} />
      <div class="actions">
        {side && <Side side={side} busy={sideBusy.value} onStart={(form) => start(form, sideBusy, side.run)} />}
        {onCancel && (
          <button type="button" onClick={onCancel}>
            Cancel
          </button>
        )}
        <button type="submit" class="primary" disabled={busy.value}>
          {action}
        </button>
      </div>
    </form>
  );
}

interface SideProps {
  readonly side: SideAction;
  readonly busy: boolean;
  readonly onStart: (form: HTMLFormElement) => void;
}

/** Its button is not a submit button: the Enter key would press the first one of the form. */
function Side({ side, busy, onStart }: SideProps) {
  const start = ({ form }: HTMLButtonElement): void => {
    if (form?.reportValidity() === true) onStart(form);
  };
  return (
    <div class="side">
      {side.fields}
      <button type="button" disabled={busy} onClick={({ currentTarget }) => start(currentTarget)}>
        {busy ? side.running : side.action}
      </button>
    </div>
  );
}

interface FieldProps {
  readonly name: string;
  readonly label: string;
  readonly hint?: ComponentChildren;
  readonly type?: 'text' | 'number' | 'url' | 'password' | 'datetime-local';
  readonly value?: string | number | null | undefined;
  readonly required?: boolean;
  readonly placeholder?: string;
  readonly rows?: number;
  readonly min?: number;
  readonly max?: number;
  readonly onInput?: (value: string) => void;
}

/** A labelled field; with `rows`, a text area. */
export function Field({ label, hint, rows, value, onInput, type = 'text', ...rest }: FieldProps) {
  const id = useId();
  const shared = {
    ...rest,
    id,
    defaultValue: value === null || value === undefined ? '' : String(value),
    autoComplete: 'off',
    spellcheck: false,
    ...(hint !== undefined && { 'aria-describedby': `${id}-hint` }),
    onInput: ({ currentTarget }: { currentTarget: HTMLInputElement | HTMLTextAreaElement }) =>
      onInput?.(currentTarget.value),
  };
  return (
    <div class="field">
      <label htmlFor={id}>{label}</label>
      {rows === undefined ? <input {...shared} {...typeOf(type)} /> : <textarea {...shared} rows={rows} />}
      {hint !== undefined && (
        <small id={`${id}-hint`} class="dim">
          {hint}
        </small>
      )}
    </div>
  );
}

/** Numbers may have a fraction. */
const typeOf = (type: string): { type: 'text'; step?: string } => ({
  type: type as 'text', // the typings tie each type to its own attributes
  ...(type === 'number' && { step: 'any' }),
});

export interface Option {
  readonly value: string;
  readonly text: string;
}

interface SelectProps {
  readonly name: string;
  readonly label: string;
  readonly options: readonly Option[];
  readonly value?: string | undefined;
  readonly hint?: ComponentChildren;
  readonly onChange?: (value: string) => void;
}

export function Select({ name, label, options, value, hint, onChange }: SelectProps) {
  const id = useId();
  return (
    <div class="field">
      <label htmlFor={id}>{label}</label>
      <select id={id} name={name} onChange={({ currentTarget }) => onChange?.(currentTarget.value)}>
        {options.map((option) => (
          <option key={option.value} value={option.value} selected={option.value === value}>
            {option.text}
          </option>
        ))}
      </select>
      {hint !== undefined && <small class="dim">{hint}</small>}
    </div>
  );
}

interface CheckProps {
  readonly name: string;
  readonly label: ComponentChildren;
  readonly value?: string;
  readonly checked?: boolean;
  readonly onChange?: (checked: boolean) => void;
}

export function Check({ name, label, value = 'on', checked = false, onChange }: CheckProps) {
  return (
    <label class="check">
      <input
        type="checkbox"
        name={name}
        value={value}
        defaultChecked={checked}
        onChange={({ currentTarget }) => onChange?.(currentTarget.checked)}
      />{' '}
      <span>{label}</span>
    </label>
  );
}

export const words = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== '');
/** A number field that may be empty. */
export const numberOrNull = (text: string | undefined): number | null =>
  text === undefined || text.trim() === '' ? null : Number(text);
