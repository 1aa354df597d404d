import { describe, expect, it, onTestFinished, vi } from 'vitest';
import pg from 'pg';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEncryption } from '../src/encryption.js';
import { systemEffects } from '../src/effects.js';
import { placeOf } from '../src/secret-places.js';
import { openPostgresStore } from '../src/store/postgres/engine.js';
import { cli, startCli } from './support/cli.js';
import { contentOf, refusal, stoppedGateway } from './support/maintenance.js';
import { locationOf, runSql, useDatabases } from './support/postgres/fixture.js';
import { only } from './support/store.js';
import { databaseOfVersion9 } from './support/version9.js';
import { temporaryFolder } from './support/files.js';

// Each test starts several processes.
vi.setConfig({ testTimeout: 120_000 });

const from = (folder: string): string => `sqlite:${join(folder, 'gateway.db')}`;

describe('the migration from SQLite to PostgreSQL', () => {
  const databases = useDatabases({});

  it('carries over everything, reports what, and leaves the SQLite file as it was', async () => {
    const { folder } = await stoppedGateway(['m-1', 'm-2']);
    const url = await databases.create();
    const before = contentOf(folder)['gateway.db'];
    const ended = await cli(['migrate', '--from', from(folder), '--to', url, '--json']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    const { host, pathname } = new URL(url);
    expect(JSON.parse(ended.stdout)).toMatchObject({
      ...{ from: join(folder, 'gateway.db'), to: `${host}${pathname}`, resumed: false },
      ...{ rows: { channels: 1, webhooks: 2, ledger: 2 }, key: 'ok', key_file: join(folder, 'encryption-key') },
    });
    expect(contentOf(folder)['gateway.db']).toBe(before);
  });

  it('tells its progress on standard error, and how the replicas get the key', async () => {
    const { folder } = await stoppedGateway(['m-1']);
    const url = await databases.create();
    const ended = await cli(['migrate', '--from', from(folder)], { env: { DATABASE_URL: url } });
    expect(ended.stderr).toContain('1 of 1 rows: webhooks');
    expect(ended.stdout).toContain(`ENCRYPTION_KEY set to the content of ${join(folder, 'encryption-key')}`);
    expect(ended.stdout + ended.stderr).not.toContain('gateway:gateway@');
  });

  it('carries secrets over that the same key opens', async () => {
    const { folder } = await stoppedGateway([]);
    const url = await databases.create();
    await cli(['migrate', '--from', from(folder), '--to', url]);
    const store = await openPostgresStore(locationOf(url), systemEffects);
    const channel = only(await store.registry.channels());
    await store.close();
    const key = Buffer.from(readFileSync(join(folder, 'encryption-key'), 'utf8').trim(), 'base64');
    const { open } = createEncryption(key, systemEffects);
    expect(() => open(channel.whapiToken, placeOf.whapiToken(channel))).not.toThrow();
  });

  it('that was killed in the middle is completed by the same command', async () => {
    const { folder } = await stoppedGateway(['m-1', 'm-2']);
    const url = await databases.create();
    const holder = new pg.Client({ connectionString: url });
    onTestFinished(async () => await holder.end());
    await holder.connect();
    await holder.query('BEGIN; LOCK TABLE gateway.chats IN SHARE MODE');
    const args = ['migrate', '--from', from(folder), '--to', url];
    const first = startCli(args);
    await first.written('rows: channels');
    first.kill('SIGKILL');
    await first.ended;
    await holder.query('ROLLBACK');
    expect(await cli(args)).toMatchObject({ code: 0, stdout: expect.stringContaining('2 webhooks') as unknown });
  });

  it('is refused while the gateway runs, and for a file of an older version', async () => {
    const gateway = await stoppedGateway([]);
    await gateway.start();
    const url = await databases.create();
    const running = await refusal(gateway.folder, ['migrate', '--to', url]);
    expect(running).toMatchObject({ exit: 1, code: 'GW_STORE_LOCKED' });
    expect(running.detail).toContain('Stop it, then run the command again.');
    const folder = temporaryFolder();
    databaseOfVersion9(join(folder, 'gateway.db')).close();
    const old = await refusal(folder, ['migrate', '--to', url]);
    expect(old.detail).toContain(
      'has schema version 9, of an older version of the gateway. Start this version with it once',
    );
  });

  it('is refused without a place to read from or to write to', async () => {
    const folder = temporaryFolder();
    expect(await refusal(folder, ['migrate'])).toMatchObject({
      exit: 2,
      detail: expect.stringContaining('--to is missing') as unknown,
    });
    const same = await refusal(folder, ['migrate', '--to', 'sqlite:./other.db']);
    expect(same.detail).toContain('--to names SQLite');
    const empty = await refusal(folder, ['migrate', '--to', 'postgres://localhost:1/none']);
    expect(empty).toMatchObject({
      exit: 1,
      code: 'GW_STORE_UNUSABLE',
      detail: expect.stringContaining('There is no database at') as unknown,
    });
  });

  it('is refused by a database with other data', async () => {
    const { folder } = await stoppedGateway(['m-1']);
    const url = await databases.create();
    await runSql(url, "INSERT INTO gateway.rollups (step_ms, subject, start, figures) VALUES (1, 'all', 1, '{}')");
    const ended = await refusal(folder, ['migrate', '--to', url]);
    expect(ended).toMatchObject({ exit: 1, code: 'GW_STORE_NOT_EMPTY' });
    expect(ended.detail).toContain('already has data of a gateway (rollups)');
  });
});
