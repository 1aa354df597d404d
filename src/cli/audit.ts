import type { Command } from 'commander';
import { CommandError, EXIT } from '../errors.js';
import type { ExitCode } from '../errors.js';
import type { Progress } from './progress.js';
import { onlyChannel } from './resync.js';
import { addCommand, NAME } from './session.js';
import type { Run, Session } from './session.js';
import { timeOf } from './time.js';
import { watch } from './watch.js';

interface AuditJson {
  readonly id: string;
  readonly kind: 'audit' | 'seed';
  readonly channel: string;
  readonly status: string;
  readonly since: string;
  readonly until: string;
  readonly read_until: string;
  readonly counts: Readonly<
    Record<'whapi_has' | 'seen' | 'never_came' | 'before_memory' | 'seeded' | 'released', number>
  >;
  readonly warnings: readonly string[];
  readonly error: string | null;
}

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

/** `audit …`. */
export function auditCommand(program: Command, run: Run): void {
  addCommand(program, 'audit', 'Find messages that no webhook delivered', [
    'audit --since 7d',
    'audit --channel shop --since 2026-01-01T00:00:00Z --until 2026-02-01T00:00:00Z',
    'audit --watch aud_…',
    'audit --list aud_… --json',
    'audit --release aud_… --dry-run',
  ])
    .option('-c, --channel <name>', 'may be left out where there is one channel')
    .option('--since <time>', 'ISO 8601, or how long ago: 12h, 7d')
    .option('--until <time>', 'ISO 8601, or how long ago; default: an hour ago, for Whapi may still be trying')
    .option('--detach', 'do not wait for the end')
    .option('--watch <audit>', 'watch an audit that was started before')
    .option('--list <audit>', 'list the messages that never came')
    .option('--release <audit>', 'send the messages that never came to targets that want late ones, once')
    .option('--dry-run', 'with --release: only count')
    .action(run(audit));
}

async function audit(session: Session, options: Options): Promise<ExitCode> {
  if (options.watch !== undefined) return await followAudit(session, options.watch, {});
  if (options.list !== undefined) return await list(session, options.list);
  if (options.release !== undefined) return await release(session, options.release, options.dryRun ?? false);
  if (options.since === undefined) throw new CommandError(EXIT.usage, 'Missing --since (for example --since 7d).');
  const now = session.terminal.effects.now();
  const api = session.api();
  const { id } = await api.call<AuditJson>('POST', '/v1/audits', {
    channel: options.channel ?? (await onlyChannel(api)),
    since: timeOf(options.since, now),
    ...(options.until !== undefined && { until: timeOf(options.until, now) }),
  });
  return await followAudit(session, id, options);
}

/** Watches an audit or a seeding to its end. Failed where messages never came: that is what was asked. */
export async function followAudit(session: Session, id: string, { detach }: { detach?: boolean }): Promise<ExitCode> {
  const api = session.api();
  const poll = async (): Promise<AuditJson> => await api.call('GET', `/v1/audits/${encodeURIComponent(id)}`);
  const again = `${NAME} audit --watch ${id}`;
  if (detach) {
    session.show(await poll(), `${id} is on its way.\nWatch it: ${again}\n`);
    return EXIT.ok;
  }
  const ended = await watch(session, {
    poll: poll,
    isOver: ({ status }) => status !== 'running',
    progressOf,
    documentOf: (state) => state,
    farewell: `It goes on in the gateway. Watch it: ${again}`,
  });
  session.show(ended, reportOf(ended));
  return ended.status === 'finished' && ended.counts.never_came === 0 ? EXIT.ok : EXIT.failed;
}

function progressOf({ since, until, read_until: readUntil, counts, error }: AuditJson): Progress {
  const [from, to, at] = [since, until, readUntil].map((time) => Date.parse(time)) as [number, number, number];
  const done = to > from ? Math.floor((100 * Math.max(0, at - from)) / (to - from)) : 100;
  const words = `read ${counts.whapi_has} messages${error === null ? '' : `; waiting: ${error}`}`;
  return { done, total: 100, unit: '%', words, etaSeconds: null };
}

function reportOf({ id, kind, channel, status, counts, warnings, error }: AuditJson): string {
  const told = warnings.map((warning) => `Warning: ${warning}\n`).join('');
  if (error !== null) return `${id} of channel ${channel} ${status}: ${error}\n${told}`;
  if (kind === 'seed')
    return `${id} of channel ${channel} ${status}: ${counts.seeded} of ${counts.whapi_has} message ids learned. They count as known one hour from now.\n${told}`;
  const more =
    counts.never_came === 0
      ? ''
      : `List them: ${NAME} audit --list ${id}\nRelease them to your bots: ${NAME} audit --release ${id} --dry-run\n`;
  return (
    `${id} of channel ${channel} ${status}: Whapi has ${counts.whapi_has} messages; ${counts.seen} came, ` +
    `${counts.never_came} never did, ${counts.before_memory} are from before the gateway's memory.\n${told}${more}`
  );
}

async function list({ api, show }: Session, id: string): Promise<ExitCode> {
  const messages = await api().list<{ message_id: string; sent_at: string; type: string | null }>(
    `/v1/audits/${encodeURIComponent(id)}/messages`,
  );
  show(messages, messages.map((each) => `${each.message_id}  ${each.sent_at}  ${each.type ?? ''}\n`).join(''));
  return EXIT.ok;
}

async function release({ api, show }: Session, id: string, isDry: boolean): Promise<ExitCode> {
  const answer = await api().call<{ messages: number; came_meanwhile: number; deliveries: number }>(
    'POST',
    `/v1/audits/${encodeURIComponent(id)}/release`,
    { dry_run: isDry },
  );
  const { messages, deliveries, came_meanwhile: came } = answer;
  show(
    answer,
    `${messages} messages ${isDry ? 'would be' : 'are'} released, in ${deliveries} deliveries; ${came} came meanwhile.\n`,
  );
  return EXIT.ok;
}
