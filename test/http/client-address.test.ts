import { describe, expect, it } from 'vitest';
import { adminTokenOf, startApi } from '../support/api.js';
import type { LocalGateway } from '../support/gateway.js';
import { startReverseProxy } from '../support/reverse-proxy.js';
import { textWebhook } from '../support/texts.js';

const MOST_FAILURES = 20;
const WARNING = 'x-forwarded-for ignored';
const LIMITED = { env: { TRUSTED_PROXIES: 'loopback', API_RATE_PER_MINUTE: '3' } };

/** Statuses of `count` requests with a wrong token, each with the headers that `headersOf` gives it. */
async function failures(
  url: string,
  count: number,
  headersOf: (number: number) => Record<string, string> = () => ({}),
): Promise<number[]> {
  const statuses: number[] = [];
  for (let number = 0; number < count; number += 1) {
    const headers = { authorization: 'Bearer wrong', ...headersOf(number) };
    statuses.push((await fetch(`${url}/v1/channels`, { headers })).status);
  }
  return statuses;
}

async function statusOf(url: string, path: string, headers: Record<string, string>): Promise<number> {
  return (await fetch(url + path, { headers })).status;
}

function warningsOf({ logs }: LocalGateway) {
  return logs.filter(({ msg }) => msg === WARNING);
}

describe('behind a trusted proxy', () => {
  it('clients are counted apart: failed authentications of one do not refuse another', async () => {
    const gateway = await startApi({ env: { TRUSTED_PROXIES: 'loopback' } });
    const { url } = await startReverseProxy(gateway.url);
    const attacker = await failures(url, MOST_FAILURES + 1, () => ({ 'x-client': '192.0.2.1' }));
    expect(attacker.at(-1)).toBe(429);
    expect(await failures(url, 1, () => ({ 'x-client': '192.0.2.2' }))).toEqual([401]);
    expect(warningsOf(gateway)).toEqual([]);
  });

  it('a client cannot escape its count with X-Forwarded-For of its own', async () => {
    const gateway = await startApi({ env: { TRUSTED_PROXIES: 'loopback' } });
    const { url } = await startReverseProxy(gateway.url);
    const statuses = await failures(url, MOST_FAILURES + 1, (number) => ({
      'x-forwarded-for': `198.51.100.${number}, 127.0.0.1`,
      'x-client': '192.0.2.1',
    }));
    expect(statuses.at(-1)).toBe(429);
  });

  it('one client never uses up the limit of /v1 of another', async () => {
    const gateway = await startApi(LIMITED);
    const { url } = await startReverseProxy(gateway.url);
    const as = async (client: string): Promise<number> => {
      const headers = { authorization: `Bearer ${adminTokenOf(gateway.folder)}`, 'x-client': client };
      return await statusOf(url, '/v1/channels', headers);
    };
    const one = [];
    for (let number = 0; number < 4; number += 1) one.push(await as('192.0.2.1'));
    expect(one).toEqual([200, 200, 200, 429]);
    expect(await as('192.0.2.2')).toBe(200);
  });

  it('the log names the client', async () => {
    const gateway = await startApi({ env: { TRUSTED_PROXIES: 'loopback' } });
    const { url } = await startReverseProxy(gateway.url);
    await failures(url, 1, () => ({ 'x-client': '192.0.2.1' }));
    expect(gateway.logs.find(({ msg }) => msg === 'request refused')).toMatchObject({ client: '192.0.2.1' });
  });
});

