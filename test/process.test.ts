import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { Agent, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { answerLater, deliveriesOf, unreachableUrl } from './support/api.js';
import { startBot } from './support/bot.js';
import type { Bot, BotRequest } from './support/bot.js';
import { WEBHOOK_SECRET } from './support/client.js';
import { temporaryFolder } from './support/files.js';
import { until } from './support/intervals.js';
import { runToEnd, startProcess } from './support/process.js';
import type { GatewayProcess } from './support/process.js';
import { textWebhook } from './support/texts.js';

const SHUTDOWN_MS = 10_000;

describe('the first start', () => {
  it('creates the key files for their owner only, and logs their names but not their content', async () => {
    const gateway = await startProcess();
    for (const name of ['admin-token', 'encryption-key']) {
      const file = join(gateway.folder, name);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(gateway.log.filter((line) => line.includes(JSON.stringify(file)))).not.toEqual([]);
      expect(gateway.log.join('\n')).not.toContain(readFileSync(file, 'utf8').trim());
    }
  });

  it('logs its address in one JSON line', async () => {
    const gateway = await startProcess();
    const line = gateway.log.find((each) => each.includes('"listening"')) ?? '';
    const { url, port } = JSON.parse(line) as { url: string; port: number };
    expect(url).toBe(`http://127.0.0.1:${port}`);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    for (const each of gateway.log) expect(JSON.parse(each)).toMatchObject({ msg: expect.any(String) as unknown });
  });

  it('creates and names no file for a secret from the environment', async () => {
    const env = { ADMIN_TOKEN: 'a-token-that-is-long-enough', ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64') };
    const gateway = await startProcess(env);
    for (const name of ['admin-token', 'encryption-key']) expect(gateway.log.join('\n')).not.toContain(name);
    expect((await gateway.client.call('GET', '/v1/channels')).status).toBe(200);
  });
});

describe('a refused start', () => {
  it.each([
    ['PORT', 'eighty'],
    ['ENCRYPTION_KEY', 'short'],
    ['LOG_LEVEL', 'verbose'],
  ])('for a malformed %s prints one line with its name on stderr and exits with code 2', async (name, value) => {
    const { code, stdout, stderr } = await runToEnd(temporaryFolder(), { [name]: value });
    expect(stderr).toMatch(new RegExp(`^GW_BAD_CONFIG: ${name} [^\n]+; expected [^\n]+\n$`));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('for a port in use names the port and exits with code 1', async () => {
    const bot = await startBot();
    const { port } = new URL(bot.url);
    const { code, stderr } = await runToEnd(temporaryFolder(), { PORT: port });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^GW_PORT_TAKEN: [^\n]+\n$/) as unknown,
    });
    expect(stderr).toContain(port);
  });

  it('for a HOST of another machine prints one line that names it, without a stack', async () => {
    const { code, stderr } = await runToEnd(temporaryFolder(), { HOST: '203.0.113.7' });
    expect(stderr).toMatch(/^GW_\w+: [^\n]*203\.0\.113\.7[^\n]*\n$/);
    expect(code).not.toBe(0);
  });

  it('for a HOST that no name server knows says so in plain words', async () => {
    const { code, stderr } = await runToEnd(temporaryFolder(), { HOST: 'nowhere.invalid' });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /^GW_CANNOT_LISTEN: [^\n]*: no address is known for the name "nowhere\.invalid"\. Set HOST to [^\n]+\n$/,
      ) as unknown,
    });
    expect(stderr).not.toMatch(/getaddrinfo|ENOTFOUND|EAI_AGAIN/);
  });

  it('for PostgreSQL without the keys says which is missing, and creates nothing', async () => {
    const folder = temporaryFolder();
    const { code, stderr } = await runToEnd(folder, { DATABASE_URL: 'postgres://me:hush@db.example/gateway' });
    expect(stderr).toMatch(/^GW_BAD_CONFIG: ADMIN_TOKEN is not set\. With PostgreSQL it is required/);
    expect({ code, made: readdirSync(folder) }).toEqual({ code: 2, made: [] });
  });

  it('for a folder in which none can be made ends with the reason, and does not hang', async () => {
    const { code, stderr } = await runToEnd(temporaryFolder(), { DATABASE_URL: 'sqlite:/proc/none/gateway.db' });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /^GW_STORE_UNUSABLE: Cannot create the folder of \/proc\/none\/gateway\.db: [^\n]+ DATABASE_URL=[^\n]+\n$/,
      ) as unknown,
    });
  });

  it('for an encryption key that does not fit the database says GW_WRONG_KEY and exits with code 1', async () => {
    const gateway = await startProcess();
    await gateway.end('SIGTERM');
    const env = { ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64') };
    const { code, stderr } = await runToEnd(gateway.folder, env);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^GW_WRONG_KEY: [^\n]+\n$/) as unknown });
    await gateway.start();
    expect((await gateway.client.call('GET', '/v1/channels')).status).toBe(200);
  });

  it('for a database that another gateway has open says GW_STORE_LOCKED, and the other gateway continues', async () => {
    const gateway = await startProcess();
    const { code, stderr } = await runToEnd(gateway.folder);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^GW_STORE_LOCKED: [^\n]+\n$/) as unknown,
    });
    expect((await gateway.client.call('GET', '/readyz')).status).toBe(200);
  });
});

