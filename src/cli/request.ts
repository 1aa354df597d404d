import type { Command } from 'commander';
import { usageError } from '../errors.js';
import { printableLines, printableValue } from '../printable.js';
import { quoted } from '../quoted.js';
import { fileText, stdinText } from './input.js';
import { addCommand } from './session.js';
import type { Run, Session } from './session.js';
import { header } from './target-options.js';

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

interface Options {
  readonly data?: string;
  readonly dataFile?: string;
  readonly header?: Readonly<Record<string, string>>;
}

/** `api`. */
export function apiCommand(program: Command, run: Run): void {
  addCommand(program, 'api <method> <path>', 'Make any request to the API and print its answer (see /docs)', [
    'api GET "/v1/items?verdict=late&limit=5"',
    `api PATCH /v1/channels/shop --data '{"late_after_seconds": 3600}'`,
    'api POST /v1/judge --data-file request.json',
    `$ echo '{"status": "dead", "dry_run": true}' | whapi-resync-gateway api POST /v1/deliveries/retry --data-file -`,
  ])
    .option('-d, --data <json>', 'body of the request. Other users of this machine can read it: no secrets')
    .option('--data-file <path>', 'file with the body; - reads standard input')
    .option('--header <line>', 'header of the request, "Name: value"; may be repeated', header)
    .action(run(request));
}

/** Prints JSON on several lines, with `--json` on one, and any other text as it is. */
async function request(session: Session, method: string, path: string, options: Options): Promise<undefined> {
  const { terminal, json } = session;
  const verb = method.toUpperCase();
  if (!METHODS.includes(verb))
    throw usageError(
      `Invalid method ${quoted(method)}: expected ${METHODS.join(', ')}, for example api GET /v1/items.`,
    );
  if (!path.startsWith('/'))
    throw usageError(`Invalid path ${quoted(path)}: expected one that begins with "/", for example /v1/items.`);
  if (/^\/v1\/feed\b/.test(path)) throw usageError('The feed has no end. Use tail (for example tail --json).');
  const body = await bodyOf(options, session);
  if (verb === 'GET' && body !== undefined)
    throw usageError('A GET takes no body: remove --data, or use another method (for example api POST …).');
  const { text } = await session.api().request(verb, path, body, checkedHeaders(options.header));
  const answer = text === '' && json ? null : parsed(text);
  if (answer === undefined) terminal.write(printableLines(text));
  else terminal.write(`${JSON.stringify(printableValue(answer), null, json ? 0 : 2)}\n`);
  return;
}

/** @throws CommandError */
async function bodyOf({ data, dataFile: file }: Options, { terminal }: Session): Promise<string | undefined> {
  if (data !== undefined && file !== undefined) throw usageError('Give either --data or --data-file, not both.');
  const text = file === undefined ? data : file === '-' ? await stdinText(terminal) : await fileText(file);
  // Not quoted: it may hold a secret.
  if (text !== undefined && parsed(text) === undefined)
    throw usageError(`The body is not JSON. Expected, for example, --data '{"dry_run": true}'.`);
  return text;
}

/** @throws CommandError */
function checkedHeaders(headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  try {
    return Object.fromEntries(new Headers(headers));
  } catch {
    throw usageError('Invalid --header: expected "Name: value" in Latin-1, for example "Idempotency-Key: a1".');
  }
}

/** Undefined: it is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
