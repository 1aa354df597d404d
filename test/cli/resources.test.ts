import { describe, expect, it } from 'vitest';
import { startApi } from '../support/api.js';
import { startAudits } from '../support/audit.js';
import { startBot } from '../support/bot.js';
import { accessTo, cli } from '../support/cli.js';
import { until } from '../support/intervals.js';
import { textWebhook } from '../support/texts.js';

/** Two deliveries to a bot that fails, both dead after the first attempt. */
async function withDead() {
  const gateway = await startApi();
  const bot = await startBot();
  bot.otherwise = 500;
  await gateway.addTarget({ name: 'bot', url: bot.url, max_attempts: 1 });
  const env = accessTo(gateway);
  await gateway.webhook(textWebhook('one'));
  await gateway.webhook(textWebhook('two'));
  const dead = async () => JSON.parse((await cli([...DEAD, '--json'], { env })).stdout) as { id: string }[];
  await until(async () => expect(await dead()).toHaveLength(2));
  return { bot, env, dead };
}

const DEAD = ['deliveries', 'list', '--status', 'dead', '--target', 'bot', '--channel', 'main', '--since', '1h'];

describe('deliveries', () => {
  it('are listed by filters, shown with their attempts and body, and retried by id', async () => {
    const { bot, env, dead } = await withDead();
    const id = (await dead())[0]?.id ?? '';
    expect((await cli(DEAD, { env })).stdout).toMatch(/^ID +STATUS .*\ndlv_\w+ +dead +tgt_.*500/);
    const { stdout } = await cli(['deliveries', 'show', id], { env });
    expect(stdout).toMatch(/status +dead\n.*log:\n {2}STARTED AT .*500.*\nbody:\n\{.*"two".*\}\n$/s);
    bot.otherwise = 200;
    expect((await cli(['deliveries', 'retry', id], { env })).stdout).toBe(`Sending again: ${id}\n`);
    expect((await bot.received(3))[2]?.ids).toEqual(['two']);
  });

  it('are retried by filter after a preview, in a job', async () => {
    const { bot, env } = await withDead();
    const retry = ['deliveries', 'retry', '--status', 'dead', '--target', 'bot'];
    const preview = await cli(retry, { env });
    expect(preview).toMatchObject({ code: 2, stderr: 'Nothing was sent. To send 2 deliveries, add --yes.\n' });
    expect(preview.stdout).toMatch(/^Deliveries to send: 2\n/);
    bot.otherwise = 200;
    const job = /job_\w+/.exec((await cli([...retry, '--yes'], { env })).stdout)?.[0] ?? '';
    const watched = await cli(['jobs', 'watch', job], { env });
    expect(watched.stdout).toContain(`${job} (retry) finished: 2 of 2 queued for delivery, 0 skipped.\n`);
    await bot.received(4);
    expect((await cli(['jobs', 'list', '--kind', 'retry', '--status', 'finished'], { env })).stdout).toContain(job);
    expect((await cli(['jobs', 'show', job], { env })).stdout).toMatch(/status +finished\n.*filter:\n {2}/s);
    expect((await cli(['jobs', 'cancel', job], { env })).stdout).toContain(`${job} (retry) finished`);
  });

  it('of a filter without a status are refused with exit code 2 and an example', async () => {
    const env = accessTo(await startApi());
    const { code, stderr } = await cli(['deliveries', 'retry', '--channel', 'main', '--yes'], { env });
    expect({ code, stderr }).toEqual({ code: 2, stderr: 'Missing --status (for example --status dead).\n' });
  });
});

describe('resyncs', () => {
  it('are listed, shown, reported, cancelled and watched', async () => {
    const gateway = await startApi();
    const env = accessTo(gateway);
    const start = ['resync', 'one', 'two', '--window-seconds', '600', '--detach', '--json'];
    const { id } = JSON.parse((await cli(start, { env })).stdout) as { id: string };
    expect((await cli(['resyncs', 'list', '--channel', 'main'], { env })).stdout).toMatch(
      new RegExp(`^ID .*\n${id} +main +running `),
    );
    expect((await cli(['resyncs', 'messages', id], { env })).stdout).toMatch(/^MESSAGE ID .*\none +\w+ .*\ntwo +\w+ /);
    expect((await cli(['resyncs', 'show', id], { env })).stdout).toMatch(/total +2\n.*window_seconds +600\n/s);
    expect((await cli(['resyncs', 'cancel', id], { env })).stdout).toContain(`Cancelled ${id}: `);
    expect((await cli(['resyncs', 'report', id], { env })).stdout).toMatch(/^cancelled: /);
    expect(await cli(['resyncs', 'watch', id], { env })).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('cancelled: ') as unknown,
    });
  });
});

describe('audits', () => {
  it('are listed, shown, watched and cancelled', async () => {
    const { gateway } = await startAudits();
    const env = accessTo(gateway);
    const started = await cli(['audit', '--since', '2020-01-01', '--until', '2020-02-01', '--json'], { env });
    const { id } = JSON.parse(started.stdout.trim().split('\n').at(-1) ?? '') as { id: string };
    expect((await cli(['audits', 'list', '--status', 'finished'], { env })).stdout).toMatch(
      new RegExp(`^ID .*\n${id} +audit +main +finished `),
    );
    expect((await cli(['audits', 'show', id], { env })).stdout).toMatch(/kind +audit\n/);
    expect((await cli(['audits', 'watch', id], { env })).code).toBe(0);
    expect((await cli(['audits', 'messages', id], { env })).stdout).toBe('No missing messages.\n');
    expect((await cli(['audits', 'release', id, '--dry-run'], { env })).stdout).toMatch(/^Messages to release: 0,/);
    expect((await cli(['audits', 'cancel', id], { env })).stdout).toMatch(`${id} finished: `);
  });
});

describe('a list without entries', () => {
  it.each([
    [['items', 'list'], 'No items.\n'],
    [['held'], 'No held items.\n'],
    [['messages', 'list'], 'No messages.\n'],
    [['webhooks', 'list'], 'No webhooks.\n'],
    [['deliveries', 'list'], 'No deliveries.\n'],
    [['jobs', 'list'], 'No jobs.\n'],
    [['resyncs', 'list'], 'No resyncs.\n'],
    [['audits', 'list'], 'No audits.\n'],
  ])('%j says so', async (args, words) => {
    expect((await cli(args, { env: accessTo(await startApi()) })).stdout).toBe(words);
  });
});

describe('what does not exist', () => {
  it('exits with 6', async () => {
    const env = accessTo(await startApi());
    const codes = async (lines: readonly string[]): Promise<unknown[]> =>
      await Promise.all(lines.map(async (line) => [line, (await cli(line.split(' '), { env })).code]));
    const lines = [
      ...['deliveries show dlv_x', 'deliveries retry dlv_x', 'deliveries list --target nobody', 'jobs show job_x'],
      ...[
        'jobs watch job_x',
        'jobs cancel job_x',
        'resyncs show rsy_x',
        'resyncs report rsy_x',
        'resyncs cancel rsy_x',
      ],
      ...['resyncs messages rsy_x', 'audits show aud_x', 'audits cancel aud_x', 'webhooks show x'],
    ];
    expect(await codes(lines)).toEqual(lines.map((line) => [line, 6]));
  });
});
