import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { systemEffects } from '../src/effects.js';
import { openStore } from '../src/store/open.js';
import type { Store } from '../src/store/store.js';
import { temporaryFolder } from './support/files.js';
import { fillLongFile, POLL } from './support/long-lists.js';
import type { LongFile } from './support/long-lists.js';
import { channel, messages, record, target } from './support/store.js';

/** What a webhook that comes in may have to wait for. */
const LONGEST_HOLD_MS = 100;
const PAGE = { limit: 50, cursor: null };
const LARGE_PAGE = { limit: 500, cursor: null };

it(
  'no list, filter, view or survey holds up webhooks for 100 ms with a million items',
  { timeout: 180_000 },
  async () => {
    const { store, file, resync } = await openLong();
    expect(file.items).toBeGreaterThan(1_000_000);
    const holds: [string, number][] = [];
    for (const [name, read] of readsOf(store, file, resync)) holds.push([name, await holdBesideWebhooks(store, read)]);
    expect(holds.filter(([, ms]) => ms >= LONGEST_HOLD_MS)).toEqual([]);
  },
);

type Read = readonly [name: string, read: () => Promise<unknown>];

/**
 * Every list with every filter. A filter that matches nothing reads everything that no index leaves out: once the whole file,
 * and else its newest tenth, so that the test takes a minute and not ten.
 */
function readsOf(store: Store, file: LongFile, resync: string): Read[] {
  const { items, outbox, jobs, resyncs, audits } = store;
  const tenth = { since: file.tenthSince };
  const quiet = { ...tenth, event: 'calls' };
  const ofItems = [
    ...[
      {},
      { channel: 'other' },
      quiet,
      { until: 1, held: true },
      { resync },
      { ...quiet, resync },
      { messageId: POLL },
    ],
    ...(['new', 'late', 'restored', 'duplicate', 'event'] as const).map((verdict) => ({ ...quiet, verdict })),
    ...[{ ...quiet, messageId: POLL }, { ...tenth, held: false, verdict: 'restored' } as const],
    ...[{ ...tenth, held: true, channel: 'other' }],
  ];
  const ofMessages = [{}, { verdict: 'late' }, { held: true, channel: 'other' }, { held: false }] as const;
  const ofDeliveries = [
    ...[{}, { channel: 'other' }, quiet, { target: 'nobody' }],
    ...(['pending', 'delivered', 'dead', 'expired'] as const).map((status) => ({ status, event: 'calls' })),
  ];
  const ofResync = [{}, { status: 'failed' }, { held: true }, { held: false }] as const;
  const surveys = [
    { kind: 'release', filter: { event: 'calls' } },
    { kind: 'release', filter: { verdict: 'duplicate', ...tenth } },
    { kind: 'release', filter: { messageId: POLL, ...tenth } },
    ...(['delivered', 'dead', 'expired'] as const).map(
      (status) => ({ kind: 'retry', filter: { status, event: 'calls' } }) as const,
    ),
  ] as const;
  return [
    ...ofItems.map((filter): Read => [
      `items ${JSON.stringify(filter)}`,
      async () => await items.list(filter, LARGE_PAGE),
    ]),
    ...ofMessages.map((filter): Read => [
      `messages ${JSON.stringify(filter)}`,
      async () => await items.messages(filter, PAGE),
    ]),
    ...ofDeliveries.map((filter): Read => [
      `deliveries ${JSON.stringify(filter)}`,
      async () => await outbox.deliveries(filter, LARGE_PAGE),
    ]),
    ...ofResync.map((filter): Read => [
      `messages of the resync ${JSON.stringify(filter)}`,
      async () => await resyncs.messages(resync, LARGE_PAGE, filter),
    ]),
    ...surveys.map((work): Read => [`survey ${JSON.stringify(work)}`, async () => await jobs.survey(work)]),
    ['resyncs', async () => await resyncs.list(PAGE)],
    ['report', async () => await resyncs.report(resync)],
    ['webhooks', async () => await items.webhooks(quiet, LARGE_PAGE)],
    ['audits', async () => await audits.list(PAGE)],
    ['jobs', async () => await jobs.list(PAGE)],
    ['explanation', async () => await items.explain('main', POLL)],
    ['webhook', async () => await items.webhook(file.largeWebhook)],
    ['delivery', async () => await outbox.delivery(file.delivery)],
    ['work of a channel', async () => await store.registry.workOfChannel('main')],
  ];
}

async function openLong() {
  const file = join(temporaryFolder(), 'gateway.db');
  const before = await openStore({ engine: 'sqlite', file }, systemEffects);
  await before.registry.addChannel(channel('main'));
  for (const id of ['bot', 'archive']) await before.registry.addTarget(target(id));
  await before.close();
  const filled = fillLongFile(file, Date.now());
  const store = await openStore({ engine: 'sqlite', file }, systemEffects);
  onTestFinished(async () => await store.close());
  const messageIds = [POLL, ...Array.from({ length: 9999 }, (_, at) => `id-${at * 20 + 8}`)];
  const request = { channel: 'main', messageIds, deliverUnseen: false, windowSeconds: 3600, idempotency: null };
  return { store, file: filled, resync: (await store.resyncs.register(request)).id };
}

/**
 * Records webhooks one after the other while `read` runs. Returns the longest turn of the event loop in milliseconds of CPU:
 * what else the machine does must not count.
 */
async function holdBesideWebhooks(store: Store, read: () => Promise<unknown>): Promise<number> {
  const state = { isOver: false, longest: 0, before: process.cpuUsage() };
  const tick = (): void => {
    const { user, system } = process.cpuUsage(state.before);
    state.longest = Math.max(state.longest, user + system);
    state.before = process.cpuUsage();
    if (!state.isOver) setImmediate(tick);
  };
  setImmediate(tick);
  const recording = (async () => {
    for (; !state.isOver; recorded += 1) await record(store, messages(`live ${recorded}`));
  })();
  await read();
  state.isOver = true;
  await recording;
  return Math.round(state.longest / 1000);
}

let recorded = 0;
