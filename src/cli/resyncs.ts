import type { Command } from 'commander';
import type { Resync, ResyncMessage, ResyncReport } from '../contract/resyncs.js';
import { countsText } from './facts.js';
import { FILTER, listCommand, showCommand, statusFilter } from './resources.js';
import { cancelResync, followResync, reportOf } from './resync.js';
import { addCommand, NAME } from './session.js';
import type { Run } from './session.js';

/** `resyncs …`: the runs that `resync` starts. */
export function resyncCommands(program: Command, run: Run): void {
  const resyncs = program.command('resyncs').description('Runs that bring messages back. To start one: resync');
  listCommand<Resync>(resyncs, run, 'list', {
    path: '/v1/resyncs',
    summary: 'List resyncs, newest first',
    examples: ['resyncs list', 'resyncs list --status running --channel shop'],
    filters: [statusFilter('running, finished or cancelled'), FILTER.channel],
    head: ['ID', 'CHANNEL', 'STATUS', 'CREATED', 'TOTAL', 'MESSAGES'],
    row: ({ id, channel, status, created_at, total, counts }) => [
      ...[id, channel, status, created_at, String(total), countsText(counts)],
    ],
    none: 'No resyncs.',
    next: `To see the report of one: ${NAME} resyncs report <resync>`,
  });
  showCommand<Resync>(resyncs, run, 'show <resync>', {
    path: '/v1/resyncs/{id}',
    summary: 'Show a resync: its progress, and why it pauses',
    examples: ['resyncs show rsy_…'],
  });
  listCommand<ResyncMessage>(resyncs, run, 'messages <resync>', {
    path: '/v1/resyncs/{id}/messages',
    summary: 'List the messages of a resync, in the order in which they were asked for',
    examples: ['resyncs messages rsy_… --status failed', 'resyncs messages rsy_… --held --all'],
    filters: [
      statusFilter('queued, requesting, waiting, restored, not_restored, failed or cancelled'),
      FILTER.held,
      FILTER.notHeld,
    ],
    head: ['MESSAGE ID', 'STATUS', 'ASKED', 'RESTORED', 'KNOWN BEFORE', 'HELD', 'ERROR'],
    row: (each) => [
      ...[each.message_id, each.status, each.asked_at ?? '', each.restored_at ?? ''],
      ...[each.known_before ? 'yes' : 'no', each.held ? 'yes' : 'no', each.error ?? ''],
    ],
    none: 'No messages.',
    next: `To see what happened to one: ${NAME} explain <message-id>`,
  });
  showCommand<ResyncReport>(resyncs, run, 'report <resync>', {
    path: '/v1/resyncs/{id}/report',
    summary: 'Show the result: what was restored, what failed and why, and what is held',
    examples: ['resyncs report rsy_…'],
    text: reportOf,
  });
  addCommand(resyncs, 'watch <resync>', 'Watch a running resync until it ends', ['resyncs watch rsy_…']).action(
    run(followResync),
  );
  addCommand(resyncs, 'cancel <resync>', 'Stop a run: make no more calls to Whapi for it', [
    'resyncs cancel rsy_…',
  ]).action(run(cancelResync));
}
