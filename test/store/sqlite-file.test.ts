import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { StartError } from '../../src/errors.js';
import { systemEffects } from '../../src/effects.js';
import { openStore } from '../../src/store/open.js';
import { openDatabase, retainForever } from '../../src/store/sqlite/database.js';
import { createClient } from '../support/client.js';
import type { Client } from '../support/client.js';
import { temporaryFolder } from '../support/files.js';
import { channel, messages, openFixture, record, stage, START } from '../support/store.js';
import type { StoreFixture } from '../support/store.js';
import { runToEnd, startProcess } from '../support/process.js';
import type { Store } from '../../src/store/store.js';

function newFile(): string {
  return join(temporaryFolder(), 'gateway.db');
}

async function open(file: string): Promise<Store> {
  const store = await openStore({ engine: 'sqlite', file }, { ...systemEffects, now: () => START });
  onTestFinished(async () => await store.close());
  return store;
}

/** An open file in which a gateway has recorded message A. */
async function usedStore(file = newFile()): Promise<StoreFixture & { file: string }> {
  const fixture = await stage(
    async () => await openFixture((effects) => openStore({ engine: 'sqlite', file }, effects)),
  );
  await fixture.record(messages('A'));
  return Object.assign(fixture, { file });
}

/** The same file, closed. */
async function usedFile(): Promise<string> {
  const { file, store } = await usedStore();
  await store.close();
  return file;
}

/** Opens a file that is not a gateway database. The file must stay untouched. */
async function refusedToOpen(file: string): Promise<StartError> {
  const before = readFileSync(file);
  const error = await errorOf(async () => await open(file));
  expect(readFileSync(file).equals(before)).toBe(true);
  return error;
}

async function errorOf(work: () => Promise<unknown>): Promise<StartError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof StartError) return error;
    throw error;
  }
  throw new Error('It was not refused.');
}

async function knows(store: Store, id: string): Promise<boolean> {
  return (await store.items.explain('main', id)) !== null;
}

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const ADMIN_TOKEN = 'the-token-of-the-admin';

