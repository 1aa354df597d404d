import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { daysAround } from '../../../src/store/postgres/days.js';
import { connect, openPostgresStore } from '../../../src/store/postgres/engine.js';
import type { Target } from '../../../src/model.js';
import type { PostgresLocation } from '../../../src/postgres-url.js';
import { systemEffects } from '../../../src/effects.js';
import { manualClock, openFixture, stage, START, target } from '../store.js';
import type { Clock, EngineUnderTest, StoreFixture } from '../store.js';
import { startPostgres } from './server.js';

const TEMPLATE = 'gateway_template';
const HAS_KEPT_DAY = [START, Date.now()]
  .map((now) => `substring(relname FROM '\\d+$')::int BETWEEN ${daysAround(now).join(' AND ')}`)
  .join(' OR ');
/**
 * Deleting the few rows of a test is faster than dropping its database, or than TRUNCATE, which makes new files. What a
 * killed process has begun ends first. Days that a test has made by moving its clock are dropped, because PostgreSQL would
 * plan for them in all later tests.
 */
const CLEAR = `SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT relname FROM pg_class
    WHERE relnamespace = 'gateway'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'schema'
  LOOP EXECUTE format('DELETE FROM gateway.%I', name); END LOOP;
  FOR name IN SELECT relname FROM pg_class
    WHERE relnamespace = 'gateway'::regnamespace AND relkind = 'r' AND relispartition
      AND NOT (${HAS_KEPT_DAY})
  LOOP EXECUTE format('DROP TABLE gateway.%I', name); END LOOP; END $$; DROP TABLE IF EXISTS gateway.carried`;

/** Nothing is crashed in most tests, so the server does not wait for the disk. */
const WITHOUT_WAITING = { fsync: 'off', synchronous_commit: 'off' };

/** Empty databases for the tests of one file. */
export interface Databases {
  /** Gives one to a test, and empties it afterwards. Returns its URL. */
  create(): Promise<string>;
  /** The same without a schema. It is dropped after the test. */
  createBare(): Promise<string>;
}

/**
 * A server for the tests of this file, or databases on the one that TEST_DATABASE_URL names.
 * @param settings of the server; `{}`: those of a new one
 * @param now the clock of most tests: the databases have the days around it
 */
export function useDatabases(
  settings: Readonly<Record<string, string>> = WITHOUT_WAITING,
  now: () => number = settings === WITHOUT_WAITING ? () => START : Date.now,
): Databases {
  let server = { url: process.env['TEST_DATABASE_URL'] ?? '', stop: async () => await Promise.resolve() };
  const template = `${TEMPLATE}_${randomBytes(4).toString('hex')}`;
  beforeAll(async () => {
    if (server.url === '') server = await startPostgres({ max_connections: '200', ...settings });
    await runSql(server.url, `CREATE DATABASE ${template}`);
    const { db } = await connect(locationOf(at(server.url, template)), systemEffects, now);
    await db.end();
  }, 60_000);
  afterAll(async () => {
    for (const cleaner of cleaners.values()) await cleaner.end();
    await runSql(server.url, `DROP DATABASE IF EXISTS ${template} WITH (FORCE)`);
    await server.stop();
  });
  const free: string[] = [];
  /** One connection for each database: a new one would read the whole catalog again. */
  const cleaners = new Map<string, pg.Client>();
  const cleanerOf = async (url: string): Promise<pg.Client> => {
    const known = cleaners.get(url);
    if (known) return known;
    const cleaner = new pg.Client({ connectionString: url });
    cleaner.on('error', () => cleaners.delete(url)); // a test has ended it
    await cleaner.connect();
    cleaners.set(url, cleaner);
    return cleaner;
  };
  return {
    create: async () => {
      const url = free.pop() ?? (await createDatabase(server.url, template));
      onTestFinished(async () => {
        await (await cleanerOf(url)).query(CLEAR);
        free.push(url);
      });
      return url;
    },
    createBare: async () => {
      const name = `bare_${randomBytes(6).toString('hex')}`;
      await runSql(server.url, `CREATE DATABASE ${name}`);
      onTestFinished(async () => await runSql(server.url, `DROP DATABASE ${name} WITH (FORCE)`));
      return at(server.url, name);
    },
  };
}

async function createDatabase(server: string, template: string): Promise<string> {
  const name = `gateway_${randomBytes(6).toString('hex')}`;
  await runSql(server, `CREATE DATABASE ${name} TEMPLATE ${template}`);
  return at(server, name);
}

/** Stores in empty databases, with the clock of the test. */
export function postgresStores(databases = useDatabases()): EngineUnderTest {
  const openAt = async (url: string, clock?: Clock): Promise<StoreFixture> =>
    await openFixture(async (effects) => await openPostgresStore(locationOf(url), effects, effects.now), clock);
  return {
    open: async () => await openAt(await databases.create()),
    openTwo: async () => {
      const url = await databases.create();
      const clock = manualClock();
      return [await openAt(url, clock), await openAt(url, clock)];
    },
  };
}

/** Two replicas on one database with the channel `main` and the target `bot`, their clock, and the database itself. */
export async function stageReplicas(databases: Databases, settings: Partial<Target> = {}) {
  const location = locationOf(await databases.create());
  const clock = manualClock();
  const open = async (): Promise<StoreFixture> =>
    await openFixture(async (effects) => await openPostgresStore(location, effects, effects.now), clock);
  const one = await stage(open, [target('bot', settings)]);
  const other = await open();
  const base = await connect(location, systemEffects, clock.now);
  onTestFinished(async () => await base.db.end());
  return { one, other, base, clock };
}

/** Without encryption: the server of the tests listens on this machine only. It may run without fsync. */
export function locationOf(url: string): PostgresLocation {
  return { engine: 'postgres', url, tls: 'off', caFile: null, mayLoseCommits: true };
}

function at(url: string, database: string): string {
  const moved = new URL(url);
  moved.pathname = `/${database}`;
  return moved.href;
}

/** Runs statements on a database. */
export async function runSql(url: string, sql: string): Promise<void> {
  await rowsOf(url, sql);
}

/** The rows of a statement. */
export async function rowsOf(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}
