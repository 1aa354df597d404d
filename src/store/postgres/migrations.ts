import type pg from 'pg';
import { migrationsOf } from '../migrate.js';
import type { Migration } from '../migrate.js';
import { isLockTimeout } from './faults.js';
import { LOCK_MIGRATIONS, LOCK_REGISTRY } from './locks.js';
import { BEGIN } from './open-transaction.js';
import { RAISE_VERSION } from './registry-cache.js';
import { refuseTooNew, schemaOf } from './schema-version.js';

/**
 * The oldest schema version whose programs may still run beside this one. A migration that takes away what they need raises
 * it; all others only add, so that replicas can be upgraded one after the other. Older replicas that still run notice it,
 * because the registry changes its version with it: see `RegistryCache`.
 */
const LEAST_PROGRAM = 1;
/** How long DDL waits for a lock, because everything else waits behind it. */
const LOCK_WAIT = '2s';
const TRIES = 10;
/** The role may have limits, for a pooler that does not pass on those of the gateway. A migration may take longer. */
const WITHOUT_LIMITS = 'SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0';

/** An administrator may have made the schema for a user who must not create one: even IF NOT EXISTS would be refused. */
const BEGINNING = `DO $$ BEGIN
  IF to_regnamespace('gateway') IS NULL THEN CREATE SCHEMA gateway; END IF;
END $$;
CREATE TABLE IF NOT EXISTS gateway.schema (version integer NOT NULL, least_program integer NOT NULL)`;

/**
 * Creates or migrates the schema, one transaction per version. Of several replicas that start at once, one does it. The
 * version is read before the lock is taken, so that a usual start does not wait for others.
 * @throws StartError GW_STORE_UNUSABLE (the schema needs a newer program)
 */
export async function migrate(
  client: pg.ClientBase,
  all: readonly Migration[] = migrationsOf('postgres'),
  leastProgram = LEAST_PROGRAM,
): Promise<void> {
  const newest = all.at(-1)?.version ?? 0;
  for (;;) {
    const schema = await schemaOf(client);
    if (schema.version >= newest) {
      refuseTooNew(schema);
      return;
    }
    const next = all.find(({ version }) => version > schema.version);
    if (next) await migrateOnce(client, schema.version, next, leastProgram);
  }
}

async function migrateOnce(
  client: pg.ClientBase,
  from: number,
  migration: Migration,
  leastProgram: number,
): Promise<void> {
  for (let run = 1; ; run += 1) {
    await client.query(BEGIN);
    try {
      await client.query(WITHOUT_LIMITS);
      await client.query(LOCK_MIGRATIONS); // waits for as long as another replica migrates
      await client.query(`SET LOCAL lock_timeout = '${LOCK_WAIT}'`);
      const schema = await schemaOf(client);
      if (schema.version === from) {
        if (from > 0 && schema.leastProgram < leastProgram) await excludeOlderReplicas(client);
        await apply(client, migration, leastProgram);
      }
      await client.query('COMMIT');
      return;
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined); // the connection may be the fault
      if (run >= TRIES || !isLockTimeout(error)) throw error;
    }
  }
}

/** Waits for what they are recording. What they record from then on reads the registry anew, and is refused. */
async function excludeOlderReplicas(client: pg.ClientBase): Promise<void> {
  await client.query(LOCK_REGISTRY);
  await client.query(RAISE_VERSION);
}

async function apply(client: pg.ClientBase, { version, sql }: Migration, leastProgram: number): Promise<void> {
  await client.query(BEGINNING);
  await client.query(sql);
  await client.query('DELETE FROM gateway.schema');
  await client.query('INSERT INTO gateway.schema (version, least_program) VALUES ($1, $2)', [version, leastProgram]);
}
