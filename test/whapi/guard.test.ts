import dns from 'node:dns';
import type { LookupAddress } from 'node:dns';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createWhapiClient } from '../../src/whapi/client.js';
import type { WhapiClient } from '../../src/whapi/client.js';
import type { Lookup } from '../../src/guard.js';
import { hostOf, NEVER_ALLOWED, PRIVATE, spellingsOf } from '../support/addresses.js';
import { startBot } from '../support/bot.js';
import { startLocal } from '../support/gateway.js';
import { guardOf } from '../support/guard.js';
import { until } from '../support/intervals.js';
import { resolverOf } from '../support/sender.js';
import { bearer, send, startProxy, TOKEN } from '../support/whapi-proxy.js';

const REFUSAL = /is not an address that TARGET_NETWORKS allows/;
/** Under the widest setting. */
const EVERYTHING = '0.0.0.0/0,::/0';

const HOSTS: readonly [setting: string, what: string, hosts: readonly string[]][] = [
  [EVERYTHING, 'dangerous addresses', NEVER_ALLOWED.map(hostOf)],
  [EVERYTHING, 'spellings of the metadata address', spellingsOf('169.254.169.254')],
  ['public', 'private addresses', PRIVATE.map(hostOf)],
];

const UNUSABLE: readonly [what: string, url: string][] = [
  ['a user name', 'https://user@whapi.example'],
  ['a password', 'https://:hush@whapi.example/api'],
  ['a query', 'https://whapi.example/api?token=x'],
  ['an empty query', 'https://whapi.example/?'],
  ['a fragment', 'https://whapi.example/#top'],
];

function startClient(networks: string, lookup?: Lookup): WhapiClient {
  const client = createWhapiClient(guardOf(networks, lookup));
  onTestFinished(async () => await client.destroy());
  return client;
}

/** Makes every host name resolve to this address from now on, for the whole process. */
function resolveNamesTo(address: string): void {
  const addresses: LookupAddress[] = [{ address, family: address.includes(':') ? 6 : 4 }];
  const lookup = vi
    .spyOn(dns, 'lookup')
    .mockImplementation(((_name: string, _options: object, callback: (error: null, all: LookupAddress[]) => void) =>
      process.nextTick(callback, null, addresses)) as typeof dns.lookup);
  onTestFinished(() => lookup.mockRestore());
}

describe('whapi_base_url', () => {
  it.each(HOSTS)('under %s: cannot be one of %s', async (setting, _what, hosts) => {
    const gateway = await startLocal({ env: { TARGET_NETWORKS: setting } });
    await gateway.addChannel({ whapi_base_url: 'https://93.184.216.34' });
    for (const host of hosts) {
      const whapi_base_url = `http://${host}:8080`;
      const added = await gateway.call('POST', '/v1/channels', { name: 'x', whapi_token: 'x', whapi_base_url });
      const changed = await gateway.call('PATCH', '/v1/channels/main', { whapi_base_url });
      for (const { status, body } of [added, changed])
        expect([host, status, body['errors']]).toMatchObject([host, 400, [{ path: '/whapi_base_url' }]]);
    }
    expect(await gateway.call('GET', '/v1/channels')).toMatchObject({
      body: { data: [{ name: 'main', whapi_base_url: 'https://93.184.216.34' }] },
    });
  });

  it('may be private under TARGET_NETWORKS=private', async () => {
    const gateway = await startLocal();
    for (const [index, address] of PRIVATE.entries())
      await gateway.addChannel({ name: `c-${index}`, whapi_base_url: `http://${hostOf(address)}:8080/api/` });
  });

  it('names the setting when it is refused', async () => {
    const gateway = await startLocal({ env: { TARGET_NETWORKS: 'public' } });
    const channel = { name: 'x', whapi_token: 'x', whapi_base_url: 'http://127.0.0.1:8080' };
    const { body } = await gateway.call('POST', '/v1/channels', channel);
    expect(body['detail']).toContain(
      '"whapi_base_url" is "http://127.0.0.1:8080". 127.0.0.1 is not an address that TARGET_NETWORKS allows.',
    );
  });

  it.each(UNUSABLE)('cannot have %s', async (_what, url) => {
    const gateway = await startLocal();
    await gateway.addChannel();
    const change = { whapi_base_url: url };
    const { status, body } = await gateway.call('PATCH', '/v1/channels/main', change);
    expect({ status, body }).toMatchObject({ status: 400, body: { errors: [{ path: '/whapi_base_url' }] } });
    expect(JSON.stringify(body)).not.toContain('hush');
  });
});