/** Values of X-Forwarded-For from a trusted proxy, and the client that each names. */
const HEADERS: readonly [header: string, client: string][] = [
  ['192.0.2.1', '192.0.2.1'],
  ['192.0.2.1:4711', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['[2001:db8::7]:443', '2001:db8::7'],
  ['2001:DB8:0::7', '2001:db8::7'],
  ['198.51.100.1, 192.0.2.1', '192.0.2.1'],
  ['198.51.100.1, 192.0.2.1, 10.0.0.9', '192.0.2.1'],
  ['198.51.100.1, 192.0.2.1, 10.0.0.9:80, ::ffff:10.0.0.8', '192.0.2.1'],
  ['10.0.0.9, 10.0.0.8', '10.0.0.9'],
  ['198.51.100.1, unknown', '127.0.0.1'],
  ['198.51.100.1, unknown, 10.0.0.9', '10.0.0.9'],
  ['192.0.2.1,', '192.0.2.1'],
  [' , ,', '127.0.0.1'],
  ['\u00ff"\';--', '127.0.0.1'],
  ['127.0.0.1,'.repeat(1500), '127.0.0.1'],
];

describe('the client of a request from a trusted proxy', () => {
  it('is the nearest address in X-Forwarded-For that is not a trusted proxy', async () => {
    const gateway = await startApi({ env: { TRUSTED_PROXIES: 'loopback, 10.0.0.0/8' } });
    await failures(gateway.url, HEADERS.length, (number) => ({ 'x-forwarded-for': HEADERS[number]?.[0] ?? '' }));
    const clients = gateway.logs.filter(({ msg }) => msg === 'request refused').map(({ client }) => client);
    expect(clients).toEqual(HEADERS.map(([, client]) => client));
  });

  it('counts as its /64 network if it has an IPv6 address', async () => {
    const gateway = await startApi({ env: { TRUSTED_PROXIES: 'loopback' } });
    const from = (address: string) => ({ 'x-forwarded-for': address });
    const statuses = await failures(gateway.url, MOST_FAILURES + 1, (number) => from(`2001:db8:0:1::${number}`));
    expect(statuses.at(-1)).toBe(429);
    expect(await failures(gateway.url, 1, () => from('2001:db8:0:2::1'))).toEqual([401]);
  });
});

describe('an address that is not a trusted proxy', () => {
  it('is not believed: all its requests count as one client', async () => {
    const gateway = await startApi({ env: { TRUSTED_PROXIES: '10.0.0.0/8' } });
    const { url } = await startReverseProxy(gateway.url);
    const statuses = await failures(url, MOST_FAILURES + 1, (number) => ({ 'x-client': `192.0.2.${number}` }));
    expect(statuses.at(-1)).toBe(429);
    expect(warningsOf(gateway)).toEqual([]);
  });

  it('gives one warning that names the setting, if TRUSTED_PROXIES is not set', async () => {
    const gateway = await startApi();
    expect((await gateway.webhook(textWebhook('m-1'))).status).toBe(200);
    expect(warningsOf(gateway)).toEqual([]);
    const { url } = await startReverseProxy(gateway.url);
    await failures(url, 3, (number) => ({ 'x-client': `192.0.2.${number}` }));
    const fix = expect.stringContaining('set TRUSTED_PROXIES=127.0.0.1') as unknown;
    expect(warningsOf(gateway)).toMatchObject([{ level: 40, from: '127.0.0.1', fix }]);
  });
});

describe('the limit of /whapi', () => {
  it('is counted per channel, so that one bot never uses up the limit of another behind the same proxy', async () => {
    const gateway = await startApi(LIMITED);
    await gateway.addChannel({ name: 'other', whapi_token: 'another-token', whapi_base_url: 'http://127.0.0.1:1' });
    const { url } = await startReverseProxy(gateway.url);
    const as = async (token: string, client: string): Promise<number> =>
      await statusOf(url, '/whapi/health', { authorization: `Bearer ${token}`, 'x-client': client });
    const one = [];
    for (let number = 0; number < 4; number += 1) one.push(await as('a-whapi-token', `192.0.2.${number}`));
    expect(one).toEqual([502, 502, 502, 429]);
    expect(await as('another-token', '192.0.2.1')).toBe(502);
  });

  it('does not count unknown tokens, which are failed authentications of their address', async () => {
    const gateway = await startApi(LIMITED);
    const { url } = await startReverseProxy(gateway.url);
    const as = async (token: string, client: string): Promise<number> =>
      await statusOf(url, '/whapi/health', { authorization: `Bearer ${token}`, 'x-client': client });
    const statuses = [];
    for (let number = 0; number <= MOST_FAILURES; number += 1) statuses.push(await as(`wrong-${number}`, '192.0.2.1'));
    expect(statuses.slice(-2)).toEqual([401, 429]);
    expect(await as('wrong', '192.0.2.2')).toBe(401);
    expect(await as('a-whapi-token', '192.0.2.1')).toBe(502);
  });
});
