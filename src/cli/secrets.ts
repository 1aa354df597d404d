import { readFile } from 'node:fs/promises';
import { CommandError, usageError } from '../errors.js';
import type { FieldError } from '../errors.js';
import { isRecord } from '../json.js';
import { MASK, withoutSecrets } from '../quoted.js';
import { FILE_FAULTS, stdinText } from './input.js';
import type { Terminal } from './terminal.js';

/** Secrets that commands read. No output repeats one, whatever its shape. */

/** What is wrong with the form of a token or secret, in words; null if nothing is. */
export function faultOf(secret: string): string | null {
  if (secret === '') return 'it is empty';
  if (/[\r\n]/.test(secret)) return 'it has more than one line';
  if (/\s/.test(secret)) return 'it contains a space';
  if (/[^\x20-\x7e]/.test(secret)) return 'it contains characters that are not printable ASCII';
  return null;
}

/** A token or secret without white space around it. @throws CommandError GW_USAGE, which does not repeat it */
export function checkedSecret(text: string, name: string): string {
  const secret = text.trim();
  const fault = faultOf(secret);
  if (fault !== null)
    throw usageError(`Invalid ${name}: ${fault}. Expected one line of ASCII characters without spaces.`);
  return secret;
}

/** The content of the file that an option names, or standard input for `-`. The path may be the secret itself by mistake. */
export async function secretFrom(path: string, option: string, terminal: Terminal): Promise<string> {
  if (path === '-') return await stdinText(terminal);
  return await readFile(path, 'utf8').catch((error: unknown) => {
    throw usageError(unreadable(option, (error as NodeJS.ErrnoException).code));
  });
}

/** @param code of Node's error */
export function unreadable(option: string, code = 'unknown error'): string {
  return `Cannot read the file of ${option}: ${FILE_FAULTS[code] ?? code}. Give the path of a file, not the secret itself.`;
}

const LEAST_CHARACTERS = 4;
const ENVIRONMENT = ['ADMIN_TOKEN', 'WHAPI_TOKEN', 'ENCRYPTION_KEY', 'METRICS_TOKEN'];
const SECRET_NAME = /token|secret|password|authorization/i;

/** The values of the environment that no output may repeat. */
export function secretsOf(env: Terminal['env']): string[] {
  return ENVIRONMENT.flatMap((name) => env[name] ?? []);
}

/** The secrets in a request's body, by the names of their fields; and all headers of a target. */
export function secretsIn(body: unknown): string[] {
  if (!isRecord(body)) return [];
  return Object.entries(body).flatMap(([name, value]) => {
    if (name === 'headers' && isRecord(value)) return Object.values(value).map(String);
    return SECRET_NAME.test(name) && typeof value === 'string' ? [value] : [];
  });
}

/** A text without these secrets, and without anything that looks like one. */
export function hide(text: string, secrets: readonly string[]): string {
  const known = secrets.flatMap((secret) => [secret, secret.trim(), JSON.stringify(secret).slice(1, -1)]);
  const long = known.filter(({ length }) => length >= LEAST_CHARACTERS).sort((a, b) => b.length - a.length);
  return withoutSecrets(long.reduce((masked, secret) => masked.replaceAll(secret, MASK), text));
}

/** The same error without these secrets. */
export function hideIn(error: CommandError, secrets: readonly string[]): CommandError {
  const fields: FieldError[] = error.fields.map(({ path, message }) => ({
    path: hide(path, secrets),
    message: hide(message, secrets),
  }));
  return new CommandError(error.code, hide(error.message, secrets), fields);
}
