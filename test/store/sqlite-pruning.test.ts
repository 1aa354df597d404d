import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openStore } from '../../src/store/open.js';
import { retainForever } from '../../src/store/sqlite/database.js';
import type { Db } from '../../src/store/sqlite/database.js';
import { temporaryFolder } from '../support/files.js';
import { DAY, first, message, messages, openFixture, register, stage, target } from '../support/store.js';
import type { StoreFixture } from '../support/store.js';

const MANY = 3000;
/** Rows that a step may remove: the place of a step's end is known to within what it checks at once. */
const MOST_PER_STEP = 1002;
const TABLES = [
  'webhooks',
  'sightings',
  'deliveries',
  'resync_messages',
  'jobs',
  'ledger_recent',
  'ledger_ids',
  'fingerprints',
];

/** A store and a second connection to its file, on which the test counts rows. */
async function withFile(): Promise<{ fixture: StoreFixture; db: Db }> {
  const file = join(temporaryFolder(), 'gateway.db');
  const open = async () => await openFixture((effects) => openStore({ engine: 'sqlite', file }, effects));
  const fixture = await stage(open, [target('bot', { split: 'item' })]);
  const db = retainForever(new Database(file));
  onTestFinished(() => void db.close());
  return { fixture, db };
}

function rowsIn(db: Db): number {
  const counts = TABLES.map((table) => db.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get() ?? 0);
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Runs a whole sweep and returns how many rows each step has removed. */
async function stepsOf({ store, clock }: StoreFixture, db: Db): Promise<number[]> {
  const left = [rowsIn(db)];
  let isMore = true;
  while (isMore) {
    isMore = await store.upkeep.prune({ payloadMs: 7 * DAY, ledgerMs: 400 * DAY }, clock.now());
    left.push(rowsIn(db));
  }
  return left.slice(1).map((count, step) => (left[step] ?? 0) - count);
}

describe('a step of a sweep', () => {
  it('removes a bounded number of rows of one webhook with thousands of items and deliveries, and all in the end', async () => {
    const { fixture, db } = await withFile();
    await fixture.record(messages(...Array.from({ length: MANY }, (_, at) => message(`M${at}`, `chat ${at}`))));
    while ((await fixture.deliverAll()).length > 0);
    fixture.clock.advance(8 * DAY);
    const removed = await stepsOf(fixture, db);
    expect(removed.reduce((sum, count) => sum + count, 0)).toBe(2 * MANY + 1);
    expect(Math.max(...removed)).toBeLessThanOrEqual(MOST_PER_STEP);
  });

  it('leaves a delivery that is retried between two slices, with its webhook (I4)', async () => {
    const { fixture, db } = await withFile();
    await fixture.record(messages(...Array.from({ length: MANY }, (_, at) => message(`M${at}`, `chat ${at}`))));
    const delivered = await fixture.deliverAll();
    while ((await fixture.deliverAll()).length > 0);
    fixture.clock.advance(8 * DAY);
    const before = rowsIn(db);
    while (rowsIn(db) === before)
      await fixture.store.upkeep.prune({ payloadMs: 7 * DAY, ledgerMs: DAY }, fixture.clock.now());
    const { id } = first(delivered);
    await fixture.store.outbox.retry(id);
    await stepsOf(fixture, db);
    expect((await fixture.store.outbox.deliveries({}, { limit: 9, cursor: null })).data).toMatchObject([{ id }]);
    expect(await fixture.deliverAll()).toMatchObject([{ id }]);
  });

  it('removes a bounded number of ids of one resync with thousands', async () => {
    const { fixture, db } = await withFile();
    const { id } = await register(
      fixture,
      Array.from({ length: MANY }, (_, at) => `old ${at}`),
    );
    await fixture.store.resyncs.cancel(id);
    fixture.clock.advance(8 * DAY);
    const removed = await stepsOf(fixture, db);
    expect(removed.reduce((sum, count) => sum + count, 0)).toBe(MANY);
    expect(Math.max(...removed)).toBeLessThanOrEqual(MOST_PER_STEP);
    expect(await fixture.store.resyncs.get(id)).toBeNull();
  });

  it('removes a bounded number of jobs', async () => {
    const { fixture, db } = await withFile();
    db.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${MANY})
      INSERT INTO jobs (number, kind, filter, status, total, done, skipped, cursor, created_at, finished_at)
      SELECT i, 'retry', '{"status":"dead"}', 'finished', 0, 0, 0, '[0]', 1, 1 FROM n`);
    const removed = await stepsOf(fixture, db);
    expect(removed.reduce((sum, count) => sum + count, 0)).toBe(MANY);
    expect(Math.max(...removed)).toBeLessThanOrEqual(MOST_PER_STEP);
  });
});
