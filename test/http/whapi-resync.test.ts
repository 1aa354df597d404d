import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { textWebhook } from '../support/texts.js';
import { answerLater } from '../support/api.js';
import { startBot } from '../support/bot.js';
import { startClock } from '../support/clock.js';
import { requestTo } from '../support/delivery.js';
import { QUICK_RESYNC } from '../support/intervals.js';
import { startProcess } from '../support/process.js';
import { explain, finished, lose, messageIs, messageOf, resync, startResyncs } from '../support/resync.js';
import type { ResyncOptions } from '../support/resync.js';
import { MINUTE } from '../support/store.js';
import { bearer, begin, send, startProxy, TOKEN } from '../support/whapi-proxy.js';

const ASK = '/messages/m-1?resync=true';
const TEN_HOURS = 10 * 60 * 60 * 1000;
/** A gateway that never polls, so that only the client's calls have effects. */
const NO_POLLS = {
  intervals: { resync: { ...QUICK_RESYNC, pollsMs: [TEN_HOURS], proofMs: TEN_HOURS, backoffMs: [TEN_HOURS] } },
};

describe('a proxied call with resync=true', () => {
  it('I2: is registered before it reaches Whapi, so that the message it brings back is restored', async () => {
    const { gateway, base, whapi } = await startProxy({}, NO_POLLS);
    const later = answerLater();
    whapi.answers.push(later.answer);
    const answer = send(base, { path: ASK });
    expect((await requestTo(whapi)).url).toBe(ASK);
    expect((await gateway.webhook(textWebhook('m-1'))).body.verdicts).toEqual({ restored: 1 });
    later.give(404);
    expect((await answer).status).toBe(404);
  });

  it('is answered exactly as Whapi answers, without extra headers', async () => {
    const stage = await startProxy({ auto_resync: true }, NO_POLLS);
    stage.whapi.otherwise = (_request, response) => {
      response
        .writeHead(404, { 'x-kept': '1' })
        .end('{ "error": {"code":404,"message":"Specified message not found"}}');
    };
    const direct = await send(stage.whapi.url, { path: ASK });
    const through = await send(stage.base, { path: ASK });
    expect(through.body).toEqual(direct.body);
    expect(Object.keys(through.headers)).not.toContain('x-gateway-resync');
    expect(through.headers['x-kept']).toBe('1');
  });

  it.each([
    ['200', '{"id":"m-1"}', 'waiting'],
    ['404', '{"error":{"code":404,"message":"Specified message not found"}}', 'waiting'],
    ['404', '{"error":{"code":404,"message":"Channel not found"}}', 'queued'],
    ['403', '{"error":{"code":403,"message":"Forbidden"}}', 'failed'],
    ['500', '{"error":{"code":500,"message":"Internal Error"}}', 'queued'],
    ['429', 'slow down', 'queued'],
  ])('that Whapi answers %s %s is %s from then on, once, in its own resync', async (status, body, outcome) => {
    const { gateway, base, whapi } = await startProxy({}, NO_POLLS);
    whapi.otherwise = (_request, response) => response.writeHead(Number(status)).end(body);
    expect((await send(base, { path: ASK })).body.toString()).toBe(body);
    expect(await messageOf(gateway, 'm-1')).toMatchObject({ status: outcome, calls: 1 });
    expect((await gateway.call('GET', '/v1/resyncs')).body['data']).toMatchObject([{ channel: 'main' }]);
  });

  it('is restored by its webhook in GET /v1/resyncs, and is sent to no bot', async () => {
    const { gateway, whapi, bot } = await startResyncs();
    lose(whapi, ['m-1']);
    const { status } = await send(`${gateway.url}/whapi`, { path: ASK, headers: bearer(whapi.token) });
    expect(status).toBe(404);
    const { resync: id } = await messageIs(gateway, 'm-1', { status: 'restored' });
    await whapi.idle();
    expect(await finished(gateway, id)).toMatchObject({ status: 'finished', counts: { restored: 1 } });
    expect(bot.requests).toEqual([]);
  });

  it('that Whapi never answers stays registered (I2)', async () => {
    const { gateway, base, whapi } = await startProxy({}, { intervals: { ...NO_POLLS.intervals, whapiTimeoutMs: 50 } });
    whapi.otherwise = () => undefined;
    expect((await send(base, { path: ASK })).status).toBe(504);
    expect(await messageOf(gateway, 'm-1')).toMatchObject({ status: 'waiting', calls: 1 });
    expect((await gateway.webhook(textWebhook('m-1'))).body.verdicts).toEqual({ restored: 1 });
  });

  it('that its client aborts stays registered and is not repeated (I2)', async () => {
    const { gateway, base, whapi } = await startProxy({}, NO_POLLS);
    whapi.otherwise = () => undefined;
    const out = begin(base, { path: ASK });
    out.on('error', () => undefined).end();
    await whapi.received(1);
    out.destroy();
    await messageIs(gateway, 'm-1', { status: 'waiting', calls: 1 });
    expect((await gateway.webhook(textWebhook('m-1'))).body.verdicts).toEqual({ restored: 1 });
  });

  it('that a crash interrupts stays registered (I2)', async () => {
    const gateway = await startProcess();
    const whapi = await startBot();
    await gateway.client.addChannel({ whapi_token: TOKEN, whapi_base_url: whapi.url });
    whapi.otherwise = () => undefined;
    const out = begin(`${gateway.client.url}/whapi`, { path: ASK });
    out.on('error', () => undefined).end();
    await whapi.received(1);
    await gateway.end('SIGKILL');
    await gateway.start();
    expect((await gateway.client.webhook(textWebhook('m-1'))).body.verdicts).toEqual({ restored: 1 });
  });

  it.each(['GET', 'HEAD'])('is recognized as %s, with any spelling of path and query', async (method) => {
    const { gateway, base } = await startProxy({}, NO_POLLS);
    await send(base, { method, path: '//Messages/m%2D1/?a&%72ESYNC[]=TRUE' });
    expect(await messageOf(gateway, 'm-1')).toMatchObject({ calls: 1 });
  });

  it('takes turns with the calls of a running resync, one at a time', async () => {
    const { gateway, whapi } = await startResyncs({ faults: { resyncTakesMs: 50_000, restoredAfterMs: 1000 } });
    const ids = ['m-1', 'm-2', 'm-3', 'm-4', 'm-5', 'm-6'];
    lose(whapi, ids);
    const run = await resync(gateway, ids.slice(0, 3));
    const own = ids.slice(3).map(async (id) => {
      const path = `/messages/${id}?resync=true`;
      return await send(`${gateway.url}/whapi`, { path, headers: bearer(whapi.token) });
    });
    expect((await Promise.all(own)).map(({ status }) => status)).toEqual([404, 404, 404]);
    await finished(gateway, run.id);
    for (const id of ids) await messageIs(gateway, id, { status: 'restored', calls: 1 });
    expect(whapi.mostCallsAtOnce).toBe(1);
  });
});

