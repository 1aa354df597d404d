import { describe, expect, it, vi } from 'vitest';
import { cli } from './support/cli.js';
import { KEYS } from './support/engines.js';
import { temporaryFolder } from './support/files.js';
import { maintain, refusal, verdictsOf } from './support/maintenance.js';
import { rowsOf, runSql, useDatabases } from './support/postgres/fixture.js';
import { startProcess } from './support/process.js';

// Each test starts several processes.
vi.setConfig({ testTimeout: 120_000 });

const databases = useDatabases({});
const NEW_ENCRYPTION_KEY = Buffer.alloc(32, 2).toString('base64');

async function environment(): Promise<{ DATABASE_URL: string } & typeof KEYS> {
  return { ...KEYS, DATABASE_URL: await databases.create() };
}

describe('a change of the encryption key in PostgreSQL', () => {
  it('is refused while a gateway runs, and works with the new key once it has stopped', async () => {
    const env = await environment();
    const gateway = await startProcess(env);
    await gateway.client.addChannel();
    const refused = await refusal(gateway.folder, ['rekey'], { ...env, NEW_ENCRYPTION_KEY });
    expect(refused).toMatchObject({ exit: 1, code: 'GW_STORE_LOCKED' });
    expect(refused.detail).toMatch(/in use by 1 replica\. Stop all of them/);

    await gateway.end('SIGTERM');
    const { code, stdout } = await maintain(gateway.folder, ['rekey'], { ...env, NEW_ENCRYPTION_KEY });
    expect([code, JSON.parse(stdout)]).toEqual([0, { key_file: null, old_key_file: null }]);
    const again = await startProcess({ ...env, ENCRYPTION_KEY: NEW_ENCRYPTION_KEY });
    expect(await verdictsOf(again.client, ['m-1'])).toEqual(['new']);
  });

  it('is refused where no gateway has been, and creates nothing', async () => {
    const env = await environment();
    await runSql(env.DATABASE_URL, 'ALTER SCHEMA gateway RENAME TO elsewhere');
    const refused = await refusal(temporaryFolder(), ['rekey'], { ...env, NEW_ENCRYPTION_KEY });
    expect(refused).toMatchObject({ exit: 1, code: 'GW_STORE_UNUSABLE' });
    expect(refused.detail).toContain('No gateway has used it: check DATABASE_URL');
    expect(await rowsOf(env.DATABASE_URL, "SELECT 1 FROM pg_namespace WHERE nspname = 'gateway'")).toEqual([]);
    await runSql(env.DATABASE_URL, 'ALTER SCHEMA elsewhere RENAME TO gateway');
  });
});

it.each(['backup', 'restore'])(
  '%s names the tools of PostgreSQL, also without the keys of the gateway',
  async (name) => {
    const refused = await refusal(temporaryFolder(), [name, 'copy.db'], {
      DATABASE_URL: 'postgres://db.example/gateway',
    });
    expect(refused).toMatchObject({ exit: 2, code: 'GW_BAD_CONFIG' });
    expect(refused.detail).toContain('pg_dump and pg_restore');
  },
);

describe('the doctor, while no gateway answers', () => {
  async function storeLine(env: Record<string, string>): Promise<string> {
    const { stdout } = await cli(['doctor'], { env: { GATEWAY_URL: 'http://127.0.0.1:1', PORT: '0', ...env } });
    return /^.*store: .*$/m.exec(stdout)?.[0] ?? stdout;
  }

  it('says what is in PostgreSQL', async () => {
    expect(await storeLine(await environment())).toMatch(
      /^ok +store: Database "gateway_\w+" at .*, schema version \d+\.$/,
    );
  });

  it('says that ENCRYPTION_KEY is not the key of the database', async () => {
    const env = await environment();
    await (await startProcess(env)).end('SIGTERM');
    const line = await storeLine({ ...env, ENCRYPTION_KEY: NEW_ENCRYPTION_KEY });
    expect(line).toMatch(/^fail +store: GW_WRONG_KEY: .*All replicas on one PostgreSQL need the same key/);
  });

  it.each([
    [
      'cannot be reached',
      'postgres://gateway:hush@127.0.0.1:1/gateway',
      /cannot be reached at 127\.0\.0\.1:1 \(ECONNREFUSED\)/,
    ],
    ['has no such database', null, /database "nowhere" does not exist .* createdb/],
  ])('says that it %s', async (_, url, words) => {
    const env = await environment();
    const other = new URL(env.DATABASE_URL);
    other.pathname = '/nowhere';
    const line = await storeLine({ ...env, DATABASE_URL: url ?? other.href });
    expect(line).toMatch(/^fail +store: GW_STORE_UNUSABLE: /);
    expect(line).toMatch(words);
    expect(line).not.toContain('hush');
  });
});
