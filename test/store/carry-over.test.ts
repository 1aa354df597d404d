import Database from 'better-sqlite3';
import pg from 'pg';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { retainForever } from '../../src/store/sqlite/database.js';
import { openPostgresStore } from '../../src/store/postgres/engine.js';
import { systemEffects } from '../../src/effects.js';
import { carry, fill, postgresStore, readAll, sqliteStore } from '../support/carry-over.js';
import { locationOf, runSql, useDatabases } from '../support/postgres/fixture.js';
import {
  channel,
  DAY,
  HOUR,
  idsIn,
  judgements,
  message,
  messages,
  prune,
  register,
  revisions,
  takeCall,
} from '../support/store.js';
import type { StoreFixture } from '../support/store.js';

vi.setConfig({ testTimeout: 30_000 });

const WAITING = `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
const REVISED = message('D', 'alice', { text: { body: 'revised' } });

describe('a SQLite store that is carried over into PostgreSQL', () => {
  const databases = useDatabases();

  /** The stopped store with everything in it, and an empty database. */
  async function filled(
    idsPerRun?: number,
  ): Promise<{ file: string; url: string; fixture: StoreFixture; before: unknown }> {
    const { file, fixture } = await sqliteStore({ idsPerRun });
    await fill(fixture);
    const before = await readAll(fixture);
    await fixture.store.close();
    return { file, url: await databases.create(), fixture, before };
  }

  /** The store in PostgreSQL with everything in it. */
  async function carried(idsPerRun?: number): Promise<{ before: unknown; fixture: StoreFixture; url: string }> {
    const { file, url, fixture, before } = await filled(idsPerRun);
    await carry(file, url);
    return { before, url, fixture: await postgresStore(url, fixture.clock) };
  }

  it('is not opened by a gateway that starts while the command begins', async () => {
    const url = await databases.create();
    const command = new pg.Client({ connectionString: url });
    await command.connect();
    onTestFinished(async () => await command.end());
    await command.query('BEGIN; SELECT pg_advisory_xact_lock(7, 4); CREATE TABLE gateway.carried ()');
    const start = openPostgresStore(locationOf(url), systemEffects);
    start.catch(() => undefined); // awaited below
    await vi.waitUntil(async () => (await command.query(WAITING)).rows.length > 0);
    await command.query('COMMIT');
    await expect(start).rejects.toMatchObject({ code: 'GW_STORE_UNUSABLE' });
  });

  it('tells the same of everything, under the same ids', async () => {
    const { fixture, before } = await carried();
    expect(await readAll(fixture)).toEqual(before);
  });

  it('remembers every message, wherever SQLite kept its id (I3)', async () => {
    const { fixture } = await carried(2);
    const again = await fixture.record(messages('A', message('A2', 'bob'), 'D', 'X', 'B', 'C'));
    expect(again).toEqual(['restored', 'duplicate', 'duplicate', 'restored', 'duplicate', 'duplicate']);
    expect(await fixture.record(revisions(message('D'), REVISED))).toEqual(['duplicate', 'event']);
    expect(await fixture.record(messages('new'))).toEqual(['new']);
  });

  it('goes on with the deliveries in their order: what waits stays behind what it waits for (I6)', async () => {
    const { fixture } = await carried();
    await fixture.record(messages('E'));
    expect((await fixture.claim()).deliveries).toEqual([]);
    fixture.clock.advance(HOUR);
    expect(idsIn(await fixture.deliverAll())).toEqual(['B', 'B', 'C', 'C2', 'C', 'C2', 'E', 'E']);
  });

  it('sends a dead delivery again under its id', async () => {
    const { fixture } = await carried();
    const { data } = await fixture.store.outbox.deliveries(
      { status: 'dead', target: 'bot' },
      { limit: 5, cursor: null },
    );
    const id = data[0]?.id ?? '';
    await fixture.store.outbox.retry(id);
    fixture.clock.advance(HOUR);
    expect((await fixture.deliverAll()).map((delivery) => delivery.id)).toContain(id);
  });

  it('makes calls and deliveries again that the stopped process was making', async () => {
    const { file, fixture } = await sqliteStore();
    await fixture.record(messages('A'));
    await register(fixture, ['X']);
    const { messageId } = await takeCall(fixture);
    await fixture.store.close();
    // As a delivery is stored that was leased when it was recorded.
    const db = retainForever(new Database(file));
    db.exec('UPDATE deliveries SET blocked = -1; DELETE FROM lanes');
    db.close();
    const url = await databases.create();
    await carry(file, url);
    const after = await postgresStore(url, fixture.clock);
    expect((await takeCall(after)).messageId).toBe(messageId);
    await after.record(messages('B'));
    expect(idsIn(await after.deliverAll())).toEqual(['A', 'A', 'B', 'B']);
  });

  it('keeps claims, and gives new resyncs and targets numbers of their own', async () => {
    const { fixture } = await carried();
    const claim = { channel: 'main', messageId: 'A', owner: 'two', ttlSeconds: 60 };
    await expect(fixture.store.claims.claim(claim)).rejects.toMatchObject({ code: 'GW_CLAIMED' });
    const { id } = await fixture.store.resyncs.register({
      ...{ channel: 'main', messageIds: ['Z'], deliverUnseen: false, windowSeconds: 60, idempotency: null },
    });
    expect((await fixture.store.resyncs.list({ limit: 1, cursor: null })).data).toMatchObject([{ id }]);
  });

  it('prunes what was carried over once it has outlived the retention, and not before', async () => {
    const { fixture } = await carried();
    await fixture.deliverAll();
    fixture.clock.advance(2 * HOUR);
    await fixture.deliverAll();
    fixture.clock.advance(6 * DAY);
    await prune(fixture, { payloadMs: 7 * DAY, ledgerMs: 400 * DAY });
    expect(await judgements(fixture, 'D')).toEqual(['new 10']);
    fixture.clock.advance(4 * DAY);
    await prune(fixture, { payloadMs: 7 * DAY, ledgerMs: 400 * DAY });
    expect((await fixture.store.items.webhooks({}, { limit: 1, cursor: null })).data).toEqual([]);
    expect(await fixture.record(messages('D'))).toEqual(['duplicate']);
  });

  it('is complete after an interruption at any table and a second run', async () => {
    const { file, url, fixture, before } = await filled(2);
    for (const table of ['resync_messages', 'webhooks', 'queue', 'ledger']) {
      const run = carry(file, url, (progress, stop) => {
        if (progress.table === table) stop();
      });
      await expect(run).rejects.toMatchObject({ code: 'GW_INTERRUPTED' });
    }
    expect(await carry(file, url)).toMatchObject({ isResumed: true });
    expect(await readAll(await postgresStore(url, fixture.clock))).toEqual(before);
  });

  it('lets no gateway start with a part of it', async () => {
    const { file, url } = await filled();
    await carry(file, url, (_, stop) => stop()).catch(() => undefined);
    const start = openPostgresStore(locationOf(url), systemEffects);
    await expect(start).rejects.toMatchObject({
      code: 'GW_STORE_UNUSABLE',
      message: expect.stringContaining('migrate') as unknown,
    });
  });

  it('is compared value by value: what differs is an error that names the table', async () => {
    const { file, url } = await filled();
    const stopped = carry(file, url, ({ phase }, stop) => {
      if (phase === 'verify') stop();
    });
    await expect(stopped).rejects.toMatchObject({ code: 'GW_INTERRUPTED' });
    await runSql(
      url,
      "UPDATE gateway.sightings SET verdict = 'late' WHERE message_id = 'B'; DELETE FROM gateway.lanes",
    );
    const message = expect.stringMatching(/sightings \(other values\).*lanes \(0 rows instead of \d+\)/) as unknown;
    await expect(carry(file, url)).rejects.toMatchObject({ code: 'GW_MIGRATION_FAILED', message });
  });

  it('is refused by a database that has other data, which stays unchanged', async () => {
    const { file, url, fixture } = await filled();
    const other = await postgresStore(url, fixture.clock);
    await other.store.registry.addChannel(channel('other'));
    await expect(carry(file, url)).rejects.toMatchObject({ code: 'GW_STORE_NOT_EMPTY' });
    expect(await other.store.registry.channels()).toMatchObject([{ name: 'other' }]);
  });

  it('is refused if the file was changed between two runs', async () => {
    const { file, url, fixture } = await filled();
    await carry(file, url, (_, stop) => stop()).catch(() => undefined);
    await fixture.restart();
    await fixture.record(messages('late'));
    await fixture.store.close();
    await expect(carry(file, url)).rejects.toMatchObject({ code: 'GW_STORE_NOT_EMPTY' });
  });
});
