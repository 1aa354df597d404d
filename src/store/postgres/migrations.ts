import pg from 'pg';
import { StartError } from '../../errors.js';
import { migrationsOf } from '../migrate.js';
import type { Migration } from '../migrate.js';
import { BEGIN, REGISTRY_LOCK } from './open-transaction.js';

/**
 * The oldest schema version whose programs may still run beside this one. A migration that takes away what they need raises
 * it; all others only add, so that replicas can be upgraded one after the other.
 */
const LEAST_PROGRAM = 1;
/** DDL waits for a lock only this long, because everything else waits behind it. */
const LOCK_WAIT = '2s';
const TRIES = 10;

/** An administrator may have made the schema for a user who must not create one: even IF NOT EXISTS would be refused. */
const BEGINNING = `DO $$ BEGIN
  IF to_regnamespace('gateway') IS NULL THEN CREATE SCHEMA gateway; END IF;
END $$;
CREATE TABLE IF NOT EXISTS gateway.schema (version integer NOT NULL, least_program integer NOT NULL)`;

interface Schema {
  readonly version: number;
  readonly leastProgram: number;
}

/**
 * Creates or migrates the schema, one transaction per version. Of several processes that start at once, one does it. The
 * version is looked at before the lock is taken: a usual start does not queue up behind others.
 * @throws StartError GW_STORE_UNUSABLE (the schema needs a newer program)
 */
export async function migrate(
  client: pg.ClientBase,
  all: readonly Migration[] = migrationsOf('postgres'),
): Promise<void> {
  const newest = all.at(-1)?.version ?? 0;
  for (;;) {
    const schema = await schemaOf(client);
    if (schema.version >= newest) {
      refuseTooNew(schema);
      return;
    }
    const next = all.find(({ version }) => version > schema.version);
    if (next) await migrateOnce(client, schema.version, next);
  }
}

async function migrateOnce(client: pg.ClientBase, from: number, migration: Migration): Promise<void> {
  for (let run = 1; ; run += 1) {
    await client.query(BEGIN);
    try {
      await client.query(`SELECT pg_advisory_xact_lock(${REGISTRY_LOCK}, 1)`); // for as long as another process migrates
      await client.query(`SET LOCAL lock_timeout = '${LOCK_WAIT}'`);
      if ((await schemaOf(client)).version === from) await apply(client, migration);
      await client.query('COMMIT');
      return;
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined); // the connection may be the fault
      if (run >= TRIES || !(error instanceof pg.DatabaseError) || error.code !== '55P03') throw error;
    }
  }
}

async function apply(client: pg.ClientBase, { version, sql }: Migration): Promise<void> {
  await client.query(BEGINNING);
  await client.query(sql);
  await client.query('DELETE FROM gateway.schema');
  await client.query('INSERT INTO gateway.schema (version, least_program) VALUES ($1, $2)', [version, LEAST_PROGRAM]);
}

/** Version 0: there is no schema yet. */
export async function schemaOf(client: pg.ClientBase): Promise<Schema> {
  const found = await client.query<{ found: boolean }>("SELECT to_regclass('gateway.schema') IS NOT NULL AS found");
  if (found.rows[0]?.found !== true) return { version: 0, leastProgram: 0 };
  const { rows } = await client.query<{ version: number; least_program: number }>(
    'SELECT version, least_program FROM gateway.schema',
  );
  const [row] = rows;
  return { version: row?.version ?? 0, leastProgram: row?.least_program ?? 0 };
}

/** @throws StartError GW_STORE_UNUSABLE */
export function refuseTooNew({ version, leastProgram }: Schema): void {
  const newest = migrationsOf('postgres').at(-1)?.version ?? 0;
  if (newest >= leastProgram) return;
  throw new StartError(
    'GW_STORE_UNUSABLE',
    `The database has schema version ${version}, which needs a program of version ${leastProgram} or later; this one knows ` +
      `versions up to ${newest}. A newer version of the gateway has migrated it: start that version, or restore a backup from before the upgrade.`,
  );
}
