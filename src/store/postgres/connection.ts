import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { errorText, StartError } from '../../errors.js';
import type { PostgresLocation } from '../../postgres-url.js';

export type Connection = Pick<pg.ClientConfig, 'connectionString' | 'ssl'>;

/**
 * PostgreSQL estimates statements that read a long queue as expensive and compiles them each time (`jit`). That took 40 to 64 ms
 * for a look at due deliveries, instead of 0 to 4 ms (PostgreSQL 15, 300,000 in the queue).
 */
const OPTIONS = '-c jit=off';

/** How `pg` connects. TLS is configured here, because the driver's reading of `sslmode` differs between its versions. */
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
  const text = textIn(file);
  try {
    new X509Certificate(text);
  } catch (error) {
    throw new StartError(
      'GW_BAD_CONFIG',
      `The file "${file}" of sslrootcert in DATABASE_URL holds no certificate: expected PEM (-----BEGIN CERTIFICATE-----).`,
      { cause: error },
    );
  }
  return text;
}

/** @throws StartError GW_BAD_CONFIG */
function textIn(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new StartError('GW_BAD_CONFIG', `Cannot read the sslrootcert file of DATABASE_URL: ${errorText(error)}`, {
      cause: error,
    });
  }
}
