import { describe, expect, it } from 'vitest';
import { startApi } from '../support/api.js';
import { startConnect } from '../support/connect.js';
import type { ConnectStage } from '../support/connect.js';
import type { Client } from '../support/client.js';
import { QUICK_BREAKER, until } from '../support/intervals.js';
import { textWebhook } from '../support/texts.js';

interface CheckJson {
  readonly name: string;
  readonly subject: string;
  readonly status: string;
  readonly message: string;
  readonly fix: string | null;
}

async function doctor(gateway: Client, query = ''): Promise<{ status: string; checks: CheckJson[] }> {
  const { status, body } = await gateway.call<{ status: string; checks: CheckJson[] }>('GET', `/v1/doctor${query}`);
  expect(status).toBe(200);
  return body;
}

async function check(gateway: Client, name: string, query = ''): Promise<CheckJson | undefined> {
  return (await doctor(gateway, query)).checks.find((each) => each.name === name);
}

/** A gateway without problems. */
async function healthy(settings: Record<string, unknown> = {}): Promise<ConnectStage> {
  const stage = await startConnect();
  await stage.change({ webhooks: [] });
  await stage.gateway.addTarget({ name: 'answers', url: stage.bot.url, ...settings });
  await stage.connect();
  return stage;
}

describe('GET /v1/doctor', () => {
  it('finds no problem in a connected gateway', async () => {
    const { gateway } = await healthy();
    const { status, checks } = await doctor(gateway, '?send_test=true');
    expect(checks.filter((each) => each.status !== 'ok')).toEqual([]);
    expect(checks.map(({ name }) => name)).toEqual([
      ...['store', 'disk', 'clock', 'whapi', 'webhook', 'last_webhook', 'target'],
    ]);
    expect(status).toBe('ok');
  });

  it('sends a test event only on request', async () => {
    const { gateway, bot } = await healthy();
    await gateway.settled();
    const before = bot.requests.length;
    await doctor(gateway);
    expect(bot.requests).toHaveLength(before);
    await doctor(gateway, '?send_test=true');
    expect(bot.requests).toHaveLength(before + 1);
  });

  it('does not start a stopped channel at Whapi', async () => {
    const { gateway, whapi } = await healthy();
    whapi.faults.healthText = 'QR';
    expect(await check(gateway, 'whapi')).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('QR') as unknown,
    });
    expect((await check(gateway, 'whapi'))?.fix).toMatch(/Scan the QR code/);
  });

  it('distinguishes a wrong token from an unreachable Whapi', async () => {
    const { gateway, whapi } = await healthy();
    await gateway.call('PATCH', '/v1/channels/main', { whapi_token: 'a-wrong-token' });
    expect((await check(gateway, 'whapi'))?.message).toMatch(/Channel not found.*token/);
    await whapi.close();
    expect(await check(gateway, 'whapi')).toMatchObject({
      status: 'fail',
      message: expect.stringMatching(/^Cannot read the channel's health: .*ECONNREFUSED/) as unknown,
    });
  });

  it('shows what connect would change if someone changed the webhook at Whapi', async () => {
    const { gateway, change, settings } = await healthy();
    const [ours] = (await settings()).webhooks ?? [];
    if (ours) await change({ webhooks: [{ ...ours, headers: {} }] });
    expect(await check(gateway, 'webhook')).toMatchObject({
      status: 'warn',
      message: expect.stringContaining('secret header') as unknown,
    });
    await change({ webhooks: [] });
    expect(await check(gateway, 'webhook')).toMatchObject({
      status: 'fail',
      fix: expect.stringContaining('channels connect main') as unknown,
    });
  });

  it('warns if Whapi does not send an event that a new target subscribes to', async () => {
    const { gateway, bot } = await healthy({ events: ['messages.post'] });
    await gateway.addTarget({ name: 'phone', url: `${bot.url}/calls`, events: ['calls'] });
    expect(await check(gateway, 'webhook')).toMatchObject({
      status: 'warn',
      message: expect.stringContaining('subscribes it to calls.post') as unknown,
      fix: expect.stringContaining('channels connect main') as unknown,
    });
  });

  it('warns about two targets with one URL that get the same events', async () => {
    const { gateway, bot } = await healthy();
    await gateway.addTarget({ name: 'again', url: bot.url });
    const told = (await doctor(gateway)).checks.filter(({ name }) => name === 'target_url');
    expect(told.map(({ subject, status }) => [subject, status])).toEqual([['again', 'warn']]);
    expect(told[0]?.message).toContain('"answers"');
  });

  it('warns if the gateway does not know its public URL', async () => {
    const { gateway } = await startConnect();
    expect(await check(gateway, 'webhook')).toMatchObject({
      status: 'warn',
      message: expect.stringContaining('PUBLIC_URL') as unknown,
    });
  });

  it('shows when the last webhook came', async () => {
    const { gateway } = await startConnect();
    expect(await check(gateway, 'last_webhook')).toMatchObject({ status: 'warn' });
    await gateway.webhook(textWebhook('a'));
    expect(await check(gateway, 'last_webhook')).toMatchObject({
      status: 'ok',
      message: expect.stringContaining('second') as unknown,
    });
  });

  it('fails a target that does not answer a test, and warns about a disabled one and one of an unknown channel', async () => {
    const { gateway, bot } = await startConnect();
    bot.otherwise = 500;
    await gateway.addTarget({ name: 'broken', url: bot.url });
    await gateway.addTarget({ name: 'off', url: bot.url, enabled: false });
    await gateway.addTarget({ name: 'lost', url: bot.url, channels: ['none'] });
    const { checks } = await doctor(gateway);
    expect(checks.filter(({ name }) => name === 'target').map(({ status }) => status)).toEqual(['ok', 'warn', 'warn']);
    expect(await check(gateway, 'target', '?send_test=true')).toMatchObject({ subject: 'broken', status: 'fail' });
  });

  it('reports a target without a handler for a subscribed event, with the fix', async () => {
    const { gateway, bot } = await startConnect();
    bot.otherwise = 404;
    await gateway.addTarget({ name: 'bot', url: `${bot.url}/hook`, mode: 'method' });
    const told = await check(gateway, 'target', '?send_test=true');
    expect(told).toMatchObject({ status: 'fail', fix: expect.stringMatching(/mode.*events/) as unknown });
    expect(told?.message).toContain('answers, but not at POST /hook/messages');
  });

  it('shows why the gateway disabled a target', async () => {
    const { gateway, bot } = await startConnect();
    bot.otherwise = 410;
    await gateway.addTarget({ name: 'gone', url: bot.url });
    await gateway.webhook(textWebhook('a'));
    await until(async () => expect(await check(gateway, 'target')).toMatchObject({ status: 'warn' }));
    expect((await check(gateway, 'target'))?.message).toMatch(/disabled it \(.*410.*\)/);
  });

  it('fails a target with an open circuit breaker and shows its backlog and last error', async () => {
    const { gateway, bot } = await startConnect({
      intervals: { breaker: { ...QUICK_BREAKER, failures: 1, pausesMs: [3_600_000] } },
    });
    bot.otherwise = 503;
    await gateway.addTarget({ name: 'ill', url: bot.url });
    await gateway.webhook(textWebhook('a'));
    const message = expect.stringMatching(/open since .*; next probe at .*503/) as unknown;
    await until(async () =>
      expect(await check(gateway, 'breaker')).toMatchObject({ subject: 'ill', status: 'fail', message }),
    );
    expect(await check(gateway, 'backlog')).toMatchObject({ subject: 'ill', status: 'ok' });
  });

  it('warns about dead deliveries and refused webhooks', async () => {
    const { gateway, bot } = await startConnect();
    bot.otherwise = 500;
    await gateway.addTarget({ name: 'broken', url: bot.url, max_attempts: 1 });
    await gateway.webhook(textWebhook('a'));
    await gateway.webhook(textWebhook('b'), { secret: 'wrong' });
    await gateway.settled();
    expect(await check(gateway, 'dead')).toMatchObject({ subject: 'broken', status: 'warn' });
    expect(await check(gateway, 'refused')).toMatchObject({ subject: 'main', status: 'warn' });
  });

  it('warns about a target whose events Whapi is not set to send and has not sent', async () => {
    const { gateway, bot, connect, change } = await startConnect();
    await gateway.addTarget({ name: 'calls-only', url: bot.url, events: ['calls'] });
    await gateway.webhook(textWebhook('a'));
    expect(await check(gateway, 'subscription')).toMatchObject({ subject: 'calls-only', status: 'warn' });
    await change({ webhooks: [] });
    await connect({ events: ['calls'] });
    expect(await check(gateway, 'subscription')).toBeUndefined();
  });

  it('warns about a wrong clock', async () => {
    const stage = await startConnect({ effects: { now: () => Date.UTC(2030, 0, 1) } });
    expect(await check(stage.gateway, 'clock')).toMatchObject({
      status: 'warn',
      message: expect.stringContaining('ahead of') as unknown,
    });
  });

  it('warns if there is no target, and reports the worst status', async () => {
    const gateway = await startApi();
    const { status, checks } = await doctor(gateway);
    expect(checks.find(({ name }) => name === 'targets')).toMatchObject({ status: 'warn' });
    expect(status).toBe('fail');
  });
});
