import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import { migrationsOf } from '../../src/store/migrate.js';
import { connect } from '../../src/store/postgres/engine.js';
import { migrate } from '../../src/store/postgres/migrations.js';
import { locationOf, runSql, useDatabases } from '../support/postgres/fixture.js';
import { schemaOf } from '../support/postgres/schema.js';

/** For readers who want the schema without its history. `npm test -- -u` updates it. */
const SCHEMA = fileURLToPath(new URL('../../migrations/postgres/schema.sql', import.meta.url));

const databases = useDatabases();

async function open(url: string): Promise<void> {
  const { db } = await connect(locationOf(url), systemEffects);
  await db.end();
}

async function client(url: string): Promise<pg.Client> {
  const connected = new pg.Client({ connectionString: url });
  await connected.connect();
  onTestFinished(async () => await connected.end());
  return connected;
}

async function versionsIn(url: string): Promise<unknown[]> {
  return (await (await client(url)).query<object>('SELECT version FROM gateway.schema')).rows;
}

const NEWEST = { version: migrationsOf('postgres').at(-1)?.version };
const SLOW = { version: 9999, name: '9999_slow.sql', sql: 'SELECT pg_sleep(0.4)' };
const FAILING = { version: 9999, name: '9999_failing.sql', sql: 'CREATE TABLE gateway.half (); SELECT 1 / 0' };

it('migrations/postgres/schema.sql equals the result of all migrations', async () => {
  const url = await databases.createBare();
  await migrate(await client(url));
  await expect(await schemaOf(await client(url))).toMatchFileSnapshot(SCHEMA);
});

describe('migrations', () => {
  it('run once when three replicas start at once on an empty database', async () => {
    const url = await databases.createBare();
    await Promise.all([open(url), open(url), open(url)]);
    expect(await versionsIn(url)).toEqual([NEWEST]);
  });

  it('wait for a replica that is migrating, and then find it done', async () => {
    const url = await databases.createBare();
    const other = await client(url);
    await other.query('BEGIN; SELECT pg_advisory_xact_lock(7, 1)');
    const opened = open(url);
    await expect.poll(async () => await waiting(url)).toBe(1);
    await other.query('COMMIT');
    await opened;
    expect(await versionsIn(url)).toEqual([NEWEST]);
  });

  it('may take longer than the statements of the role, which has limits behind a pooler', async () => {
    const url = await databases.createBare();
    await open(url);
    await runSql(url, `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET statement_timeout = '200ms'`);
    await migrate(await client(url), [...migrationsOf('postgres'), SLOW]);
    expect(await versionsIn(url)).toEqual([{ version: SLOW.version }]);
  });

  it('that fail change nothing', async () => {
    const url = await databases.createBare();
    await open(url);
    const failing = migrate(await client(url), [...migrationsOf('postgres'), FAILING]);
    await expect(failing).rejects.toThrow(/division by zero/);
    expect(await versionsIn(url)).toEqual([NEWEST]);
    expect((await (await client(url)).query("SELECT to_regclass('gateway.half') AS half")).rows).toEqual([
      { half: null },
    ]);
  });

  it('of a newer program are accepted while they allow this one', async () => {
    const url = await databases.createBare();
    await open(url);
    await runSql(url, 'UPDATE gateway.schema SET version = 999');
    await open(url);
    expect(await versionsIn(url)).toEqual([{ version: 999 }]);
  });

  it('of a newer program that excludes this one stop the start', async () => {
    const url = await databases.createBare();
    await open(url);
    await runSql(url, 'UPDATE gateway.schema SET version = 999, least_program = 998');
    await expect(open(url)).rejects.toMatchObject({
      name: 'StartError',
      code: 'GW_STORE_UNUSABLE',
      message: expect.stringMatching(
        /version 999, which needs a program that knows version 998;.* start that version/,
      ) as string,
    });
  });
});

/** How many sessions wait for the lock of migrations. */
async function waiting(url: string): Promise<number> {
  const found = await (
    await client(url)
  ).query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 7 AND objid = 1 AND NOT granted");
  return found.rowCount ?? 0;
}
