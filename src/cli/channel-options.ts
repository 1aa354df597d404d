import type { Command } from 'commander';
import { usageError } from '../errors.js';
import { NONE, numberOrNone, wholeNumber } from './options.js';
import type { None } from './options.js';
import { checkedSecret, secretFrom } from './secrets.js';
import type { Terminal } from './terminal.js';

/** The fields of a channel besides its name, as options of `channels add` and `channels set`. */
export interface ChannelOptions {
  readonly whapiTokenFile?: string;
  readonly webhookSecretFile?: string;
  readonly whapiBaseUrl?: string;
  readonly lateAfterSeconds?: number;
  readonly resyncSpacingMs?: number | None;
  readonly dailyCallBudget?: number | None;
  readonly autoResync?: boolean;
  readonly onReplay?: string;
  readonly replayAfterSeconds?: number;
  readonly replayMessages?: number;
}

/** The gateway checks the values. Only text in place of a number is refused here. */
export function withChannelOptions(command: Command): Command {
  return command
    .option('--whapi-token-file <path>', "file with the channel's Whapi token; - reads standard input")
    .option('--webhook-secret-file <path>', 'file with the webhook secret; - reads standard input; default: a new one')
    .option('--whapi-base-url <url>', "base URL of Whapi's API; default: WHAPI_BASE_URL of the gateway")
    .option(
      '--late-after-seconds <n>',
      'a message this much older than the newest of its chat is late; default: 900',
      wholeNumber('--late-after-seconds', 900),
    )
    .option(
      '--resync-spacing-ms <n>',
      "time between two of the gateway's calls to Whapi; none: one second; default: none",
      numberOrNone('--resync-spacing-ms', 2000),
    )
    .option(
      '--daily-call-budget <n>',
      "most of the gateway's calls to Whapi per day (UTC); default: none",
      numberOrNone('--daily-call-budget', 5000),
    )
    .option('--auto-resync', 'resync a message that a call to /whapi does not find')
    .option('--no-auto-resync', 'do not do that; default')
    .option('--on-replay <deliver|hold>', 'send unrequested replays of old messages, or hold them; default: deliver')
    .option(
      '--replay-after-seconds <n>',
      'a message this much older than its arrival may belong to a replay; default: 432000',
      wholeNumber('--replay-after-seconds', 432_000),
    )
    .option(
      '--replay-messages <n>',
      'this many of them within a minute are a replay; default: 20',
      wholeNumber('--replay-messages', 20),
    );
}

/** The options as fields of the API. @throws CommandError (a file, or standard input named twice) */
export async function channelFields(options: ChannelOptions, terminal: Terminal): Promise<Record<string, unknown>> {
  const { whapiTokenFile, webhookSecretFile } = options;
  if (whapiTokenFile === '-' && webhookSecretFile === '-')
    throw usageError('Only one secret can come from standard input. Put the other one in a file.');
  const secret = async (file: string | undefined, option: string, name: string): Promise<string | undefined> =>
    file === undefined ? undefined : checkedSecret(await secretFrom(file, option, terminal), name);
  const fields = {
    whapi_token: await secret(whapiTokenFile, '--whapi-token-file', 'Whapi token'),
    webhook_secret: await secret(webhookSecretFile, '--webhook-secret-file', 'webhook secret'),
    whapi_base_url: options.whapiBaseUrl,
    late_after_seconds: options.lateAfterSeconds,
    resync_spacing_ms: options.resyncSpacingMs === NONE ? null : options.resyncSpacingMs,
    daily_call_budget: options.dailyCallBudget === NONE ? null : options.dailyCallBudget,
    auto_resync: options.autoResync,
    on_replay: options.onReplay,
    replay_after_seconds: options.replayAfterSeconds,
    replay_messages: options.replayMessages,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
