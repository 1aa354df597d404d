import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { SERVER_TIMEOUTS } from '../../src/http/server.js';
import { expectProblem, startApi } from '../support/api.js';
import type { LocalGateway } from '../support/gateway.js';
import { headOf, rawConnection, requestText } from '../support/raw.js';
import { textWebhook } from '../support/texts.js';

const timeouts = { ...SERVER_TIMEOUTS, headersMs: 800, requestMs: 1600, idleMs: 60_000 };

async function lives(gateway: LocalGateway): Promise<boolean> {
  return (await gateway.webhook(textWebhook('afterwards'))).status === 200;
}

describe('a slow client', () => {
  it.each([
    ['sends nothing', []],
    ['never ends its head', ['POST /webhooks/main HTTP/1.1\r\n', 'host: gateway\r\n', 'x: y\r\n']],
    ['never ends its body', [headOf(['content-length: 100']), '{"mess', 'ages"']],
  ])('that %s is answered 408 and disconnected', async (_how, parts) => {
    const gateway = await startApi({ intervals: { timeouts } });
    const connection = rawConnection(gateway.url);
    for (const part of parts) connection.write(part);
    const text = await connection.closed();
    expect(text).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\ncontent-type: application\/problem\+json\r\n/);
    expect(text).toContain('"code":"GW_TIMEOUT"');
    expect(await lives(gateway)).toBe(true);
  });

  it('that vanishes in the middle of its body frees its memory budget soon (half-open connection)', async () => {
    const gateway = await startApi({ intervals: { timeouts }, env: { MAX_PENDING_BYTES: '1024' } });
    const connection = rawConnection(gateway.url);
    connection.write(headOf(['content-length: 1024']) + '{');
    const statuses: number[] = [];
    while (statuses.at(-1) !== 200) statuses.push((await gateway.webhook(textWebhook('a'))).status);
    expect(new Set(statuses)).toEqual(new Set([503, 200]));
  });
});

describe('a webhook beyond the memory budget', () => {
  it('is refused with 503 GW_OVERLOADED and Retry-After before it is read, while one in progress is stored (I1)', async () => {
    const gateway = await startApi({ env: { MAX_PENDING_BYTES: '1024' } });
    const slow = rawConnection(gateway.url);
    const first = textWebhook('first').padEnd(1000);
    slow.write(headOf(['content-length: 1000', 'expect: 100-continue']));
    expect(await slow.answers(1)).toEqual([100]);
    const refused = await gateway.webhook(textWebhook('second'));
    expectProblem(refused, 503, 'GW_OVERLOADED');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    slow.write(first);
    expect(await slow.answers(2)).toEqual([100, 200]);
    expect((await gateway.webhook(textWebhook('second'))).body.verdicts).toEqual({ new: 1 });
  });

  it('is refused if chunked too, when its total length is unknown', async () => {
    const gateway = await startApi({ env: { MAX_PENDING_BYTES: '1024' } });
    const slow = rawConnection(gateway.url);
    slow.write(headOf(['content-length: 700', 'expect: 100-continue']));
    await slow.answers(1);
    const chunked = rawConnection(gateway.url);
    chunked.write(`${headOf(['transfer-encoding: chunked'])}200\r\n${' '.repeat(512)}\r\n`);
    expect(await chunked.answers(1)).toEqual([503]);
    slow.write('1'.padEnd(700));
    expect(await slow.answers(2)).toEqual([100, 200]);
  });

  it('is accepted if it comes alone', async () => {
    const gateway = await startApi({ env: { MAX_PENDING_BYTES: '1024' } });
    expect((await gateway.webhook(textWebhook('a').padEnd(5000))).status).toBe(200);
    expect((await gateway.webhook(textWebhook('b').padEnd(5000))).status).toBe(200);
  });

  it('is refused with 413 and not stored if it has more than 10,000 items', async () => {
    const gateway = await startApi();
    const body = (count: number) => `{"statuses":[${Array(count).fill('1').join()}]}`;
    expectProblem(await gateway.webhook(body(10_001)), 413, 'GW_TOO_LARGE');
    expect((await gateway.webhook(body(10_000))).body).toMatchObject({ items: 10_000 });
  });
});

