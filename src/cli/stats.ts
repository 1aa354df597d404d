import type { Command } from 'commander';
import type { Stats } from '../contract/stats.js';
import type { Verdict } from '../model.js';
import { wholeNumber } from './options.js';
import { fieldsOf, FILTER, withFilters, withQuery } from './resources.js';
import { addCommand } from './session.js';
import type { Run, Session } from './session.js';
import { table } from './terminal.js';

/** `stats`. */
export function statsCommand(program: Command, run: Run): void {
  withFilters(
    addCommand(program, 'stats', 'Show what came for each channel and went to each target', [
      'stats',
      'stats --minutes 1440 --channel shop',
      'stats --json',
    ]),
    [
      { flags: '--minutes <n>', words: 'how far to look back; default: 60', parse: wholeNumber('--minutes', 60) },
      ...[FILTER.channel, FILTER.target],
    ],
  ).action(run(stats));
}

async function stats(session: Session, options: object): Promise<undefined> {
  const found = await session.api().call<Stats>('GET', withQuery('/v1/stats', await fieldsOf(session, options)));
  session.show(found, statsText(found, session.terminal.columns()));
  return;
}

function statsText({ from, to, channels, targets }: Stats, columns: number | null): string {
  const received = channels.map((each) => [
    ...[each.channel, each.webhooks, each.refused, ...VERDICTS.map((verdict) => each.items[verdict]), each.held],
    each.last_webhook_at,
  ]);
  const sent = targets.map((each) => [
    ...[each.name, each.enabled ? 'yes' : 'no', each.breaker.state.replace('_', ' '), each.pending],
    ...[each.oldest_pending_at, each.attempts, each.failed_attempts, each.delivered, each.dead, each.expired],
    each.superseded + each.answered + each.withheld,
    ...[quantiles(each.latency_ms), quantiles(each.lag_ms)],
  ]);
  return [
    `From ${from} to ${to}\n\n`,
    channels.length === 0 ? 'No channels.\n' : section(CHANNEL_HEAD, received, columns),
    '\n',
    targets.length === 0 ? 'No targets.\n' : `${section(TARGET_HEAD, sent, columns)}Latency and lag: p50/p95/p99.\n`,
  ].join('');
}

const VERDICTS = ['new', 'late', 'restored', 'duplicate', 'event'] as const satisfies readonly Verdict[];

const CHANNEL_HEAD = [
  ...['CHANNEL', 'WEBHOOKS', 'REFUSED'],
  ...VERDICTS.map((verdict) => verdict.toUpperCase()),
  ...['HELD', 'LAST WEBHOOK'],
];
const TARGET_HEAD = [
  ...['TARGET', 'ENABLED', 'BREAKER', 'PENDING', 'OLDEST', 'ATTEMPTS', 'FAILED', 'DELIVERED', 'DEAD', 'EXPIRED'],
  ...['LEFT OUT', 'LATENCY MS', 'LAG MS'],
];

function section(
  head: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
  columns: number | null,
): string {
  const texts = rows.map((row) => row.map((cell) => (cell === null ? '-' : String(cell))));
  return table(head, texts, columns);
}

function quantiles(found: { p50: number; p95: number; p99: number } | null): string {
  return found === null ? '-' : [found.p50, found.p95, found.p99].map(Math.round).join('/');
}
