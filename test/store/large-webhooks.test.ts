import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { decode } from '../../src/intake/decode.js';
import { openStore } from '../../src/store/open.js';
import { Ids } from '../../src/store/sqlite/numbering.js';
import { openDatabase } from '../../src/store/sqlite/database.js';
import type { Db } from '../../src/store/sqlite/database.js';
import { DeliveryTables } from '../../src/store/sqlite/delivery-tables.js';
import { LedgerMemory } from '../../src/store/sqlite/ledger-memory.js';
import { createRecorder } from '../../src/store/sqlite/recorder.js';
import { RegistryTables } from '../../src/store/sqlite/registry-tables.js';
import { WRITES_PER_SLICE } from '../../src/slices.js';
import { TargetCounts } from '../../src/store/sqlite/target-counts.js';
import { temporaryFolder } from '../support/files.js';
import {
  channel,
  idsIn,
  message,
  messages,
  openFixture,
  record,
  refusal,
  stage,
  START,
  target,
} from '../support/store.js';
import type { StoreFixture } from '../support/store.js';
import type { Target, TargetSplit } from '../../src/model.js';

const MOST_ITEMS = 10_000;

async function openSqlite(targets?: readonly Target[]): Promise<StoreFixture> {
  const file = join(temporaryFolder(), 'gateway.db');
  return await stage(
    async () => await openFixture((effects) => openStore({ engine: 'sqlite', file }, effects)),
    targets,
  );
}

/** A webhook with many messages, each of its own chat. */
function large(count: number, fields: Record<string, unknown> = {}): Record<string, unknown> {
  const items = Array.from({ length: count }, (_, index) => message(`L${index}`, `chat-${index}`));
  return { ...messages(...items), ...fields };
}

function largeStatuses(count: number): Record<string, unknown> {
  const statuses = Array.from({ length: count }, (_, index) => ({
    id: `L${index}`,
    status: 'read',
    recipient_id: `chat-${index}`,
  }));
  return { statuses, event: { type: 'statuses', event: 'post' } };
}

/** Calls `look` in each turn of the event loop until `work` is done. Returns what it saw. */
async function seenDuring<T>(work: Promise<unknown>, look: () => Promise<T>): Promise<T[]> {
  const over = new AbortController();
  void work.finally(() => over.abort());
  const seen: T[] = [];
  while (!over.signal.aborted) {
    seen.push(await look());
    await new Promise((resolve) => setImmediate(resolve));
  }
  return seen;
}

