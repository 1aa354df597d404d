import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { SERVER_TIMEOUTS } from '../../src/http/server.js';
import { unreachableUrl } from '../support/api.js';
import type { BotAnswer } from '../support/bot.js';
import { until } from '../support/intervals.js';
import { startProcess } from '../support/process.js';
import { headOf, rawConnection } from '../support/raw.js';
import {
  answerTo,
  bearer,
  begin,
  both,
  lasting,
  send,
  startProxy,
  startRefuser,
  TOKEN,
} from '../support/whapi-proxy.js';

function answer(status: number, headers: Record<string, string | string[]>, body: string | Buffer = ''): BotAnswer {
  return (_request, response) => response.writeHead(status, headers).end(body);
}

/** Short timeouts of the gateway's server, for requests other than proxied ones. */
const IMPATIENT = { ...SERVER_TIMEOUTS, headersMs: 200, requestMs: 400, idleMs: 60_000 };

/** An error of ours in the shape of Whapi's. */
function refusal(code: number, details: string): unknown {
  return { error: { code, details, message: expect.stringMatching(/\S/) as unknown } };
}

describe('a proxied request', () => {
  it.each([
    ['GET', '/messages/list?count=3&offset=0'],
    ['GET', '/'],
    ['GET', ''],
    ['HEAD', '/health?wakeup=false'],
    ['OPTIONS', '/messages/text'],
    ['GET', '/media/a%20b%2Fc?x=%7B%27a%27%3A%20[1]%7D&x=&&y=1+2&z'],
    ['GET', '/contacts/|{}^`\'"<>?q=\'|{}^`"<>&p=%zz'],
    ['GET', '//double//slashes//?'],
    ['GET', `/messages/${'i'.repeat(4000)}`],
  ])('%s %s arrives as it would without the gateway', async (method, path) => {
    const { came } = await both(await startProxy(), { method, path });
    expect(came[1].url).toBe(came[0].url);
    expect(came[1].method).toBe(method);
    expect(lasting(came[1])).toEqual(lasting(came[0]));
  });

  it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'GET'])('%s keeps its body and its length', async (method) => {
    const body = Buffer.from([0, 255, 13, 10, 0xc3, 0x28]);
    const headers = { ...bearer(), 'content-length': String(body.length), 'content-type': 'image/jpeg' };
    const { came } = await both(await startProxy(), { method, path: '/media', headers, body });
    expect(came[1].body).toEqual(body);
    expect(lasting(came[1])).toEqual(lasting(came[0]));
  });

  it('keeps all kinds of headers and an invalid content type', async () => {
    const headers = {
      ...bearer(),
      'content-type': 'nonsense',
      'X-Many': ['a', 'b'],
      cookie: 'a=1; b=2',
      accept: '*/*',
    };
    const more = { 'user-agent': 'a client', 'accept-encoding': 'gzip, br', 'x-latin': '\u00e9', 'x-empty': '' };
    const { came } = await both(await startProxy(), { method: 'POST', headers: { ...headers, ...more }, body: 'x' });
    expect(lasting(came[1])).toEqual(lasting(came[0]));
    expect(came[1].headers['content-type']).toBe('nonsense');
  });

  it('arrives without hop-by-hop headers and those that Connection lists', async () => {
    const { base, whapi } = await startProxy();
    const hop = { connection: 'close, X-Listed', 'x-listed': '1', te: 'trailers', 'keep-alive': 'timeout=5' };
    const more = { expect: '100-continue', 'proxy-authorization': 'Basic eDp5', 'proxy-connection': 'keep-alive' };
    const out = begin(base, {
      method: 'POST',
      headers: { ...bearer(), ...hop, ...more, upgrade: 'h2c', 'x-kept': '1' },
    });
    out.end('body');
    await answerTo(out);
    const [came] = await whapi.received(1);
    expect(Object.keys(came?.headers ?? {}).sort()).toEqual(
      ['authorization', 'connection', 'host', 'transfer-encoding', 'x-kept'].sort(),
    );
    expect(came?.body.toString()).toBe('body');
  });

  it('is sent below the path of the base URL', async () => {
    const { gateway, whapi } = await startProxy();
    await gateway.call('PATCH', '/v1/channels/main', { whapi_base_url: `${whapi.url}/a/b` });
    await send(`${gateway.url}/whapi`, { path: '/c?d' });
    expect((await whapi.received(1))[0]?.url).toBe('/a/b/c?d');
  });

  it.each(['/../x', '/a/../../x', '/a/%2e%2E/x', '/.', '/a/.%2e', '/a%2f..%2fx', '/a/..%5cx', '/a\\..\\x', '/a#/../b'])(
    'with the path %s is refused, because it leads elsewhere',
    async (path) => {
      const { base, whapi } = await startProxy();
      expect(await send(base, { path })).toMatchObject({ status: 400, json: refusal(400, 'GW_BAD_REQUEST') });
      expect(whapi.requests).toEqual([]);
    },
  );
});

