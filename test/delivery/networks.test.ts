import { describe, expect, it } from 'vitest';
import { parseTargetNetworks } from '../../src/delivery/networks.js';
import { startBot } from '../support/bot.js';
import { deliveryOf, requestTo, startDelivery } from '../support/delivery.js';
import { startLocal } from '../support/gateway.js';
import type { LocalGateway } from '../support/gateway.js';
import { QUICK_RETRIES_MS } from '../support/pace.js';
import { textWebhook } from '../support/texts.js';

const PUBLIC = ['93.184.216.34', '8.8.8.8', '223.255.255.1', '2606:4700:4700::1111', '::ffff:8.8.8.8'];
const LOOPBACK_AND_PRIVATE = [
  ...['127.0.0.1', '127.255.255.254', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1'],
  ...['::1', 'fd12:3456::1', 'fc00::1', '::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:7f00:1'],
];
const NEVER = [
  ...['0.0.0.0', '0.1.2.3', '::', '169.254.169.254', '169.254.0.1', 'fe80::1', 'febf::1'],
  ...['224.0.0.1', '239.255.255.255', 'ff02::1', '255.255.255.255', '240.0.0.1', '192.0.2.1', '2001:db8::1'],
  ...['::ffff:169.254.169.254', '::ffff:a9fe:a9fe', '::ffff:0.0.0.0', 'fec0::1'],
  // An IPv4 address inside: a translator on the way may bring it to where it says.
  ...['64:ff9b::a9fe:a9fe', '64:ff9b::7f00:1', '2002:7f00:1::', '::ffff:0:7f00:1', '2001::1', '::a9fe:a9fe'],
];
/** Where clouds hand out credentials, outside the link-local range. */
const METADATA = ['fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254', 'fd00:42::42', '100.100.100.200', '168.63.129.16'];

describe('TARGET_NETWORKS=public', () => {
  const { allows } = parseTargetNetworks('public');

  it.each(PUBLIC)('allows %s', (address) => {
    expect(allows(address)).toBe(true);
  });

  it.each([...LOOPBACK_AND_PRIVATE, ...NEVER, ...METADATA])('refuses %s', (address) => {
    expect(allows(address)).toBe(false);
  });

  it.each(['', 'localhost', '127.0.0.1.example', '300.1.1.1', '1.2.3.4/8', ':::'])('refuses %j: no address', (text) => {
    expect(allows(text)).toBe(false);
  });
});

describe('TARGET_NETWORKS=private', () => {
  const { allows } = parseTargetNetworks('private');

  it.each([...PUBLIC, ...LOOPBACK_AND_PRIVATE])('allows %s', (address) => {
    expect(allows(address)).toBe(true);
  });

  it.each([...NEVER, ...METADATA])('refuses %s', (address) => {
    expect(allows(address)).toBe(false);
  });
});

describe('TARGET_NETWORKS as a list', () => {
  it('allows the networks that it names, on top of the public ones', () => {
    const { allows } = parseTargetNetworks('10.1.0.0/16, fd12::/16');
    expect(['10.1.2.3', '::ffff:10.1.2.3', 'fd12::5', '8.8.8.8'].map(allows)).toEqual([true, true, true, true]);
    expect(['10.2.0.1', '127.0.0.1', '::1', 'fd13::5'].map(allows)).toEqual([false, false, false, false]);
  });

  it('allows even a link-local network where it is named', () => {
    const { allows } = parseTargetNetworks('169.254.10.0/24');
    expect(allows('169.254.10.9')).toBe(true);
    expect(allows('169.254.169.254')).toBe(false);
  });

  it.each(['everything', 'Public', '10.0.0.0', '10.0.0.0/33', '10.0.0.0/8,', 'private,10.0.0.0/8', '/8'])(
    'refuses %j and says what it may be',
    (setting) => {
      expect(() => parseTargetNetworks(setting)).toThrow(/is neither "public", "private" nor a CIDR/);
    },
  );
});

/** All of them name 127.0.0.1, as a browser or an HTTP client reads them. */
const LOOPBACK_HOSTS = [
  ...['127.0.0.1', '127.1', '127.0.0.1.', '2130706433', '0x7f000001', '017700000001', '0177.0.0.1', '0x7f.0.0x0.1'],
  ...['１２７.0.0.1', '%31%32%37.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[0:0:0:0:0:ffff:7f00:1]'],
  ...['[::127.0.0.1]', 'user:word@127.0.0.1'],
];

/** What comes of adding a target at a host. */
async function answerTo(
  gateway: LocalGateway,
  host: string,
): Promise<{ host: string; status: number; errors: string[] }> {
  const target = { name: 'bot', url: `http://${host}:8080/hook` };
  const { status, body } = await gateway.call<{ errors?: { path: string }[] }>('POST', '/v1/targets', target);
  return { host, status, errors: (body.errors ?? []).map(({ path }) => path) };
}

describe('a target that is saved', () => {
  it('cannot lead to an address that is not allowed, however it is written', async () => {
    const gateway = await startLocal({ env: { TARGET_NETWORKS: 'public' } });
    const answers = await Promise.all(LOOPBACK_HOSTS.map(async (host) => await answerTo(gateway, host)));
    expect(answers).toEqual(LOOPBACK_HOSTS.map((host) => ({ host, status: 400, errors: ['/url'] })));
  });

  it('cannot lead to a metadata service by the default setting', async () => {
    const gateway = await startLocal();
    const hosts = ['169.254.169.254', '2852039166', '[::ffff:a9fe:a9fe]', '0.0.0.0', '0', '[::]', '[fd00:ec2::254]'];
    const answers = await Promise.all(hosts.map(async (host) => await answerTo(gateway, host)));
    expect(answers).toEqual(hosts.map((host) => ({ host, status: 400, errors: ['/url'] })));
  });

  it('cannot be led there afterwards', async () => {
    const gateway = await startLocal({ env: { TARGET_NETWORKS: 'public' } });
    const { id } = await gateway.addTarget({ url: 'https://bot.example/' });
    const { status } = await gateway.call('PATCH', `/v1/targets/${id}`, { url: 'http://[::ffff:10.0.0.1]/' });
    expect(status).toBe(400);
    expect(await gateway.call('GET', `/v1/targets/${id}`)).toMatchObject({ body: { url: 'https://bot.example/' } });
  });

  it('may lead to loopback by the default setting', async () => {
    const { gateway, bot } = await startDelivery();
    await gateway.webhook(textWebhook('m-1'));
    expect((await requestTo(bot)).ids).toEqual(['m-1']);
  });
});

const pace = { retryDelaysMs: QUICK_RETRIES_MS };

describe('an attempt', () => {
  it('does not go to an address that was allowed when the target was saved and is not now', async () => {
    const { gateway, bot } = await startDelivery({ max_attempts: 1 });
    await gateway.close();
    const again = await startLocal({ folder: gateway.folder, env: { TARGET_NETWORKS: 'public' } });
    await again.webhook(textWebhook('m-1'));
    await again.settled();
    const { status, last_error } = await deliveryOf(again, 'm-1');
    expect(status).toBe('dead');
    expect(last_error).toBe('127.0.0.1 is not an address that TARGET_NETWORKS allows.');
    expect(bot.requests).toEqual([]);
  });

  it.each(['localhost', 'LocalHost'])('does not go to %s under public', async (host) => {
    const env = { TARGET_NETWORKS: 'public' };
    const bot = await startBot();
    const url = `http://${host}:${new URL(bot.url).port}/`;
    const { gateway } = await startDelivery({ url, max_attempts: 2 }, { env, pace });
    await gateway.webhook(textWebhook('m-1'));
    await gateway.settled();
    const { status, log } = await deliveryOf(gateway, 'm-1');
    expect({ status, attempts: log.length }).toEqual({ status: 'dead', attempts: 2 });
    for (const { error } of log) expect(error).toMatch(/is not an address that TARGET_NETWORKS allows/);
    expect(bot.requests).toEqual([]);
  });

  it('goes to localhost where loopback is named', async () => {
    const env = { TARGET_NETWORKS: '127.0.0.0/8,::1/128' };
    const bot = await startBot();
    const { gateway } = await startDelivery({ url: `http://localhost:${new URL(bot.url).port}/` }, { env });
    await gateway.webhook(textWebhook('m-1'));
    expect((await requestTo(bot)).ids).toEqual(['m-1']);
  });
});
