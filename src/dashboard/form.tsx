import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import type { ApiError } from './api.js';
import { asApiError } from './loading.js';
import { ProblemNotice } from './notice.js';

/** Forms read their fields when they are sent, so typing renders nothing again. */

export type Values = Readonly<Record<string, string>>;

interface FormProps {
  readonly label: string;
  readonly action: string;
  readonly onSubmit: (values: Values, data: FormData) => Promise<void>;
  readonly onCancel?: () => void;
  readonly children: ComponentChildren;
}

export function Form({ label, action, onSubmit, onCancel, children }: FormProps) {
  const error = useSignal<ApiError | null>(null);
  const busy = useSignal(false);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    if (busy.peek()) return;
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const values = Object.fromEntries([...data].map(([name, value]) => [name, typeof value === 'string' ? value : '']));
    busy.value = true;
    error.value = null;
    onSubmit(values, data)
      .catch((reason: unknown) => (error.value = asApiError(reason)))
      .finally(() => (busy.value = false));
  };
  return (
    <form aria-label={label} onSubmit={submit}>
      {children}
      <ProblemNotice error={error.value} />
      <p class="actions">
        {onCancel && (
          <button type="button" onClick={onCancel}>
            Cancel
          </button>
        )}
        <button type="submit" class="primary" disabled={busy.value}>
          {action}
        </button>
      </p>
    </form>
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