describe('a channel with auto_resync', () => {
  const quoting = (quoted: string) => ({
    method: 'POST',
    path: '/messages/text',
    body: JSON.stringify({ to: '12025550142', body: 'An answer', quoted }),
  });

  it('resyncs a message that Whapi does not find, once per hour, and names the resync in the answer', async () => {
    const { gateway, whapi, base } = await startAuto();
    lose(whapi, ['m-1']);
    const first = await send(base, { path: '/messages/m-1', headers: bearer(whapi.token) });
    const second = await send(base, { path: '/messages/m-1', headers: bearer(whapi.token) });
    expect(first).toMatchObject({ status: 404, json: { error: { message: 'Specified message not found' } } });
    const { resync: id } = await messageOf(gateway, 'm-1');
    expect([first, second].map(({ headers }) => headers['x-gateway-resync'])).toEqual([id, id]);
    expect((await explain(gateway, 'm-1')).resyncs).toHaveLength(1);
    await messageIs(gateway, 'm-1', { status: 'restored', calls: 1 });
  });

  it('asks again an hour later within the same open resync', async () => {
    const clock = startClock();
    const { gateway, whapi, base } = await startAuto({ effects: clock.effects });
    const ask = async () => await send(base, { path: '/messages/never', headers: bearer(whapi.token) });
    const first = await ask();
    await messageIs(gateway, 'never', { status: 'waiting', calls: 1 });
    clock.jump(61 * MINUTE);
    expect((await ask()).headers['x-gateway-resync']).toBe(first.headers['x-gateway-resync']);
    await messageIs(gateway, 'never', { calls: 2 });
    expect((await explain(gateway, 'never')).resyncs).toHaveLength(1);
  });

  it('resyncs a quoted message that Whapi does not find, after which the same send works', async () => {
    const { gateway, whapi, bot, base } = await startAuto();
    lose(whapi, ['m-1']);
    const sent = { ...quoting('m-1'), headers: bearer(whapi.token) };
    const { status, headers } = await send(base, sent);
    expect({ status, id: headers['x-gateway-resync'] }).toEqual({
      status: 404,
      id: (await messageOf(gateway, 'm-1')).resync,
    });
    await messageIs(gateway, 'm-1', { status: 'restored' });
    expect(await send(base, sent)).toMatchObject({ status: 200, json: { message: { context: { quoted_id: 'm-1' } } } });
    await whapi.idle();
    await gateway.settled();
    expect(bot.requests.flatMap(({ ids }) => ids)).not.toContain('m-1');
  });

  it.each([
    ['the channel', 404, 'Channel not found'],
    ['the chat', 404, 'Specified chat not found'],
    ['a wrong form', 400, 'Wrong request parameters'],
    ['nothing at all', 404, ''],
  ])('starts nothing for a quoting send that is refused because of %s', async (_what, code, message) => {
    const { gateway, base, whapi } = await startProxy({ auto_resync: true });
    whapi.otherwise = (_request, response) =>
      response.writeHead(code).end(JSON.stringify({ error: { code, message } }));
    const { headers } = await send(base, quoting('m-1'));
    expect(headers).not.toHaveProperty('x-gateway-resync');
    expect((await gateway.call('GET', '/v1/resyncs')).body['data']).toEqual([]);
  });

  it('reads a compressed refusal and forwards it unchanged', async () => {
    const { base, whapi } = await startProxy({ auto_resync: true }, NO_POLLS);
    const body = gzipSync('{"error":{"code":400,"message":"Quoted message does not exist"}}');
    whapi.otherwise = (_request, response) => response.writeHead(400, { 'content-encoding': 'gzip' }).end(body);
    const got = await send(base, quoting('m-1'));
    expect(got.headers['x-gateway-resync']).toMatch(/^rsy_/);
    expect(got.body).toEqual(body);
  });

  it('forwards a large send unchanged', async () => {
    const { base, whapi } = await startProxy({ auto_resync: true });
    const body = Buffer.alloc(3_000_000, 'a');
    whapi.otherwise = 404;
    expect((await send(base, { method: 'POST', path: '/messages/image?quoted=', body })).status).toBe(404);
    expect((await whapi.received(1))[0]?.body.equals(body)).toBe(true);
  });
});

it('a channel without auto_resync starts no resync', async () => {
  const { gateway, whapi } = await startResyncs();
  lose(whapi, ['m-1']);
  const { headers } = await send(`${gateway.url}/whapi`, { path: '/messages/m-1', headers: bearer(whapi.token) });
  expect(headers).not.toHaveProperty('x-gateway-resync');
  expect((await gateway.call('GET', '/v1/resyncs')).body['data']).toEqual([]);
});

async function startAuto(options: ResyncOptions = {}) {
  const stage = await startResyncs(options);
  await stage.gateway.call('PATCH', '/v1/channels/main', { auto_resync: true });
  return { ...stage, base: `${stage.gateway.url}/whapi` };
}