describe('a proxied answer', () => {
  it.each([
    ['200 with JSON', answer(200, { 'content-type': 'application/json', etag: '"x"' }, '{ "a" : 1 }')],
    ['200 without a content type', answer(200, { 'content-length': '3' }, 'abc')],
    ['200 in chunks', answer(200, { 'x-a': '1' }, 'chunked')],
    ['404 with text', answer(404, { 'content-type': 'application/json' }, '{"error":{"code":404,"message":"no"}}')],
    ['204', answer(204, { 'x-a': '1' })],
    ['302', answer(302, { location: 'https://elsewhere.example/x', 'content-length': '0' })],
    ['304', answer(304, { etag: '"x"' })],
    ['429 with Retry-After', answer(429, { 'retry-after': '7' }, '{}')],
    ['503', answer(503, { 'retry-after': '0' }, 'busy')],
    ['cookies', answer(200, { 'set-cookie': ['a=1', 'b=2'], vary: 'a, b' }, 'x')],
    ['letters beyond ASCII', answer(200, { 'content-disposition': 'attachment; filename="\u00c3\u00a9"' }, 'x')],
    ['gzip', answer(200, { 'content-encoding': 'gzip' }, gzipSync('text'))],
  ])('%s arrives as it would without the gateway, and once', async (_name, given) => {
    const stage = await startProxy();
    stage.whapi.otherwise = given;
    const { got } = await both(stage, { path: '/anything' });
    expect({ ...got[1], headers: lasting(got[1]) }).toEqual({ ...got[0], headers: lasting(got[0]) });
    expect(stage.whapi.requests).toHaveLength(2);
  });

  it('to HEAD has its length and no body', async () => {
    const stage = await startProxy();
    stage.whapi.otherwise = answer(200, { 'content-length': '1234', 'content-type': 'image/png' });
    const { got } = await both(stage, { method: 'HEAD', path: '/media/x' });
    expect(lasting(got[1])).toEqual(lasting(got[0]));
    expect(got[1].headers['content-length']).toBe('1234');
  });

  it('arrives without the hop-by-hop headers of the connection to Whapi', async () => {
    const { base, whapi } = await startProxy();
    whapi.otherwise = answer(200, { connection: 'close, x-listed', 'x-listed': '1', 'x-kept': '1' }, 'x');
    const { headers } = await send(base);
    expect(headers).toMatchObject({ 'x-kept': '1' });
    expect(headers).not.toHaveProperty('x-listed');
  });

  it('is streamed, each piece as soon as Whapi sends it', async () => {
    const { base, whapi } = await startProxy();
    let finish = (): void => undefined;
    whapi.otherwise = (_request, response) => {
      response.write('first');
      finish = () => response.end('last');
    };
    const out = begin(base);
    out.end();
    const [response] = (await once(out, 'response')) as [NodeJS.ReadableStream];
    const [first] = (await once(response, 'data')) as [Buffer];
    expect(first.toString()).toBe('first');
    finish();
    const [last] = (await once(response, 'data')) as [Buffer];
    expect(last.toString()).toBe('last');
  });

  it('that Whapi gives before the request is complete reaches the client', async () => {
    const { gateway, base } = await startProxy();
    await gateway.call('PATCH', '/v1/channels/main', { whapi_base_url: await startRefuser() });
    const out = begin(base, { method: 'POST', path: '/media', headers: { ...bearer(), 'content-length': '1000000' } });
    out.write('only a little of it');
    expect(await answerTo(out)).toMatchObject({ status: 413, json: { error: { code: 413 } } });
  });
});