/** A gateway whose files cannot grow beyond a MiB, as on a full disk. */
async function startOnSmallDisk(file: string): Promise<{ client: Client; kill: () => Promise<void> }> {
  const child = spawn('sh', ['-c', 'ulimit -f 2000; exec "$0" "$1"', process.execPath, MAIN], {
    env: { PATH: process.env['PATH'], PORT: '0', DATABASE_URL: `sqlite:${file}`, ADMIN_TOKEN },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exit;
  };
  onTestFinished(kill);
  for await (const line of createInterface(child.stdout)) {
    const { msg, url } = JSON.parse(line) as { msg?: string; url?: string };
    if (msg === 'listening') return { client: createClient(url ?? '', ADMIN_TOKEN), kill };
  }
  throw new Error('The gateway has ended.');
}

/** Sends webhooks until one is refused. Returns the ids that were answered with 200, and the refusal. */
async function sendUntilRefused(client: Client): Promise<{ stored: string[]; refused: unknown }> {
  const stored: string[] = [];
  for (let i = 0; i < 500; i += 1) {
    const { status, body } = await client.webhook(JSON.stringify({ ...messages(`M${i}`), filler: 'x'.repeat(20_000) }));
    if (status !== 200) return { stored, refused: { id: `M${i}`, status, code: body.code } };
    stored.push(`M${i}`);
  }
  throw new Error('Every webhook was taken.');
}

describe('a full disk', () => {
  it('I1, I4: makes the gateway answer 503 without stopping it, and nothing that was answered is lost', async () => {
    const file = newFile();
    const { client, kill } = await startOnSmallDisk(file);
    await client.addChannel();
    const { stored, refused } = await sendUntilRefused(client);
    const id = `M${stored.length}`;
    expect(refused).toEqual({ id, status: 503, code: 'GW_STORE_UNAVAILABLE' });
    expect((await client.call('GET', '/healthz')).status).toBe(200);
    await kill();
    const reopened = await open(file);
    expect(await Promise.all([...stored, id].map(async (each) => await knows(reopened, each)))).toEqual([
      ...stored.map(() => true),
      false,
    ]);
  });
});

describe('a database file that is in use', () => {
  it('is refused to a second gateway, while the first continues', async () => {
    const { file, store } = await usedStore();
    const error = await errorOf(async () => await open(file));
    expect(error).toMatchObject({ code: 'GW_STORE_LOCKED', exitCode: 1 });
    expect(error.message).toContain(file);
    expect((await record(store, messages('B'))).verdicts).toEqual(['new']);
  });

  it('is refused to a second gateway under another name of the file', async () => {
    const { file } = await usedStore();
    const link = join(temporaryFolder(), 'link.db');
    symlinkSync(file, link);
    expect(await errorOf(async () => await open(link))).toMatchObject({ code: 'GW_STORE_LOCKED' });
  });

  it('is refused to a second process, which exits with code 1 and the reason', async () => {
    const gateway = await startProcess();
    const second = await runToEnd(gateway.folder);
    expect(second).toMatchObject({ code: 1, signal: null });
    expect(second.stderr).toContain('GW_STORE_LOCKED: Another gateway process has');
    expect((await gateway.client.call('GET', '/v1/channels')).status).toBe(200);
  });

  it('can be opened by the next process after a kill', async () => {
    const gateway = await startProcess();
    await gateway.client.addChannel();
    await gateway.end('SIGKILL');
    await gateway.start();
    expect((await gateway.client.call('GET', '/v1/channels/main')).status).toBe(200);
  });

  it('can be read and copied by other programs in the meantime, and the copy is a complete store', async () => {
    const { file, store } = await usedStore();
    const copy = join(temporaryFolder(), 'backup.db');
    const other = retainForever(new Database(file));
    onTestFinished(() => void other.close());
    other.prepare('VACUUM INTO ?').run(copy);
    expect((await record(store, messages('B'))).verdicts).toEqual(['new']);
    const restored = await open(copy);
    expect([await knows(restored, 'A'), await knows(restored, 'B')]).toEqual([true, false]);
  });

  it('I1: is synced to the disk at every commit', () => {
    const { db, close } = openDatabase(newFile());
    onTestFinished(close);
    const FULL = 2;
    expect(db.pragma('synchronous', { simple: true })).toBe(FULL);
  });

  it('I1: contains everything that was answered before a crash', async () => {
    const { file } = await usedStore();
    const after = newFile();
    for (const end of ['', '-wal']) cpSync(file + end, after + end);
    expect(await knows(await open(after), 'A')).toBe(true);
  });

  it('I1: contains everything that was answered before a write that a crash interrupted', async () => {
    const { file, store } = await usedStore();
    const after = newFile();
    cpSync(file, after);
    const { length } = readFileSync(`${file}-wal`);
    await record(store, messages('B'));
    cpSync(`${file}-wal`, `${after}-wal`);
    truncateSync(`${after}-wal`, length + 100);
    const reopened = await open(after);
    expect([await knows(reopened, 'A'), await knows(reopened, 'B')]).toEqual([true, false]);
  });
});

describe('a file that is not a gateway database is refused and left unchanged:', () => {
  it.each([
    ['a text', 'Dear diary,\n'.repeat(1000)],
    ['a short text', 'hello'],
    ['noise', Buffer.alloc(8192, 7)],
    ['a file with the head of a database only', 'SQLite format 3\0'],
  ])('%s', async (_, content) => {
    const file = newFile();
    writeFileSync(file, content);
    const error = await refusedToOpen(file);
    expect(error).toMatchObject({ code: 'GW_STORE_UNUSABLE', exitCode: 1 });
    expect(error.message).toContain(`${file} is not a sound SQLite database`);
  });

  it.each([0.1, 0.5, 0.9])('a database truncated to %d of its length', async (part) => {
    const file = await usedFile();
    truncateSync(file, Math.floor(readFileSync(file).length * part));
    const error = await refusedToOpen(file);
    expect(error.code).toBe('GW_STORE_UNUSABLE');
    expect(error.message).toContain(`${file} is not a sound SQLite database`);
  });

  it.each(['delete', 'wal'])('a database of another program, with the journal mode "%s"', async (journal) => {
    const file = newFile();
    const theirs = retainForever(new Database(file));
    theirs.pragma(`journal_mode = ${journal}`);
    theirs.exec('CREATE TABLE customers (name TEXT)');
    theirs.close();
    const error = await refusedToOpen(file);
    expect(error.code).toBe('GW_STORE_UNUSABLE');
    expect(error.message).toContain('is a database of another program. Give the gateway a file of its own');
  });

  it.each(['wal', 'delete'])('a database of a newer gateway version, with the journal mode "%s"', async (journal) => {
    const file = await usedFile();
    const newer = retainForever(new Database(file));
    newer.pragma(`journal_mode = ${journal}`);
    newer.pragma('user_version = 9999');
    newer.close();
    const error = await refusedToOpen(file);
    expect(error.code).toBe('GW_STORE_UNUSABLE');
    expect(error.message).toContain('schema version 9999');
    expect(error.message).toContain('start that version, or restore a backup');
  });
});

describe('the path of a database', () => {
  it('is created with its folders if it does not exist', async () => {
    const file = join(temporaryFolder(), 'deep', 'down', 'gateway.db');
    await (await open(file)).registry.addChannel(channel('main'));
    expect(existsSync(file)).toBe(true);
  });

  it('may be an empty file', async () => {
    const file = newFile();
    writeFileSync(file, '');
    await (await open(file)).registry.addChannel(channel('main'));
    expect(readFileSync(file).length).toBeGreaterThan(0);
  });

  it('cannot be a folder', async () => {
    const file = newFile();
    mkdirSync(file);
    const error = await errorOf(async () => await open(file));
    expect(error.code).toBe('GW_STORE_UNUSABLE');
    expect(error.message).toContain(file);
  });

  it('cannot be below a file', async () => {
    const file = newFile();
    writeFileSync(file, 'not a folder');
    const error = await errorOf(async () => await open(join(file, 'gateway.db')));
    expect(error.code).toBe('GW_STORE_UNUSABLE');
    expect(error.message).toContain(`Cannot create the folder of ${join(file, 'gateway.db')}`);
  });

  it('can be used after a refusal once the problem is fixed', async () => {
    const file = newFile();
    writeFileSync(file, 'hello');
    await errorOf(async () => await open(file));
    writeFileSync(file, '');
    await expect((await open(file)).registry.addChannel(channel('main'))).resolves.toBeUndefined();
  });
});

describe('the SQLite driver', () => {
  it('prepares each SQL text once and keeps the statement', () => {
    const { db, close } = openDatabase(join(temporaryFolder(), 'gateway.db'));
    onTestFinished(close);
    expect(db.prepare('SELECT 1')).toBe(db.prepare('SELECT 1'));
  });
});
