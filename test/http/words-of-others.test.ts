import { describe, expect, it } from 'vitest';
import { startAudits, audit, auditIsOver, storeHistory } from '../support/audit.js';
import type { List } from '../support/api.js';
import { startBot } from '../support/bot.js';
import { accessTo, cli } from '../support/cli.js';
import { startLocal } from '../support/gateway.js';
import type { LocalGateway } from '../support/gateway.js';
import { expectPrintable, HOSTILE, startHostileWhapi, UNPRINTABLE } from '../support/hostile.js';
import { finished, intervalsWith, pausedWith, resync } from '../support/resync.js';
import { textWebhook } from '../support/texts.js';

/** A gateway whose Whapi, bot and webhooks use hostile words wherever they can, with what came of it. */
async function startHostile(health = 'AUTH') {
  const env = { PUBLIC_URL: 'https://gateway.example' };
  const gateway = await startLocal({ env, intervals: intervalsWith() });
  const whapi = await startHostileWhapi(health);
  await gateway.addChannel({ whapi_base_url: whapi.url });
  const bot = await startBot();
  bot.otherwise = (_request, response) => response.writeHead(422).end(`no\n${HOSTILE}`);
  const { id: target } = await gateway.addTarget({ url: bot.url, max_attempts: 1 });
  const state = { health: { status: { code: 1, text: `QR${HOSTILE}` } }, channel_id: HOSTILE };
  await gateway.webhook(JSON.stringify({ ...state, event: { type: HOSTILE, event: HOSTILE } }), {
    suffix: `/${encodeURIComponent(HOSTILE)}`,
    headers: { 'content-type': 'text/plain; x="\u009b"' },
  });
  await gateway.webhook(textWebhook(HOSTILE));
  await gateway.webhook(textWebhook(HOSTILE)); // held as a duplicate
  const refused = await gateway.webhook(JSON.stringify({ channel_id: `other${HOSTILE}` }));
  expect(refused.status).toBe(409);
  expectPrintable(refused.body);
  await gateway.settled();
  return { gateway, whapi, target, env: accessTo(gateway) };
}

/** Gets a path of the API as text. */
async function textOf({ url, folder }: LocalGateway, path: string): Promise<string> {
  const { ADMIN_TOKEN: token = '' } = accessTo({ url, folder });
  const response = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } });
  return await response.text();
}

async function firstOf(gateway: LocalGateway, path: string): Promise<Record<string, string>> {
  const { body } = await gateway.call<List<Record<string, string>>>('GET', path);
  return body.data[0] ?? {};
}

