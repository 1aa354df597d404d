import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parsePostgresUrl } from '../src/postgres-url.js';
import { KEYS } from './support/engines.js';
import { temporaryFolder } from './support/files.js';
import { startLocal } from './support/gateway.js';
import { rowsOf } from './support/postgres/fixture.js';
import { startPostgres } from './support/postgres/server.js';
import type { PostgresServer } from './support/postgres/server.js';
import { textWebhook } from './support/texts.js';
import { SELF_SIGNED } from './support/tls.js';

/** Of bot.example and 127.0.0.1. */
const CERTIFICATE = { 'server.crt': SELF_SIGNED.cert, 'server.key': SELF_SIGNED.key };

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ ssl: 'on' }, { ...CERTIFICATE, 'pg_hba.conf': 'hostssl all all all scram-sha-256\n' });
}, 60_000);
afterAll(async () => await server.stop());

/** A file with a certificate of an authority. */
function authority(text = SELF_SIGNED.cert): string {
  const file = join(temporaryFolder(), 'ca.pem');
  writeFileSync(file, text);
  return file;
}

function urlWith(options: Record<string, string>, host = '127.0.0.1'): string {
  const url = new URL(server.url);
  url.hostname = host;
  for (const [name, value] of Object.entries(options)) url.searchParams.set(name, value);
  return url.href;
}

/** What the start says. */
async function startErrorOf(url: string): Promise<string> {
  expect(parsePostgresUrl(url)).toMatchObject({ engine: 'postgres' });
  const starting = startLocal({ env: { ...KEYS, DATABASE_URL: url } });
  await expect(starting).rejects.toMatchObject({ name: 'StartError' });
  return await starting.then(String, (error: unknown) => (error as Error).message);
}

describe('to a PostgreSQL with a certificate of its own authority', () => {
  it.each([
    ['require', true],
    ['verify-ca', true],
    ['verify-full', true],
    ['no-verify', false],
  ])('sslmode=%s encrypts all connections of the gateway', async (sslmode, isChecked) => {
    const url = urlWith({ sslmode, ...(isChecked && { sslrootcert: authority() }) });
    const gateway = await startLocal({ env: { ...KEYS, DATABASE_URL: url } });
    await gateway.addChannel({ name: sslmode });
    expect((await gateway.webhook(textWebhook(sslmode), { channel: sslmode })).status).toBe(200);
    const sessions = await rowsOf(
      urlWith({ sslmode: 'no-verify' }),
      `SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'whapi-resync-gateway'`,
    );
    expect(sessions).toEqual([{ ssl: true }]);
  });

  it.each<[string, () => string, RegExp]>([
    [
      'an authority that is not named',
      () => urlWith({ sslmode: 'verify-full' }),
      /certificate of PostgreSQL is not trusted \(.*self.signed.*\)\. Add the file with the certificate of its authority .*sslrootcert=/,
    ],
    [
      'a host name that the certificate does not have',
      () => urlWith({ sslmode: 'require', sslrootcert: authority() }, 'localhost'),
      /certificate of PostgreSQL is for other hosts \(.*localhost.*bot\.example.*127\.0\.0\.1.*\)\. Use one of these in DATABASE_URL/,
    ],
    [
      'a file that holds no certificate',
      () => urlWith({ sslmode: 'require', sslrootcert: authority('nonsense') }),
      /sslrootcert in DATABASE_URL holds no certificate/,
    ],
    ['no encryption', () => urlWith({}), /no encryption.* Add \?sslmode=verify-full to DATABASE_URL/],
  ])('the start says what to do about %s', async (_, url, words) => {
    expect(await startErrorOf(url())).toMatch(words);
  });
});
