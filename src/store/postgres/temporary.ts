import pg from 'pg';
import { errorText, StartError } from '../../errors.js';
import { parsePostgresUrl } from '../../postgres-url.js';
import { connectionOf } from './connection.js';
import { asStartError, isForbidden } from './faults.js';

/** A database for a demo or a test. */
export interface TemporaryDatabase {
  readonly url: string;
  /** Removes it with everything in it, and ends its connections. */
  drop(): Promise<void>;
}

const CONNECT_MS = 10_000;

/**
 * Creates an empty database on the server of a URL. Connects to the URL's own database and does not change it.
 * @param name letters, digits and `_`
 * @throws StartError
 */
export async function createTemporaryDatabase(url: string, name: string): Promise<TemporaryDatabase> {
  await runOn(url, `CREATE DATABASE ${name}`);
  const made = new URL(url);
  made.pathname = `/${name}`;
  return { url: made.href, drop: async () => await runOn(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

async function runOn(url: string, sql: string): Promise<void> {
  const location = parsePostgresUrl(url);
  if (typeof location === 'string') throw new StartError('GW_BAD_CONFIG', `The URL of PostgreSQL ${location}.`);
  const client = new pg.Client({ ...connectionOf(location), connectionTimeoutMillis: CONNECT_MS });
  try {
    await client.connect();
    await client.query(sql);
  } catch (error) {
    if (!isForbidden(error)) throw asStartError(error);
    const message = `PostgreSQL refused: ${errorText(error)}. Give the user CREATEDB, or name another user.`;
    throw new StartError('GW_STORE_UNUSABLE', message, { cause: error });
  } finally {
    await client.end().catch(() => undefined);
  }
}
