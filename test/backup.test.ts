import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, vi } from 'vitest';
import { retainForever } from '../src/store/sqlite/database.js';
import { startShell } from './support/cli.js';
import type { Client } from './support/client.js';
import { readOnly } from './support/disk.js';
import { temporaryFolder } from './support/files.js';
import { until } from './support/intervals.js';
import {
  contentOf,
  folderWithKeyOf,
  maintain,
  refusal,
  report,
  stoppedGateway,
  verdictsOf,
} from './support/maintenance.js';
import { startProcess } from './support/process.js';
import { textWebhook } from './support/texts.js';

// Each test starts several processes.
vi.setConfig({ testTimeout: 120_000 });

const SENDERS = 6;
/** Root may write despite the mode of a folder. */
const WITHOUT_PRIVILEGE = process.getuid?.() === 0 ? 'exec setpriv --bounding-set=-all' : 'exec';
const CLI = join(import.meta.dirname, '../dist/cli.js');

/** Sends webhooks one after the other in several chats until it is stopped. `answered`: those that were answered 200. */
function sendUnderLoad(client: Client): { readonly answered: string[]; stop(): Promise<void> } {
  const answered: string[] = [];
  let isOver = false;
  const sending = Array.from({ length: SENDERS }, async (_, sender) => {
    for (let number = 0; !isOver; number += 1) {
      const id = `load-${sender}-${number}`;
      if ((await client.webhook(textWebhook(id))).status === 200) answered.push(id);
    }
  });
  const stop = async (): Promise<void> => {
    isOver = true;
    await Promise.all(sending);
  };
  return { answered, stop };
}

function changed(file: string, change: (db: Database.Database) => void): void {
  const db = retainForever(new Database(file));
  change(db);
  db.close();
}

function webhooksIn(file: string): number {
  const db = retainForever(new Database(file));
  try {
    return db.prepare<[], number>('SELECT count(*) FROM webhooks').pluck().get() ?? 0;
  } finally {
    db.exec('PRAGMA journal_mode = DELETE'); // leaves no side files
    db.close();
  }
}

/** Puts other bytes into the middle of a file. */
function damage(file: string): void {
  const bytes = readFileSync(file);
  bytes.fill(7, Math.floor(bytes.length / 2), Math.floor(bytes.length / 2) + 4096);
  writeFileSync(file, bytes);
}

describe('a backup', () => {
  it('I1: of a gateway under load holds every webhook that was answered before, and the ledger knows them', async () => {
    const gateway = await startProcess();
    await gateway.client.addChannel();
    const load = sendUnderLoad(gateway.client);
    await until(() => expect(load.answered.length).toBeGreaterThan(50));
    const before = [...load.answered];
    const file = join(gateway.folder, 'copy.db');
    expect(await report(gateway.folder, 'backup', file)).toMatchObject({ file, channels: 1, targets: 0 });
    const during = load.answered.length;
    await until(() => expect(load.answered.length).toBeGreaterThan(during));
    await load.stop();
    await gateway.end('SIGKILL');

    const folder = folderWithKeyOf(gateway.folder, 'restored');
    expect(await report(folder, 'restore', file)).toMatchObject({ restored_from: file, kept_as: null, key: 'ok' });
    const { client } = await startProcess({}, folder);
    expect(new Set(await verdictsOf(client, before))).toEqual(new Set(['duplicate']));
    expect(await verdictsOf(client, ['never-seen'])).toEqual(['new']);
  });

  it('is one file for its user only, and says that the key is not in it', async () => {
    const { folder } = await stoppedGateway(['m-1']);
    const key = readFileSync(join(folder, 'encryption-key'), 'latin1').trim();
    const before = readdirSync(folder);
    const env = { DATABASE_URL: `sqlite:${join(folder, 'gateway.db')}` };
    const command = `umask 000; exec '${process.execPath}' '${CLI}' backup '${join(folder, 'copy.db')}'`;
    const { code, stdout } = await startShell(command, { env }).ended;
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('The encryption key is not in it. Keep ') as unknown,
    });
    expect(readdirSync(folder).filter((name) => !before.includes(name) && !/-(wal|shm)$/.test(name))).toEqual([
      'copy.db',
    ]);
    expect(statSync(join(folder, 'copy.db')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(folder, 'copy.db'), 'latin1')).not.toContain(key);
  });

  it.each([
    ['a file that exists', 'taken.db', 'GW_BACKUP_EXISTS', 'exists, and a backup never replaces a file'],
    ['the database itself', 'gateway.db', 'GW_BACKUP_EXISTS', 'exists, and a backup never replaces a file'],
    ['a folder that does not exist', 'none/copy.db', 'GW_BACKUP_FAILED', 'its folder does not exist'],
  ])('is refused for %s, and changes nothing', async (_, name, code, words) => {
    const { folder } = await stoppedGateway(['m-1']);
    writeFileSync(join(folder, 'taken.db'), 'mine');
    const before = contentOf(folder);
    const refused = await refusal(folder, ['backup', join(folder, name)]);
    expect(refused).toMatchObject({ exit: 1, code });
    expect(refused.detail).toContain(words);
    expect(contentOf(folder)).toMatchObject(before);
  });

  it('is refused without a database, and creates none', async () => {
    const folder = temporaryFolder();
    const refused = await refusal(folder, ['backup', join(folder, 'copy.db')]);
    expect(refused).toMatchObject({ exit: 1, code: 'GW_STORE_UNUSABLE' });
    expect(refused.detail).toContain(`There is no database at ${join(folder, 'gateway.db')}`);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([
    ['on a full disk', 'ulimit -f 100; exec', 'Cannot write '],
    ['in a folder that is not writable', WITHOUT_PRIVILEGE, 'its folder is not writable'],
  ])('%s fails with one line and leaves no part of a file', async (_, start, words) => {
    const { folder } = await stoppedGateway(['m-1']);
    const elsewhere = temporaryFolder();
    if (start === WITHOUT_PRIVILEGE) readOnly(elsewhere);
    const env = { DATABASE_URL: `sqlite:${join(folder, 'gateway.db')}` };
    const command = `${start} '${process.execPath}' '${CLI}' backup '${join(elsewhere, 'copy.db')}'`;
    const { code, stdout, stderr } = await startShell(command, { env }).ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^GW_BACKUP_FAILED: Cannot write [^\n]+\n$/);
    expect(stderr).toContain(words);
    expect(readdirSync(elsewhere)).toEqual([]);
  });

  it('of a damaged database is refused', async () => {
    const { folder } = await stoppedGateway(Array.from({ length: 30 }, (_, index) => `m-${index}`));
    damage(join(folder, 'gateway.db'));
    expect(await refusal(folder, ['backup', join(folder, 'copy.db')])).toMatchObject({
      exit: 1,
      code: 'GW_BACKUP_FAILED',
    });
    expect(existsSync(join(folder, 'copy.db'))).toBe(false);
  });
});

