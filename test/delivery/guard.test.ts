import { describe, expect, it } from 'vitest';
import { createTester } from '../../src/delivery/test-event.js';
import { hostOf, NEVER_ALLOWED, PRIVATE, SPECIAL, spellingsOf } from '../support/addresses.js';
import { startBot } from '../support/bot.js';
import { deliveryOf, requestTo, startDelivery } from '../support/delivery.js';
import { startLocal } from '../support/gateway.js';
import { QUICK_RETRIES_MS } from '../support/intervals.js';
import { outgoing, resolverOf, startSender } from '../support/sender.js';
import { textWebhook } from '../support/texts.js';

const REFUSAL = /is not an address that TARGET_NETWORKS allows/;
/** Under the widest setting. */
const EVERYTHING = '0.0.0.0/0,::/0';

const HOSTS: readonly [setting: string, what: string, hosts: readonly string[]][] = [
  [EVERYTHING, 'dangerous addresses', NEVER_ALLOWED.map(hostOf)],
  [EVERYTHING, 'spellings of the metadata address', spellingsOf('169.254.169.254')],
  [EVERYTHING, 'spellings of the unspecified address', [...spellingsOf('0.0.0.0'), '0', '0x0', '00', '[::0]', '[0::]']],
  ['private', 'special addresses', SPECIAL.map(hostOf)],
  ['public', 'private addresses', PRIVATE.map(hostOf)],
  ['public', 'spellings of the loopback address', [...spellingsOf('127.0.0.1'), '127.1', '[0:0:0:0:0:0:0:1]']],
  ['public', 'spellings of a private address', spellingsOf('10.0.0.7')],
];
const ANSWERS: readonly [setting: string, what: string, addresses: readonly string[]][] = [
  [EVERYTHING, 'dangerous', NEVER_ALLOWED],
  ['private', 'special', SPECIAL],
  ['public', 'private', PRIVATE],
];

/** The errors of all deliveries and tests by URL, null if one succeeded. */
async function errorsOf(sender: ReturnType<typeof startSender>, urls: readonly string[]): Promise<(string | null)[]> {
  const store = { traffic: { lastForm: async () => await Promise.resolve(null) } };
  const test = createTester({ sender, store, newId: () => 'test_1' });
  const sent = urls.map(async (url) => (await sender.send(outgoing(url))).attempt.error);
  const tested = urls.map(async (url) => (await test(outgoing(url).target)).error);
  return await Promise.all([...sent, ...tested]);
}

