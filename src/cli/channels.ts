import type { Command } from 'commander';
import { CommandError, EXIT } from '../errors.js';
import type { ExitCode } from '../errors.js';
import { followAudit } from './audit.js';
import { stdinText, fileText } from './input.js';
import { addCommand, commaList } from './session.js';
import type { Run, Session } from './session.js';
import { table } from './terminal.js';
import { timeOf } from './time.js';

interface ChannelJson {
  readonly name: string;
  readonly channel_id: string | null;
  readonly webhook_url: string;
  readonly whapi_base_url: string;
}

interface PlanJson {
  readonly changed: boolean;
  readonly changes: readonly string[];
}

interface ConnectJson extends PlanJson {
  readonly webhook_url: string;
  readonly warnings: readonly { readonly webhook_url: string | null; readonly message: string }[];
  readonly verified: boolean | null;
  readonly verification: string;
}

interface AddOptions {
  readonly whapiTokenFile?: string;
  readonly whapiBaseUrl?: string;
}

interface ConnectOptions {
  readonly publicUrl?: string;
  readonly mode?: string;
  readonly events?: string[];
  readonly dryRun?: boolean;
}

/** `channels …`. */
export function channelCommands(program: Command, run: Run): void {
  const channels = program.command('channels').description('WhatsApp numbers: one channel at Whapi each');
  addCommand(channels, 'list', 'List the channels', ['channels list', 'channels list --json']).action(run(list));
  addCommand(
    channels,
    'add <name>',
    'Add a channel; its token comes from WHAPI_TOKEN or a file, never from the command line',
    [
      'channels add shop --whapi-token-file token.txt',
      '$ WHAPI_TOKEN=… whapi-resync-gateway channels add shop',
      '$ pass whapi/shop | whapi-resync-gateway channels add shop --whapi-token-file -',
    ],
  )
    .option('--whapi-token-file <path>', 'file with the token of the channel at Whapi; - reads standard input')
    .option('--whapi-base-url <url>', "Whapi's API; default: as the gateway is set up")
    .action(run(add));
  addCommand(channels, 'remove <name>', 'Remove a channel; its webhook at Whapi stays, so disconnect it first', [
    'channels disconnect shop && whapi-resync-gateway channels remove shop',
  ]).action(run(remove));
  addCommand(channels, 'connect <name>', 'Have Whapi send the webhooks of a channel to the gateway, and test the way', [
    'channels connect shop --public-url https://gateway.example.com --dry-run',
    'channels connect shop --public-url https://gateway.example.com',
    'channels connect shop --events messages,statuses --mode method',
  ])
    .option('--public-url <url>', 'where Whapi reaches the gateway; default: PUBLIC_URL of the gateway')
    .option('--mode <mode>', 'body, path or method; default: as it is')
    .option('--events <list>', 'exactly these events; default: those that the enabled targets take', commaList)
    .option('--dry-run', 'show the change and make none')
    .action(run(connect));
  addCommand(channels, 'disconnect <name>', "Take the gateway's webhook, and nothing else, off a channel at Whapi", [
    'channels disconnect shop --dry-run',
  ])
    .option('--dry-run', 'show the change and make none')
    .action(run(disconnect));
  addCommand(
    channels,
    'seed <name>',
    'Tell the ledger which messages Whapi has: brought back by anybody, they are duplicates',
    ['channels seed shop', 'channels seed shop --since 90d'],
  )
    .option('--since <time>', 'ISO 8601, or how long ago: 90d, 12h; default: as far back as ids are remembered')
    .option('--detach', 'do not wait for the end')
    .action(run(seed));
}

async function list({ api, show }: Session): Promise<undefined> {
  const channels = await api().list<ChannelJson>('/v1/channels');
  const rows = channels.map((each) => [each.name, each.channel_id ?? '-', each.webhook_url, each.whapi_base_url]);
  show(channels, table(['NAME', 'CHANNEL ID', 'WEBHOOK URL', 'WHAPI'], rows));
  return;
}

async function add({ api, show, terminal }: Session, name: string, options: AddOptions): Promise<undefined> {
  const { whapiTokenFile: file, whapiBaseUrl } = options;
  const token =
    file === undefined ? terminal.env['WHAPI_TOKEN'] : await (file === '-' ? stdinText(terminal) : fileText(file));
  if (!token?.trim()) {
    throw new CommandError(EXIT.usage, 'No token: name a file with --whapi-token-file, or set WHAPI_TOKEN.');
  }
  const body = { name, whapi_token: token.trim(), ...(whapiBaseUrl !== undefined && { whapi_base_url: whapiBaseUrl }) };
  const made = await api().call<ChannelJson & { webhook_secret: string }>('POST', '/v1/channels', body);
  show(
    made,
    `Channel ${name} is added.\nIts webhook secret, shown this once: ${made.webhook_secret} (channels connect sets it at Whapi)\n` +
      `Next: targets add <name> <URL of your bot>, then channels connect ${name} --public-url <URL where Whapi reaches this gateway>\n`,
  );
  return;
}

async function remove({ api, show }: Session, name: string): Promise<undefined> {
  await api().call('DELETE', `/v1/channels/${encodeURIComponent(name)}`);
  show({ removed: name }, `Channel ${name} is removed.\n`);
  return;
}

/** Failed where the test webhook did not come in: the change was made, and does not help yet. */
async function connect({ api, show }: Session, name: string, options: ConnectOptions): Promise<ExitCode> {
  const { publicUrl, mode, events, dryRun = false } = options;
  const answer = await api().call<ConnectJson>('POST', `/v1/channels/${encodeURIComponent(name)}/connect`, {
    ...(publicUrl !== undefined && { public_url: publicUrl }),
    ...(mode !== undefined && { mode }),
    ...(events !== undefined && { events }),
    dry_run: dryRun,
  });
  const warnings = answer.warnings.map(
    ({ webhook_url: url, message }) => `Warning: ${url === null ? '' : `${url}: `}${message}\n`,
  );
  const tested = dryRun
    ? ''
    : `${{ true: 'Works', false: 'Does not work', null: 'Not tested' }[`${answer.verified}`]}: ${answer.verification}\n`;
  show(answer, `${changesOf(answer, dryRun)}${warnings.join('')}${tested}`);
  return answer.verified === false ? EXIT.failed : EXIT.ok;
}

async function disconnect(
  { api, show }: Session,
  name: string,
  { dryRun = false }: ConnectOptions,
): Promise<undefined> {
  const answer = await api().call<PlanJson>('POST', `/v1/channels/${encodeURIComponent(name)}/disconnect`, {
    dry_run: dryRun,
  });
  show(answer, changesOf(answer, dryRun));
  return;
}

function changesOf({ changes }: PlanJson, isDry: boolean): string {
  if (changes.length === 0) return 'Nothing to change at Whapi.\n';
  return `${isDry ? 'It would change' : 'Changed'} at Whapi:\n${changes.map((change) => `  ${change}\n`).join('')}`;
}

async function seed(session: Session, name: string, options: { since?: string; detach?: boolean }): Promise<ExitCode> {
  const since = options.since === undefined ? {} : { since: timeOf(options.since, session.terminal.effects.now()) };
  const { id } = await session
    .api()
    .call<{ id: string }>('POST', `/v1/channels/${encodeURIComponent(name)}/seed`, since);
  return await followAudit(session, id, options);
}
