import { useSignal } from '@preact/signals';
import { Dialog } from './dialog.js';
import { announce } from './notice.js';

interface CopyProps {
  readonly text: string | (() => string);
  readonly label?: string;
}

/** Copies a text. Where the browser allows no access to the clipboard (plain http), it shows the text to copy. */
export function CopyButton({ text, label = 'Copy' }: CopyProps) {
  const shown = useSignal<string | null>(null);
  const copy = (): void => {
    const value = typeof text === 'string' ? text : text();
    // Missing on plain http, whatever its type says.
    const clipboard = navigator.clipboard as Clipboard | undefined;
    if (clipboard === undefined) {
      shown.value = value;
      return;
    }
    clipboard.writeText(value).then(
      () => announce('Copied.'),
      () => (shown.value = value),
    );
  };
  return (
    <>
      <button type="button" class="small" onClick={copy}>
        {label}
      </button>
      {shown.value !== null && (
        <Dialog title="Copy this text" onClose={() => (shown.value = null)}>
          <textarea
            readOnly
            rows={8}
            aria-label="Text to copy"
            value={shown.value}
            onFocus={({ currentTarget }) => currentTarget.select()}
          />
        </Dialog>
      )}
    </>
  );
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** A request of the API for a shell. The token stays out of it: `$ADMIN_TOKEN`. */
export function curlOf(method: string, path: string, body?: unknown): string {
  const url = new URL(path, location.href.replace(/#.*$/, '')).href;
  const parts = [`curl -X ${method}`, quoted(url), '-H "Authorization: Bearer $ADMIN_TOKEN"'];
  if (body !== undefined) parts.push("-H 'content-type: application/json'", `-d ${quoted(JSON.stringify(body))}`);
  return parts.join(' \\\n  ');
}

interface CurlProps {
  readonly method?: string;
  readonly path: string;
  readonly body?: unknown;
}

export const CurlButton = ({ method = 'GET', path, body }: CurlProps) => (
  <CopyButton label="Copy as curl" text={() => curlOf(method, path, body)} />
);
