import pg from 'pg';
import { StartError } from '../../errors.js';
import type { PostgresLocation } from '../../postgres-url.js';
import { connectionOf } from './connection.js';
import { requireUnicode } from './encoding.js';
import { asStartError } from './faults.js';
import { refuseTooNew, schemaOf } from './migrations.js';

interface Facts {
  readonly server: string;
  readonly standby: boolean;
  readonly may_create: boolean;
}

const CONNECT_MS = 10_000;
const FACTS = `SELECT current_setting('server_version') AS server, pg_is_in_recovery() AS standby,
  has_database_privilege(current_database(), 'CREATE') AS may_create`;

/** What a start would find. */
export interface FoundDatabase {
  readonly words: string;
  /** There are no tables yet. */
  readonly isEmpty: boolean;
}

/** Changes nothing. @throws StartError GW_STORE_UNUSABLE (a start would fail) */
export async function examineDatabase(location: PostgresLocation): Promise<FoundDatabase> {
  const { host, pathname } = new URL(location.url);
  const client = new pg.Client({ ...connectionOf(location), connectionTimeoutMillis: CONNECT_MS });
  try {
    await client.connect();
    const [facts] = (await client.query<Facts>(FACTS)).rows;
    const schema = await schemaOf(client);
    const where = `Database "${pathname.slice(1)}" at ${host}, PostgreSQL ${facts?.server ?? ''}`;
    refuseTooNew(schema);
    await requireUnicode(client);
    if (facts?.standby === true) throw unusable(`${where}, is a standby. Set DATABASE_URL to the primary.`);
    if (schema.version > 0) return { words: `${where}, schema version ${schema.version}.`, isEmpty: false };
    if (facts?.may_create === true) return { words: `${where}, has no tables of a gateway yet.`, isEmpty: true };
    throw unusable(
      `${where}, has no tables of a gateway yet, and the user may not create a schema. Grant it CREATE on the database.`,
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