describe('an unusual request', () => {
  it.each([
    ['two lengths', headOf(['content-length: 2', 'content-length: 3']) + '{} '],
    ['a length and chunks', `${headOf(['content-length: 2', 'transfer-encoding: chunked'])}2\r\n{}\r\n0\r\n\r\n`],
    ['chunks that are not the last coding', `${headOf(['transfer-encoding: chunked, identity'])}0\r\n\r\n`],
    ['an invalid chunk size', `${headOf(['transfer-encoding: chunked'])}-1\r\n{}\r\n0\r\n\r\n`],
    ['a negative length', headOf(['content-length: -1'])],
    ['a NUL in a header', headOf(['x: a\0b', 'content-length: 2']) + '{}'],
    ['a header line without a colon', headOf(['x y', 'content-length: 2']) + '{}'],
    ['lines that end in LF only', headOf(['content-length: 2']).replaceAll('\r\n', '\n') + '{}'],
    ['bytes that are not HTTP', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n'],
    ['an unexpected HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ])('with %s: 400 GW_BAD_REQUEST, the connection closes, the gateway keeps running', async (_what, text) => {
    const gateway = await startApi();
    const connection = rawConnection(gateway.url);
    connection.write(Buffer.from(text, 'latin1'));
    const answer = await connection.closed();
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(answer).toContain('"code":"GW_BAD_REQUEST"');
    expect(await lives(gateway)).toBe(true);
  });

  it('with a header block of more than 16 KiB is answered 431 GW_HEADERS_TOO_LARGE', async () => {
    const gateway = await startApi();
    const connection = rawConnection(gateway.url);
    connection.write(headOf([`x: ${'y'.repeat(17_000)}`]));
    expect(await connection.closed()).toMatch(/^HTTP\/1\.1 431 [^]*"code":"GW_HEADERS_TOO_LARGE"/);
  });

  it.each([
    ['a compressed body, which is not JSON', 'content-encoding: gzip', gzipSync(textWebhook('a')), 400],
    ['an uncompressed body declared as compressed', 'content-encoding: gzip', Buffer.from(textWebhook('a')), 200],
    ['an unknown expectation', 'expect: the-unexpected', Buffer.from(textWebhook('a')), 417],
    [
      'a body declared in another character set',
      'content-type: text/plain; charset=utf-16',
      Buffer.from(textWebhook('a')),
      200,
    ],
  ])('with %s', async (_what, header, body, status) => {
    const gateway = await startApi();
    const connection = rawConnection(gateway.url);
    connection.write(headOf([header, `content-length: ${body.length}`]));
    connection.write(body);
    expect(await connection.answers(1)).toEqual([status]);
    expect(await lives(gateway)).toBe(true);
  });

  it.each([
    ['//webhooks/main', 404],
    ['/WEBHOOKS/main', 404],
    ['/webhooks/%6dain', 401],
    ['/webhooks/main/%00', 200],
    ['/webhooks/main/%', 400],
    ['/webhooks/main/../../v1/channels', 404],
    ['/webhooks/main/%2e%2e/%2e%2e/v1/channels', 404],
    ['http://127.0.0.1/webhooks/main', 404],
    ['*', 404],
  ])('to %s is answered %d', async (path, status) => {
    const gateway = await startApi();
    const connection = rawConnection(gateway.url);
    connection.write(requestText(textWebhook('a'), [], path));
    expect(await connection.answers(1)).toEqual([status]);
    expect(await lives(gateway)).toBe(true);
  });

  it('with a query of many kilobytes is accepted, and the query is ignored', async () => {
    const gateway = await startApi();
    const connection = rawConnection(gateway.url);
    connection.write(requestText(textWebhook('a'), [], `/webhooks/main?${'q=1&'.repeat(3000)}`));
    expect(await connection.answers(1)).toEqual([200]);
  });

  it('that is one of several in one packet is answered in order, after its commit', async () => {
    const gateway = await startApi();
    const connection = rawConnection(gateway.url);
    connection.write(['a', 'b', 'a'].map((id) => requestText(textWebhook(id))).join('') + requestText('no json'));
    expect(await connection.answers(4)).toEqual([200, 200, 200, 400]);
  });
});
