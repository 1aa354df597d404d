import type { Command } from 'commander';
import type { Audit } from '../contract/audits.js';
import type { Channel, CreatedChannel } from '../contract/channels.js';
import type { Connection, Disconnection } from '../contract/connect.js';
import { EXIT, usageError } from '../errors.js';
import type { ExitCode } from '../errors.js';
import { followAudit } from './audit.js';
import { channelFields, withChannelOptions } from './channel-options.js';
import type { ChannelOptions } from './channel-options.js';
import { withoutDefaults } from './options.js';
import { showPreview, wantsPreview, withPreview } from './preview.js';
import type { PreviewOptions } from './preview.js';
import { probeCommand } from './probe.js';
import { removeAt, withYes } from './removal.js';
import type { RemoveOptions } from './removal.js';
import { at, showCommand } from './resources.js';
import { checkedSecret } from './secrets.js';
import { addCommand, commaList, NAME } from './session.js';
import type { Run, Session } from './session.js';
import { table } from './terminal.js';
import type { Terminal } from './terminal.js';
import { TIME_WORDS, timeOf } from './time.js';

interface SetOptions extends ChannelOptions, PreviewOptions {
  readonly whapiTokenEnv?: boolean;
  readonly forgetChannelId?: boolean;
}

interface ConnectOptions {
  readonly publicUrl?: string;
  readonly mode?: string;
  readonly events?: string[];
  readonly dryRun?: boolean;
}

/** `channels …`. */
export function channelCommands(program: Command, run: Run): void {
  const channels = program.command('channels').description('WhatsApp numbers, each one channel at Whapi');
  addCommand(channels, 'list', 'List the channels', ['channels list', 'channels list --json']).action(run(list));
  showCommand<Channel>(channels, run, 'show <name>', {
    path: '/v1/channels/{name}',
    summary: 'Show a channel: its settings, its last webhook and those that were refused',
    examples: ['channels show shop'],
  });
  withChannelOptions(
    addCommand(
      channels,
      'add <name>',
      'Add a channel. Its Whapi token comes from WHAPI_TOKEN or a file, never from the command line',
      [
        'channels add shop --whapi-token-file token.txt',
        '$ WHAPI_TOKEN=… whapi-resync-gateway channels add shop',
        '$ pass whapi/shop | whapi-resync-gateway channels add shop --whapi-token-file -',
      ],
    ),
  ).action(run(add));
  withPreview(
    withoutDefaults(
      withChannelOptions(
        addCommand(channels, 'set <name>', 'Change the settings that are given, and keep the rest', [
          'channels set shop --late-after-seconds 3600 --daily-call-budget none',
          'channels set shop --whapi-token-file token.txt',
          '$ WHAPI_TOKEN=… whapi-resync-gateway channels set shop --whapi-token-env',
          'channels set shop --late-after-seconds 3600 --preview --since 7d',
        ]),
      ),
    ),
  )
    .option('--whapi-token-env', 'take a new Whapi token from WHAPI_TOKEN')
    .option('--forget-channel-id', "forget Whapi's id of the channel; the next webhook sets it again")
    .action(run(set));
  withYes(
    addCommand(channels, 'remove <name>', 'Remove a channel. Its webhook at Whapi stays, so disconnect it first', [
      '$ whapi-resync-gateway channels disconnect shop && whapi-resync-gateway channels remove shop',
      'channels remove shop --yes',
    ]),
  ).action(run(remove));
  addCommand(channels, 'connect <name>', "Make Whapi send a channel's webhooks to the gateway, and test it", [
    'channels connect shop --public-url https://gateway.example.com --dry-run',
    'channels connect shop --public-url https://gateway.example.com',
    'channels connect shop --events messages,statuses --mode method',
  ])
    .option('--public-url <url>', 'URL under which Whapi reaches the gateway; default: PUBLIC_URL of the gateway')
    .option('--mode <mode>', 'body, path or method; default: unchanged')
    .option('--events <list>', 'exactly these events; default: those that enabled targets subscribe to', commaList)
    .option('--dry-run', 'show the change without making it')
    .action(run(connect));
  addCommand(channels, 'disconnect <name>', "Remove the gateway's webhook from a channel at Whapi, and nothing else", [
    'channels disconnect shop --dry-run',
  ])
    .option('--dry-run', 'show the change without making it')
    .action(run(disconnect));
  addCommand(
    channels,
    'seed <name>',
    'Add the ids of all messages that Whapi has to the ledger, so that they count as duplicates',
    ['channels seed shop', 'channels seed shop --since 90d'],
  )
    .option('--since <time>', `start of the range: ${TIME_WORDS}; default: as far back as the ledger goes`)
    .option('--detach', 'start it and do not wait for the end')
    .action(run(seed));
  probeCommand(channels, run);
}

