import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import type { Channel } from '../contract/channels.js';
import type { Resync, ResyncReport } from '../contract/resyncs.js';
import { CommandError, EXIT, usageError } from '../errors.js';
import type { ExitCode } from '../errors.js';
import { counted } from '../quantities.js';
import type { Api } from './api.js';
import { countsText } from './facts.js';
import { idsOf } from './input.js';
import { wholeNumber } from './options.js';
import type { Progress } from './progress.js';
import { at } from './resources.js';
import { addCommand, NAME } from './session.js';
import type { Run, Session } from './session.js';
import { watch } from './watch.js';

interface Options {
  readonly channel?: string;
  readonly file?: string;
  readonly deliverUnseen?: boolean;
  readonly windowSeconds?: number;
  readonly detach?: boolean;
  readonly watch?: string;
  readonly cancel?: string;
}

const SETTLED = ['restored', 'not_restored', 'failed', 'cancelled'] as const;

/** `resync …`. */
export function resyncCommand(program: Command, run: Run): void {
  addCommand(
    program,
    'resync [ids...]',
    'Bring messages back and show the progress. The run continues in the gateway if this command ends',
    [
      'resync p.w30M7fgwWD4XwHu.g4CA-gNcCzMdVPg',
      'resync --channel shop --file ids.txt',
      '$ grep -o "id=[^ ]*" bot.log | cut -c4- | whapi-resync-gateway resync -',
      'resync --watch rsy_…',
      'resync --file ids.txt --detach --json',
    ],
  )
    .option('-c, --channel <name>', 'channel of the messages; optional if there is only one')
    .option('-f, --file <path>', 'file with message ids, separated by white space or commas; - reads standard input')
    .option('--deliver-unseen', 'deliver restored messages that no webhook ever carried')
    .option(
      '--window-seconds <n>',
      'how long after the last call to Whapi an id counts as coming back; default: 259200',
      wholeNumber('--window-seconds', 259_200),
    )
    .option('--detach', 'start the run and do not wait for the end')
    .option('--watch <resync>', 'watch a running resync (short for resyncs watch)')
    .option('--cancel <resync>', 'stop a run (short for resyncs cancel)')
    .action(run(resync));
}

async function resync(session: Session, args: string[], options: Options): Promise<ExitCode> {
  const { terminal, show, json } = session;
  const { cancel: toCancel, watch: toWatch } = options;
  const isOld = toWatch ?? toCancel;
  if (isOld !== undefined && (args.length > 0 || options.file !== undefined)) {
    throw usageError('--watch and --cancel take no message ids. Start another resync for them.');
  }
  if (toCancel !== undefined) return await cancelResync(session, toCancel);
  if (toWatch !== undefined) return await followResync(session, toWatch);
  const api = session.api();
  const ids = await idsOf(args, options.file, terminal);
  const started = await start(api, ids, options);
  const registered = `${started.id}: registered ${counted(ids.length, 'message id')} in channel ${started.channel}.\n`;
  if (options.detach) {
    show(started, `${registered}To watch it: ${again(started.id)}\n`);
    return EXIT.ok;
  }
  if (!json) terminal.tell(registered);
  return await followResync(session, started.id);
}

export async function cancelResync({ api, show }: Session, id: string): Promise<ExitCode> {
  const resync = await api().call<Resync>('POST', at('/v1/resyncs/{id}/cancel', [id]));
  const outcome = resync.status === 'cancelled' ? `Cancelled ${resync.id}` : `${resync.id} had already finished`;
  show(resync, `${outcome}: ${countsText(resync.counts)}\n`);
  return EXIT.ok;
}

/** With the idempotency key, a second try after a lost response gives the run of the first. */
async function start(api: Api, ids: readonly string[], options: Options): Promise<Resync> {
  const channel = options.channel ?? (await onlyChannel(api));
  const body = {
    ...{ channel, message_ids: ids, deliver_unseen: options.deliverUnseen ?? false },
    ...(options.windowSeconds !== undefined && { window_seconds: options.windowSeconds }),
  };
  const headers = { 'idempotency-key': randomUUID() };
  const post = async (): Promise<Resync> => await api.call('POST', '/v1/resyncs', body, headers);
  return await post().catch(async (error: unknown) => {
    if (error instanceof CommandError && error.exitCode === EXIT.unreachable) return await post();
    throw error;
  });
}

/** The only channel. @throws CommandError (there is none, or more than one) */
export async function onlyChannel(api: Api): Promise<string> {
  const channels = await api.list<Channel>('/v1/channels');
  const [only] = channels;
  if (only && channels.length === 1) return only.name;
  const names = channels.map(({ name }) => name).join(', ');
  if (only) throw usageError(`Missing --channel (for example --channel ${only.name}). Channels: ${names}.`);
  throw new CommandError('GW_NOT_FOUND', `There are no channels. To add one: ${NAME} channels add <name>`);
}

/** Watches a run until it ends, and prints its report. */
export async function followResync(session: Session, id: string): Promise<ExitCode> {
  const api = session.api();
  const path = at('/v1/resyncs/{id}', [id]);
  const ended = await watch(session, {
    poll: async () => await api.call<Resync>('GET', path),
    isOver: ({ status }) => status !== 'running',
    progressOf,
    documentOf: (state) => ({ resync: state }),
    farewell: `The run continues in the gateway. To watch it: ${again(id)}\nTo stop it: ${NAME} resync --cancel ${id}`,
  });
  const report = await api.call<ResyncReport>('GET', `${path}/report`);
  session.show(report, reportOf(report));
  const { restored } = ended.counts;
  if (ended.status === 'finished' && restored === totalOf(ended)) return EXIT.ok;
  return restored > 0 ? EXIT.partly : EXIT.failed;
}

export function reportOf({ resync, restored, failed, held }: ResyncReport): string {
  const lines = [
    `${resync.status}: ${countsText(resync.counts)}`,
    ...(restored.total > 0
      ? [`  restored: ${restored.already_known} received before, ${restored.never_seen_before} for the first time`]
      : []),
    ...failed.reasons.map(({ error, count }) => `  failed: ${count} with "${error}"`),
    ...(held.total > 0
      ? [
          `  held: ${held.total}. To list them: ${NAME} held --resync ${resync.id}`,
          `  To release them to your bots: ${NAME} release --resync ${resync.id}`,
        ]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}

function again(id: string): string {
  return `${NAME} resync --watch ${id}`;
}

function progressOf(resync: Resync): Progress {
  const { counts, pause, eta_seconds: etaSeconds } = resync;
  const done = SETTLED.reduce((sum, status) => sum + counts[status], 0);
  const paused = pause ? `paused: ${pause.reason}; ` : '';
  return { done, total: totalOf(resync), unit: 'messages', words: `${paused}${countsText(resync.counts)}`, etaSeconds };
}

function totalOf({ counts }: Resync): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