describe('hostile words of Whapi, of bots and in webhooks', () => {
  it('are printable in every answer of the API and in the log', async () => {
    const { gateway } = await startHostile();
    const { id: run } = await resync(gateway, ['m-1']);
    await finished(gateway, run);
    const message = encodeURIComponent(HOSTILE);
    await fetch(`${gateway.url}/whapi/messages/${message}?resync=true`, {
      headers: { authorization: 'Bearer a-whapi-token' },
    });
    const { id: delivery } = await firstOf(gateway, '/v1/deliveries?status=dead');
    const { webhook } = await firstOf(gateway, `/v1/items?message_id=${message}`);
    const resyncs = await gateway.call<List<{ id: string }>>('GET', '/v1/resyncs');
    const paths = [
      ...['channels', 'channels/main', 'targets', 'items', 'messages', 'messages?held=true', 'deliveries', 'doctor'],
      ...[`messages/main/${message}`, `messages/main/x${message}`, `messages/${message}/x`, 'messages/main/m-1'],
      ...[`deliveries/${delivery ?? ''}`, `webhooks/${webhook ?? ''}`, 'jobs/x%1b', 'resyncs', `items?${message}=1`],
      ...resyncs.body.data.flatMap(({ id }) => [`resyncs/${id}`, `resyncs/${id}/messages`, `resyncs/${id}/report`]),
    ];
    for (const path of paths) {
      const text = await textOf(gateway, `/v1/${path}`);
      expect(UNPRINTABLE.test(text), `${path}: ${text}`).toBe(false);
      expectPrintable(JSON.parse(text));
    }
    const shown = await textOf(gateway, `/v1/messages/main/${message}`);
    expect(shown).toContain('forged');
    for (const line of gateway.logs) expectPrintable(line);
    expect(gateway.logs.map(({ msg }) => msg)).toEqual(expect.arrayContaining(['delivery dead', 'webhook refused']));
  });

  it('are printable in the plan of connect, and in errors of settings', async () => {
    const { gateway } = await startHostile();
    const { status, body } = await gateway.call('POST', '/v1/channels/main/connect', { dry_run: true });
    expect(status).toBe(200);
    expect(JSON.stringify(body)).toContain('forged');
    expectPrintable(body);
  });

  it("are printable in the pause of a resync, in the doctor's checks and in the log, if they are a channel's state", async () => {
    const { gateway, env } = await startHostile(`LOST${HOSTILE}`);
    const { id } = await resync(gateway, ['m-1']);
    expectPrintable(await pausedWith(gateway, id, 'not_ready', 'LOST'));
    const { body } = await gateway.call('GET', '/v1/doctor');
    expect(JSON.stringify(body)).toContain('LOST');
    expectPrintable(body);
    const { stdout } = await cli(['doctor'], { env });
    expect(stdout.replaceAll('\n', '')).not.toMatch(UNPRINTABLE);
    for (const line of gateway.logs) expectPrintable(line);
  });

  it('are printable in the output of the command line, and forge no line of it', async () => {
    const { gateway, env, target } = await startHostile();
    const { id } = await resync(gateway, ['m-1']);
    await finished(gateway, id);
    const commands = [
      ...[
        ['held'],
        ['held', '--json'],
        ['explain', HOSTILE],
        ['explain', HOSTILE, '--json'],
        ['explain', `x${HOSTILE}`],
      ],
      ...[['resync', '--watch', id], ['resync', '--watch', id, '--json'], ['doctor'], ['channels', 'list']],
      ...[
        ['channels', 'connect', 'main', '--dry-run'],
        ['targets', 'list'],
        ['targets', 'test', target],
      ],
    ];
    for (const args of commands) {
      const { stdout, stderr } = await cli(args, { env });
      const text = stdout + stderr;
      expect({ args, text: text.replaceAll('\n', '') }).not.toEqual({
        args,
        text: expect.stringMatching(UNPRINTABLE) as unknown,
      });
      expect({ args, text }).not.toEqual({ args, text: expect.stringMatching(/^forged/m) as unknown });
    }
  });

  it('never change what a bot receives, and an item stays reachable by its own id', async () => {
    const { gateway } = await startHostile();
    const bot = await startBot();
    const { id: target } = await gateway.addTarget({ url: bot.url, name: 'second' });
    const { id: item } = await firstOf(gateway, `/v1/items?message_id=${encodeURIComponent(HOSTILE)}&held=true`);
    const { status } = await gateway.call('POST', `/v1/items/${item ?? ''}/release`, { targets: [target] });
    expect(status).toBe(202);
    expect((await bot.received(1))[0]?.body.toString()).toBe(textWebhook(HOSTILE));
  });
});

it('an id of a missing message is printable in the list of an audit', async () => {
  const stage = await startAudits();
  await storeHistory(stage, [{ id: HOSTILE, chat: 'chat', at: stage.begun + 3600 }], () => true);
  const id = await audit(stage);
  expect((await auditIsOver(stage, id)).counts).toMatchObject({ never_came: 1 });
  const text = await textOf(stage.gateway, `/v1/audits/${id}/messages`);
  expect(text).toContain('forged');
  expectPrintable(JSON.parse(text));
  const { stdout } = await cli(['audit', '--list', id], { env: accessTo(stage.gateway) });
  expect(stdout).toContain('forged');
  expect(stdout.replaceAll('\n', '')).not.toMatch(UNPRINTABLE);
});
