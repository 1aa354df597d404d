import { describe, expect, it } from 'vitest';
import { adminTokenOf } from '../support/api.js';
import { openPage } from '../support/browser.js';
import { startLocal } from '../support/gateway.js';
import type { LocalGateway } from '../support/gateway.js';
import { temporaryFolder } from '../support/files.js';

const tokenOf = ({ folder }: LocalGateway): string => adminTokenOf(folder);
const CHANNEL = { name: 'shop', whapi_token: 'a-whapi-token' };
const HOUR_MS = 3_600_000;

describe('a login to the dashboard', () => {
  it('sets a cookie that no script can read, and the cookie opens /v1', async () => {
    const gateway = await startLocal();
    const page = openPage(gateway.url);
    expect((await page.request('GET', '/session')).status).toBe(401);
    const { status, headers, text } = await page.logIn(tokenOf(gateway));
    expect([status, text]).toEqual([204, '']);
    expect(headers['set-cookie']?.[0]).toMatch(/^gw=[^;]+; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/);
    expect((await page.request('GET', '/v1/targets')).status).toBe(200);
    expect((await page.request('POST', '/v1/channels', CHANNEL)).status).toBe(201);
  });

  it('shows until when it lasts, and ends after 12 hours', async () => {
    let now = Date.now();
    const gateway = await startLocal({ effects: { now: () => now } });
    const page = openPage(gateway.url);
    await page.logIn(tokenOf(gateway));
    const expiresAt = new Date(now + 12 * HOUR_MS).toISOString();
    expect((await page.request('GET', '/session')).json).toEqual({ expires_at: expiresAt });
    now += 12 * HOUR_MS;
    for (const path of ['/session', '/v1/targets'])
      expect(await page.request('GET', path)).toMatchObject({ status: 401, json: { code: 'GW_UNAUTHORIZED' } });
  });

  it('ends when the page logs out', async () => {
    const gateway = await startLocal();
    const page = openPage(gateway.url);
    await page.logIn(tokenOf(gateway));
    expect((await page.request('DELETE', '/session')).status).toBe(204);
    expect(page.cookie()).toBe('');
    expect((await page.request('DELETE', '/session')).status).toBe(204);
  });

  it('ends when the admin token changes, and outlives a restart without such a change', async () => {
    const folder = temporaryFolder();
    const [first, second] = ['the-first-admin-token', 'the-second-admin-token'];
    let gateway = await startLocal({ folder, env: { ADMIN_TOKEN: first } });
    const page = openPage(gateway.url);
    await page.logIn(first);
    const statusOf = async (token: string): Promise<number> => {
      await gateway.close();
      gateway = await startLocal({ folder, env: { ADMIN_TOKEN: token } });
      const again = openPage(gateway.url, gateway.url, new Map([['gw', page.cookie().slice('gw='.length)]]));
      return (await again.request('GET', '/v1/targets')).status;
    };
    expect(await statusOf(first)).toBe(200);
    expect(await statusOf(second)).toBe(401);
  });

  it('with a wrong token counts as a failed authentication, as a forged cookie does', async () => {
    const gateway = await startLocal();
    const page = openPage(gateway.url);
    const wrong = await page.logIn('not-the-admin-token');
    expect(wrong).toMatchObject({ status: 401, json: { code: 'GW_UNAUTHORIZED' } });
    expect(wrong.headers['set-cookie']).toBeUndefined();
    const forged = openPage(gateway.url, gateway.url, new Map([['gw', `${Date.now() + HOUR_MS}.a.b.c`]]));
    for (let tries = 1; tries < 20; tries += 1)
      expect((await forged.request('GET', tries % 2 ? '/v1/targets' : '/session')).status).toBe(401);
    expect((await page.logIn('not-the-admin-token')).status).toBe(429);
    expect((await page.logIn(tokenOf(gateway))).status).toBe(204);
  });

  it('refuses an invalid body and one without a JSON type', async () => {
    const page = openPage((await startLocal()).url);
    expect((await page.request('POST', '/session', {})).json).toMatchObject({ code: 'GW_BAD_REQUEST' });
    const form = await page.request('POST', '/session', {}, { 'content-type': 'application/x-www-form-urlencoded' });
    expect(form.status).toBe(400);
  });
});