describe('a restore', () => {
  it('keeps the database before it, with what only its write-ahead log held', async () => {
    const gateway = await startProcess();
    await gateway.client.addChannel();
    await gateway.client.webhook(textWebhook('m-1'));
    const file = join(gateway.folder, 'copy.db');
    await report(gateway.folder, 'backup', file);
    await gateway.client.webhook(textWebhook('m-2'));
    await gateway.end('SIGKILL');
    const { kept_as: keptAs } = await report(gateway.folder, 'restore', file);
    expect(String(keptAs)).toMatch(/gateway\.db\.before-restore-\d{8}T\d{6}Z$/);
    expect(statSync(String(keptAs)).mode & 0o777).toBe(0o600);
    expect([webhooksIn(join(gateway.folder, 'gateway.db')), webhooksIn(String(keptAs))]).toEqual([1, 2]);
    expect(readdirSync(gateway.folder).filter((name) => /-(wal|shm)$/.test(name))).toEqual([]);
  });

  it('is refused while a gateway runs, which continues', async () => {
    const gateway = await startProcess();
    await gateway.client.addChannel();
    const file = join(gateway.folder, 'copy.db');
    await report(gateway.folder, 'backup', file);
    const refused = await refusal(gateway.folder, ['restore', file]);
    expect(refused).toMatchObject({ exit: 1, code: 'GW_STORE_LOCKED' });
    expect(refused.detail).toContain('Stop it, then run the command again.');
    expect(await verdictsOf(gateway.client, ['m-1'])).toEqual(['new']);
  });

  it('is refused for everything that is not a sound backup, and changes nothing', async () => {
    const { folder } = await stoppedGateway(Array.from({ length: 30 }, (_, index) => `m-${index}`));
    const copies = temporaryFolder();
    const of = (name: string): string => join(copies, name);
    await report(folder, 'backup', of('good.db'));
    for (const name of ['damaged.db', 'newer.db', 'live.db']) copyFileSync(of('good.db'), of(name));
    damage(of('damaged.db'));
    changed(of('newer.db'), (db) => db.pragma('user_version = 9999'));
    writeFileSync(of('live.db-wal'), 'x');
    changed(of('foreign.db'), (db) => db.exec('CREATE TABLE customers (name TEXT)'));
    writeFileSync(of('text.db'), 'Dear diary,\n'.repeat(1000));
    mkdirSync(of('folder.db'));
    const before = contentOf(folder);
    for (const [file, words] of [
      [of('damaged.db'), 'is damaged'],
      [of('newer.db'), 'was made by a newer version'],
      [of('live.db'), 'has a write-ahead log'],
      [of('foreign.db'), 'is not the database of a gateway'],
      [of('text.db'), 'is damaged'],
      [of('folder.db'), 'is not a file'],
      [of('none.db'), 'does not exist'],
      [join(folder, 'gateway.db'), 'is the database itself'],
    ] as const) {
      const refused = await refusal(folder, ['restore', file]);
      expect(refused).toMatchObject({ exit: 1, code: 'GW_BAD_BACKUP' });
      expect(refused.detail).toContain(`${file} ${words}`);
      expect(contentOf(folder)).toEqual(before);
    }
  });

  it('is refused where no folder can be made, instead of hanging', async () => {
    const { folder } = await stoppedGateway([]);
    const backup = join(folder, 'backup.db');
    await report(folder, 'backup', backup);
    const refused = await refusal(folder, ['restore', backup], { DATABASE_URL: 'sqlite:/proc/none/gateway.db' });
    expect(refused).toMatchObject({ exit: 1, code: 'GW_STORE_UNUSABLE' });
    expect(refused.detail).toContain('Cannot create the folder of /proc/none/gateway.db');
  });

  it('succeeds without the right key, but says so and exits with 1', async () => {
    const { folder } = await stoppedGateway(['m-1']);
    const file = join(folder, 'copy.db');
    await report(folder, 'backup', file);
    const other = temporaryFolder();
    const missing = await maintain(other, ['restore', file]);
    expect([missing.code, JSON.parse(missing.stdout)]).toEqual([1, expect.objectContaining({ key: 'missing' })]);
    const wrong = await maintain(other, ['restore', file], { ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64') });
    expect([wrong.code, JSON.parse(wrong.stdout)]).toEqual([1, expect.objectContaining({ key: 'wrong' })]);
    rmSync(join(other, 'gateway.db'));
    copyFileSync(join(folder, 'encryption-key'), join(other, 'encryption-key'));
    expect(await report(other, 'restore', file)).toMatchObject({ key: 'ok' });
  });
});
