import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { CommandError, EXIT } from '../errors.js';
import type { ExitCode } from '../errors.js';
import type { Api } from './api.js';
import { idsOf } from './input.js';
import type { Progress } from './progress.js';
import { addCommand, NAME } from './session.js';
import type { Run, Session } from './session.js';
import { watch } from './watch.js';

interface ResyncJson {
  readonly id: string;
  readonly channel: string;
  readonly status: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly pause: { readonly reason: string } | null;
  readonly eta_seconds: number | null;
}

interface ReportJson {
  readonly resync: ResyncJson;
  readonly restored: { readonly total: number; readonly already_known: number; readonly never_seen_before: number };
  readonly failed: { readonly reasons: readonly { readonly error: string; readonly count: number }[] };
  readonly held: { readonly total: number; readonly messages: string };
}

interface Options {
  readonly channel?: string;
  readonly file?: string;
  readonly deliverUnseen?: boolean;
  readonly detach?: boolean;
  readonly watch?: string;
  readonly cancel?: string;
}

const SETTLED = ['restored', 'not_restored', 'failed', 'cancelled'];

/** `resync …`. */
export function resyncCommand(program: Command, run: Run): void {
  addCommand(
    program,
    'resync [ids...]',
    'Bring messages back, and watch it; the run goes on in the gateway whatever becomes of this command',
    [
      'resync p.w30M7fgwWD4XwHu.g4CA-gNcCzMdVPg',
      'resync --channel shop --file ids.txt',
      '$ grep -o "id=[^ ]*" bot.log | cut -c4- | whapi-resync-gateway resync -',
      'resync --watch rsy_…',
      'resync --file ids.txt --detach --json',
    ],
  )
    .option('-c, --channel <name>', 'whose messages; may be left out where there is one channel')
    .option('-f, --file <path>', 'file with message ids, apart by white space or commas; - reads standard input')
    .option('--deliver-unseen', 'send restored messages that were never seen to the bots as well')
    .option('--detach', 'start the run and do not watch it')
    .option('--watch <run>', 'watch a run that was started before')
    .option('--cancel <run>', 'ask Whapi for nothing more in this run')
    .action(run(resync));
}

async function resync(session: Session, args: string[], options: Options): Promise<ExitCode> {
  const { terminal, show, json } = session;
  const isOld = options.watch ?? options.cancel;
  if (isOld !== undefined && (args.length > 0 || options.file !== undefined)) {
    throw new CommandError(EXIT.usage, 'A run that was started before takes no more ids. Start another one for them.');
  }
  const api = session.api();
  if (options.cancel !== undefined) {
    const cancelled = await api.call<ResyncJson>('POST', `/v1/resyncs/${encodeURIComponent(options.cancel)}/cancel`);
    show(cancelled, `Cancelled ${cancelled.id}: ${progressText(cancelled)}\n`);
    return EXIT.ok;
  }
  if (options.watch !== undefined) return await follow(session, api, options.watch);
  const ids = await idsOf(args, options.file, terminal);
  const started = await start(api, ids, options);
  const registered = `${started.id}: registered in channel ${started.channel}, ids: ${ids.length}.\n`;
  if (options.detach) {
    show(started, `${registered}Watch it: ${again(started.id)}\n`);
    return EXIT.ok;
  }
  if (!json) terminal.tell(registered);
  return await follow(session, api, started.id);
}

/** The key makes a second try after a lost answer give the run of the first. */
async function start(api: Api, ids: readonly string[], options: Options): Promise<ResyncJson> {
  const channel = options.channel ?? (await onlyChannel(api));
  const body = { channel, message_ids: ids, deliver_unseen: options.deliverUnseen ?? false };
  const headers = { 'idempotency-key': randomUUID() };
  const post = async (): Promise<ResyncJson> => await api.call('POST', '/v1/resyncs', body, headers);
  return await post().catch(async (error: unknown) => {
    if (error instanceof CommandError && error.exitCode === EXIT.unreachable) return await post();
    throw error;
  });
}

/** @throws CommandError (none, or more than one) */
export async function onlyChannel(api: Api): Promise<string> {
  const channels = await api.list<{ name: string }>('/v1/channels');
  const [only] = channels;
  if (only && channels.length === 1) return only.name;
  const names = channels.map(({ name }) => name).join(', ');
  throw new CommandError(
    EXIT.usage,
    only ? `Name the channel with --channel: ${names}.` : 'There is no channel. Add one with "channels add".',
  );
}

async function follow(session: Session, api: Api, id: string): Promise<ExitCode> {
  const path = `/v1/resyncs/${encodeURIComponent(id)}`;
  const ended = await watch(session, {
    poll: async () => await api.call<ResyncJson>('GET', path),
    isOver: ({ status }) => status !== 'running',
    progressOf,
    documentOf: (state) => ({ resync: state }),
    farewell: `The run goes on in the gateway. Watch it: ${again(id)}\nStop it: ${NAME} resync --cancel ${id}`,
  });
  const report = await api.call<ReportJson>('GET', `${path}/report`);
  session.show(report, reportOf(report));
  const { restored = 0 } = ended.counts;
  if (ended.status === 'finished' && restored === totalOf(ended)) return EXIT.ok;
  return restored > 0 ? EXIT.partly : EXIT.failed;
}

function reportOf({ resync, restored, failed, held }: ReportJson): string {
  const lines = [
    `${resync.status}: ${progressText(resync)}`,
    ...(restored.total > 0
      ? [`  restored: ${restored.already_known} known before, ${restored.never_seen_before} never seen before`]
      : []),
    ...failed.reasons.map(({ error, count }) => `  failed: ${count} with ${error}`),
    ...(held.total > 0
      ? [
          `  held: ${held.total}. List: ${NAME} held --resync ${resync.id}`,
          `  Release them to your bots: ${NAME} release --resync ${resync.id}`,
        ]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}

function again(id: string): string {
  return `${NAME} resync --watch ${id}`;
}

function progressOf(resync: ResyncJson): Progress {
  const { counts, pause, eta_seconds: etaSeconds } = resync;
  const done = SETTLED.reduce((sum, status) => sum + (counts[status] ?? 0), 0);
  const paused = pause ? `paused: ${pause.reason}; ` : '';
  return { done, total: totalOf(resync), unit: 'messages', words: `${paused}${progressText(resync)}`, etaSeconds };
}

function totalOf({ counts }: ResyncJson): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** Every status that some message has. */
function progressText({ counts }: ResyncJson): string {
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return some.map(([status, count]) => `${count} ${status.replace('_', ' ')}`).join(', ');
}