describe('a request with the cookie', () => {
  it.each([
    ['another site', 'https://evil.example'],
    ['another port of the same host', 'http://127.0.0.1:1'],
    ['another scheme', 'https://127.0.0.1'],
    ['a page without an origin', 'null'],
  ])('from %s cannot change anything', async (_what, origin) => {
    const gateway = await startLocal();
    const page = openPage(gateway.url);
    await page.logIn(tokenOf(gateway));
    for (const [method, path, body] of [
      ['POST', '/v1/channels', CHANNEL],
      ['PATCH', '/v1/channels/shop', {}],
      ['DELETE', '/v1/channels/shop', undefined],
      ['DELETE', '/session', undefined],
    ] as const) {
      const answer = await page.request(method, path, body, { origin });
      expect([path, answer.status, answer.json['code']]).toEqual([path, 403, 'GW_WRONG_ORIGIN']);
    }
    expect((await page.request('GET', '/session')).status).toBe(200);
    expect((await gateway.call('GET', '/v1/channels')).body['data']).toEqual([]);
  });

  it('without an Origin, or with another type than JSON, cannot change anything', async () => {
    const gateway = await startLocal();
    const page = openPage(gateway.url);
    await page.logIn(tokenOf(gateway));
    const headers = { cookie: page.cookie(), 'content-type': 'application/json' };
    const response = await fetch(`${gateway.url}/v1/channels`, {
      method: 'POST',
      headers,
      body: JSON.stringify(CHANNEL),
    });
    expect(response.status).toBe(403);
    const text = await page.request('POST', '/v1/channels', CHANNEL, { 'content-type': 'text/plain' });
    expect([text.status, text.json['code']]).toEqual([400, 'GW_BAD_REQUEST']);
  });

  it('and a bearer token is judged by the token, which needs no Origin', async () => {
    const gateway = await startLocal();
    const page = openPage(gateway.url);
    await page.logIn(tokenOf(gateway));
    const wrong = await page.request('GET', '/v1/targets', undefined, { authorization: 'Bearer wrong' });
    expect(wrong.status).toBe(401);
    const right = { authorization: `Bearer ${tokenOf(gateway)}`, origin: 'https://elsewhere.example' };
    expect((await page.request('POST', '/v1/channels', CHANNEL, right)).status).toBe(201);
  });

  it('opens neither webhooks nor /whapi', async () => {
    const gateway = await startLocal();
    await gateway.addChannel();
    const page = openPage(gateway.url);
    await page.logIn(tokenOf(gateway));
    expect((await page.request('POST', '/webhooks/main', { messages: [] })).status).toBe(401);
    expect((await page.request('GET', '/whapi/settings')).status).toBe(401);
  });
});

describe('the login works under', () => {
  it.each([
    ['a plain http name of the local network', 'http://gw.lan', undefined, 'gw'],
    ['a plain http name with a port', 'http://gw.lan:8080', undefined, 'gw'],
    ['TLS of a reverse proxy that passes the Host header on', 'https://gw.example', undefined, 'gw'],
    ['TLS, with PUBLIC_URL', 'https://gw.example', 'https://gw.example/base', '__Host-gw'],
  ])('%s', async (_what, origin, publicUrl, name) => {
    const gateway = await startLocal({ env: publicUrl === undefined ? {} : { PUBLIC_URL: publicUrl } });
    const page = openPage(gateway.url, origin);
    const { status, headers } = await page.logIn(tokenOf(gateway));
    expect([status, headers['set-cookie']?.[0]?.split('=')[0]]).toEqual([204, name]);
    expect(headers['set-cookie']?.[0]?.includes('Secure')).toBe(name === '__Host-gw');
    expect((await page.request('POST', '/v1/channels', CHANNEL)).status).toBe(201);
  });

  it('TLS of a proxy that hides the Host header, if PUBLIC_URL says where it is', async () => {
    const gateway = await startLocal({ env: { PUBLIC_URL: 'https://gw.example' } });
    const page = openPage(gateway.url);
    const login = { token: tokenOf(gateway) };
    const there = await page.request('POST', '/session', login, { origin: 'https://gw.example' });
    expect(there.status).toBe(204);
    const elsewhere = await page.request('POST', '/session', login, { origin: 'https://evil.example' });
    expect([elsewhere.status, elsewhere.json['code']]).toEqual([403, 'GW_WRONG_ORIGIN']);
  });

  it('the origin that it was made for only, of the names that one gateway has', async () => {
    const gateway = await startLocal();
    const page = openPage(gateway.url, 'https://gw.example');
    await page.logIn(tokenOf(gateway));
    const plain = await page.at('http://gw.example').request('POST', '/v1/channels', CHANNEL);
    expect([plain.status, plain.json['code']]).toEqual([403, 'GW_WRONG_ORIGIN']);
  });
});
