import type { Command } from 'commander';
import type { Delivery, DeliveryDetail } from '../contract/deliveries.js';
import { bulkCommand } from './bulk.js';
import { factsText } from './facts.js';
import { FILTER, listCommand, showCommand, statusFilter } from './resources.js';
import { NAME } from './session.js';
import type { Run } from './session.js';

const FILTERS = [FILTER.target, FILTER.channel, FILTER.event, FILTER.since, FILTER.until];
const HEAD = ['ID', 'STATUS', 'TARGET', 'CHANNEL', 'EVENT', 'ATTEMPTS', 'CREATED', 'WAITS FOR', 'LAST ERROR'];

function rowOf(each: Delivery): string[] {
  const { id, status, target, channel, event, attempts } = each;
  return [
    ...[id, status, target, channel, event, String(attempts), each.created_at],
    ...[each.waits_for?.replaceAll('_', ' ') ?? each.next_attempt_at ?? '', each.last_error ?? ''],
  ];
}

/** `deliveries …`. */
export function deliveryCommands(program: Command, run: Run): void {
  const deliveries = program.command('deliveries').description('Requests to targets, with their attempts');
  listCommand<Delivery>(deliveries, run, 'list', {
    path: '/v1/deliveries',
    summary: 'List deliveries, newest first',
    examples: ['deliveries list --status dead', 'deliveries list --target bot --status pending --all --json'],
    filters: [statusFilter('pending, delivered, dead, expired, superseded, answered or withheld'), ...FILTERS],
    ...{ head: HEAD, row: rowOf, none: 'No deliveries.' },
    next: `To see the attempts and the body of one: ${NAME} deliveries show <delivery>`,
  });
  showCommand<DeliveryDetail>(deliveries, run, 'show <delivery>', {
    path: '/v1/deliveries/{id}',
    summary: 'Show a delivery with its attempts and its body',
    examples: ['deliveries show dlv_…'],
    text: ({ body, log, ...rest }, columns) => factsText({ ...rest, log, body: `${body}\n` }, columns),
  });
  bulkCommand<Delivery, Delivery>(deliveries, run, 'retry [delivery...]', {
    onePath: '/v1/deliveries/{id}/retry',
    manyPath: '/v1/deliveries/retry',
    summary: 'Send settled deliveries again, by id or all that a filter finds, or a pending one now',
    examples: [
      'deliveries retry dlv_…',
      'deliveries retry --status dead --target bot --yes',
      'deliveries retry --status expired --since 2d',
    ],
    filters: [statusFilter('dead, expired, superseded, answered, withheld or delivered'), ...FILTERS],
    needs: ['status', 'dead'],
    noun: ['delivery', 'deliveries'],
    done: (answers) => {
      const ids = answers.map(({ id }) => id);
      return [answers, `Sending again: ${ids.join(', ')}\n`];
    },
    ...{ head: HEAD, row: rowOf },
  });
}
