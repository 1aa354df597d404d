import { describe, expect, it } from 'vitest';
import { SERVER_TIMEOUTS } from '../../src/http/server.js';
import { unreachableUrl } from '../support/api.js';
import type { LocalOptions } from '../support/gateway.js';
import { until } from '../support/intervals.js';
import { rawConnection } from '../support/raw.js';
import { startSocketServer } from '../support/sockets.js';
import { bearer, send, startProxy, TOKEN } from '../support/whapi-proxy.js';
import type { ProxyStage } from '../support/whapi-proxy.js';

/** A gateway before a Whapi that answers each request with these bytes, piece by piece. */
async function startBefore(pieces: readonly string[], options: LocalOptions = {}): Promise<ProxyStage> {
  const { port } = await startSocketServer((socket) => {
    socket.on('data', () => {
      for (const piece of pieces) socket.write(piece);
    });
  });
  return await startProxy({ whapi_base_url: `http://127.0.0.1:${port}` }, options);
}

const CHUNKED = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n';
const BAD_CHUNK = 'zz\r\nnonsense\r\n';

describe('an answer of Whapi', () => {
  it.each(['content-length: 1234', 'transfer-encoding: chunked', 'x: y'])(
    'with status 304 and %s passes, though no body follows',
    async (header) => {
      const { base } = await startBefore([`HTTP/1.1 304 Not Modified\r\netag: "x"\r\n${header}\r\n\r\n`]);
      for (let round = 0; round < 2; round += 1) {
        const { status, headers, body } = await send(base);
        expect([status, headers.etag, body.length]).toEqual([304, '"x"', 0]);
        if (header.includes('1234')) expect(headers['content-length']).toBe('1234');
      }
    },
  );

  it('that begins with a bad chunk is a 502 of the gateway, or cut off', async () => {
    const { base, gateway } = await startBefore([`${CHUNKED}${BAD_CHUNK}`]);
    for (let round = 0; round < 20; round += 1) {
      const answer = await send(base).catch(() => 'cut off');
      if (answer !== 'cut off')
        expect(answer).toMatchObject({ status: 502, json: { error: { code: 502, details: 'GW_WHAPI_UNAVAILABLE' } } });
    }
    expect(gateway.logs.filter(({ level }) => level >= 50)).toEqual([]);
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
  });

  it('of status 404 with a bad chunk is a 502 where the gateway reads it', async () => {
    const { base, gateway } = await startBefore([`${CHUNKED.replace('200 OK', '404 Not Found')}${BAD_CHUNK}`]);
    await gateway.call('PATCH', '/v1/channels/main', { auto_resync: true });
    expect(await send(base, { path: '/messages/x' })).toMatchObject({ status: 502, json: { error: { code: 502 } } });
  });

  it('that breaks off after its head is cut off for the client and logged, without a stack', async () => {
    const { base, gateway, whapi } = await startProxy();
    whapi.otherwise = (_request, response) => {
      response.writeHead(200, { 'content-length': '10' }).write('half', () => response.destroy());
    };
    await expect(send(base, { path: '/media/x' })).rejects.toThrow();
    const line = await until(() => gateway.logs.find(({ msg }) => msg === 'response from Whapi broke off') ?? fail());
    expect(line).toMatchObject({ level: 40, channel: 'main', method: 'GET' });
    expect(JSON.stringify(gateway.logs)).not.toMatch(/stack|\.js:\d+/);
  });
});

function fail(): never {
  throw new Error('There is no such line.');
}

const timeouts = { ...SERVER_TIMEOUTS, headersMs: 200, requestMs: 400 };
const HOST = 'host: x\r\nconnection: close\r\n';
const HEAD = `POST /whapi/messages/text HTTP/1.1\r\n${HOST}authorization: Bearer ${TOKEN}\r\n`;
const FAULTS: readonly [string, number, string, LocalOptions?][] = [
  ['a method that HTTP has and Whapi lacks', 404, `PROPFIND /whapi/x HTTP/1.1\r\n${HOST}\r\n`],
  ['a broken percent-encoding', 400, `GET /whapi/%zz HTTP/1.1\r\n${HOST}\r\n`],
  ['dot segments', 400, `GET /whapi/../v1 HTTP/1.1\r\n${HOST}\r\n`],
  ['no token', 401, `GET /whapi/health HTTP/1.1\r\n${HOST}\r\n`],
  ['an empty token', 401, `GET /whapi/health?token= HTTP/1.1\r\n${HOST}\r\n`],
  ['a bad chunk', 400, `${HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n`],
  ['a header line that is not one', 400, `${HEAD}x y\r\n\r\n`],
  ['a large head', 431, `${HEAD}x: ${'y'.repeat(17_000)}\r\n\r\n`],
  [
    'a slow body of a GET',
    408,
    `${HEAD.replace('POST', 'GET')}content-length: 9\r\n\r\n{`,
    { intervals: { timeouts } },
  ],
];