describe('a target host that is an address', () => {
  it.each(HOSTS)('under %s: %s cannot be saved', async (setting, _what, hosts) => {
    const gateway = await startLocal({ env: { TARGET_NETWORKS: setting } });
    const { id } = await gateway.addTarget({ url: 'https://93.184.216.34/' });
    for (const host of hosts) {
      const url = `http://${host}:8080/hook`;
      const added = await gateway.call('POST', '/v1/targets', { name: 'bot', url });
      const changed = await gateway.call('PATCH', `/v1/targets/${id}`, { url });
      for (const { status, body } of [added, changed])
        expect([host, status, body['errors']]).toMatchObject([host, 400, [{ path: '/url' }]]);
    }
    expect(await gateway.call('GET', '/v1/targets')).toMatchObject({ body: { data: [{ id }] } });
  });

  it.each(HOSTS)('under %s: %s are neither sent to nor tested', async (setting, _what, hosts) => {
    const bot = await startBot();
    const sender = startSender(setting, resolverOf('93.184.216.34').lookup);
    const { port } = new URL(bot.url);
    const errors = await errorsOf(
      sender,
      hosts.map((host) => `http://${host}:${port}/`),
    );
    expect(errors).toEqual(errors.map(() => expect.stringMatching(REFUSAL) as unknown));
    expect(bot.requests).toEqual([]);
  });

  it('cannot carry a user name or password, which API answers would reveal', async () => {
    const gateway = await startLocal();
    for (const user of ['user', 'user:word', ':word']) {
      const target = { name: 'bot', url: `https://${user}@bot.example/` };
      const { status, body } = await gateway.call('POST', '/v1/targets', target);
      expect({ status, body }).toMatchObject({ status: 400, body: { errors: [{ path: '/url' }] } });
    }
  });

  it('is also checked at each attempt, even if it was allowed when the target was saved', async () => {
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
});

describe('a target host that is a name', () => {
  it.each(ANSWERS)('under %s: %s addresses from DNS are not connected to', async (setting, _what, addresses) => {
    const bot = await startBot();
    const resolver = resolverOf();
    const sender = startSender(setting, resolver.lookup);
    const url = `http://metadata.google.internal:${new URL(bot.url).port}/`;
    for (const address of addresses) {
      resolver.answers = [address];
      const errors = await errorsOf(sender, [url]);
      expect([address, ...errors]).toEqual([address, ...errors.map(() => expect.stringMatching(REFUSAL) as unknown)]);
    }
    expect(resolver.names).toHaveLength(2 * addresses.length);
    expect(bot.requests).toEqual([]);
  });

  it('is connected to only at its allowed addresses, whichever comes first', async () => {
    const bot = await startBot();
    const { port } = new URL(bot.url);
    for (const answers of [
      ['169.254.169.254', '127.0.0.1', '10.0.0.1'],
      ['127.0.0.1', '::ffff:169.254.169.254'],
    ]) {
      const sender = startSender('127.0.0.0/8', resolverOf(...answers).lookup);
      expect((await sender.send(outgoing(`http://bot.example:${port}/`))).attempt).toMatchObject({ status: 200 });
    }
    expect(bot.requests).toHaveLength(2);
  });

  it('is resolved and checked for each connection, so that a later DNS change cannot reach a refused address', async () => {
    const bot = await startBot();
    const resolver = resolverOf('127.0.0.1');
    const sender = startSender('127.0.0.0/8', resolver.lookup);
    const url = `http://bot.example:${new URL(bot.url).port}/`;
    bot.otherwise = (_request, response) => response.writeHead(200, { connection: 'close' }).end();
    expect(sender.whyRefused(url)).toBeNull();
    expect((await sender.send(outgoing(url))).attempt.status).toBe(200);
    resolver.answers = ['169.254.169.254'];
    expect((await sender.send(outgoing(url))).attempt.error).toMatch(REFUSAL);
    expect(bot.requests).toHaveLength(1);
  });

  it.each(['localhost', 'LocalHost'])(
    'is checked by its resolved addresses and not retried: %s under public',
    async (host) => {
      const bot = await startBot();
      const url = `http://${host}:${new URL(bot.url).port}/`;
      const options = { env: { TARGET_NETWORKS: 'public' }, intervals: { retryDelaysMs: QUICK_RETRIES_MS } };
      const { gateway } = await startDelivery({ url, max_attempts: 9 }, options);
      await gateway.webhook(textWebhook('m-1'));
      await gateway.settled();
      const { status, log, last_error } = await deliveryOf(gateway, 'm-1');
      expect({ status, attempts: log.length }).toEqual({ status: 'dead', attempts: 1 });
      expect(log[0]?.error).toMatch(REFUSAL);
      expect(last_error).toContain('Not retried: the next attempt would fail in the same way.');
      expect(bot.requests).toEqual([]);
    },
  );

  it('may be localhost when loopback is allowed', async () => {
    const env = { TARGET_NETWORKS: '127.0.0.0/8,::1/128' };
    const bot = await startBot();
    const { gateway } = await startDelivery({ url: `http://localhost:${new URL(bot.url).port}/` }, { env });
    await gateway.webhook(textWebhook('m-1'));
    expect((await requestTo(bot)).ids).toEqual(['m-1']);
  });
});