async function list({ api, show, terminal }: Session): Promise<undefined> {
  const channels = await api().list<Channel>('/v1/channels');
  const rows = channels.map((each) => [each.name, each.channel_id ?? '-', each.webhook_url, each.whapi_base_url]);
  const none = `No channels yet. To add one: ${NAME} channels add <name> --whapi-token-file <path>\n`;
  show(
    channels,
    rows.length === 0 ? none : table(['NAME', 'CHANNEL ID', 'WEBHOOK URL', 'WHAPI'], rows, terminal.columns()),
  );
  return;
}

async function add({ api, show, terminal }: Session, name: string, options: ChannelOptions): Promise<undefined> {
  const fields = await channelFields(options, terminal);
  const body = { name, whapi_token: fields['whapi_token'] ?? tokenFromEnvironment(terminal), ...fields };
  const made = await api().call<CreatedChannel>('POST', '/v1/channels', body);
  show(
    made,
    `Channel ${name} added.\nWebhook secret, shown only now: ${made.webhook_secret} (channels connect sets it at Whapi)\n` +
      `Next: ${NAME} targets add <name> <URL of your bot>\n` +
      `Then: ${NAME} channels connect ${name} --public-url <URL under which Whapi reaches this gateway>\n`,
  );
  return;
}

/** @throws CommandError */
function tokenFromEnvironment({ env }: Terminal): string {
  const text = env['WHAPI_TOKEN'];
  if (!text?.trim()) {
    throw usageError(
      'Missing Whapi token: set WHAPI_TOKEN, or name a file (for example --whapi-token-file token.txt).',
    );
  }
  return checkedSecret(text, 'Whapi token');
}

async function set(session: Session, name: string, options: SetOptions): Promise<undefined> {
  const { api, show, terminal } = session;
  const isPreview = wantsPreview(options);
  const { whapiTokenEnv = false, forgetChannelId = false } = options;
  const change = {
    ...(whapiTokenEnv && { whapi_token: tokenFromEnvironment(terminal) }),
    ...(await channelFields(options, terminal)),
    ...(forgetChannelId && { channel_id: null }),
  };
  if (Object.keys(change).length === 0) {
    throw usageError('Missing setting to change (for example --late-after-seconds 3600).');
  }
  const path = at('/v1/channels/{name}', [name]);
  if (isPreview) {
    await showPreview(session, path, change, options);
    return;
  }
  const changed = await api().call<Channel>('PATCH', path, change);
  const next = 'webhook_secret' in change ? `Next: ${NAME} channels connect ${name}, which sets it at Whapi\n` : '';
  show(changed, `Channel ${name} changed.\n${next}`);
  return;
}

async function remove({ api, show }: Session, name: string, options: RemoveOptions): Promise<undefined> {
  await removeAt(api(), at('/v1/channels/{name}', [name]), `Channel ${name}`, options);
  show({ removed: name }, `Channel ${name} removed.\n`);
  return;
}

/** Fails when the test webhook did not arrive: the change was made, but does not work yet. */
async function connect({ api, show }: Session, name: string, options: ConnectOptions): Promise<ExitCode> {
  const { publicUrl, mode, events, dryRun = false } = options;
  const answer = await api().call<Connection>('POST', at('/v1/channels/{name}/connect', [name]), {
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
  const answer = await api().call<Disconnection>('POST', at('/v1/channels/{name}/disconnect', [name]), {
    dry_run: dryRun,
  });
  show(answer, changesOf(answer, dryRun));
  return;
}

function changesOf({ changes }: Pick<Disconnection, 'changes'>, isDry: boolean): string {
  if (changes.length === 0) return 'Nothing to change at Whapi.\n';
  return `${isDry ? 'Changes to make' : 'Changed'} at Whapi:\n${changes.map((change) => `  ${change}\n`).join('')}`;
}

async function seed(session: Session, name: string, options: { since?: string; detach?: boolean }): Promise<ExitCode> {
  const since =
    options.since === undefined ? {} : { since: timeOf('--since', options.since, session.terminal.effects.now()) };
  const { id } = await session.api().call<Audit>('POST', at('/v1/channels/{name}/seed', [name]), since);
  return await followAudit(session, id, options);
}
