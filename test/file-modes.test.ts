import { chmodSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from './support/files.js';
import { startLocal } from './support/gateway.js';
import { startProcess } from './support/process.js';
import { textWebhook } from './support/texts.js';

const OPENED = ['gateway.db', 'gateway.db-wal', 'gateway.db-shm', 'gateway.db-lock', 'gateway.db-lock-journal'];

/** The mode of each file in a folder: `600`. */
function modesIn(folder: string): Record<string, string> {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, modeOf(join(folder, name))]));
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

/** Every file of a running gateway, for its user only. */
const PRIVATE = Object.fromEntries([...OPENED, 'admin-token', 'encryption-key'].map((name) => [name, '600']));
const WITHOUT_TOKEN = Object.fromEntries([...OPENED, 'encryption-key'].map((name) => [name, '600']));

describe('other users of the machine', () => {
  it('cannot read any file of a gateway, nor look into the folder that it creates', async () => {
    const parent = temporaryFolder();
    const folder = join(parent, 'data');
    const env = { DATABASE_URL: `sqlite:${join(folder, 'gateway.db')}`, ADMIN_TOKEN: 'a-token-that-is-long-enough' };
    const gateway = await startProcess(env, parent);
    await gateway.client.addChannel();
    await gateway.client.webhook(textWebhook('m-1'));
    expect({ folder: modeOf(folder), files: modesIn(folder) }).toEqual({ folder: '700', files: WITHOUT_TOKEN });
  });

  it('cannot read the files of a gateway that another program starts with an open umask', async () => {
    const { folder } = await startLocal();
    expect(modesIn(folder)).toEqual(PRIVATE);
  });

  it('lose their access to the files of an earlier version at the next start, which logs that once', async () => {
    const gateway = await startProcess();
    await gateway.end('SIGKILL'); // leaves the write-ahead log and its index
    for (const name of OPENED) chmodSync(join(gateway.folder, name), 0o644);
    await gateway.start();
    expect(modesIn(gateway.folder)).toEqual(PRIVATE);
    await gateway.end('SIGTERM');
    await gateway.start();
    const lines = gateway.log.filter((line) => line.includes('permissions tightened'));
    expect(lines.map((line) => (JSON.parse(line) as { files: string[] }).files)).toEqual([
      OPENED.map((name) => join(gateway.folder, name)),
    ]);
  });
});

describe('the folder of the database', () => {
  it('keeps its mode if it exists, with a warning if every user can write to it', async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o777);
    const { logs } = await startLocal({ folder });
    expect(modeOf(folder)).toBe('777');
    expect(logs.filter(({ level }) => level === 40)).toEqual([
      expect.objectContaining({ msg: 'data folder is writable by all users', folder, fix: `chmod o-w ${folder}` }),
    ]);
  });

  it('of its own user gives no warning', async () => {
    const { logs } = await startLocal();
    expect(logs.filter(({ level }) => level >= 40)).toEqual([]);
  });
});