describe('a proxied call that fails', () => {
  it("is answered 502 in Whapi's format if Whapi is unreachable", async () => {
    const { base } = await startProxy({ whapi_base_url: await unreachableUrl() });
    expect(await send(base)).toMatchObject({ status: 502, json: refusal(502, 'GW_WHAPI_UNAVAILABLE') });
  });

  it('is answered 504 if Whapi exceeds the timeout', async () => {
    const { base, whapi } = await startProxy({}, { intervals: { whapiTimeoutMs: 50 } });
    whapi.otherwise = () => undefined;
    expect(await send(base)).toMatchObject({ status: 504, json: refusal(504, 'GW_WHAPI_TIMEOUT') });
  });

  it('is answered 502 if Whapi drops the connection, and a truncated body is not ended as if complete', async () => {
    const { base, whapi } = await startProxy();
    whapi.answers.push((_request, response) => response.destroy());
    expect((await send(base)).status).toBe(502);
    whapi.answers.push((_request, response) => {
      response.writeHead(200, { 'content-length': '10' }).write('half', () => response.destroy());
    });
    await expect(send(base)).rejects.toThrow();
  });

  it('is aborted at Whapi too if its client disconnects', async () => {
    const { base, whapi } = await startProxy();
    let isOver = false;
    whapi.otherwise = (_request, response) => response.once('close', () => (isOver = true));
    const out = begin(base);
    out.on('error', () => undefined).end();
    await whapi.received(1);
    out.destroy();
    await until(() => expect(isOver).toBe(true));
  });

  it("is not aborted while its upload makes progress, beyond the timeouts of Whapi's answer and of a webhook", async () => {
    const { gateway, base, whapi } = await startProxy({}, { intervals: { whapiTimeoutMs: 1500, timeouts: IMPATIENT } });
    whapi.answers.push(() => undefined);
    const out = begin(base, { method: 'POST', path: '/media' });
    out.write('This ');
    expect((await send(base)).status).toBe(504);
    out.write('takes ');
    const webhook = rawConnection(gateway.url);
    webhook.write(headOf(['content-length: 2']));
    expect(await webhook.answers(1)).toEqual([408]);
    out.end('long.');
    expect((await answerTo(out)).status).toBe(200);
    expect(whapi.requests.at(-1)?.body.toString()).toBe('This takes long.');
  });
});