describe("a channel's base URL that is refused when the gateway connects", () => {
  it('is not called: neither by clients, connect, the doctor nor a resync, and each names the setting', async () => {
    const { gateway, whapi } = await startProxy();
    await gateway.close();
    const again = await startLocal({ folder: gateway.folder, env: { TARGET_NETWORKS: 'public' } });
    const passed = await send(`${again.url}/whapi`, { path: '/health' });
    expect({ status: passed.status, text: passed.body.toString() }).toMatchObject({
      status: 502,
      text: expect.stringMatching(REFUSAL) as unknown,
    });
    const { status, body } = await again.call('POST', '/v1/channels/main/connect', {
      public_url: 'https://gateway.example',
    });
    expect({ status, detail: body['detail'] }).toMatchObject({
      status: 502,
      detail: expect.stringMatching(/TARGET_NETWORKS allows\. Change the channel's whapi_base_url/) as unknown,
    });
    expect(JSON.stringify((await again.call('GET', '/v1/doctor')).body)).toMatch(REFUSAL);
    const { body: resync } = await again.call('POST', '/v1/resyncs', { channel: 'main', message_ids: ['m-1'] });
    await until(async () => {
      const { body: now } = await again.call('GET', `/v1/resyncs/${String(resync['id'])}`);
      expect(now['pause']).toMatchObject({ reason: expect.stringMatching(REFUSAL) as unknown });
    });
    expect(whapi.requests).toEqual([]);
  });

  it('is not called at an address that its name resolves to only later', async () => {
    const { gateway, whapi } = await startProxy();
    const { port } = new URL(whapi.url);
    await gateway.call('PATCH', '/v1/channels/main', { whapi_base_url: `http://whapi.example:${port}` });
    whapi.otherwise = (_request, response) => response.writeHead(200, { connection: 'close' }).end('{}');
    resolveNamesTo('127.0.0.1');
    expect((await send(`${gateway.url}/whapi`, { path: '/a' })).status).toBe(200);
    resolveNamesTo('169.254.169.254');
    const { status, body } = await send(`${gateway.url}/whapi`, { path: '/b' });
    expect([status, body.toString()]).toEqual([502, expect.stringMatching(REFUSAL)]);
    expect(whapi.requests.map(({ url }) => url)).toEqual(['/a']);
  });
});

describe("the gateway's own calls to Whapi", () => {
  it('never connect to a refused address, literal or resolved', async () => {
    const whapi = await startBot();
    const { port } = new URL(whapi.url);
    const resolver = resolverOf();
    const client = startClient(EVERYTHING, resolver.lookup);
    for (const address of NEVER_ALLOWED) {
      resolver.answers = [address];
      for (const host of [hostOf(address), 'whapi.example']) {
        const access = { baseUrl: `http://${host}:${port}`, token: TOKEN };
        const answer = await client.getHealth(access, { timeoutMs: 5000 });
        expect([host, address, answer]).toMatchObject([
          host,
          address,
          { reason: expect.stringMatching(REFUSAL) as unknown },
        ]);
      }
    }
    expect(whapi.requests).toEqual([]);
  });

  it.each(UNUSABLE)('are not made if a stored base URL has %s', async (_what, baseUrl) => {
    const answer = await startClient('private').getHealth({ baseUrl, token: TOKEN }, { timeoutMs: 5000 });
    expect(answer).toMatchObject({ kind: 'unreachable', reason: expect.stringContaining('whapi_base_url') as unknown });
  });

  it('follow no redirect, and neither do passed-on calls', async () => {
    const elsewhere = await startBot();
    const { gateway, whapi } = await startProxy();
    whapi.otherwise = (_request, response) => response.writeHead(302, { location: elsewhere.url }).end();
    const access = { baseUrl: whapi.url, token: TOKEN };
    const client = startClient('private');
    expect((await client.getHealth(access, { timeoutMs: 5000 })).kind).toBe('missing');
    expect((await client.getMessage(access, 'm-1', { resync: true, timeoutMs: 5000 })).kind).toBe('missing');
    expect((await send(`${gateway.url}/whapi`, { path: '/health', headers: bearer() })).status).toBe(302);
    expect(elsewhere.requests).toEqual([]);
  });
});
