import { describe, expect, it } from 'vitest';
import { startApi } from '../support/api.js';
import { rawConnection } from '../support/raw.js';
import { startProcess } from '../support/process.js';

/** No part of it has the shape of a secret: it is hidden by its place, not by its looks. */
const SECRET = 'hush-the-webhook-secret';
const SUFFIX = 'hush-the-suffix';

/** Ways to mistype `/webhooks/shop/s/{secret}`, and requests that fail on their way. */
const TARGETS = [
  `/webhooks/shop/s/${SECRET}`,
  `/webhooks/shop/s/${SECRET}/${SUFFIX}/post`,
  `/webhooks/shop/${SECRET}`,
  `/webhooks/shop/S/${SECRET}`,
  `/webhooks/shop/secret/${SECRET}`,
  `/webhooks/shop/s//${SECRET}/../x`,
  `/webhooks/shop/s%2F${SECRET}`,
  `/webhooks/shop%2Fs%2F${SECRET}`,
  `/webhooks%2Fshop%2Fs%2F${SECRET}`,
  `/webhooks/shop/s/${SECRET}%2Fmessages`,
  `/webhooks/shop/s/${SECRET}/%zz`,
  `/webhooks/shop/s/${SECRET}/${'x'.repeat(3000)}`,
  `/webhooks/${SECRET}${'x'.repeat(3000)}`,
  `/webhooks/shop\\s\\${SECRET}`,
  `/webhooks/${SECRET}`,
  `/webhooks/s/${SECRET}`,
  `/webhooks/nobody/s/${SECRET}`,
  `/webhooks/shop?secret=${SECRET}`,
  `/webhooks/shop/s?${SECRET}`,
  `/webhooks/shop/s#${SECRET}`,
  `/webhooks/shop;${SECRET}`,
  `/webhook/shop/s/${SECRET}`,
  `/WEBHOOKS/shop/s/${SECRET}`,
  `//webhooks/shop/s/${SECRET}`,
  `/gateway/webhooks/shop/s/${SECRET}`,
  `/v1/webhooks/shop/s/${SECRET}`,
  `/whapi/webhooks/shop/s/${SECRET}`,
  `/whapi/%zz/${SECRET}`,
  `/shop/s/${SECRET}`,
  `/${SECRET}`,
  SECRET,
  `http://gateway/webhooks/shop/s/${SECRET}`,
  `http://${SECRET}@gateway/webhooks/shop`,
];
const METHODS = ['POST', 'GET', 'HEAD', 'OPTIONS', 'PROPFIND'];

/** Requests for a path that fail in other ways than by it. */
function faultyRequests(path: string): string[] {
  const head = `POST ${path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n`;
  return [
    ...METHODS.map(
      (method) => `${method} ${path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
    ),
    `${head}content-length: 3\r\n\r\nno!`,
    `${head}transfer-encoding: chunked\r\n\r\n-1\r\n`,
    `${head}x: ${'y'.repeat(17_000)}\r\n\r\n`,
    `${head}expect: ${SECRET}\r\ncontent-length: 0\r\n\r\n`,
    `${head}content-length: 5000\r\n\r\n${'x'.repeat(5000)}`,
    `${head}bad header\r\n\r\n`,
    `POST ${path} HTTP/9.9\r\n\r\n`,
  ];
}

describe('a secret in the path of a webhook', () => {
  it('is in no answer and in no log line at LOG_LEVEL=trace, however it is mistyped', async () => {
    const gateway = await startProcess({ LOG_LEVEL: 'trace', MAX_BODY_BYTES: '2000' });
    await gateway.client.addChannel({ name: 'shop', webhook_secret: SECRET });
    const requests = TARGETS.flatMap(faultyRequests);
    for (const request of requests) {
      const connection = rawConnection(gateway.client.url);
      connection.write(Buffer.from(request, 'latin1'));
      const answer = await connection.closed();
      expect([request.slice(0, 200), answer]).toEqual([request.slice(0, 200), expect.stringMatching(/^HTTP/)]);
      expect(answer).not.toContain('hush');
    }
    await gateway.end('SIGTERM');
    const log = gateway.log.join('\n');
    for (const said of ['request refused', 'webhook refused', '/webhooks/shop/…', '/webhooks/…', '/v1/…', 'stopped'])
      expect(log).toContain(said);
    expect(gateway.log.filter((line) => line.includes('hush'))).toEqual([]);
  });

  it('a 404 names the method and the area, and where webhooks go', async () => {
    const { url } = await startApi();
    const detailOf = async (path: string): Promise<string> =>
      ((await (await fetch(url + path)).json()) as { detail: string }).detail;
    expect(await detailOf('/v1/nothing')).toBe(
      'No operation matches GET /v1/…: GET /openapi.json lists all operations.',
    );
    expect(await detailOf('/nothing')).toBe('No operation matches GET /…: GET /openapi.json lists all operations.');
    expect(await detailOf('/webhooks/main')).toBe(
      'No operation matches GET /webhooks/…: send webhooks to /webhooks/<channel> with POST, PUT, PATCH or DELETE.',
    );
  });
});
