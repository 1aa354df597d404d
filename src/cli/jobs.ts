import type { Command } from 'commander';
import type { Job } from '../contract/jobs.js';
import { EXIT } from '../errors.js';
import type { ExitCode } from '../errors.js';
import type { Progress } from './progress.js';
import { at, FILTER, listCommand, showCommand, statusFilter, stepCommand } from './resources.js';
import { addCommand, NAME } from './session.js';
import type { Run, Session } from './session.js';
import { watch } from './watch.js';

/** `jobs …`. */
export function jobCommands(program: Command, run: Run): void {
  const jobs = program.command('jobs').description('Releases and retries of many, done in the background');
  listCommand<Job>(jobs, run, 'list', {
    path: '/v1/jobs',
    summary: 'List jobs, newest first',
    examples: ['jobs list', 'jobs list --status running --json'],
    filters: [
      statusFilter('running, finished or cancelled'),
      { flags: '--kind <kind>', words: 'only of this kind: retry or release' },
      FILTER.channel,
    ],
    head: ['ID', 'KIND', 'STATUS', 'DONE', 'SKIPPED', 'TOTAL', 'CREATED', 'FINISHED'],
    row: (job) => [
      ...[job.id, job.kind, job.status, String(job.done), String(job.skipped), String(job.total)],
      ...[job.created_at, job.finished_at ?? ''],
    ],
    none: 'No jobs.',
  });
  showCommand<Job>(jobs, run, 'show <job>', {
    path: '/v1/jobs/{id}',
    summary: 'Show a job with its filter and its progress',
    examples: ['jobs show job_…'],
  });
  addCommand(jobs, 'watch <job>', 'Watch a job until it ends. It continues in the gateway if this command ends', [
    'jobs watch job_…',
  ]).action(run(follow));
  stepCommand<Job>(jobs, run, 'cancel <job>', {
    path: '/v1/jobs/{id}/cancel',
    summary: 'Stop a job. What it has done stays done',
    examples: ['jobs cancel job_…'],
    text: endText,
  });
}

async function follow(session: Session, id: string): Promise<ExitCode> {
  const api = session.api();
  const ended = await watch(session, {
    poll: async () => await api.call<Job>('GET', at('/v1/jobs/{id}', [id])),
    isOver: ({ status }) => status !== 'running',
    progressOf,
    documentOf: (job) => job,
    farewell: `${id} continues in the gateway. To watch it: ${NAME} jobs watch ${id}`,
  });
  session.show(ended, endText(ended));
  return ended.status === 'finished' ? EXIT.ok : EXIT.failed;
}

function progressOf({ kind, done, skipped, total, eta_seconds: etaSeconds }: Job): Progress {
  const words = `${kind}: ${done} queued for delivery${skipped === 0 ? '' : `, ${skipped} skipped`}`;
  return { done: done + skipped, total, unit: kind === 'release' ? 'items' : 'deliveries', words, etaSeconds };
}

function endText({ id, kind, status, done, skipped, total }: Job): string {
  return `${id} (${kind}) ${status}: ${done} of ${total} queued for delivery, ${skipped} skipped.\n`;
}
