import type { Command } from 'commander';
import { CommandError, EXIT } from '../errors.js';
import { addCommand, commaList, NAME } from './session.js';
import type { Run, Session } from './session.js';
import { timeOf } from './time.js';

interface ItemJson {
  readonly id: string;
  readonly seen_at: string;
  readonly channel: string;
  readonly event: string;
  readonly verdict: string;
  readonly message_id: string | null;
}

interface SurveyJson {
  readonly count: number;
  readonly by_target: Readonly<Record<string, number>>;
  readonly by_verdict: Readonly<Record<string, number>>;
  readonly sample: readonly ItemJson[];
}

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
  readonly expectedCount?: string;
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
    .option('--limit <n>', 'how many, 1 to 500', '50')
    .action(run(held));
  withFilter(
    addCommand(program, 'release [item...]', 'Send held items after all: by id, or all that a filter names', [
      'release itm_…',
      'release --resync rsy_… --dry-run',
      'release --resync rsy_… --expected-count 120',
      'release --event messages --since 2d --target tgt_…',
    ]),
  )
    .option('--target <ids>', 'only to these targets: tgt_…,tgt_…')
    .option('--all', 'everything that is held, except duplicates')
    .option('--dry-run', 'show what would be sent, send nothing')
    .option('--expected-count <n>', 'refuse if more than a tenth above this would be sent')
    .action(run(release));
}

function withFilter(command: Command): Command {
  return command
    .option('-c, --channel <name>', 'only of this channel')
    .option('--verdict <verdict>', 'new, late, restored, duplicate or event')
    .option('--event <event>', 'messages.post, or messages for every method')
    .option('--since <time>', 'ISO 8601, or how long ago: 12h, 7d')
    .option('--until <time>', 'ISO 8601, or how long ago')
    .option('--resync <resync>', 'only ids that this resync asked for')
    .option('--message-id <id>', 'only this message id');
}

async function held({ api, show, terminal }: Session, { limit, ...filter }: Filter & { limit: string }) {
  const query = new URLSearchParams({ held: 'true', limit, ...filterOf(filter, terminal.effects.now()) });
  const page = await api().call<{ data: readonly ItemJson[]; next_cursor: string | null }>(
    'GET',
    `/v1/items?${query.toString()}`,
  );
  const more = page.next_cursor === null ? '' : 'There are more: raise --limit, or narrow the list.\n';
  const hint =
    page.data.length === 0 ? 'Nothing is held.\n' : `${more}Release one to your bots: ${NAME} release <item>\n`;
  show(page.data, page.data.map(lineOf).join('') + hint);
  return EXIT.ok;
}

async function release(session: Session, items: readonly string[], options: ReleaseOptions) {
  const { target, all, dryRun, expectedCount, ...given } = options;
  const filter = filterOf(given, session.terminal.effects.now());
  const targets = target === undefined ? {} : { targets: commaList(target) };
  const isBulk = Object.keys(filter).length > 0 || all === true;
  if (items.length > 0 && (isBulk || dryRun === true || expectedCount !== undefined)) {
    throw new CommandError(
      EXIT.usage,
      'Items and a filter cannot be combined: give one of them (for example release itm_…, or release --all).',
    );
  }
  if (items.length > 0) return await releaseItems(session, items, targets);
  if (!isBulk) {
    throw new CommandError(
      EXIT.usage,
      'Missing item or filter (for example release --resync rsy_…, or release --all).',
    );
  }
  const body = {
    ...filter,
    ...targets,
    ...(expectedCount !== undefined && { expected_count: countOf(expectedCount) }),
  };
  return dryRun === true ? await survey(session, body) : await releaseMany(session, body);
}

async function releaseItems({ api, show }: Session, items: readonly string[], targets: object) {
  const gateway = api();
  const deliveries: string[] = [];
  for (const item of items) {
    const path = `/v1/items/${encodeURIComponent(item)}/release`;
    deliveries.push(...(await gateway.call<{ deliveries: string[] }>('POST', path, targets)).deliveries);
  }
  show({ deliveries }, `Released, in ${deliveries.length} deliveries: ${deliveries.join(', ')}\n`);
  return EXIT.ok;
}

async function survey({ api, show }: Session, body: object) {
  const found = await api().call<SurveyJson>('POST', '/v1/items/release', { ...body, dry_run: true });
  show(
    found,
    `${found.count} items would be sent.\n${countsOf('by target', found.by_target)}${countsOf('by verdict', found.by_verdict)}` +
      found.sample.map(lineOf).join(''),
  );
  return EXIT.ok;
}

async function releaseMany({ api, show }: Session, body: object) {
  const job = await api().call<{ id: string; count: number }>('POST', '/v1/items/release', body);
  show(job, `${job.id}: ${job.count} items are being released. Its progress: GET /v1/jobs/${job.id}\n`);
  return EXIT.ok;
}

/** As the API takes it. @throws CommandError (a time that is none) */
function filterOf({ since, until, messageId, ...others }: Filter, now: number): Record<string, string> {
  return {
    ...others,
    ...(messageId !== undefined && { message_id: messageId }),
    ...(since !== undefined && { since: timeOf(since, now) }),
    ...(until !== undefined && { until: timeOf(until, now) }),
  };
}

/** @throws CommandError */
function countOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) {
    throw new CommandError(EXIT.usage, `Invalid --expected-count "${text}": give a number, for example 120.`);
  }
  return Number(text);
}

function lineOf({ id, seen_at, channel, verdict, event, message_id }: ItemJson): string {
  return `${id}  ${seen_at}  ${channel}  ${verdict}  ${event}  ${message_id ?? '-'}\n`;
}

function countsOf(title: string, counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  return parts.length === 0 ? '' : `  ${title}: ${parts.join(', ')}\n`;
}
