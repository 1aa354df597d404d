import { WEBHOOK_SECRET } from '../servers.js';
import { bodyOf, mutated } from './bodies.js';

/** Whole requests for the fuzz, as bytes. */

const METHODS = ['POST', 'PUT', 'PATCH', 'DELETE'];
const OTHER_METHODS = [
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'PROPFIND',
  'QUERY',
  'post',
  'PO ST',
  'P\0ST',
  'X',
];
const SECRET_HEADER = `authorization: Bearer ${WEBHOOK_SECRET}`;

const PATHS = [
  ...[
    '/webhooks/main',
    '/webhooks/main/messages/post',
    '/webhooks/main/statuses',
    '/webhooks/main/',
    '//webhooks/main',
  ],
  ...[
    '/webhooks/main/../../v1/channels',
    '/webhooks/main/%2e%2e/x',
    '/webhooks/main/%00',
    '/webhooks/main/%',
    '/webhooks',
  ],
  ...['/webhooks/%6dain', '/webhooks/MAIN', '/webhooks/main%2fs%2fx', '/webhooks/main/s/', '/webhooks/main/s/a/s/b'],
  ...[`/webhooks/main/s/${WEBHOOK_SECRET}`, `/webhooks/main/s/${WEBHOOK_SECRET}/messages/put`, '/webhooks/main;x=y'],
  ...[
    'http://127.0.0.1/webhooks/main',
    'http://other.example/webhooks/main',
    '*',
    '',
    '/',
    '/webhooks/main#x',
    '/\xe9',
  ],
  `/webhooks/main?${'q=1&'.repeat(2000)}`,
  `/webhooks/${'a'.repeat(3000)}`,
  `/webhooks/main/${'x/'.repeat(3000)}`,
  `/webhooks/main/${encodeURIComponent('é👋')}`,
];
const HEADERS = [
  ...[
    'content-type: application/json',
    'content-type: text/plain',
    'content-type: ;;;',
    'content-type: \xff',
    'content-type:',
  ],
  ...['content-type: application/json; charset=utf-16', 'content-type: multipart/form-data', 'content-encoding: gzip'],
  ...[
    'content-encoding: br, identity',
    'expect: 100-continue',
    'expect: 200-ok',
    'connection: upgrade',
    'upgrade: h2c',
  ],
  ...['accept: nothing/at-all', 'accept-encoding: gzip;q=9', 'range: bytes=0-', 'if-none-match: *', 'te: trailers'],
  ...[
    'x-http-method-override: DELETE',
    'x-forwarded-for: 1.2.3.4, ::1',
    'forwarded: for="[::1]',
    'host: other',
    'cookie: a',
  ],
  ...[
    'authorization: Bearer',
    'authorization: Basic x',
    'authorization: Bearer  a b',
    'content-md5: x',
    '__proto__: x',
  ],
  ...[
    'constructor: y',
    'x: \t',
    `x-long: ${'l'.repeat(9000)}`,
    'trailer: x',
    'idempotency-key: \x7f',
    'accept-version: 9.0.0',
  ],
];

const API = [
  [
    'POST',
    '/v1/channels',
    { name: 'fuzz', whapi_token: 't', webhook_secret: 'a-secret-of-some-length', late_after_seconds: 9 },
  ],
  [
    'POST',
    '/v1/targets',
    { name: 'fuzz', url: 'http://127.0.0.1:9/', channels: ['nobody'], headers: { a: 'b' }, enabled: false },
  ],
  ['POST', '/v1/resyncs', { channel: 'main', message_ids: ['a', 'b'], deliver_unseen: false, window_seconds: 60 }],
  ['POST', '/v1/deliveries/retry', { status: 'dead', since: '2026-01-01T00:00:00Z', dry_run: true }],
  ['POST', '/v1/messages/main/a/release', { targets: ['x'] }],
  ['PATCH', '/v1/targets/none', { name: 'x', rate_per_second: 5 }],
];
const API_READS = [
  ...[
    '/v1/channels',
    '/v1/targets',
    '/v1/messages',
    '/v1/messages/main/a',
    '/v1/deliveries',
    '/v1/deliveries/x',
    '/v1/resyncs',
  ],
  ...[
    '/v1/messages?held=true',
    '/v1/messages?verdict=duplicate',
    '/v1/deliveries?status=dead',
    '/v1/messages/main/%00',
  ],
  ...[
    '/v1/messages?cursor=WzEsMV0',
    '/v1/messages?limit=500',
    '/v1/messages?limit=1e3',
    '/v1/deliveries?limit=-1',
    '/readyz',
  ],
  ...[
    '/v1/messages?cursor=%00',
    '/v1/messages?limit=1&limit=2',
    '/v1/messages?__proto__=1',
    '/v1/resyncs/%ff',
    '/openapi.json',
  ],
];

