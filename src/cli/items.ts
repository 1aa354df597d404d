import type { Command } from 'commander';
import type { Item, Release, Webhook, WebhookSummary } from '../contract/items.js';
import type { Message } from '../contract/messages.js';
import { CommandError } from '../errors.js';
import { bulkCommand } from './bulk.js';
import type { BulkWork } from './bulk.js';
import { countsText, factsText } from './facts.js';
import { at, FILTER, listCommand, showCommand } from './resources.js';
import type { Filter, Listing } from './resources.js';
import { addCommand, commaList, NAME } from './session.js';
import type { Run, Session } from './session.js';

const FILTERS: readonly Filter[] = [
  ...[FILTER.channel, FILTER.verdict, FILTER.event, FILTER.since, FILTER.until, FILTER.resync, FILTER.messageId],
  FILTER.rule,
];
const HELD: readonly Filter[] = [FILTER.held, FILTER.notHeld];
const DESTINATION: Filter = {
  flags: '--target <targets>',
  words: 'only to these targets, by id or name: bot,archive',
  parse: commaList,
};
const ALL: Filter = { flags: '--all', words: 'all held ones except duplicates' };

const ITEMS = {
  path: '/v1/items',
  head: ['ID', 'SEEN', 'CHANNEL', 'VERDICT', 'EVENT', 'MESSAGE ID'],
  row: ({ id, seen_at, channel, verdict, event, message_id }: Pick<Item, keyof Message>) => [
    ...[id, seen_at, channel, verdict, event, message_id ?? '-'],
  ],
};
const HELD_ITEMS = { ...ITEMS, fixed: { held: true }, none: 'No held items.' };
const RELEASE_HINT = `To release one to your bots: ${NAME} release <item>`;

const RELEASE = {
  manyPath: '/v1/items/release',
  onePath: '/v1/items/{id}/release',
  filters: [...FILTERS, ALL, DESTINATION],
  noun: ['item', 'items'],
  done: (answers: readonly Release[]) => {
    const deliveries = answers.flatMap((answer) => answer.deliveries);
    return [{ deliveries }, `Released. Deliveries: ${deliveries.join(', ')}\n`];
  },
  head: ITEMS.head,
  row: ITEMS.row,
} as const satisfies Partial<BulkWork<Release, Item>>;

/** `items …`, and `held` and `release`, which are short for `items list --held` and `items release`. */
export function itemCommands(program: Command, run: Run): void {
  const items = program.command('items').description('Elements of webhooks, each with its verdict');
  listCommand<Item>(items, run, 'list', {
    ...ITEMS,
    ...{ summary: 'List items, newest first', filters: [...FILTERS, ...HELD], none: 'No items.' },
    examples: ['items list --held', 'items list --verdict late --since 7d', 'items list --rule 9 --all --json'],
    next: `To see why an item has its verdict: ${NAME} items show <item>`,
  });
  addCommand(items, 'show <item>', 'Show an item with its evidence, and what targets were sent of it', [
    'items show itm_…',
  ]).action(run(show));
  bulkCommand<Release, Item>(items, run, 'release [item...]', {
    ...RELEASE,
    summary: 'Send held items to your bots: by id, or all that a filter finds',
    examples: [
      'items release itm_…',
      'items release --resync rsy_… --yes',
      'items release --event messages --since 2d',
    ],
  });
  listCommand<Item>(program, run, 'held', {
    ...HELD_ITEMS,
    ...{ summary: 'List held items, newest first (short for items list --held)', filters: FILTERS, next: RELEASE_HINT },
    examples: ['held', 'held --channel shop --event statuses --json', 'held --resync rsy_…'],
  });
  bulkCommand<Release, Item>(program, run, 'release [item...]', {
    ...RELEASE,
    summary: 'Send held items to your bots: by id, or all that a filter finds (short for items release)',
    examples: [
      'release itm_…',
      'release --resync rsy_… --yes',
      'release --resync rsy_…',
      'release --resync rsy_… --expected-count 120',
      'release --event messages --since 2d --target bot --yes',
    ],
  });
}

/** An item is shown from its webhook, whose id is in its own. */
async function show({ api, show, terminal }: Session, id: string): Promise<undefined> {
  const [, webhook = ''] = /^itm_([0-9a-z]+)_\d+$/.exec(id) ?? [];
  const { items, deliveries } =
    webhook === ''
      ? { items: [], deliveries: [] }
      : await api().call<Webhook>('GET', at('/v1/webhooks/{id}', [webhook]));
  const item = items.find((each) => each.id === id);
  if (item === undefined) throw new CommandError('GW_NOT_FOUND', `There is no item "${id}".`);
  const sent = deliveries.filter(({ positions }) => positions.includes(item.position));
  const release = item.held ? `To release it to your bots: ${NAME} items release ${id}\n` : '';
  show({ ...item, deliveries: sent }, `${factsText({ ...item, deliveries: sent }, terminal.columns())}${release}`);
  return;
}

/** `messages …`: the items that are messages. */
export function messageCommands(program: Command, run: Run): void {
  const messages = program.command('messages').description('Items that are messages. To see one: explain');
  listCommand<Message>(messages, run, 'list', {
    ...ITEMS,
    ...{ path: '/v1/messages', summary: 'List messages, newest first', none: 'No messages.' },
    ...{ filters: [...FILTERS, ...HELD], next: `To see what happened to one: ${NAME} explain <message-id>` },
    examples: ['messages list --channel shop', 'messages list --held --since 7d'],
  });
  bulkCommand<Release, Message>(messages, run, 'release [channel/message-id...]', {
    ...{ ...RELEASE, onePath: '/v1/messages/{channel}/{message_id}/release', manyPath: '/v1/messages/release' },
    summary: 'Send held messages to your bots: by channel and id, or all that a filter finds',
    examples: ['messages release shop/p.w30M7fgwWD4XwHu.g4CA-gNcCzMdVPg', 'messages release --resync rsy_… --yes'],
    noun: ['message', 'messages'],
  });
}

const WEBHOOKS: Omit<Listing<WebhookSummary>, 'summary' | 'examples'> = {
  path: '/v1/webhooks',
  filters: [FILTER.channel, FILTER.event, FILTER.since, FILTER.until],
  head: ['ID', 'RECEIVED', 'CHANNEL', 'EVENT', 'BYTES', 'VERDICTS', 'HELD'],
  row: ({ id, received_at, channel, event, bytes, verdicts, held }) => [
    ...[id, received_at, channel, event, String(bytes), countsText(verdicts), String(held)],
  ],
  none: 'No webhooks.',
};

/** `webhooks …`. */
export function webhookCommands(program: Command, run: Run): void {
  const webhooks = program.command('webhooks').description('What Whapi sent, as it came');
  listCommand<WebhookSummary>(webhooks, run, 'list', {
    ...WEBHOOKS,
    summary: 'List the stored webhooks, newest first',
    examples: ['webhooks list --channel shop --event messages.post --since 1h'],
  });
  showCommand<Webhook>(webhooks, run, 'show <webhook>', {
    path: '/v1/webhooks/{id}',
    summary: 'Show a webhook: its body, its items, and what targets were sent of it',
    examples: ['webhooks show 0000000001f'],
    text: ({ body, items, ...rest }, columns) => {
      const short = items.map(({ id, message_id, verdict, rule, held, reason }) => {
        return { id, message_id, verdict, rule, held, reason };
      });
      return factsText({ ...rest, items: short, body: `${body}\n` }, columns);
    },
  });
}
