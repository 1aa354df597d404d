import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { errorText, StartError } from '../../errors.js';
import type { PostgresLocation } from '../../postgres-url.js';

export type Connection = Pick<pg.ClientConfig, 'connectionString' | 'ssl'>;

/** How `pg` connects. TLS is configured here, because the driver's reading of `sslmode` differs between its versions. */
export function connectionOf({ url, tls, caFile }: PostgresLocation): Connection {
  if (tls === 'off') return { connectionString: url, ssl: false };
  if (tls === 'unchecked') return { connectionString: url, ssl: { rejectUnauthorized: false } };
  return {
    connectionString: url,
    ssl: { rejectUnauthorized: true, ...(caFile !== null && { ca: certificatesIn(caFile) }) },
  };
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
