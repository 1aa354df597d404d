import type { Command } from 'commander';
import type { Item, Release } from '../contract/items.js';
import type { ReleaseSurvey, StartedJob } from '../contract/jobs.js';
import { EXIT, usageError } from '../errors.js';
import { wholeNumber } from './options.js';
import { addCommand, commaList, NAME } from './session.js';
import type { Run, Session } from './session.js';
import { TIME_WORDS, timeOf } from './time.js';

interface Filter {
  readonly channel?: string;
  readonly verdict?: string;
  readonly event?: string;
  readonly since?: string;
  readonly until?: string;
  readonly resync?: string;
  readonly messageId?: string;
}

interface ReleaseOptions extends Filter {
  readonly target?: string;
  readonly all?: boolean;
  readonly dryRun?: boolean;
  readonly expectedCount?: number;
}

/** `held`, `release …`. */
export function heldCommands(program: Command, run: Run): void {
  withFilter(
    addCommand(program, 'held', 'List held items, newest first', [
      'held',
      'held --channel shop --event statuses --json',
      'held --resync rsy_…',
    ]),
  )
    .option('--limit <n>', 'number of items, 1 to 500', wholeNumber('--limit', 50), 50)
    .action(run(held));
  withFilter(
    addCommand(program, 'release [item...]', 'Send held items to your bots: by id, or all that match a filter', [
      'release itm_…',
      'release --resync rsy_… --dry-run',
      'release --resync rsy_… --expected-count 120',
      'release --event messages --since 2d --target tgt_…',
    ]),
  )
    .option('--target <ids>', 'only to these targets: tgt_…,tgt_…')
    .option('--all', 'all held items except duplicates')
    .option('--dry-run', 'show what would be sent, without sending it')
    .option(
      '--expected-count <n>',
      'refuse if the filter matches over 10% more than this',
      wholeNumber('--expected-count', 120),
    )
    .action(run(release));
}

function withFilter(command: Command): Command {
  return command
    .option('-c, --channel <name>', 'only items of this channel')
    .option('--verdict <verdict>', 'only items with this verdict: new, late, restored, duplicate or event')
    .option('--event <event>', 'only this event: messages.post, or messages for every method')
    .option('--since <time>', `only items from then on: ${TIME_WORDS}`)
    .option('--until <time>', `only items up to then: ${TIME_WORDS}`)
    .option('--resync <resync>', 'only message ids of this resync')
    .option('--message-id <id>', 'only this message id');
}

async function held({ api, show, terminal }: Session, { limit, ...filter }: Filter & { limit: number }) {
  const query = new URLSearchParams({
    held: 'true',
    limit: String(limit),
    ...filterOf(filter, terminal.effects.now()),
  });
  const page = await api().call<{ data: readonly Item[]; next_cursor: string | null }>(
    'GET',
    `/v1/items?${query.toString()}`,
  );
  const more = page.next_cursor === null ? '' : 'There are more. Raise --limit, or narrow the list with a filter.\n';
  const hint =
    page.data.length === 0 ? 'No held items.\n' : `${more}To release one to your bots: ${NAME} release <item>\n`;
  show(page.data, page.data.map(lineOf).join('') + hint);
  return EXIT.ok;
}

async function release(session: Session, items: readonly string[], options: ReleaseOptions) {
  const { target, all, dryRun, expectedCount, ...given } = options;
  const filter = filterOf(given, session.terminal.effects.now());
  const targets = target === undefined ? {} : { targets: commaList(target) };
  const isBulk = Object.keys(filter).length > 0 || all === true;
  if (items.length > 0 && (isBulk || dryRun === true || expectedCount !== undefined)) {
    throw usageError('Give either items or a filter, not both (for example release itm_…, or release --all).');
  }
  if (items.length > 0) return await releaseItems(session, items, targets);
  if (!isBulk) {
    throw usageError('Missing item or filter (for example release itm_…, or release --resync rsy_…).');
  }
  const body = {
    ...filter,
    ...targets,
    ...(expectedCount !== undefined && { expected_count: expectedCount }),
  };
  return dryRun === true ? await survey(session, body) : await releaseMany(session, body);
}

async function releaseItems({ api, show }: Session, items: readonly string[], targets: object) {
  const gateway = api();
  const deliveries: string[] = [];
  for (const item of items) {
    const path = `/v1/items/${encodeURIComponent(item)}/release`;
    deliveries.push(...(await gateway.call<Release>('POST', path, targets)).deliveries);
  }
  show({ deliveries }, `Released. Deliveries: ${deliveries.join(', ')}\n`);
  return EXIT.ok;
}

async function survey({ api, show }: Session, body: object) {
  const found = await api().call<ReleaseSurvey>('POST', '/v1/items/release', { ...body, dry_run: true });
  show(
    found,
    `Items to send: ${found.count}\n${countsOf('by target', found.by_target)}${countsOf('by verdict', found.by_verdict)}` +
      found.sample.map(lineOf).join(''),
  );
  return EXIT.ok;
}

async function releaseMany({ api, show }: Session, body: object) {
  const job = await api().call<StartedJob>('POST', '/v1/items/release', body);
  show(job, `Releasing ${job.count} items in job ${job.id}. Progress: GET /v1/jobs/${job.id}\n`);
  return EXIT.ok;
}

/** As the API takes it. @throws CommandError (an invalid time) */
function filterOf({ since, until, messageId, ...others }: Filter, now: number): Record<string, string> {
  return {
    ...others,
    ...(messageId !== undefined && { message_id: messageId }),
    ...(since !== undefined && { since: timeOf('--since', since, now) }),
    ...(until !== undefined && { until: timeOf('--until', until, now) }),
  };
}

function lineOf({ id, seen_at, channel, verdict, event, message_id }: Item): string {
  return `${id}  ${seen_at}  ${channel}  ${verdict}  ${event}  ${message_id ?? '-'}\n`;
}

function countsOf(title: string, counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  return parts.length === 0 ? '' : `  ${title}: ${parts.join(', ')}\n`;
}
