import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { retainForever } from '../src/store/sqlite/database.js';
import { temporaryFolder } from './support/files.js';
import { contentOf, maintain, refusal, report, stoppedGateway, verdictsOf } from './support/maintenance.js';
import { startProcess } from './support/process.js';
import { databaseOfVersion9 } from './support/version9.js';

// Each test starts several processes.
vi.setConfig({ testTimeout: 120_000 });

const KEY = Buffer.alloc(32, 1).toString('base64');
const OTHER_KEY = Buffer.alloc(32, 2).toString('base64');

function keyIn(folder: string, name = 'encryption-key'): string {
  return readFileSync(join(folder, name), 'utf8').trim();
}

describe('a change of the encryption key', () => {
  it('makes a new key file, keeps the old one for older backups, and everything works with it', async () => {
    const gateway = await stoppedGateway(['m-1']);
    const { folder } = gateway;
    const old = keyIn(folder);
    const { key_file: file, old_key_file: kept } = await report(folder, 'rekey');
    expect(file).toBe(join(folder, 'encryption-key'));
    expect([keyIn(folder) === old, readFileSync(String(kept), 'utf8').trim()]).toEqual([false, old]);
    expect(existsSync(join(folder, 'encryption-key.new'))).toBe(false);
    await gateway.start();
    expect(await verdictsOf(gateway.client, ['m-1', 'm-2'])).toEqual(['duplicate', 'new']);
  });

  it('can be cut off after the secrets were encrypted: the next start ends it', async () => {
    const gateway = await stoppedGateway(['m-1']);
    const { folder } = gateway;
    const { old_key_file: kept } = await report(folder, 'rekey');
    renameSync(join(folder, 'encryption-key'), join(folder, 'encryption-key.new'));
    renameSync(String(kept), join(folder, 'encryption-key'));
    await gateway.start();
    expect(await verdictsOf(gateway.client, ['m-1'])).toEqual(['duplicate']);
    expect(
      readdirSync(folder)
        .filter((name) => name.startsWith('encryption-key'))
        .sort(),
    ).toEqual(['encryption-key', expect.stringMatching(/^encryption-key\.old-/)]);
  });

  it('in the environment needs another key there', async () => {
    const folder = temporaryFolder();
    databaseOfVersion9(join(folder, 'gateway.db')).close();
    const missing = await refusal(folder, ['rekey'], { ENCRYPTION_KEY: KEY });
    expect(missing).toMatchObject({ exit: 2, code: 'GW_BAD_CONFIG' });
    expect(missing.detail).toContain('NEW_ENCRYPTION_KEY is not set');
    const same = await refusal(folder, ['rekey'], { ENCRYPTION_KEY: KEY, NEW_ENCRYPTION_KEY: KEY });
    expect(same.detail).toContain('NEW_ENCRYPTION_KEY is the present key');
  });

  it('in the environment takes both keys from there and writes no file', async () => {
    const gateway = await startProcess({ ENCRYPTION_KEY: KEY });
    await gateway.client.addChannel();
    await gateway.end('SIGTERM');
    const { folder } = gateway;
    const { code, stdout } = await maintain(folder, ['rekey'], { ENCRYPTION_KEY: KEY, NEW_ENCRYPTION_KEY: OTHER_KEY });
    expect([code, JSON.parse(stdout)]).toEqual([0, { key_file: null, old_key_file: null }]);
    expect(existsSync(join(folder, 'encryption-key'))).toBe(false);
    const again = await startProcess({ ENCRYPTION_KEY: OTHER_KEY }, folder);
    expect(await verdictsOf(again.client, ['m-1'])).toEqual(['new']);
  });

  it('is refused while a gateway runs', async () => {
    const gateway = await startProcess();
    const before = keyIn(gateway.folder);
    const refused = await refusal(gateway.folder, ['rekey']);
    expect(refused).toMatchObject({ exit: 1, code: 'GW_STORE_LOCKED' });
    expect(refused.detail).toMatch(/Stop it, then run the command again\.$/);
    expect(keyIn(gateway.folder)).toBe(before);
  });

  it('names a write lock of another program as what it is', async () => {
    const { folder } = await stoppedGateway(['m-1']);
    const shell = retainForever(new Database(join(folder, 'gateway.db')));
    onTestFinished(() => void shell.close());
    shell.exec('BEGIN IMMEDIATE');
    const refused = await refusal(folder, ['rekey']);
    expect(refused).toMatchObject({ exit: 1, code: 'GW_STORE_LOCKED' });
    expect(refused.detail).toMatch(/^Another process holds a write lock on .* sqlite3 shell/);
  });

  it('is refused if a secret does not open, because it would be lost, and changes nothing', async () => {
    const { folder } = await stoppedGateway(['m-1']);
    const db = retainForever(new Database(join(folder, 'gateway.db')));
    db.exec('UPDATE channels SET webhook_secret = whapi_token');
    db.close();
    const before = contentOf(folder);
    const refused = await refusal(folder, ['rekey']);
    expect(refused).toMatchObject({ exit: 1, code: 'GW_WRONG_KEY' });
    expect(refused.detail).toContain('does not open webhook_secret of channel "main"');
    expect(contentOf(folder)).toMatchObject({ 'encryption-key': before['encryption-key'] });
    expect(readdirSync(folder).filter((name) => name.includes('key'))).toEqual(['encryption-key']);
  });
});
