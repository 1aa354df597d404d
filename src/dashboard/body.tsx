import { useSignal } from '@preact/signals';
import { CopyButton } from './copy.js';

/** Bodies of webhooks and deliveries: indented for reading, or exactly as they are. */

const MAX_SHOWN = 20_000;
const encoder = new TextEncoder();

export const bytesOf = (text: string): number => encoder.encode(text).length;

/**
 * Indents JSON without parsing it, so that every number and every escape stays as it was sent. Text that is no JSON comes
 * back almost as it is.
 */
export function indented(json: string): string {
  const out: string[] = [];
  let depth = 0;
  const line = (): void => void out.push('\n', '  '.repeat(depth));
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"?|[{}[\],:]|[^\s{}[\],:"]+/g)) {
    if (token === '{' || token === '[') {
      out.push(token);
      depth++;
      line();
    } else if (token === '}' || token === ']') {
      depth = Math.max(0, depth - 1);
      if (/^\s*$/.test(out.at(-1) ?? '') && /^[{[]$/.test(out.at(-3) ?? '')) out.splice(-2);
      else line();
      out.push(token);
    } else if (token === ',') {
      out.push(token);
      line();
    } else out.push(token === ':' ? ': ' : token);
  }
  return out.join('');
}

interface BodyProps {
  readonly text: string;
  readonly label?: string;
}

export function Body({ text, label = 'Body' }: BodyProps) {
  const raw = useSignal(false);
  const whole = useSignal(false);
  const shown = raw.value ? text : indented(text);
  const isLong = shown.length > MAX_SHOWN && !whole.value;
  return (
    <div class="body">
      <p class="body-tools">
        <button type="button" class="small" aria-pressed={raw.value} onClick={() => (raw.value = !raw.value)}>
          Raw
        </button>{' '}
        <CopyButton text={text} />
      </p>
      <pre class="json" tabIndex={0} role="region" aria-label={label}>
        {isLong ? shown.slice(0, MAX_SHOWN) : shown}
      </pre>
      {isLong && (
        <button type="button" class="small" onClick={() => (whole.value = true)}>
          Show all {shown.length.toLocaleString()} characters
        </button>
      )}
    </div>
  );
}
