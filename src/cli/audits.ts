import type { Command } from 'commander';
import type { Audit } from '../contract/audits.js';
import { followAudit, listMissing, releaseMissing } from './audit.js';
import { countsText } from './facts.js';
import { FILTER, listCommand, showCommand, statusFilter, stepCommand } from './resources.js';
import { addCommand, commaList } from './session.js';
import type { Run } from './session.js';

/** `audits …`: what `audit` and `channels seed` start. */
export function auditCommands(program: Command, run: Run): void {
  const audits = program.command('audits').description('Audits and seedings. To start one: audit, channels seed');
  listCommand<Audit>(audits, run, 'list', {
    path: '/v1/audits',
    summary: 'List audits and seedings, newest first',
    examples: ['audits list', 'audits list --status running --channel shop'],
    filters: [statusFilter('running, finished, failed or cancelled'), FILTER.channel],
    head: ['ID', 'KIND', 'CHANNEL', 'STATUS', 'SINCE', 'UNTIL', 'MESSAGES'],
    row: ({ id, kind, channel, status, since, until, counts }) => [
      ...[id, kind, channel, status, since, until, countsText(counts)],
    ],
    none: 'No audits.',
  });
  showCommand<Audit>(audits, run, 'show <audit>', {
    path: '/v1/audits/{id}',
    summary: 'Show an audit or a seeding with its counts',
    examples: ['audits show aud_…'],
  });
  addCommand(audits, 'watch <audit>', 'Watch an audit or a seeding until it ends', ['audits watch aud_…']).action(
    run(async (session, id: string) => await followAudit(session, id, {})),
  );
  addCommand(audits, 'messages <audit>', 'List the messages that no webhook delivered, oldest first', [
    'audits messages aud_… --json',
  ]).action(run(listMissing));
  addCommand(audits, 'release <audit>', 'Send those messages, once each, to targets that want late ones', [
    'audits release aud_… --dry-run',
    'audits release aud_… --target bot',
  ])
    .option('--target <targets>', 'only to these targets, by id or name: bot,archive', commaList)
    .option('--dry-run', 'count without sending')
    .action(run(releaseMissing));
  stepCommand<Audit>(audits, run, 'cancel <audit>', {
    path: '/v1/audits/{id}/cancel',
    summary: 'Stop an audit or a seeding. What it found stays',
    examples: ['audits cancel aud_…'],
    text: ({ id, status, counts }) => `${id} ${status}: ${countsText(counts)}\n`,
  });
}
