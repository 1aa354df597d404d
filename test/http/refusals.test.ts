import { once } from 'node:events';
import { statSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startApi } from '../support/api.js';
import { WEBHOOK_SECRET } from '../support/client.js';
import { startLocal } from '../support/gateway.js';
import type { LocalGateway, LogLine } from '../support/gateway.js';
import { textWebhook } from '../support/texts.js';

interface ChannelJson {
  readonly channel_id: string | null;
  readonly last_webhook_at: string | null;
  readonly refused: { readonly last_at: string | null; readonly last_code: string | null; readonly today: number };
}

async function channelOf(gateway: LocalGateway): Promise<ChannelJson> {
  return (await gateway.call<ChannelJson>('GET', '/v1/channels/main')).body;
}

function refusals({ logs }: LocalGateway): LogLine[] {
  return logs.filter(({ msg }) => msg === 'webhook refused');
}

describe('a refused webhook of a channel', () => {
  it.each([
    ['GW_UNAUTHORIZED', async (gateway: LocalGateway) => await gateway.webhook(textWebhook('A'), { secret: 'wrong' })],
    ['GW_BAD_JSON', async (gateway: LocalGateway) => await gateway.webhook('{')],
    ['GW_TOO_LARGE', async (gateway: LocalGateway) => await gateway.webhook(`"${'x'.repeat(3000)}"`)],
    [
      'GW_CHANNEL_MISMATCH',
      async (gateway: LocalGateway) => {
        await gateway.webhook(JSON.stringify({ channel_id: 'ONE-ONE' }));
        return await gateway.webhook(JSON.stringify({ channel_id: 'TWO-TWO' }));
      },
    ],
  ])('is counted, logged and shown: %s', async (code, send) => {
    const gateway = await startApi({ env: { MAX_BODY_BYTES: '2000' } });
    expect((await send(gateway)).body).toMatchObject({ code });
    expect((await channelOf(gateway)).refused).toEqual({
      last_at: expect.stringMatching(/Z$/) as unknown,
      last_code: code,
      today: 1,
    });
    expect(refusals(gateway)).toMatchObject([{ level: 40, channel: 'main', code, refused: 1 }]);
  });

  it('is counted if it exceeds the rate of its channel', async () => {
    const gateway = await startApi({ env: { WEBHOOK_RATE_PER_SECOND: '1' } });
    for (const id of ['A', 'B', 'C', 'D']) await gateway.webhook(textWebhook(id));
    expect((await channelOf(gateway)).refused).toMatchObject({ last_code: 'GW_RATE_LIMITED' });
  });

  it('is logged once per minute and cause, with the number since the last line', async () => {
    let now = Date.UTC(2026, 0, 5, 12);
    const gateway = await startApi({ effects: { now: () => now } });
    for (let i = 0; i < 3; i += 1) await gateway.webhook('{');
    await gateway.webhook(textWebhook('A'), { secret: 'wrong' });
    now += 60_000;
    await gateway.webhook('{');
    expect(refusals(gateway).map(({ code, refused }) => [code, refused])).toEqual([
      ['GW_BAD_JSON', 1],
      ['GW_UNAUTHORIZED', 1],
      ['GW_BAD_JSON', 3],
    ]);
    expect((await channelOf(gateway)).refused.today).toBe(5);
  });

  it('needs no write of its own, so that a flood of wrong secrets leaves the database unchanged', async () => {
    const gateway = await startApi();
    await gateway.webhook('{', { secret: 'wrong' });
    await gateway.webhook(textWebhook('A')); // After it the first refusal is written.
    const log = join(gateway.folder, 'gateway.db-wal');
    const before = statSync(log).size;
    for (let i = 0; i < 200; i += 1) await gateway.webhook('{', { secret: 'wrong' });
    expect(statSync(log).size).toBe(before);
    expect((await channelOf(gateway)).refused.today).toBe(201);
  });

  it('stays counted across a restart', async () => {
    const gateway = await startApi();
    for (let i = 0; i < 3; i += 1) await gateway.webhook('{');
    await gateway.close();
    const again = await startLocal({ folder: gateway.folder });
    expect((await channelOf(again)).refused).toMatchObject({ last_code: 'GW_BAD_JSON', today: 3 });
  });

  it('for an unknown channel is neither logged nor stored', async () => {
    const gateway = await startApi();
    expect((await gateway.webhook('{', { channel: 'nobody' })).status).toBe(401);
    expect(refusals(gateway)).toEqual([]);
  });
});

describe('GET /v1/channels/{name}', () => {
  it('shows when the last webhook was accepted', async () => {
    const gateway = await startApi();
    expect((await channelOf(gateway)).last_webhook_at).toBeNull();
    await gateway.webhook(textWebhook('A'));
    expect(Date.parse((await channelOf(gateway)).last_webhook_at ?? '')).toBeGreaterThan(Date.now() - 60_000);
  });

  it('shows no learned Whapi id after a change of token, but keeps it with the same token', async () => {
    const gateway = await startApi();
    await gateway.webhook(JSON.stringify({ channel_id: 'ONE-ONE' }));
    await gateway.call('PATCH', '/v1/channels/main', { whapi_token: 'a-whapi-token' });
    expect((await channelOf(gateway)).channel_id).toBe('ONE-ONE');
    await gateway.call('PATCH', '/v1/channels/main', { whapi_token: 'another' });
    expect((await channelOf(gateway)).channel_id).toBeNull();
    expect((await gateway.webhook(JSON.stringify({ channel_id: 'TWO-TWO' }))).status).toBe(200);
  });
});

const ADMIN_TOKEN = 'the-token-of-the-admin';

/** Sends a request whose body never arrives completely, and disconnects. */
async function leaveInMidBody({ url }: LocalGateway, path: string, bearer: string): Promise<void> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const head = `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${bearer}\r\ncontent-type: application/json`;
  socket.write(`${head}\r\ncontent-length: 1000\r\n\r\n{"messages":`);
  await once(socket, 'ready');
  await new Promise((sent) => socket.write(' ', sent));
  socket.destroy();
  await once(socket, 'close');
}

/** A Whapi that reads each request completely before it answers. */
async function patientWhapi(): Promise<string> {
  const server = createServer((request, response) => {
    request.on('error', () => undefined).on('end', () => response.end('{}'));
    request.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('a client that disconnects during its body', () => {
  it.each([
    ['a webhook', '/webhooks/main', WEBHOOK_SECRET],
    ['a call to Whapi', '/whapi/messages/text', 'a-whapi-token'],
    ['a call to the API', '/v1/targets', ADMIN_TOKEN],
  ])('of %s is refused with 400, logged at debug only and not counted', async (_, path, bearer) => {
    const gateway = await startLocal({ env: { ADMIN_TOKEN } });
    await gateway.addChannel({ whapi_base_url: await patientWhapi() });
    for (let i = 0; i < 20; i += 1) await leaveInMidBody(gateway, path, bearer);
    expect((await channelOf(gateway)).refused.today).toBe(0);
    await gateway.close(); // Each request has been handled.
    expect(gateway.logs.filter(({ level }) => level >= 40)).toEqual([]);
    const refused = gateway.logs.filter(({ msg }) => msg === 'request refused');
    expect(refused).toHaveLength(20);
    expect(new Set(refused.map(({ level, code }) => `${level} ${String(code)}`))).toEqual(
      new Set(['20 GW_BAD_REQUEST']),
    );
  });
});
