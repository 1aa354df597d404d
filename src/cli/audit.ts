import type { Command } from 'commander';
import type { Audit, AuditMessage, AuditRelease } from '../contract/audits.js';
import { EXIT, usageError } from '../errors.js';
import type { ExitCode } from '../errors.js';
import { counted } from '../quantities.js';
import type { Progress } from './progress.js';
import { onlyChannel } from './resync.js';
import { at, fieldsOf } from './resources.js';
import { addCommand, NAME } from './session.js';
import type { Run, Session } from './session.js';
import { TIME_WORDS, timeOf } from './time.js';
import { watch } from './watch.js';

interface Options {
  readonly channel?: string;
  readonly since?: string;
  readonly until?: string;
  readonly watch?: string;
  readonly release?: string;
  readonly list?: string;
  readonly dryRun?: boolean;
  readonly detach?: boolean;
}

interface ReleaseOptions {
  readonly dryRun?: boolean;
  /** Ids or names of targets. */
  readonly target?: readonly string[];
}

/** `audit …`. */
export function auditCommand(program: Command, run: Run): void {
  addCommand(program, 'audit', 'Find messages that no webhook delivered', [
    'audit --since 7d',
    'audit --channel shop --since 2026-01-01T00:00:00Z --until 2026-02-01T00:00:00Z',
    'audit --watch aud_…',
    'audit --list aud_… --json',
    'audit --release aud_… --dry-run',
  ])
    .option('-c, --channel <name>', 'channel to audit; optional if there is only one')
    .option('--since <time>', `start of the range: ${TIME_WORDS}`)
    .option(
      '--until <time>',
      `end of the range: ${TIME_WORDS}; default: 1h, because Whapi may still retry newer webhooks`,
    )
    .option('--detach', 'start it and do not wait for the end')
    .option('--watch <audit>', 'watch a running audit (short for audits watch)')
    .option('--list <audit>', 'list the missing messages (short for audits messages)')
    .option('--release <audit>', 'send them, once, to targets that want late ones (short for audits release)')
    .option('--dry-run', 'with --release: count without sending')
    .action(run(audit));
}

async function audit(session: Session, options: Options): Promise<ExitCode> {
  if (options.watch !== undefined) return await followAudit(session, options.watch, {});
  if (options.list !== undefined) return await listMissing(session, options.list);
  if (options.release !== undefined) return await releaseMissing(session, options.release, options);
  if (options.since === undefined) throw usageError('Missing --since (for example --since 7d).');
  const now = session.terminal.effects.now();
  const api = session.api();
  const { id } = await api.call<Audit>('POST', '/v1/audits', {
    channel: options.channel ?? (await onlyChannel(api)),
    since: timeOf('--since', options.since, now),
    ...(options.until !== undefined && { until: timeOf('--until', options.until, now) }),
  });
  return await followAudit(session, id, options);
}

/** Watches an audit or a seeding until it ends. Fails when messages are missing. */
export async function followAudit(session: Session, id: string, { detach }: { detach?: boolean }): Promise<ExitCode> {
  const api = session.api();
  const poll = async (): Promise<Audit> => await api.call('GET', at('/v1/audits/{id}', [id]));
  const again = `${NAME} audit --watch ${id}`;
  if (detach) {
    session.show(await poll(), `${id} is running. To watch it: ${again}\n`);
    return EXIT.ok;
  }
  const ended = await watch(session, {
    poll,
    isOver: ({ status }) => status !== 'running',
    progressOf,
    documentOf: (state) => state,
    farewell: `${id} continues in the gateway. To watch it: ${again}`,
  });
  session.show(ended, reportOf(ended));
  return ended.status === 'finished' && ended.counts.never_came === 0 ? EXIT.ok : EXIT.failed;
}

function progressOf({ since, until, read_until: readUntil, counts, error }: Audit): Progress {
  const [from, to, at] = [since, until, readUntil].map((time) => Date.parse(time)) as [number, number, number];
  const done = to > from ? Math.floor((100 * Math.max(0, at - from)) / (to - from)) : 100;
  const words = `${counted(counts.whapi_has, 'message')} read${error === null ? '' : `; waiting: ${error}`}`;
  return { done, total: 100, unit: '%', words, etaSeconds: null };
}

function reportOf({ id, kind, channel, status, counts, warnings, error }: Audit): string {
  const told = warnings.map((warning) => `Warning: ${warning}\n`).join('');
  if (error !== null) return `${id} of channel ${channel} ${status}: ${error}\n${told}`;
  if (kind === 'seed')
    return `${id} of channel ${channel} ${status}: ${counts.seeded} of ${counted(counts.whapi_has, 'message id')} added to the ledger. They count as known in one hour.\n${told}`;
  const more =
    counts.never_came === 0
      ? ''
      : `To list them: ${NAME} audit --list ${id}\nTo release them to your bots: ${NAME} audit --release ${id} --dry-run\n`;
  return (
    `${id} of channel ${channel} ${status}: Whapi has ${counted(counts.whapi_has, 'message')}: ${counts.seen} received, ` +
    `${counts.never_came} missing, ${counts.before_memory} older than the gateway's ledger.\n${told}${more}`
  );
}

/** Lists the messages that no webhook delivered. */
export async function listMissing({ api, show }: Session, id: string): Promise<ExitCode> {
  const messages = await api().list<AuditMessage>(at('/v1/audits/{id}/messages', [id]));
  const lines = messages.map((each) => `${each.message_id}  ${each.sent_at}  ${each.type ?? ''}\n`);
  show(messages, lines.length === 0 ? 'No missing messages.\n' : lines.join(''));
  return EXIT.ok;
}

/** Sends those messages, or with `dryRun` counts them. */
export async function releaseMissing(
  session: Session,
  id: string,
  { dryRun = false, target }: ReleaseOptions,
): Promise<ExitCode> {
  const { api, show } = session;
  const answer = await api().call<AuditRelease>('POST', at('/v1/audits/{id}/release', [id]), {
    dry_run: dryRun,
    ...(target !== undefined && (await fieldsOf(session, { target }))),
  });
  const { messages, deliveries, came_meanwhile: came } = answer;
  show(
    answer,
    `${dryRun ? 'Messages to release' : 'Released messages'}: ${messages}, in ${deliveries} deliveries. Received in the meantime: ${came}.\n`,
  );
  return EXIT.ok;
}