describe('the Whapi token', () => {
  it('selects the channel, as bearer or in the query, and is forwarded unchanged', async () => {
    const { base, whapi } = await startProxy();
    await send(base, { path: `/a?x=1&token=${TOKEN}`, headers: {} });
    await send(base, { path: `/a?token=${TOKEN}` });
    const came = await whapi.received(2);
    expect(came.map(({ url }) => url)).toEqual([`/a?x=1&token=${TOKEN}`, `/a?token=${TOKEN}`]);
    expect(came.map(({ headers }) => headers.authorization)).toEqual([undefined, `Bearer ${TOKEN}`]);
  });

  it.each([
    ['unknown', { headers: bearer('another') }],
    ['missing', { headers: {} }],
    ['of another scheme', { path: `/a?token=${TOKEN}`, headers: { authorization: 'Basic eDp5' } }],
    ['that of the admin', { headers: bearer('admin') }],
  ])("that is %s is answered 401 in Whapi's format, and Whapi is not called", async (_name, sent) => {
    const { base, whapi } = await startProxy();
    const { status, json, headers } = await send(base, sent);
    expect({ status, json }).toEqual({ status: 401, json: refusal(401, 'GW_UNAUTHORIZED') });
    expect(headers['www-authenticate']).toBe('Bearer');
    expect(whapi.requests).toEqual([]);
  });

  it("must be unique: two different ones are refused, because Whapi's choice is unknown", async () => {
    const { gateway, base, whapi } = await startProxy();
    await gateway.addChannel({ name: 'other', whapi_token: 'another', whapi_base_url: whapi.url });
    const { status, json } = await send(base, { path: '/messages/x?token=another' });
    expect({ status, json }).toEqual({ status: 400, json: refusal(400, 'GW_BAD_REQUEST') });
    expect(whapi.requests).toEqual([]);
  });

  it('of a channel that was changed or removed is no longer accepted, and the new one is', async () => {
    const { gateway, base } = await startProxy();
    await gateway.call('PATCH', '/v1/channels/main', { whapi_token: 'the-new-token' });
    expect([(await send(base)).status, (await send(base, { headers: bearer('the-new-token') })).status]).toEqual([
      401, 200,
    ]);
    await gateway.call('DELETE', '/v1/channels/main');
    expect((await send(base, { headers: bearer('the-new-token') })).status).toBe(401);
  });

  it('selects its own channel among several', async () => {
    const { gateway, base, whapi } = await startProxy({ whapi_base_url: await unreachableUrl() });
    await gateway.addChannel({ name: 'other', whapi_token: 'another', whapi_base_url: whapi.url });
    expect((await send(base, { headers: bearer('another') })).status).toBe(200);
    expect((await send(base)).status).toBe(502);
  });

  it('that is wrong twenty times a minute is answered 429', async () => {
    const { base } = await startProxy();
    const statuses: number[] = [];
    for (let guess = 0; guess < 21; guess += 1)
      statuses.push((await send(base, { headers: bearer(`no-${guess}`) })).status);
    expect(statuses).toEqual([...Array<number>(20).fill(401), 429]);
    expect((await send(base)).status).toBe(200);
  });
});

it('proxied requests over the limit are answered 429 with Retry-After, without counting requests to /v1', async () => {
  const { gateway, base, whapi } = await startProxy({}, { env: { API_RATE_PER_MINUTE: '5' } });
  const answers = [];
  for (let count = 0; count < 6; count += 1) answers.push(await send(base));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 429]);
  expect(answers[5]?.headers['retry-after']).toMatch(/^[1-9]\d?$/);
  expect(whapi.requests).toHaveLength(5);
  expect((await gateway.call('GET', '/v1/channels')).status).toBe(200);
});

it('no token is logged at any level, in a header or query, right or wrong, for any result', async () => {
  const gateway = await startProcess({ LOG_LEVEL: 'trace' });
  const { client, log } = gateway;
  await client.addChannel({ whapi_token: TOKEN, whapi_base_url: await unreachableUrl() });
  const path = `/messages/x?resync=true&token=${TOKEN}`;
  const statuses = [];
  for (const sent of [
    { path },
    { path, headers: {} },
    { path: `${path}-wrong`, headers: {} },
    { path: `/../a?token=${TOKEN}` },
  ]) {
    const { status, body } = await send(`${client.url}/whapi`, sent);
    statuses.push(status);
    expect(body.toString()).not.toContain(TOKEN);
  }
  expect(statuses).toEqual([502, 502, 401, 400]);
  expect((await fetch(`${client.url}/whapi/%zz?token=${TOKEN}`)).status).toBe(400);
  await gateway.end('SIGTERM');
  expect(log.join('\n')).toContain('request failed');
  expect(log.join('\n')).not.toContain(TOKEN);
});