/** Bytes that are not a request, or one that a proxy and a server could read differently (request smuggling). */
const MALFORMED = [
  'GET / HTTP/9.9\r\n\r\n',
  'GET /\r\n\r\n',
  'POST /webhooks/main HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n{}  ',
  'POST /webhooks/main HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  'POST /webhooks/main HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n',
  'POST /webhooks/main HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n',
  `POST /webhooks/main HTTP/1.1\r\nhost: x\r\n${SECRET_HEADER}\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n`,
  `POST /webhooks/main HTTP/1.1\r\nhost: x\r\n${SECRET_HEADER}\r\ntransfer-encoding: chunked\r\n\r\n-1\r\nx`,
  `POST /webhooks/main HTTP/1.1\r\nhost: x\r\n${SECRET_HEADER}\r\ncontent-length: -5\r\n\r\n`,
  `POST /webhooks/main HTTP/1.1\r\nhost: x\r\n${SECRET_HEADER}\r\ncontent-length: 99999999999999999999\r\n\r\n`,
  `POST /webhooks/main HTTP/1.1\r\nhost: x\r\n${SECRET_HEADER}\r\ncontent-length: 11 1\r\n\r\n`,
  'POST /webhooks/main HTTP/1.1\nhost: x\n\n',
  'POST /webhooks/main HTTP/1.1\r\n\r\n',
  'POST /webhooks/main HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n',
  'POST /webhooks/main HTTP/1.1\r\nhost: x\r\na: b\0c\r\n\r\n',
  'POST /webhooks/main HTTP/1.1\r\nhost: x\r\n folded: y\r\n\r\n',
  `POST /webhooks/main HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
  `POST /webhooks/main HTTP/1.1\r\nhost: x\r\n${'a: b\r\n'.repeat(3000)}\r\n`,
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  '\r\n\r\n\r\n',
  '\0'.repeat(100),
  `GET ${'/x'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
];

/** A request: its bytes, and whether its connection can carry another one. */
export function requestOf(chance, adminToken) {
  return chance.weighted([
    [80, () => webhook(chance)],
    [8, () => api(chance, adminToken)],
    [4, () => malformed(chance)],
    [4, () => bitten(chance, webhook(chance))],
    [4, () => chunked(chance)],
  ]);
}

function webhook(chance) {
  const method = chance.isOneIn(20) ? chance.pick(OTHER_METHODS) : chance.pick(METHODS);
  const path = chance.isOneIn(5) ? chance.pick(PATHS) : '/webhooks/main';
  const headers = [chance.isOneIn(15) ? chance.pick(HEADERS) : SECRET_HEADER];
  while (chance.isOneIn(3)) headers.push(chance.pick(HEADERS));
  return framed(method, path, headers, bodyOf(chance));
}

function api(chance, adminToken) {
  const admin = `authorization: Bearer ${adminToken}`;
  if (chance.isOneIn(2)) return framed('GET', chance.pick(API_READS), [admin], Buffer.alloc(0));
  const [method, path, body] = chance.pick(API);
  const headers = [admin, 'content-type: application/json'];
  if (chance.isOneIn(4)) headers.push(chance.pick(HEADERS));
  return framed(method, path, headers, mutated(body, chance));
}

function malformed(chance) {
  return { method: 'POST', bytes: Buffer.from(chance.pick(MALFORMED), 'latin1'), isLast: true };
}

/** Some bytes of the header block are flipped too. */
function bitten(chance, { method, bytes }) {
  const copy = Buffer.from(bytes);
  const head = copy.indexOf('\r\n\r\n');
  for (let left = 1 + chance.below(4); left > 0; left -= 1) copy[chance.below(head)] = chance.below(256);
  return { method, bytes: copy, isLast: true };
}

function chunked(chance) {
  const body = bodyOf(chance);
  const head = `POST /webhooks/main HTTP/1.1\r\nhost: x\r\n${SECRET_HEADER}\r\ntransfer-encoding: chunked\r\n\r\n`;
  const parts = [Buffer.from(head)];
  for (let at = 0; at < body.length;) {
    const size = Math.min(body.length - at, 1 + chance.below(Math.max(200, body.length / 4)));
    parts.push(Buffer.from(`${size.toString(16)}\r\n`), body.subarray(at, at + size), Buffer.from('\r\n'));
    at += size;
  }
  return { method: 'POST', bytes: Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]), isLast: false };
}

function framed(method, path, headers, body) {
  const lines = [`${method} ${path} HTTP/1.1`, 'host: gateway', ...headers, `content-length: ${body.length}`];
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  return { method, bytes: Buffer.concat([head, body]), isLast: false };
}