describe('SIGTERM', () => {
  it('ends an idle gateway with exit code 0, and so does Ctrl-C', async () => {
    const gateway = await startProcess();
    expect(await gateway.end('SIGTERM')).toEqual({ code: 0, signal: null });
    await gateway.start();
    expect(await gateway.end('SIGINT')).toEqual({ code: 0, signal: null });
  });

  it('lets a delivery in progress finish, which is then not repeated', async () => {
    const { gateway, bot } = await withBot();
    const later = answerLater();
    bot.answers.push(later.answer);
    await gateway.client.webhook(textWebhook('a'));
    await bot.received(1);
    const ended = gateway.end('SIGTERM');
    await logged(gateway, 'stopping');
    later.give(200);
    expect(await ended).toEqual({ code: 0, signal: null });
    await gateway.start();
    expect(await deliveriesOf(gateway.client)).toMatchObject([{ status: 'delivered', attempts: 1 }]);
    expect(bot.requests).toHaveLength(1);
  });

  it('lets an incoming webhook be stored and answered (I1)', async () => {
    const { gateway } = await withBot();
    const upload = await beginWebhook(gateway, { keepAlive: false });
    const ended = gateway.end('SIGTERM');
    await logged(gateway, 'stopping');
    expect(await upload.finish(textWebhook('a'))).toBe(200);
    expect((await ended).code).toBe(0);
    await gateway.start();
    expect((await gateway.client.call('GET', '/v1/messages/main/a')).status).toBe(200);
  });

  it('is not delayed by a client that keeps its connection open after its answer', async () => {
    const { gateway } = await withBot();
    const upload = await beginWebhook(gateway, { keepAlive: true });
    const begun = performance.now();
    const ended = gateway.end('SIGTERM');
    await logged(gateway, 'stopping');
    await upload.finish(textWebhook('a'));
    await ended;
    expect(performance.now() - begun).toBeLessThan(SHUTDOWN_MS / 2);
  });

  it.each(['connect', 'doctor'])('lets a %s call to Whapi finish', async (what) => {
    const { gateway, whapi } = await withSlowWhapi();
    const asked =
      what === 'connect'
        ? gateway.client.call('POST', '/v1/channels/main/connect', { public_url: 'http://127.0.0.1:1' })
        : gateway.client.call('GET', '/v1/doctor');
    await whapi.received(1);
    const ended = gateway.end('SIGTERM');
    await logged(gateway, 'stopping');
    whapi.go();
    expect(await asked).toMatchObject({ status: 200 });
    expect(JSON.stringify((await asked).body)).not.toMatch(/Cannot (read|change)|did not answer/);
    expect(await ended).toEqual({ code: 0, signal: null });
  });

  it('stops the gateway from accepting new connections', async () => {
    const { gateway, bot } = await withBot();
    const later = answerLater();
    bot.answers.push(later.answer);
    await gateway.client.webhook(textWebhook('a'));
    await bot.received(1);
    const ended = gateway.end('SIGTERM');
    await logged(gateway, 'stopping');
    await until(async () => await expect(fetch(`${gateway.client.url}/healthz`)).rejects.toThrow());
    later.give(200);
    expect((await ended).code).toBe(0);
  });

  it('returns a delivery without an answer, which is sent again under its webhook-id without losing an attempt (I4)', async () => {
    const { gateway, bot } = await withBot({ max_attempts: 1, timeout_ms: 60_000 });
    bot.answers.push(() => undefined);
    await gateway.client.webhook(textWebhook('a'));
    await bot.received(1);
    const begun = performance.now();
    expect(await gateway.end('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(performance.now() - begun).toBeLessThan(SHUTDOWN_MS);
    await gateway.start();
    const [first, second] = await bot.received(2);
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    await gateway.client.settled();
    expect(await deliveriesOf(gateway.client)).toMatchObject([{ status: 'delivered', attempts: 1 }]);
  });

  it('sent twice ends the process at once with a code other than 0, and nothing is lost (I4)', async () => {
    const { gateway, bot } = await withBot();
    bot.answers.push(() => undefined);
    await gateway.client.webhook(textWebhook('a'));
    await bot.received(1);
    const begun = performance.now();
    void gateway.end('SIGTERM');
    await logged(gateway, 'stopping');
    expect((await gateway.end('SIGTERM')).code).toBe(1);
    expect(performance.now() - begun).toBeLessThan(SHUTDOWN_MS / 2);
    await gateway.start();
    expect((await bot.received(2)).map(({ ids }) => ids)).toEqual([['a'], ['a']]);
  });
});

describe('a restart', () => {
  it.each(['SIGTERM', 'SIGKILL'] as const)('after %s keeps everything', async (signal) => {
    const { gateway, bot, target } = await withBot({ enabled: false });
    const ids = { channel: 'main', message_ids: ['x', 'y'] };
    const { body: resync } = await gateway.client.call('POST', '/v1/resyncs', ids);
    for (const id of ['a', 'b', 'c']) await gateway.client.webhook(textWebhook({ id, chat: 'one' }));
    const looks = ['/v1/channels', '/v1/targets', '/v1/messages', '/v1/deliveries', '/v1/messages/main/a'];
    const before = await Promise.all(looks.map(async (path) => (await gateway.client.call('GET', path)).body));
    await gateway.end(signal);
    await gateway.start();
    const after = await Promise.all(looks.map(async (path) => (await gateway.client.call('GET', path)).body));
    expect(after).toEqual(before);
    // Its Whapi is unreachable: after the first attempt the resync pauses, and nothing else changes.
    const lasting = { ...resync, pause: expect.anything() as unknown, rate_per_minute: 0 };
    const resyncNow = async () => (await gateway.client.call('GET', `/v1/resyncs/${String(resync['id'])}`)).body;
    await until(async () => expect(await resyncNow()).toMatchObject(lasting));
    await gateway.client.call('PATCH', `/v1/targets/${target}`, { enabled: true });
    expect((await bot.received(3)).flatMap(({ ids: sent }) => sent)).toEqual(['a', 'b', 'c']);
  });

  it('reads the key files of the first start and creates none', async () => {
    const gateway = await startProcess();
    const filesOf = () => ['admin-token', 'encryption-key'].map((name) => readFileSync(join(gateway.folder, name)));
    const before = filesOf();
    await gateway.end('SIGTERM');
    const lines = gateway.log.length;
    await gateway.start();
    expect(filesOf()).toEqual(before);
    expect(gateway.log.slice(lines).join('\n')).not.toContain('key file created');
  });

  it('after a kill -9 during a delivery repeats it under the same webhook-id (I4, I5)', async () => {
    const { gateway, bot } = await withBot({ max_attempts: 1 });
    bot.answers.push(() => undefined);
    await gateway.client.webhook(textWebhook('a'));
    await bot.received(1);
    await gateway.end('SIGKILL');
    await gateway.start();
    const [first, second] = await bot.received(2);
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    expect(second?.body).toEqual(first?.body);
  });
});

async function withBot(settings: Record<string, unknown> = {}) {
  const gateway = await startProcess();
  const bot: Bot = await startBot();
  await gateway.client.addChannel({ whapi_base_url: await unreachableUrl() });
  const { id: target } = await gateway.client.addTarget({ url: bot.url, ...settings });
  return { gateway, bot, target };
}

/** A Whapi that answers nothing until it is released, then everything. */
async function withSlowWhapi() {
  const gateway = await startProcess();
  const whapi = await startBot();
  await gateway.client.addChannel({ whapi_base_url: whapi.url });
  const [going, go] = gate();
  let settings: object = { callback_persist: true, webhooks: [] };
  const answerTo = ({ url, method, body }: BotRequest): object => {
    if (url.startsWith('/health')) return { status: { code: 4, text: 'AUTH' } };
    if (method !== 'PATCH') return settings;
    const before = settings;
    settings = { ...settings, ...(JSON.parse(body.toString()) as object) };
    return { before_update: before, after_update: settings };
  };
  whapi.otherwise = (request, response) =>
    void going.then(() => {
      response.writeHead(request.url === '/settings/webhook_test' ? 400 : 200); // Not a test webhook: no test waits for it.
      response.end(JSON.stringify(answerTo(request)));
    });
  return { gateway, whapi: Object.assign(whapi, { go }) };
}

function gate(): [Promise<void>, () => void] {
  let open = (): void => undefined;
  return [new Promise<void>((opened) => (open = opened)), () => open()];
}

async function logged(gateway: GatewayProcess, words: string): Promise<void> {
  await until(() => expect(gateway.log.join('\n')).toContain(words));
}

/** A webhook whose headers have arrived and whose body has not. */
async function beginWebhook(
  { client }: GatewayProcess,
  options: { keepAlive: boolean },
): Promise<{ finish(body: string): Promise<number | undefined> }> {
  const agent = new Agent(options);
  onTestFinished(() => agent.destroy());
  const headers = { authorization: `Bearer ${WEBHOOK_SECRET}`, expect: '100-continue' };
  const upload = request(`${client.url}/webhooks/main`, { agent, method: 'POST', headers });
  upload.flushHeaders();
  await once(upload, 'continue');
  return {
    finish: async (body) => {
      upload.end(body);
      const [response] = (await once(upload, 'response')) as [IncomingMessage];
      return response.resume().statusCode;
    },
  };
}

it('SIGTERM ends the process with code 0 even if the reader of its log is gone', async () => {
  const gateway = await startProcess();
  gateway.stopReading();
  expect(await gateway.end('SIGTERM')).toEqual({ code: 0, signal: null });
});
