import type { Command } from 'commander';
import { usageError } from '../errors.js';
import { NONE, number, numberOrNone } from './options.js';
import type { None } from './options.js';
import { checkedSecret, secretFrom } from './secrets.js';
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
  readonly backlogPolicy?: string;
  readonly backlogAfterSeconds?: number;
  readonly backlogRatePerMinute?: number | None;
  readonly skipAnswered?: boolean;
  readonly disabled?: boolean;
}

/** The gateway checks the values. Only text in place of a number is refused here. */
export function withTargetOptions(command: Command): Command {
  return command
    .option('--channels <list>', 'channel names, or * for all; default: *', commaList)
    .option('--events <list>', 'events such as messages, messages.post or statuses.*; default: *', commaList)
    .option('--deliver <list>', 'verdicts to deliver; default: new,late,event', commaList)
    .option('--mode <mode>', 'as_received, body, path or method; default: as_received')
    .option('--split <how>', 'one request per webhook (none), per chat (chat) or per item (item); default: none')
    .option('--header <line>', 'header of each request, "Name: value"; may be repeated; none: no headers', header)
    .option(
      '--secret-file <path>',
      'file with the signing secret (whsec_…); - reads standard input; default: a new secret',
    )
    .option('--timeout-ms <n>', 'limit for one attempt; default: 30000', number('--timeout-ms', 30_000))
    .option('--max-attempts <n>', 'attempts before a delivery is dead; default: 10', number('--max-attempts', 10))
    .option(
      '--retry-delays <list>',
      'seconds to wait after each failed attempt, such as 5,60,600; none: 5 s to 12 h',
      delays,
    )
    .option(
      '--max-age-seconds <n>',
      'do not send messages older than this; default: none',
      numberOrNone('--max-age-seconds', 3600),
    )
    .option('--concurrency <n>', 'most requests in flight; default: 16', number('--concurrency', 16))
    .option('--rate-per-second <n>', 'most requests per second; default: none', numberOrNone('--rate-per-second', 5))
    .option(
      '--backlog-policy <policy>',
      'what to send of the backlog: all, newest_per_chat, or hold to send none; default: all',
    )
    .option(
      '--backlog-after-seconds <n>',
      'age from which a message counts as backlog; default: 600',
      number('--backlog-after-seconds', 600),
    )
    .option(
      '--backlog-rate-per-minute <n>',
      'most requests per minute with messages of the backlog; default: no limit',
      numberOrNone('--backlog-rate-per-minute', 10),
    )
    .option('--skip-answered', 'do not send messages that the number itself has answered since')
    .option('--no-skip-answered', 'send messages that it has answered; default')
    .option('--disabled', 'pause deliveries');
}

/** The options as fields of the API. @throws CommandError (the file of the secret) */
export async function targetFields(options: TargetOptions, terminal: Terminal): Promise<Record<string, unknown>> {
  const { secretFile: file } = options;
  const secret =
    file === undefined ? undefined : checkedSecret(await secretFrom(file, '--secret-file', terminal), 'signing secret');
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
    backlog_policy: options.backlogPolicy,
    backlog_after_seconds: options.backlogAfterSeconds,
    backlog_rate_per_minute: limit(options.backlogRatePerMinute),
    skip_answered: options.skipAnswered,
    enabled: options.disabled === true ? false : undefined,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function limit<T>(value: T | None): T | null {
  return value === NONE ? null : value;
}

/** One `Name: value` more; `none` removes all. @throws CommandError */
export function header(line: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  if (line === NONE) return {};
  const [, name, value] = /^([^:\s]+):\s*(.*)$/.exec(line) ?? [];
  if (name === undefined || value === undefined) {
    // Not quoted: it may hold a secret.
    throw usageError('Invalid --header: expected "Name: value", for example "X-Tenant: seven".');
  }
  return { ...before, [name]: value };
}

function delays(text: string): number[] | None {
  return text === NONE ? NONE : commaList(text).map(number('--retry-delays', 30));
}