describe('a webhook with thousands of items', () => {
  it('I1: is recorded over many turns of the event loop, in which nobody sees a part of it', async () => {
    const { store } = await openSqlite();
    const recording = record(store, large(MOST_ITEMS));
    const seen = await seenDuring(recording, async () => {
      return (await store.items.list({}, { limit: 10, cursor: null })).data.length;
    });
    expect(seen.length).toBeGreaterThan(MOST_ITEMS / WRITES_PER_SLICE);
    expect(new Set(seen)).toEqual(new Set([0]));
    expect(await recording).toMatchObject({ deliveries: 1, verdicts: Array.from({ length: MOST_ITEMS }, () => 'new') });
  });

  it('I3: gives one delivery if it comes twice at the same instant', async () => {
    const { store } = await openSqlite();
    const recorded = await Promise.all([record(store, large(2000)), record(store, large(2000))]);
    expect(recorded.map(({ deliveries }) => deliveries)).toEqual([1, 0]);
    expect(new Set(recorded[1].verdicts)).toEqual(new Set(['duplicate']));
  });

  it.each(['item', 'chat'] as const)(
    'I3, I6: is split by %s into deliveries in the order of its items',
    async (split) => {
      const fixture = await openSqlite([target('bot', { split })]);
      await fixture.record(large(2000));
      const { deliveries } = await fixture.claim({ limit: 2000 });
      expect(idsIn(deliveries)).toEqual(Array.from({ length: 2000 }, (_, index) => `L${index}`));
      expect(await fixture.store.outbox.loadOf('bot')).toMatchObject({ pending: 2000 });
    },
  );

  it('I6: stands in the lane of each of its chats, and leaves them when it is delivered', async () => {
    const fixture = await openSqlite();
    await fixture.record(large(2000));
    await fixture.record(messages(message('next', 'chat-1999'), message('other', 'another chat')));
    const all = await fixture.claimOne();
    await fixture.settle(all, 'delivered');
    expect(idsIn([await fixture.claimOne()])).toEqual(['next', 'other']);
  });

  it('lets smaller webhooks in between two others, each in its turn', async () => {
    const { store } = await openSqlite();
    const order: string[] = [];
    const note = (name: string) => (): void => void order.push(name);
    await Promise.all([
      record(store, large(2000)).then(note('first')),
      record(store, largeStatuses(2000)).then(note('second')),
      record(store, messages('A')).then(note('small')),
    ]);
    expect(order.indexOf('small')).toBeLessThan(2);
  });

  it('is refused before and inside its transaction if it comes from another Whapi channel', async () => {
    const { store } = await openSqlite();
    const [first, second] = await Promise.allSettled([
      record(store, large(2000, { channel_id: 'ONE' })),
      record(store, large(2000, { channel_id: 'TWO' })),
    ]);
    expect([first.status, second]).toEqual([
      'fulfilled',
      { status: 'rejected', reason: refusal('GW_CHANNEL_MISMATCH') },
    ]);
    expect((await store.registry.channel('main'))?.channelId).toBe('ONE');
    await expect(record(store, large(2000, { channel_id: 'TWO' }))).rejects.toEqual(refusal('GW_CHANNEL_MISMATCH'));
  });

  it('uses the channels and targets of the moment at which it is recorded', async () => {
    const { store } = await openSqlite();
    expect(await record(store, large(2000))).toMatchObject({ deliveries: 1 });
    await store.registry.addTarget(target('second'));
    expect(await record(store, largeStatuses(2000))).toMatchObject({ deliveries: 2 });
    await store.registry.removeChannel('main');
    await expect(record(store, large(2000))).rejects.toEqual(refusal('GW_NOT_FOUND'));
  });
});

/** The rows that each slice of a recording changes. */
function rowsPerStep(db: Db, body: Record<string, unknown>, targets: readonly Target[]): number[] {
  const registry = new RegistryTables(db);
  registry.insertChannel(channel('main'));
  for (const each of targets) registry.insertTarget(each);
  const deliveries = new DeliveryTables(db, new Ids(0), registry, new TargetCounts(db, registry));
  const recorder = createRecorder(db, new Ids(0), registry, deliveries, new LedgerMemory(db));
  const bytes = Buffer.from(JSON.stringify(body));
  const webhook = { channel: 'main', method: 'POST', suffix: '', contentType: null, body: bytes } as const;
  const total = db.prepare<[], number>('SELECT total_changes()').pluck();
  const rows: number[] = [];
  db.exec('BEGIN');
  const slices = recorder.recordInSlices(webhook, decode(bytes, webhook), START);
  for (let isDone = false; !isDone;) {
    const before = total.get() ?? 0;
    isDone = slices.next().done === true;
    rows.push((total.get() ?? 0) - before);
  }
  return rows;
}

describe('a slice of a recording', () => {
  const MOST_ROWS_OF_AN_ITEM = 6;

  it.each<[string, Record<string, unknown>, TargetSplit, number]>([
    ['of messages', large(1000), 'none', 1],
    ['of messages for targets that split', large(1000), 'item', 3],
    ['of messages for many targets', large(50), 'chat', 40],
    ['of messages for many targets, whole', large(90), 'none', 40],
    ['of statuses', largeStatuses(1000), 'none', 2],
  ])('%s changes few rows', (_title, body, split, count) => {
    const { db, close } = openDatabase(join(temporaryFolder(), 'gateway.db'));
    onTestFinished(close);
    const rows = rowsPerStep(
      db,
      body,
      Array.from({ length: count }, (_, index) => target(`bot-${index}`, { split })),
    );
    expect(Math.max(...rows)).toBeLessThanOrEqual(WRITES_PER_SLICE * MOST_ROWS_OF_AN_ITEM);
  });

  it('is the only one for a webhook with a few items', () => {
    const { db, close } = openDatabase(join(temporaryFolder(), 'gateway.db'));
    onTestFinished(close);
    expect(rowsPerStep(db, large(20), [target('bot')])).toHaveLength(1);
  });
});
