import pg from 'pg';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { migrationsOf } from '../src/store/migrate.js';
import { migrate } from '../src/store/postgres/migrations.js';
import { startBot } from './support/bot.js';
import { KEYS } from './support/engines.js';
import { until } from './support/intervals.js';
import { rowsOf, useDatabases } from './support/postgres/fixture.js';
import { runToEnd, startProcess } from './support/process.js';
import type { GatewayProcess } from './support/process.js';
import { textWebhook } from './support/texts.js';

// Each test starts several processes.
vi.setConfig({ testTimeout: 120_000 });

const databases = useDatabases({});

/** What a gateway needs for a database without a schema. */
async function environment() {
  return { ...KEYS, DATABASE_URL: await databases.createBare() };
}

/** A gateway with a channel and a bot, on a database that a newer version is about to migrate. */
async function startOld() {
  const env = await environment();
  const [old, bot] = [await startProcess(env), await startBot()];
  await old.client.addChannel({ whapi_base_url: bot.url });
  await old.client.addTarget({ url: bot.url });
  return { env, old, bot };
}

async function verdictAt(gateway: GatewayProcess, id: string): Promise<unknown> {
  const { status, body } = await gateway.client.webhook(textWebhook(id));
  return status === 200 ? body.verdicts : body.code;
}

/** A migration that only adds: an older program neither knows of it nor minds it. */
const ADDING = {
  version: 998,
  name: '0998_adding.sql',
  sql: `CREATE TABLE gateway.novelties (id bigint PRIMARY KEY);
    DO $$ DECLARE name text; BEGIN
      FOR name IN SELECT relname FROM pg_class
        WHERE relnamespace = 'gateway'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'schema'
      LOOP EXECUTE format('ALTER TABLE gateway.%I ADD COLUMN novelty text, ADD COLUMN another bigint NOT NULL DEFAULT 7', name);
      END LOOP; END $$`,
};
/** One that takes away what an older program needs. */
const TAKING_AWAY = {
  version: 999,
  name: '0999_taking_away.sql',
  sql: 'ALTER TABLE gateway.webhooks DROP COLUMN suffix',
};

/** Migrates as a newer program does. @param leastProgram the oldest version that may still use the result */
async function upgrade(url: string, migration: typeof ADDING, leastProgram: number): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  onTestFinished(async () => await client.end());
  await migrate(client, [...migrationsOf('postgres'), ADDING, migration], leastProgram).catch((error: unknown) => {
    // It ends by looking whether *this* program may use the schema.
    expect(error).toMatchObject({ code: 'GW_STORE_UNUSABLE' });
  });
}

describe('an old replica beside a newer schema', () => {
  it('that still allows it goes on, delivers, and restarts', async () => {
    const { env, old, bot } = await startOld();
    expect(await verdictAt(old, 'before')).toEqual({ new: 1 });
    await upgrade(env.DATABASE_URL, ADDING, 1);
    expect(await verdictAt(old, 'beside')).toEqual({ new: 1 });
    expect(await old.end('SIGTERM')).toEqual({ code: 0, signal: null });
    await old.start();
    expect(await verdictAt(old, 'before')).toEqual({ duplicate: 1 });
    expect(await verdictAt(old, 'after')).toEqual({ new: 1 });
    await old.client.settled();
    expect(bot.requests.flatMap(({ ids }) => ids)).toEqual(['before', 'beside', 'after']);
    expect(old.log.filter((line) => line.includes('"level":50'))).toEqual([]);
  });

  it('that excludes it does not start, and says what to do', async () => {
    const { env, old } = await startOld();
    await old.end('SIGTERM');
    await upgrade(env.DATABASE_URL, TAKING_AWAY, 999);
    const { code, stderr } = await runToEnd(old.folder, env);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^GW_STORE_UNUSABLE: .* schema version 999, .* start that version, or restore a backup.*\n$/,
    );
  });

  it('that excludes it while it runs takes no webhook from then on, and is no longer ready', async () => {
    const { env, old } = await startOld();
    await upgrade(env.DATABASE_URL, TAKING_AWAY, 999);
    const { status, body } = await old.client.webhook(textWebhook('A'));
    expect([status, body]).toEqual([503, expect.objectContaining({ code: 'GW_STORE_UNAVAILABLE' })]);
    expect(JSON.stringify(body)).toContain('schema version 999');
    await until(async () => expect((await old.client.call('GET', '/readyz')).status).toBe(503));
    expect(await rowsOf(env.DATABASE_URL, 'SELECT id FROM gateway.webhooks')).toEqual([]);
  });
});
