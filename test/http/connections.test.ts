import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { limitConnections } from '../../src/http/connections.js';
import type { Connections } from '../../src/http/connections.js';
import { SERVER_TIMEOUTS } from '../../src/http/server.js';
import { startApi } from '../support/api.js';
import { WEBHOOK_SECRET } from '../support/client.js';
import { until } from '../support/intervals.js';
import { startProcess } from '../support/process.js';
import { headOf, rawConnection, requestText } from '../support/raw.js';
import type { RawConnection } from '../support/raw.js';
import { textWebhook } from '../support/texts.js';

const GET = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';

/** A server that takes three connections. It answers what has no body at once, and `/known` authenticates. */
async function startLimited(): Promise<{ open: () => Promise<RawConnection>; count: () => Promise<number> }> {
  let connections: Connections | null = null;
  const server = createServer((request, response) => {
    if (request.url === '/known') connections?.authenticated(request.socket);
    if (request.method === 'GET') response.end('x');
    else request.resume().on('end', () => response.end('x'));
  });
  connections = limitConnections(server, { most: 3, strangerKeepAliveMs: 10_000 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const count = async (): Promise<number> =>
    await new Promise((resolve) => server.getConnections((_error, found) => resolve(found)));
  const open = async (): Promise<RawConnection> => {
    const accepted = once(server, 'connection');
    const connection = rawConnection(url);
    await accepted;
    return connection;
  };
  return { open, count };
}

describe('at the limit of connections', () => {
  it('the oldest idle connection is closed, whether it sent nothing, half a head or a whole request', async () => {
    const { open, count } = await startLimited();
    const [silent, half, done] = [await open(), await open(), await open()];
    half.write('GET / HT');
    done.write(GET);
    await done.answers(1);
    for (const [place, oldest] of [silent, half, done].entries()) {
      const newcomer = await open();
      await oldest.closed();
      newcomer.write(GET);
      expect([place, await newcomer.answers(1), await count()]).toEqual([place, [200], 3]);
    }
  });

  it('a connection with a request in progress stays, and so does one that has authenticated while there are others', async () => {
    const { open } = await startLimited();
    const [busy, known, idle] = [await open(), await open(), await open()];
    busy.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab');
    known.write(GET.replace('/', '/known'));
    await known.answers(1);
    await open();
    await idle.closed();
    busy.write('cd');
    known.write(GET);
    expect([await busy.answers(1), await known.answers(2)]).toEqual([[200], [200, 200]]);
  });

  it('of which none is idle, the newcomer is closed', async () => {
    const { open } = await startLimited();
    const busy = [await open(), await open(), await open()];
    for (const each of busy) {
      each.write(GET);
      await each.answers(1);
      each.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab');
    }
    // Their requests have arrived once a later one has been answered.
    await until(async () => {
      const newcomer = await open();
      expect(await newcomer.closed()).toBe('');
    });
    busy[2]?.write('cd');
    expect(await busy[2]?.answers(2)).toEqual([200, 200]);
  });

  it('2,050 idle connections from one address keep no webhook out, and cut off none that is being uploaded', async () => {
    const { client } = await startProcess();
    await client.addChannel();
    const upload = rawConnection(client.url);
    const body = textWebhook('uploaded');
    upload.write(headOf([`content-length: ${body.length}`, 'expect: 100-continue']) + body.slice(0, 5));
    await upload.answers(1);
    const idle = await idleSockets(client.url, 2050);
    await until(() => expect(idle.closed.size).toBeGreaterThanOrEqual(51)); // One of 2,000 is the upload's.
    expect((await client.webhook(textWebhook('new'))).status).toBe(200);
    upload.write(body.slice(5));
    expect(await upload.answers(2)).toEqual([100, 200]);
    expect(Math.max(...idle.closed)).toBeLessThan(60); // The oldest ones.
  });
});

/** Connections that send nothing or half a head, and the places of those that have been closed. */
async function idleSockets(url: string, count: number): Promise<{ readonly closed: ReadonlySet<number> }> {
  const { hostname, port } = new URL(url);
  const closed = new Set<number>();
  for (let place = 0; place < count; place += 1) {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined).on('close', () => closed.add(place));
    onTestFinished(() => void socket.destroy());
    // One after the other: a busy machine that cannot accept 2,000 at once makes the kernel try some again seconds later.
    await once(socket, 'connect');
    if (place % 2 === 0) socket.write('POST /webhooks/main HTTP/1.1\r\nho');
  }
  return { closed };
}

describe('a connection that waits for its next request', () => {
  const timeouts = { ...SERVER_TIMEOUTS, strangerKeepAliveMs: 50 };

  it('is closed early if nothing on it has authenticated', async () => {
    const gateway = await startApi({ intervals: { timeouts } });
    const connection = rawConnection(gateway.url);
    connection.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
    expect(await connection.closed()).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('stays open if a webhook or a call to the API on it has authenticated', async () => {
    const gateway = await startApi({ intervals: { timeouts } });
    const known = rawConnection(gateway.url);
    known.write(requestText(textWebhook('a')));
    await known.answers(1);
    for (let round = 0; round < 3; round += 1) {
      const stranger = rawConnection(gateway.url);
      stranger.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
      await stranger.closed();
    }
    known.write(requestText(textWebhook('b')));
    expect(await known.answers(2)).toEqual([200, 200]);
  });

  it.each([
    ['401', 401, requestText('{}').replace(WEBHOOK_SECRET, 'wrong')],
    ['401 while its body arrives', 401, `${headOf(['content-length: 9']).replace(WEBHOOK_SECRET, 'wrong')}{`],
    ['401 of the API', 401, 'GET /v1/channels HTTP/1.1\r\nhost: x\r\n\r\n'],
    ['401 of Whapi', 401, 'GET /whapi/health HTTP/1.1\r\nhost: x\r\n\r\n'],
    ['404', 404, 'POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}'],
  ])('is closed after %s', async (_what, status, text) => {
    const gateway = await startApi();
    const connection = rawConnection(gateway.url);
    connection.write(text);
    expect(await connection.answers(1)).toEqual([status]);
    const [head] = (await connection.closed()).split('\r\n\r\n');
    expect(head).toMatch(/\r\nconnection: close/i);
  });

  it('is closed after 429', async () => {
    const gateway = await startApi({ env: { WEBHOOK_RATE_PER_SECOND: '1' } });
    const connection = rawConnection(gateway.url);
    for (let i = 0; i < 5; i += 1) connection.write(requestText(textWebhook(`m-${i}`)));
    expect(await connection.closed()).toMatch(/^HTTP\/1\.1 200 [^]*HTTP\/1\.1 429 [^]*\r\nconnection: close\r\n/);
  });

  it('gives a client that is still sending its body time to read a refusal', async () => {
    const { url } = await startApi();
    const headers = { authorization: 'Bearer wrong' };
    const body = 'x'.repeat(8_000_000);
    for (let i = 0; i < 5; i += 1) {
      const answer = await fetch(`${url}/webhooks/main`, { method: 'POST', headers, body });
      expect([answer.status, await answer.text()]).toEqual([401, expect.stringContaining('GW_UNAUTHORIZED')]);
    }
  });
});
