import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { retainForever } from '../src/store/sqlite/database.js';
import { startBot } from './support/bot.js';
import type { Bot } from './support/bot.js';
import { temporaryFolder } from './support/files.js';
import { runToEnd, startProcess } from './support/process.js';
import type { GatewayProcess } from './support/process.js';
import { textWebhook } from './support/texts.js';

interface WriteLock {
  take(): void;
  release(): void;
}

/** Another process, as the sqlite3 shell after `BEGIN IMMEDIATE`: the gateway runs in a process of its own. */
function otherProcess(folder: string): WriteLock {
  const shell = retainForever(new Database(join(folder, 'gateway.db')));
  onTestFinished(() => void shell.close());
  return { take: () => void shell.exec('BEGIN IMMEDIATE'), release: () => void shell.exec('ROLLBACK') };
}

async function startLocked(): Promise<{ gateway: GatewayProcess; lock: WriteLock }> {
  const gateway = await startProcess();
  await gateway.client.addChannel();
  const lock = otherProcess(gateway.folder);
  lock.take();
  return { gateway, lock };
}

/** A gateway with a delivery that its bot has answered, and whose settlement meets the lock. */
async function startSettling(): Promise<{ gateway: GatewayProcess; bot: Bot; lock: WriteLock }> {
  const bot = await startBot();
  const gateway = await startProcess({ TARGET_NETWORKS: 'private' });
  await gateway.client.addChannel();
  await gateway.client.addTarget({ name: 'bot', url: bot.url });
  const lock = otherProcess(gateway.folder);
  bot.answers.push((_request, response) => {
    lock.take();
    response.end();
  });
  await gateway.client.webhook(textWebhook('A'));
  await bot.received(1);
  return { gateway, bot, lock };
}

describe("another process's write lock", () => {
  it('stops only what must write: /healthz and reads answer while a webhook waits', async () => {
    const { gateway, lock } = await startLocked();
    const { client } = gateway;
    const answers: string[] = [];
    const webhook = client.webhook(textWebhook('A')).then(() => answers.push('webhook'));
    const others: readonly string[] = ['/healthz', '/v1/targets', '/v1/deliveries', '/v1/channels', '/healthz'];
    for (const path of others) {
      expect((await client.call('GET', path)).status).toBe(200);
      answers.push(path);
    }
    await webhook;
    lock.release();
    expect(answers).toEqual([...others, 'webhook']);
  });

  it('I1: is 503 with its cause for webhooks and /readyz, and nothing that was answered is lost', async () => {
    const { gateway, lock } = await startLocked();
    const { client } = gateway;
    const [webhook, ready] = await Promise.all([client.webhook(textWebhook('A')), client.call('GET', '/readyz')]);
    for (const { status, body } of [webhook, ready]) {
      expect({ status, body }).toMatchObject({ status: 503, body: { code: 'GW_STORE_UNAVAILABLE' } });
      expect((body as { detail?: string }).detail).toMatch(
        /Another process holds a write lock .* sqlite3 shell: end it/,
      );
    }
    lock.release();
    expect((await client.webhook(textWebhook('A'))).body.verdicts).toEqual({ new: 1 });
    expect((await client.call('GET', '/readyz')).status).toBe(200);
  });

  it('does not delay a webhook that is refused: it never enters a transaction', async () => {
    const gateway = await startProcess();
    const { client } = gateway;
    await client.addChannel();
    const from = (channelId: string): string => textWebhook('A').replace('{', `{ "channel_id": "${channelId}", `);
    await client.webhook(from('ONE'));
    const lock = otherProcess(gateway.folder);
    lock.take();
    expect((await client.webhook(from('TWO'))).body.code).toBe('GW_CHANNEL_MISMATCH');
    lock.release();
  });

  it('I4: delays deliveries, which go on by themselves when it is gone', async () => {
    const { gateway, bot, lock } = await startSettling();
    const { client } = gateway;
    const waiting = client.webhook(textWebhook('B'));
    await client.call('GET', '/healthz');
    lock.release();
    expect((await waiting).status).toBe(200);
    await client.settled();
    expect(bot.requests.flatMap(({ ids }) => ids)).toEqual(['A', 'B']);
  });

  it('ends a start after some seconds with one line that names the cause', async () => {
    const folder = temporaryFolder();
    otherProcess(folder).take();
    const { code, stderr } = await runToEnd(folder);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /^GW_STORE_LOCKED: Another process holds a write lock .* sqlite3 shell[^\n]+\n$/,
      ) as unknown,
    });
  });

  it('does not keep the gateway from stopping while a settlement waits for it', async () => {
    const { gateway, bot, lock } = await startSettling();
    expect(await gateway.end('SIGTERM')).toEqual({ code: 0, signal: null });
    lock.release();
    await gateway.start();
    await gateway.client.settled(); // I4: the lease is due again
    expect(bot.requests.map(({ headers }) => headers['webhook-id'])).toEqual(
      Array(2).fill(bot.requests[0]?.headers['webhook-id']),
    );
  });

  it('does not keep the gateway from stopping', async () => {
    const { gateway } = await startLocked();
    const webhook = gateway.client.webhook(textWebhook('A')).catch(() => undefined);
    await gateway.client.call('GET', '/healthz');
    expect(await gateway.end('SIGTERM')).toEqual({ code: 0, signal: null });
    await webhook;
  });
});
