import pg from 'pg';
import { StartError } from '../../errors.js';
import { placeOfPostgres } from '../../postgres-url.js';
import type { PostgresLocation } from '../../postgres-url.js';
import { connectionOf } from './connection.js';
import { requireDurability } from './durability.js';
import { requireUnicode } from './encoding.js';
import { asStartError } from './faults.js';
import { refuseTooNew, schemaOf } from './schema-version.js';

interface Facts {
  readonly server: string;
  readonly standby: boolean;
  readonly may_create: boolean;
}

const CONNECT_MS = 10_000;
/** A user who may not create the schema may have one that an administrator has made. */
const FACTS = `SELECT current_setting('server_version') AS server, pg_is_in_recovery() AS standby,
  coalesce(has_schema_privilege(to_regnamespace('gateway'), 'CREATE'), has_database_privilege(current_database(), 'CREATE'))
    AS may_create`;

/** What a start would find. */
export interface FoundDatabase {
  readonly words: string;
  /** There are no tables yet. */
  readonly isEmpty: boolean;
  /** Pinned values by name. */
  readonly values: ReadonlyMap<string, string>;
}

/** Changes nothing. @throws StartError GW_STORE_UNUSABLE (a start would fail) */
export async function examineDatabase(location: PostgresLocation): Promise<FoundDatabase> {
  const { host, database } = placeOfPostgres(location);
  const client = new pg.Client({ ...connectionOf(location), connectionTimeoutMillis: CONNECT_MS });
  try {
    await client.connect();
    const [facts] = (await client.query<Facts>(FACTS)).rows;
    const schema = await schemaOf(client);
    const where = `Database "${database}" at ${host}, PostgreSQL ${facts?.server.split(' ')[0] ?? ''}`;
    refuseTooNew(schema);
    await requireUnicode(client);
    if (facts?.standby === true) throw unusable(`${where}, is a standby. Set DATABASE_URL to the primary.`);
    if (location.mayLoseCommits !== true) await requireDurability(client);
    if (schema.version > 0) {
      const { rows } = await client.query<{ key: string; value: string }>('SELECT key, value FROM gateway.meta');
      const values = new Map(rows.map(({ key, value }) => [key, value]));
      return { words: `${where}, schema version ${schema.version}.`, isEmpty: false, values };
    }
    const words = `${where}, has no tables of a gateway yet.`;
    if (facts?.may_create === true) return { words, isEmpty: true, values: new Map() };
    throw unusable(
      `${where}, has no tables of a gateway yet, and the user may not create them. Grant it CREATE on the database, or make it the ` +
        'owner of a schema "gateway".',
    );
  } catch (error) {
    throw asStartError(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

function unusable(message: string): StartError {
  return new StartError('GW_STORE_UNUSABLE', message);
}
