import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expect, it, onTestFinished } from 'vitest';
import { startProcess } from './support/process.js';
import { answerTo, bearer, begin, TOKEN } from './support/whapi-proxy.js';

const MIB = 1024 * 1024;
const BYTES = 300 * MIB;
/** Holding one of the two bodies in memory would take twice this. Pieces not yet collected were measured at 108 MiB. */
const MOST_GROWTH = BYTES / 2;

it('300 MB pass through a real gateway in both directions, byte for byte, in bounded memory', async () => {
  const gateway = await startProcess();
  await gateway.client.addChannel({ whapi_token: TOKEN, whapi_base_url: await startEcho() });
  const before = peakOf(gateway.pid);
  const headers = { ...bearer(), 'content-type': 'video/mp4', 'content-length': String(BYTES) };
  const upload = begin(`${gateway.client.url}/whapi`, { method: 'POST', path: '/media', headers });
  const sent = createHash('sha256');
  const answered = answerTo(upload);
  await pipeline(Readable.from(pieces((piece) => sent.update(piece))), upload);
  const { status, headers: given, body } = await answered;
  expect({ status, length: given['content-length'] }).toEqual({ status: 200, length: String(BYTES) });
  expect(createHash('sha256').update(body).digest('hex')).toBe(sent.digest('hex'));
  expect(peakOf(gateway.pid) - before).toBeLessThan(MOST_GROWTH);
});

/** As many bytes as are sent, no two pieces equal. */
function* pieces(told: (piece: Buffer) => void): Generator<Buffer> {
  for (let number = 0; number < BYTES / MIB; number += 1) {
    const piece = Buffer.alloc(MIB, number + 1);
    piece.writeUInt32BE(number, number);
    told(piece);
    yield piece;
  }
}

/** The peak memory of a process in bytes. */
function peakOf(pid: number): number {
  const [, kibibytes] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
}

/** A Whapi that echoes its request body while it arrives. Returns its URL. */
async function startEcho(): Promise<string> {
  const server = createServer((request, response: ServerResponse) => {
    response.writeHead(200, { 'content-length': request.headers['content-length'] });
    request.pipe(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