describe('an error under /whapi', () => {
  it.each(FAULTS)('for %s (%d) has the shape of those of Whapi', async (_what, status, text, options = {}) => {
    const { gateway } = await startBefore([], options);
    const connection = rawConnection(gateway.url);
    connection.write(text);
    await connection.answers(1);
    const [head, body = ''] = (await connection.closed()).split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} [^]*\r\ncontent-type: application/json`, 'i'));
    const details = expect.stringMatching(/^GW_/) as unknown;
    const message = expect.stringMatching(/\S/) as unknown;
    expect(JSON.parse(body)).toEqual({ error: { code: status, message, details } });
  });

  it('outside of it is a problem', async () => {
    const { gateway } = await startProxy();
    for (const path of ['/whapix', '/v1/%zz'])
      expect((await fetch(gateway.url + path)).headers.get('content-type')).toMatch(/problem/);
  });
});

describe('an empty token in the query', () => {
  it('counts as none: a bearer token beside it selects the channel', async () => {
    const { base, whapi } = await startProxy();
    expect((await send(base, { path: '/a?token=' })).status).toBe(200);
    expect((await send(base, { path: `/a?token=&token=${TOKEN}`, headers: {} })).status).toBe(200);
    expect(whapi.requests.map(({ url }) => url)).toEqual(['/a?token=', `/a?token=&token=${TOKEN}`]);
  });
});

const PREFLIGHT = {
  origin: 'https://app.example.com',
  'access-control-request-method': 'POST',
  'access-control-request-headers': 'authorization,content-type',
};
const ALLOWED = { 'access-control-allow-origin': '*', 'access-control-allow-headers': 'authorization' };

describe("a browser's CORS preflight", () => {
  const preflight = { method: 'OPTIONS', path: '/messages/text', headers: PREFLIGHT };

  it('passes to WHAPI_BASE_URL without a token, as often as a browser sends it', async () => {
    const other = await startProxy();
    other.whapi.otherwise = (_request, response) => response.writeHead(204, ALLOWED).end();
    const stage = await startProxy(
      { whapi_base_url: await unreachableUrl() },
      { env: { WHAPI_BASE_URL: other.whapi.url } },
    );
    for (let count = 0; count < 25; count += 1) {
      const { status, headers } = await send(stage.base, preflight);
      expect([count, status]).toEqual([count, 204]);
      expect(headers).toMatchObject(ALLOWED);
    }
    expect(other.whapi.requests[0]).toMatchObject({ method: 'OPTIONS', url: '/messages/text', headers: PREFLIGHT });
    expect((await send(stage.base, { headers: {} })).status).toBe(401); // Not 429: none of them was a failure.
  });

  it("with a token in its query passes to its channel's base URL; so do the CORS headers of the request after it", async () => {
    const { base, whapi } = await startProxy();
    whapi.otherwise = (_request, response) => response.writeHead(200, ALLOWED).end();
    await send(base, { ...preflight, path: `/messages/text?token=${TOKEN}` });
    expect(await send(base, { headers: { ...bearer(), origin: PREFLIGHT.origin } })).toMatchObject({
      headers: ALLOWED,
    });
    expect(whapi.requests).toHaveLength(2);
  });

  it('is limited per address', async () => {
    const whapi = await startProxy();
    const env = { API_RATE_PER_MINUTE: '3', WHAPI_BASE_URL: whapi.whapi.url };
    const { base } = await startProxy({}, { env });
    const statuses = [];
    for (let count = 0; count < 4; count += 1) statuses.push((await send(base, preflight)).status);
    expect(statuses).toEqual([200, 200, 200, 429]);
  });

  it.each([
    ['asks for no method', { ...preflight, headers: { origin: PREFLIGHT.origin } }],
    ['names no origin', { ...preflight, headers: { 'access-control-request-method': 'POST' } }],
    ['has a body', { ...preflight, headers: { ...PREFLIGHT, 'content-length': '2' }, body: '{}' }],
  ])('is a call that needs a token if it %s', async (_what, sent) => {
    const { base, whapi } = await startProxy();
    expect((await send(base, sent)).status).toBe(401);
    expect(whapi.requests).toEqual([]);
  });
});
