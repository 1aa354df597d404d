import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it, vi } from 'vitest';
import { retainForever } from '../src/store/sqlite/database.js';
import { databaseOfVersion9 } from './support/version9.js';
import { until } from './support/intervals.js';
import { verdictsOf } from './support/maintenance.js';
import { runToEnd } from './support/process.js';
import { startQuickStart } from './support/quick-start.js';
import type { QuickStart } from './support/quick-start.js';
import { sectionOf, stepsIn } from './support/readme.js';
import type { Step } from './support/readme.js';
import { textMessage, textWebhook } from './support/texts.js';

// Each test starts several processes.
vi.setConfig({ testTimeout: 120_000 });

const DOCUMENT = 'docs/operations.md';

/** The only step of a procedure. */
function onlyStep(heading: string): Step {
  const steps = stepsIn(sectionOf(heading, DOCUMENT)).flat();
  expect(steps).toHaveLength(1);
  return steps[0] ?? { command: '', prints: [] };
}

/** The gateway of the quick start with the channel `main`. */
async function startWithChannel(): Promise<QuickStart> {
  const stage = await startQuickStart('/hook/messages');
  await stage.gateway.client.addChannel();
  return stage;
}

describe('a procedure of docs/operations.md, with its own commands:', () => {
  it('back up and restore', async () => {
    const { gateway, follow } = await startWithChannel();
    const [backup, restore] = stepsIn(sectionOf('Back up and restore', DOCUMENT)).flat();
    await gateway.client.webhook(textWebhook('before'));
    if (backup) await follow(backup);
    await gateway.client.webhook(textWebhook('after'));
    await gateway.end('SIGTERM');
    if (restore) await follow(restore);
    await gateway.start();
    expect(await verdictsOf(gateway.client, ['before', 'after'])).toEqual(['duplicate', 'new']);
  });

  it('upgrade, and downgrade again', async () => {
    const { gateway, follow } = await startWithChannel();
    await gateway.end('SIGTERM');
    const file = join(gateway.folder, 'gateway.db');
    rmSync(file);
    databaseOfVersion9(file).close();
    await follow(onlyStep('Upgrade'));
    await gateway.start();
    expect((await gateway.client.call('GET', '/v1/channels/main')).status).toBe(200);
    await gateway.end('SIGTERM');

    const newer = retainForever(new Database(file));
    newer.pragma('user_version = 9999');
    newer.close();
    expect((await runToEnd(gateway.folder)).stderr).toContain(
      'GW_STORE_UNUSABLE: The database has schema version 9999',
    );
    await follow(onlyStep('Downgrade'));
    await gateway.start();
    expect((await gateway.client.call('GET', '/v1/channels/main')).status).toBe(200);
  });

  it('change the encryption key', async () => {
    const { gateway, follow } = await startWithChannel();
    const key = readFileSync(join(gateway.folder, 'encryption-key'), 'utf8');
    await gateway.end('SIGTERM');
    await follow(onlyStep('Change the encryption key'));
    expect(readFileSync(join(gateway.folder, 'encryption-key'), 'utf8')).not.toBe(key);
    await gateway.start();
    expect(await verdictsOf(gateway.client, ['m-1'])).toEqual(['new']);
  });

  it('change the admin token', async () => {
    const { gateway, follow } = await startWithChannel();
    const token = readFileSync(join(gateway.folder, 'admin-token'), 'utf8').trim();
    await follow(onlyStep('Change the admin token'));
    await gateway.end('SIGTERM');
    await gateway.start();
    expect((await gateway.client.call('GET', '/v1/channels')).status).toBe(200);
    const headers = { authorization: `Bearer ${token}` };
    expect((await gateway.client.call('GET', '/v1/channels', undefined, headers)).status).toBe(401);
  });

  it('change a webhook secret: the bot gets a message that was refused in between, once', async () => {
    const { gateway, bot, whapi, follow } = await startQuickStart('/hook/messages');
    const quickStart = stepsIn(sectionOf('Quick start')).flat();
    for (const words of [
      'channels add',
      'targets add',
      'connect shop --public-url https://where-this-gateway-is-reached.example',
    ]) {
      const step = quickStart.find(({ command }) => command.endsWith(words) || command.includes(`gateway ${words}`));
      if (step) await follow({ ...step, prints: [] });
    }
    const [change, connect, audit, release] = stepsIn(sectionOf('Change a webhook secret', DOCUMENT)).flat();
    const at = Math.floor(Date.now() / 1000);
    if (change) await follow(change);
    whapi.receive(textMessage({ id: 'in-between', at }));
    await until(async () => {
      const { body } = await gateway.client.call<{ refused: { today: number } }>('GET', '/v1/channels/shop');
      expect(body.refused.today).toBeGreaterThan(0);
    });
    if (connect) await follow(connect);
    whapi.receive(textMessage({ id: 'afterwards', at }));
    await until(() => expect(bot.answered).toContain('afterwards'));
    const audited = audit && (await follow(audit, 1));
    const id = /aud_[\w-]+/.exec(`${audited?.stdout}${audited?.stderr}`)?.[0] ?? '';
    if (release) await follow({ ...release, command: release.command.replace('aud_…', id) });
    await until(() => expect(bot.answered).toContain('in-between'));
    expect(bot.answered.filter((each) => each === 'in-between')).toHaveLength(1);
  });
});
