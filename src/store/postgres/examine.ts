import pg from 'pg';
import { StartError } from '../../errors.js';
import { placeOfPostgres } from '../../postgres-url.js';
import type { PostgresLocation } from '../../postgres-url.js';
import { connectionOf } from './connection.js';
import { requireDurability } from './durability.js';
import { asStartError } from './faults.js';
import { refuseTooNew, schemaOf } from './migrations.js';

interface Facts {
  readonly server: string;
  readonly standby: boolean;
  readonly may_create: boolean;
}

const CONNECT_MS = 10_000;
/** An administrator may have made the schema for a user who must not create one. */
const FACTS = `SELECT current_setting('server_version') AS server, pg_is_in_recovery() AS standby,
  CASE WHEN to_regnamespace('gateway') IS NULL THEN has_database_privilege(current_database(), 'CREATE')
    ELSE has_schema_privilege(to_regnamespace('gateway')::oid, 'CREATE') END AS may_create`;

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
      `${where}, has no tables of a gateway yet, and the user may not create a schema: GRANT CREATE ON DATABASE <database> TO <user>.`,
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
