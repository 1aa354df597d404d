import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { errorText, StartError } from '../../errors.js';
import type { PostgresLocation } from '../../postgres-url.js';

export type Connection = Pick<pg.ClientConfig, 'connectionString' | 'ssl'>;

/**
 * A statement that looks at a long queue is estimated as expensive and takes milliseconds. PostgreSQL would compile it each time
 * (`jit`), which takes longer than that.
 */
const OPTIONS = '-c jit=off';

/** How `pg` connects. Encryption is said here alone: its own reading of `sslmode` differs between versions. */
export function connectionOf({ url, tls, caFile }: PostgresLocation): Connection {
  const connectionString = withOptions(url);
  if (tls === 'off') return { connectionString, ssl: false };
  if (tls === 'unchecked') return { connectionString, ssl: { rejectUnauthorized: false } };
  return {
    connectionString,
    ssl: { rejectUnauthorized: true, ...(caFile !== null && { ca: certificatesIn(caFile) }) },
  };
}

function withOptions(text: string): string {
  const url = new URL(text);
  const given = url.searchParams.get('options');
  url.searchParams.set('options', given === null ? OPTIONS : `${given} ${OPTIONS}`);
  return url.href;
}

/** @throws StartError GW_BAD_CONFIG */
function certificatesIn(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new StartError('GW_BAD_CONFIG', `Cannot read the file of sslrootcert in DATABASE_URL: ${errorText(error)}`, {
      cause: error,
    });
  }
}
