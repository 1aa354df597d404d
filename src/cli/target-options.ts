import type { Command } from 'commander';
import { CommandError, EXIT } from '../errors.js';
import { stdinText, fileText } from './input.js';
import { commaList } from './session.js';
import type { Terminal } from './terminal.js';

/** The fields of a target besides name and URL, as options of `targets add` and `targets set`. */
export interface TargetOptions {
  readonly channels?: string[];
  readonly events?: string[];
  readonly deliver?: string[];
  readonly mode?: string;
  readonly split?: string;
  readonly header?: Readonly<Record<string, string>>;
  readonly secretFile?: string;
  readonly timeoutMs?: number;
  readonly maxAttempts?: number;
  readonly retryDelays?: number[] | None;
  readonly maxAgeSeconds?: number | None;
  readonly concurrency?: number;
  readonly ratePerSecond?: number | None;
  readonly disabled?: boolean;
}

/** As a value: takes a limit off. (commander makes an empty string of a parser's null.) */
const NONE = 'none';
type None = typeof NONE;

/** The gateway checks the values; only text in place of a number is refused here. */
export function withTargetOptions(command: Command): Command {
  return command
    .option('--channels <list>', 'names of channels, or *; default: *', commaList)
    .option('--events <list>', 'messages, messages.post, statuses.* …; default: *', commaList)
    .option('--deliver <list>', 'verdicts; default: new,late,event', commaList)
    .option('--mode <mode>', 'as_received, body, path or method; default: as_received')
    .option('--split <how>', 'none, chat (one request per chat) or item (one per item); default: none')
    .option('--header <line>', '"Name: value" on each request; may be repeated; none: no headers', header)
    .option(
      '--secret-file <path>',
      'file with the signing secret (whsec_…); - reads standard input; default: a new one',
    )
    .option('--timeout-ms <n>', 'for a whole attempt; default: 30000', number)
    .option('--max-attempts <n>', 'then a delivery is dead; default: 10', number)
    .option('--retry-delays <list>', 'pauses in seconds after the first, second … failure; none: 5 s to 12 h', delays)
    .option('--max-age-seconds <n>', 'do not send messages older than this; default: none', numberOrNone)
    .option('--concurrency <n>', 'requests in flight; default: 16', number)
    .option('--rate-per-second <n>', 'requests per second; default: none', numberOrNone)
    .option('--disabled', 'let its deliveries wait');
}

/** What the options say, as the API names it. @throws CommandError (the file of the secret) */
export async function targetFields(options: TargetOptions, terminal: Terminal): Promise<Record<string, unknown>> {
  const { secretFile: file } = options;
  const secret =
    file === undefined ? undefined : (file === '-' ? await stdinText(terminal) : await fileText(file)).trim();
  const fields = {
    channels: options.channels,
    events: options.events,
    deliver: options.deliver,
    mode: options.mode,
    split: options.split,
    headers: options.header,
    secret,
    timeout_ms: options.timeoutMs,
    max_attempts: options.maxAttempts,
    retry_delays_seconds: limit(options.retryDelays),
    max_age_seconds: limit(options.maxAgeSeconds),
    concurrency: options.concurrency,
    rate_per_second: limit(options.ratePerSecond),
    enabled: options.disabled === true ? false : undefined,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function limit<T>(value: T | None): T | null {
  return value === NONE ? null : value;
}

function header(line: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  if (line === NONE) return {};
  const [, name, value] = /^([^:\s]+):\s*(.*)$/.exec(line) ?? [];
  if (name === undefined || value === undefined) {
    // Not quoted: it may hold a secret.
    throw new CommandError(EXIT.usage, 'Invalid --header: write "Name: value", for example "X-Tenant: seven".');
  }
  return { ...before, [name]: value };
}

function delays(text: string): number[] | None {
  return text === NONE ? NONE : commaList(text).map(number);
}

function numberOrNone(text: string): number | None {
  return text === NONE ? NONE : number(text);
}

function number(text: string): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!Number.isFinite(value)) throw new CommandError(EXIT.usage, `"${text}" is not a number (for example 30).`);
  return value;
}
