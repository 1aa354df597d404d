import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import type { ApiError } from './api.js';

/** What the page says to the person: errors, results, and what to do where there is nothing to show. */

/** The newest result, read out by screen readers and shown for a few seconds. */
export const announcement = signal<{ readonly text: string; readonly tone: 'good' | 'bad' } | null>(null);
const SHOWN_MS = 6000;
let timer: ReturnType<typeof setTimeout> | undefined;

export function announce(text: string, tone: 'good' | 'bad' = 'good'): void {
  announcement.value = { text, tone };
  clearTimeout(timer);
  timer = setTimeout(() => (announcement.value = null), SHOWN_MS);
}

export function Announcements() {
  const current = announcement.value;
  return (
    <div class="toasts" role="status" aria-live="polite">
      {current && <p class={`toast ${current.tone}`}>{current.text}</p>}
    </div>
  );
}

interface ProblemProps {
  readonly error: ApiError | null;
  readonly retry?: () => void;
}

/** An error of the API: what is wrong, what to do, and its code. */
export function ProblemNotice({ error, retry }: ProblemProps) {
  if (error === null) return null;
  return (
    <div class="notice bad" role="alert">
      <p>{error.message}</p>
      {error.fields.length > 0 && (
        <ul>
          {error.fields.map(({ path, message }) => (
            <li key={path + message}>
              <code>{path}</code> {message}
            </li>
          ))}
        </ul>
      )}
      <p class="dim">
        {error.code}
        {retry && (
          <>
            {' '}
            <button type="button" class="small" onClick={retry}>
              Try again
            </button>
          </>
        )}
      </p>
    </div>
  );
}

/** In place of what has not loaded yet: that it is loading, or why it did not. */
export function Pending({ error, ...rest }: ProblemProps) {
  if (error === null) return <p class="dim loading">Loading …</p>;
  return <ProblemNotice error={error} {...rest} />;
}

interface EmptyProps {
  readonly title: string;
  readonly children?: ComponentChildren;
}

/** Nothing to show, and what to do next. */
export function Empty({ title, children }: EmptyProps) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <div>{children}</div>}
    </div>
  );
}

export function Warnings({ texts }: { readonly texts: readonly string[] }) {
  if (texts.length === 0) return null;
  return (
    <div class="notice warn">
      <ul>
        {texts.map((text) => (
          <li key={text}>{text}</li>
        ))}
      </ul>
    </div>
  );
}
