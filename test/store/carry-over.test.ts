import pg from 'pg';
import { describe, expect, it, vi } from 'vitest';
import { carry, fill, postgresStore, readAll, sqliteStore } from '../support/carry-over.js';
import { runSql, useDatabases } from '../support/postgres/fixture.js';
import { HOUR, idsIn, message, messages, revisions } from '../support/store.js';

vi.setConfig({ testTimeout: 30_000 });

describe('a SQLite store that is carried over into PostgreSQL', () => {
  const databases = useDatabases();

  it('tells the same of its channels, targets, deliveries and resyncs', async () => {
    const { file, fixture } = await sqliteStore();
    await fill(fixture);
    const before = await readAll(fixture);
    await fixture.store.close();
    const url = await databases.create();
    await carry(file, url);
    expect(await readAll(await postgresStore(url, fixture.clock))).toEqual(before);
  });
});
