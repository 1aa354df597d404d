import { existsSync, linkSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Client } from './support/client.js';
import { readOnly, smallDisk, UNPRIVILEGED } from './support/disk.js';
import { temporaryFolder } from './support/files.js';
import { runToEnd, startProcess } from './support/process.js';
import { textWebhook } from './support/texts.js';

const FILLER = 'x'.repeat(20_000);
let sent = 0;

/** Sends webhooks until one is refused, and returns that answer. The ids of the others are added to `stored`. */
async function sendUntilRefused(
  client: Client,
  stored: string[],
): Promise<{ id: string; status: number; code: unknown }> {
  for (let left = 2000; left > 0; left -= 1) {
    const id = `m-${(sent += 1)}`;
    const { status, body } = await client.webhook(textWebhook(id).replace('}', `, "filler": "${FILLER}"}`));
    if (status !== 200) return { id, status, code: body.code };
    stored.push(id);
  }
  throw new Error('Every webhook was taken.');
}

async function isStored(client: Client, id: string): Promise<boolean> {
  return (await client.call('GET', `/v1/messages/main/${id}`)).status === 200;
}

/** The folder of a gateway that has run and stopped. */
async function usedFolder(): Promise<string> {
  const gateway = await startProcess();
  await gateway.client.addChannel();
  for (let id = 0; id < 50; id += 1) await gateway.client.webhook(textWebhook(`used-${id}`));
  await gateway.end('SIGTERM');
  return gateway.folder;
}

/** Starts a gateway and expects one refusal line. The database must not change. */
async function refusedStart(folder: string, limits?: string): Promise<string> {
  const file = join(folder, 'gateway.db');
  const before = existsSync(file) ? readFileSync(file) : null;
  const { code, stderr } = await runToEnd(folder, {}, limits);
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^GW_\w+: [^\n]+\n$/) as unknown });
  if (before) expect(readFileSync(file).equals(before)).toBe(true);
  return stderr;
}

describe('a full disk', () => {
  it('I1, I4: makes the gateway answer 503 until there is space, without a restart or loss, even across a kill -9', async () => {
    const disk = smallDisk();
    const gateway = await startProcess({}, disk.folder);
    await gateway.client.addChannel();
    const stored: string[] = [];
    disk.fill(gateway.pid);
    const refused = await sendUntilRefused(gateway.client, stored);
    expect(refused).toMatchObject({ status: 503, code: 'GW_STORE_UNAVAILABLE' });
    expect((await gateway.client.call('GET', '/healthz')).status).toBe(200);
    disk.free(gateway.pid);
    expect((await gateway.client.webhook(textWebhook(refused.id))).body.verdicts).toEqual({ new: 1 });
    disk.fill(gateway.pid);
    const last = await sendUntilRefused(gateway.client, stored);
    await gateway.end('SIGKILL');
    if (existsSync(join(disk.folder, 'filler'))) disk.free(gateway.pid);
    await gateway.start();
    for (const id of [...stored, refused.id]) expect([id, await isStored(gateway.client, id)]).toEqual([id, true]);
    expect(await isStored(gateway.client, last.id)).toBe(false);
  });

  it('at the first start is refused with one line and without a partial key, and the start works once there is space', async () => {
    const folder = temporaryFolder();
    expect(await refusedStart(folder, 'ulimit -f 0')).toContain('GW_STORE_UNUSABLE');
    expect(readdirSync(folder).filter((name) => /key|token/.test(name))).toEqual([]);
    await startProcess({}, folder);
  });
});

describe('a start is refused and everything left unchanged', () => {
  it('in a folder that is not writable', async () => {
    const folder = await usedFolder();
    readOnly(folder);
    expect(await refusedStart(folder, UNPRIVILEGED)).toMatch(
      /GW_STORE_UNUSABLE: \S+gateway\.db\S* is not writable .*Check the permissions/,
    );
  });

  it('for a database with an overwritten page in its middle that still opens', async () => {
    const folder = await usedFolder();
    const file = join(folder, 'gateway.db');
    const bytes = readFileSync(file);
    const page = Math.floor(bytes.length / 4096 / 2);
    writeFileSync(
      file,
      Buffer.concat([bytes.subarray(0, page * 4096), Buffer.alloc(4096, 7), bytes.subarray((page + 1) * 4096)]),
    );
    expect(await refusedStart(folder)).toMatch(
      /GW_STORE_UNUSABLE: .*is not a sound SQLite database .*restore a backup/,
    );
  });

  it('for a database file with a second name, whose users would not notice each other', async () => {
    const folder = await usedFolder();
    linkSync(join(folder, 'gateway.db'), join(folder, 'other.db'));
    expect(await refusedStart(folder)).toContain('has 2 names (hard links)');
    rmSync(join(folder, 'other.db'));
    await startProcess({}, folder);
  });

  it('if the key file is missing: no other key is created, and the original restores access to everything', async () => {
    const folder = await usedFolder();
    const key = readFileSync(join(folder, 'encryption-key'));
    rmSync(join(folder, 'encryption-key'));
    expect(await refusedStart(folder)).toMatch(/GW_WRONG_KEY: \S+encryption-key is missing.*Restore the file/);
    expect(existsSync(join(folder, 'encryption-key'))).toBe(false);
    writeFileSync(join(folder, 'encryption-key'), key);
    const { client } = await startProcess({}, folder);
    expect((await client.webhook(textWebhook('used-1'))).body.verdicts).toEqual({ duplicate: 1 });
  });
});
