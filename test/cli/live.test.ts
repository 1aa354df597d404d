import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { eventsIn } from '../../src/cli/sse.js';
import { startApi, unreachableUrl } from '../support/api.js';
import { startBot } from '../support/bot.js';
import { accessTo, cli, startCli } from '../support/cli.js';
import { until } from '../support/intervals.js';
import { textWebhook } from '../support/texts.js';

/** A feed that says what a test gives for each connection, then ends it; the last one stays open. */
async function startFeed(...connections: string[]) {
  const lastIds: unknown[] = [];
  const server = createServer((request, response) => {
    lastIds.push(request.headers['last-event-id']);
    const text = connections[lastIds.length - 1] ?? '';
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(text);
    if (lastIds.length < connections.length) response.end();
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { env: { GATEWAY_URL: url, ADMIN_TOKEN: 'a-token' }, lastIds };
}

const event = (number: number, kind: string, data: object): string =>
  `id: b-${number}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`;
const HELLO = event(0, 'hello', { version: '1', at: '2026-01-01T00:00:00.000Z' });

describe('tail', () => {
  it('prints webhooks and attempts as they happen, and ends with Ctrl-C', async () => {
    const gateway = await startApi();
    const { url } = await startBot();
    const { id } = await gateway.addTarget({ url });
    const run = startCli(['tail'], { env: accessTo(gateway) });
    await run.written('Connected to');
    await gateway.webhook(textWebhook('one', 'two'));
    await run.written(/ delivery {2}dlv_/);
    run.kill('SIGINT');
    const { code, stdout } = await run.ended;
    expect(code).toBe(130);
    expect(stdout).toMatch(/^\d{4}-\S+ {2}webhook {3}\w{11} {2}main {2}messages\.post {2}2 new, 1 delivery\n/);
    expect(stdout).toMatch(new RegExp(`to ${id} {2}delivered: answered 200 in \\d+ ms, attempt 1\n`));
  });

  it('takes filters, and with --json prints one line per event without a word more', async () => {
    const gateway = await startApi();
    const env = accessTo(gateway);
    await gateway.addChannel({ name: 'shop' });
    const run = startCli(['tail', '--channel', 'shop', '--verdict', 'new', '--json'], { env });
    const plain = startCli(['tail', '--channel', 'main'], { env });
    await plain.written('Connected to');
    await until(async () => {
      await gateway.webhook(textWebhook('one', 'two'));
      await gateway.webhook(textWebhook(randomUUID()), { channel: 'shop' });
      expect(run.text()).not.toBe('');
    });
    await plain.written('2 new');
    run.kill('SIGINT');
    const { stdout, stderr } = await run.ended;
    expect(stderr).toBe('');
    const events = stdout.trim().split('\n');
    for (const each of events) expect(JSON.parse(each)).toMatchObject({ kind: 'webhook', channel: 'shop', total: 1 });
  });

  it('connects again after a break, from the last event that it got', async () => {
    const skipped = event(7, 'skipped', { count: 3 });
    const { env, lastIds } = await startFeed(`${HELLO}${skipped}`, HELLO, event(9, 'gap', {}));
    const run = startCli(['tail', '--json'], { env });
    await run.written('"gap"');
    run.kill('SIGINT');
    expect((await run.ended).stdout).toBe('{"kind":"skipped","count":3}\n{"kind":"gap"}\n');
    expect(lastIds).toEqual([undefined, 'b-7', 'b-0']);
  });

  it('tells of circuit breakers and gaps in words', async () => {
    const breaker = { at: 'T', target: 'tgt_1', state: 'half_open', consecutive_failures: 2, next_probe_at: 'P' };
    const { env } = await startFeed(`${HELLO}${event(1, 'breaker', breaker)}${event(2, 'gap', {})}`);
    const run = startCli(['tail'], { env });
    await run.written('gap: some events are missing');
    expect(run.text()).toContain('T  breaker   tgt_1  half open after 2 failures, next probe at P\n');
  });

  it('exits with 3 if the gateway cannot be reached at the start', async () => {
    const env = { GATEWAY_URL: await unreachableUrl(), ADMIN_TOKEN: 'any' };
    expect((await cli(['tail'], { env })).code).toBe(3);
  });
});

describe('server-sent events', () => {
  it('are read across pieces of any size, without comments', async () => {
    const text = `retry: 1\nid: a\nevent: hello\ndata: {}\n\n:\n\nid: b\r\nevent: x\r\ndata: 1\r\ndata: 2\r\n\r\ndata: cut`;
    const read = async (size: number) => {
      const pieces = (text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []).values();
      const found: unknown[] = [];
      for await (const each of eventsIn(pieces as unknown as AsyncIterable<string>)) found.push(each);
      return found;
    };
    const wanted = [
      { kind: 'hello', data: '{}', id: 'a' },
      { kind: 'x', data: '1\n2', id: 'b' },
    ];
    for (const size of [1, 2, 3, 7, 1000]) expect(await read(size)).toEqual(wanted);
  });
});

describe('stats', () => {
  it('show what came and went, by channel and target', async () => {
    const gateway = await startApi();
    const bot = await startBot();
    await gateway.addTarget({ name: 'bot', url: bot.url });
    await gateway.webhook(textWebhook('one', 'two'));
    await bot.received(1);
    const env = accessTo(gateway);
    const { stdout } = await cli(['stats', '--minutes', '5', '--channel', 'main', '--target', 'bot'], { env });
    expect(stdout).toMatch(
      /^From .*\nCHANNEL .*\nmain +1 +0 +2 +0 +0 +0 +0 +0 +\d{4}.*\nTARGET .*\nbot +yes +closed /s,
    );
    const json = JSON.parse((await cli(['stats', '--json'], { env })).stdout) as object;
    expect(json).toMatchObject({ minutes: 60, channels: [{ channel: 'main', webhooks: 1 }] });
    expect((await cli(['stats', '--minutes', '0'], { env })).code).toBe(2);
  });

  it('say so when there are no targets', async () => {
    const { stdout } = await cli(['stats'], { env: accessTo(await startApi()) });
    expect(stdout).toMatch(/^From .*\nCHANNEL .*\nmain .*\nNo targets\.\n$/s);
  });
});

describe('api', () => {
  it('makes any request, with a body from an option, a file or standard input', async () => {
    const gateway = await startApi();
    const env = accessTo(gateway);
    const change = ['api', 'patch', '/v1/channels/main'];
    const bodies: [string[], string | undefined, number][] = [
      [['--data', '{"late_after_seconds":11}'], undefined, 11],
      [['--data-file', '-', '--header', 'X-Tenant: seven'], '{"late_after_seconds":12}', 12],
    ];
    for (const [options, stdin, seconds] of bodies) {
      const { stdout } = await cli([...change, ...options], { env, ...(stdin !== undefined && { stdin }) });
      expect(stdout).toContain(`\n  "late_after_seconds": ${seconds},\n`);
    }
    const { stdout } = await cli(['api', 'GET', '/v1/channels?limit=1', '--json'], { env });
    expect(stdout).toMatch(/^\{"data":\[\{"name":"main",.*\}\n$/);
    expect((await cli(['api', 'GET', '/metrics'], { env })).stdout).toMatch(/^# HELP /m);
    expect(await cli(['api', 'DELETE', '/v1/channels/main'], { env })).toMatchObject({ code: 0, stdout: '' });
  });

  it('has the exit codes and errors of every command', async () => {
    const env = accessTo(await startApi());
    const told = async (...args: string[]) => await cli(['api', ...args], { env });
    expect(await told('GET', '/v1/jobs/job_x')).toMatchObject({
      code: 6,
      stdout: '',
      stderr: expect.stringMatching(/^GW_NOT_FOUND: /) as unknown,
    });
    expect((await told('GET', '/v1/items?limit=many')).code).toBe(2);
    expect((await told('POST', '/v1/channels', '--data', '{"name":"main","whapi_token":"hush-hush"}')).code).toBe(5);
  });

  it.each([
    ['FETCH', '/v1/items'],
    ['GET', 'v1/items'],
    ['GET', 'https://gateway.example.com/v1/items'],
    ['GET', '/v1/feed'],
    ['GET', '/v1/items', '--data', '{}'],
    ['POST', '/v1/judge', '--data', 'no json'],
    ['POST', '/v1/judge', '--data', '{}', '--data-file', 'x'],
    ['POST', '/v1/judge', '--data-file', 'no-such-file'],
    ['POST', '/v1/judge', '--header', 'a b: c'],
  ])('refuses wrong usage: %s %s %s %s', async (...args: string[]) => {
    const env = { ADMIN_TOKEN: 'any', GATEWAY_URL: 'http://127.0.0.1:9' };
    expect((await cli(['api', ...args], { env })).code).toBe(2);
  });
});
