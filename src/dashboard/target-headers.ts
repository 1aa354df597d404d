import type { Target } from '../contract/targets.js';

/** The headers of a target as lines of a text area, and back. */

type Headers = Target['headers'];

/** What the gateway shows in place of a value that carries a secret. */
const MASK = '***';

export const headerLines = (headers: Headers): string =>
  Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n');

export const hasHiddenValues = (headers: Headers): boolean => Object.values(headers).includes(MASK);

/** @throws Error (a line without a colon) */
export function headersOf(text: string): Headers {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  return Object.fromEntries(
    lines.map((line, index): [string, string] => {
      const [, name, value] = /^\s*([^:\s]+)\s*:(.*)$/.exec(line) ?? [];
      // The line is not quoted: it may hold a secret.
      if (name === undefined || value === undefined)
        throw new Error(`Invalid header in line ${index + 1}: write "Name: value", for example "X-Tenant: seven".`);
      return [name, value.trim()];
    }),
  );
}
