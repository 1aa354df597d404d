import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { EXIT } from '../../src/errors.js';
import { adminTokenOf, startApi, unreachableUrl } from '../support/api.js';
import { startBot } from '../support/bot.js';
import { accessTo, cli, startCli } from '../support/cli.js';
import type { CliEnded } from '../support/cli.js';
import { OTHER, startConnect } from '../support/connect.js';
import { temporaryFolder } from '../support/files.js';
import { startLocal } from '../support/gateway.js';
import { textWebhook } from '../support/texts.js';

const COMMANDS = ['serve', 'resync', 'explain', 'audit', 'held', 'release', 'stats', 'tail', 'api', 'doctor', 'demo'];
const BELOW = {
  channels: ['list', 'show', 'add', 'set', 'remove', 'connect', 'disconnect', 'seed'],
  targets: ['list', 'show', 'add', 'set', 'remove', 'test', 'rotate-secret', 'enable', 'disable'],
  items: ['list', 'show', 'release'],
  messages: ['list', 'release'],
  webhooks: ['list', 'show'],
  deliveries: ['list', 'show', 'retry'],
  jobs: ['list', 'show', 'watch', 'cancel'],
  resyncs: ['list', 'show', 'messages', 'report', 'watch', 'cancel'],
  audits: ['list', 'show', 'watch', 'messages', 'release', 'cancel'],
};

describe('--help', () => {
  const all = [
    ...COMMANDS.map((name) => [name]),
    ...Object.entries(BELOW).flatMap(([name, below]) => below.map((each) => [name, each])),
  ];
  it.each(all)('of %s %s has examples', async (...words) => {
    const { code, stdout } = await cli([...words.filter(Boolean), '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Examples:\n {2}\$ .*whapi-resync-gateway/);
  });

  it('of the program lists the exit codes and every command', async () => {
    const { stdout } = await cli(['--help']);
    for (const word of [
      ...COMMANDS,
      'simulate',
      ...Object.keys(BELOW),
      ...Object.values(EXIT).map((code) => `\n  ${code} `),
    ])
      expect(stdout).toContain(word);
  });
});

describe('wrong usage', () => {
  it.each([
    [['chanels']],
    [[]],
    [['channels', 'list', '--no-such']],
    [['channels', 'add']],
    [['explain']],
    [['serve', 'now']],
  ])('in %j exits with 2 and explains it on stderr', async (args) => {
    const { code, stdout, stderr } = await cli(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/\S/);
  });

  it('suggests the command that was probably meant', async () => {
    expect((await cli(['chanels'])).stderr).toContain('Did you mean channels?');
  });
});

describe('a gateway that cannot be used', () => {
  it('that is unreachable makes the command exit with 3', async () => {
    const env = { GATEWAY_URL: await unreachableUrl(), ADMIN_TOKEN: 'any' };
    const { code, stderr } = await cli(['channels', 'list'], { env });
    expect(code).toBe(3);
    expect(stderr).toMatch(/^Cannot reach the gateway at .*serve/);
  });

  it('that refuses the token makes the command exit with 5 without revealing the token', async () => {
    const { url } = await startApi();
    const env = { GATEWAY_URL: url, ADMIN_TOKEN: 'a-token-of-another' };
    const { code, stderr } = await cli(['channels', 'list'], { env });
    expect(code).toBe(5);
    expect(stderr).not.toContain('a-token-of-another');
  });

  it('that is another kind of server makes the command exit with 3', async () => {
    const { url } = await startBot();
    expect(await cli(['channels', 'list'], { env: { GATEWAY_URL: url, ADMIN_TOKEN: 'any' } })).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('does not look like a gateway') as unknown,
    });
  });

  it('for lack of an admin token is an error that names the expected file', async () => {
    const { code, stderr } = await startCli(['channels', 'list'], { cwd: temporaryFolder() }).ended;
    expect(code).toBe(2);
    expect(stderr).toContain('data/admin-token');
  });
});

describe('the admin token', () => {
  it('is not revealed if the given file contains something else', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'other'), 'a secret\nof two lines');
    const { code, stdout, stderr } = await cli(['channels', 'list', '--token-file', join(folder, 'other')]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).not.toContain('secret');
  });

  it('is read from the file next to the database, or from the given file', async () => {
    const { url, folder } = await startApi();
    const beside = { GATEWAY_URL: url, DATABASE_URL: `sqlite:${join(folder, 'gateway.db')}` };
    expect((await cli(['channels', 'list'], { env: beside })).code).toBe(0);
    const named = ['channels', 'list', '--gateway', url, '--token-file', join(folder, 'admin-token')];
    expect((await cli(named)).code).toBe(0);
  });
});

describe('channels', () => {
  it('are added with a token that is not on the command line, listed, and removed, and show their secret once', async () => {
    const gateway = await startLocal();
    const env = accessTo(gateway);
    const added = await cli(['channels', 'add', 'shop', '--whapi-token-file', '-', '--json'], {
      env,
      stdin: 'the-token\n',
    });
    const { webhook_secret: secret } = JSON.parse(added.stdout) as { webhook_secret: string };
    const listed = await cli(['channels', 'list'], { env });
    expect(secret).toMatch(/.{16}/);
    expect(listed.stdout).toMatch(/^shop /m);
    expect(listed.stdout).not.toMatch(new RegExp(`the-token|${secret}`));
    expect((await cli(['channels', 'remove', 'shop'], { env })).code).toBe(0);
    expect(jsonOf(await cli(['channels', 'list', '--json'], { env }))).toEqual([]);
  });

  it('take the token from WHAPI_TOKEN and are not added without one', async () => {
    const env = accessTo(await startLocal());
    expect((await cli(['channels', 'add', 'shop'], { env })).code).toBe(2);
    expect((await cli(['channels', 'add', 'shop'], { env: { ...env, WHAPI_TOKEN: 'the-token' } })).code).toBe(0);
    expect(await cli(['channels', 'add', 'shop'], { env: { ...env, WHAPI_TOKEN: 'the-token' } })).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('GW_CONFLICT') as unknown,
    });
  });

  it('are connected and disconnected, first with a dry run', async () => {
    const stage = await startConnect();
    const env = accessTo(stage.gateway);
    const connect = ['channels', 'connect', 'main', '--public-url', stage.gateway.url];
    expect((await cli([...connect, '--dry-run'], { env })).stdout).toMatch(
      /^Changes to make at Whapi:\n {2}adds a webhook/,
    );
    expect(await stage.settings()).toMatchObject({ webhooks: [OTHER] });
    const connected = await cli(connect, { env });
    expect(connected).toMatchObject({ code: 0, stdout: expect.stringMatching(/Warning: .*Works: /s) as unknown });
    expect((await cli(connect, { env })).stdout).toContain('Nothing to change at Whapi.');
    await cli(['channels', 'disconnect', 'main'], { env });
    expect(await stage.settings()).toMatchObject({ webhooks: [OTHER] });
  });

  it('that Whapi cannot reach after connect make the command exit with 1', async () => {
    const stage = await startConnect();
    const args = ['channels', 'connect', 'main', '--public-url', await unreachableUrl()];
    expect(await cli(args, { env: accessTo(stage.gateway) })).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('Does not work') as unknown,
    });
  });
});

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const OPTIONS = [
  ...['--channels', 'main,shop', '--events', 'message,statuses.*', '--deliver', 'new,late', '--mode', 'path'],
  ...['--split', 'chat', '--header', 'X-Tenant: seven', '--header', 'X-Kind:  a: b', '--timeout-ms', '45000'],
  ...['--max-attempts', '3', '--retry-delays', '1,2.5', '--max-age-seconds', '60', '--concurrency', '4'],
  ...['--rate-per-second', '0.5', '--backlog-policy', 'hold', '--backlog-after-seconds', '60'],
  ...['--backlog-rate-per-minute', '2.5', '--skip-answered', '--disabled'],
];
const FIELDS = {
  ...{ channels: ['main', 'shop'], events: ['messages', 'statuses.*'], deliver: ['new', 'late'], mode: 'path' },
  ...{ split: 'chat', headers: { 'X-Tenant': 'seven', 'X-Kind': 'a: b' }, timeout_ms: 45_000, max_attempts: 3 },
  ...{ retry_delays_seconds: [1, 2.5], max_age_seconds: 60, concurrency: 4, rate_per_second: 0.5, enabled: false },
  ...{ backlog_policy: 'hold', backlog_after_seconds: 60, backlog_rate_per_minute: 2.5, skip_answered: true },
};

describe('targets', () => {
  it('are added, tested, disabled, enabled and removed by name', async () => {
    const gateway = await startApi();
    const bot = await startBot();
    const env = accessTo(gateway);
    await cli(['targets', 'add', 'bot', bot.url, '--events', 'messages.post,statuses', '--deliver', 'new'], { env });
    const [target] = jsonOf(await cli(['targets', 'list', '--json'], { env })) as Record<string, unknown>[];
    expect(target).toMatchObject({
      name: 'bot',
      events: ['messages.post', 'statuses'],
      deliver: ['new'],
      enabled: true,
    });
    expect((await cli(['targets', 'test', 'bot'], { env })).stdout).toMatch(/bot answered 200/);
    await cli(['targets', 'disable', 'bot'], { env });
    expect((await cli(['targets', 'list'], { env })).stdout).toMatch(/bot +no/);
    await cli(['targets', 'enable', String(target?.['id'])], { env });
    expect((await cli(['targets', 'list'], { env })).stdout).toMatch(/bot +yes/);
    await cli(['targets', 'remove', 'bot'], { env });
    expect(jsonOf(await cli(['targets', 'list', '--json'], { env }))).toEqual([]);
  });

  it('with pending deliveries are removed only with --yes, after their number was shown', async () => {
    const gateway = await startApi();
    const env = accessTo(gateway);
    await cli(['targets', 'add', 'bot', await unreachableUrl(), '--no-test', '--disabled'], { env });
    await gateway.webhook(textWebhook('a'));
    const refused = await cli(['targets', 'remove', 'bot'], { env });
    expect([refused.code, refused.stdout]).toEqual([5, '']);
    expect(refused.stderr).toBe(
      'GW_UNDER_WAY: Target bot has work under way: 1 pending delivery (would end as dead). To remove it anyway, add --yes.\n',
    );
    expect(jsonOf(await cli(['targets', 'list', '--json'], { env }))).toHaveLength(1);
    expect((await cli(['targets', 'remove', 'bot', '--yes'], { env })).code).toBe(0);
    expect(jsonOf(await cli(['targets', 'list', '--json'], { env }))).toEqual([]);
  });

  it('take every field of the API as an option, for add and set', async () => {
    const gateway = await startApi();
    const env = accessTo(gateway);
    const url = await unreachableUrl();
    await cli(['targets', 'add', 'bot', url, '--no-test', '--secret-file', '-', ...OPTIONS], {
      env,
      stdin: `${SECRET}\n`,
    });
    expect(jsonOf(await cli(['targets', 'list', '--json'], { env }))).toMatchObject([FIELDS]);
    await cli(['targets', 'add', 'plain', url, '--no-test'], { env });
    const changed = await cli(['targets', 'set', 'plain', '--name', 'bot', '--url', `${url}/x`, ...OPTIONS], { env });
    expect(changed.code).toBe(0);
    const [, plain] = jsonOf(await cli(['targets', 'list', '--json'], { env })) as Record<string, unknown>[];
    expect(plain).toMatchObject({ ...FIELDS, name: 'bot', url: `${url}/x` });
    const off = [
      '--max-age-seconds',
      'none',
      '--rate-per-second',
      'none',
      '--retry-delays',
      'none',
      '--backlog-rate-per-minute',
      'none',
      '--no-skip-answered',
      '--header',
      'none',
    ];
    const limitless = await cli(['targets', 'set', String(plain?.['id']), ...off, '--json'], { env });
    const none = { max_age_seconds: null, rate_per_second: null, retry_delays_seconds: null, headers: {} };
    const back = { backlog_rate_per_minute: null, skip_answered: false, backlog_policy: 'hold' };
    expect(jsonOf(limitless)).toMatchObject({ ...none, ...back, timeout_ms: 45_000 });
  });

  it.each([[['set', 'bot']], [['set', 'bot', '--timeout-ms', 'long']], [['set', 'bot', '--header', 'no colon']]])(
    'that are changed by %j exit with 2',
    async (args) => {
      const gateway = await startApi();
      await gateway.addTarget({ name: 'bot', url: 'http://127.0.0.1:3000' });
      expect((await cli(['targets', ...args], { env: accessTo(gateway) })).code).toBe(2);
    },
  );

  it('with the same URL cause a warning', async () => {
    const gateway = await startApi();
    const { url } = await startBot();
    await gateway.addTarget({ name: 'first', url });
    const { stdout } = await cli(['targets', 'add', 'second', url], { env: accessTo(gateway) });
    expect(stdout).toMatch(/Warning: Target "first" .* has the same URL/);
  });

  it('are tested when they are added', async () => {
    const gateway = await startApi();
    const bot = await startBot();
    const args = ['targets', 'add', 'bot', `${bot.url}/hook`, '--mode', 'method', '--events', 'messages.post'];
    const { code, stdout } = await cli(args, { env: accessTo(gateway) });
    expect([code, bot.requests.map(({ url }) => url)]).toEqual([0, ['/hook/messages']]);
    expect(stdout).toMatch(
      /Target bot added: tgt_.*whsec_.*bot answered 200 .*messages\.post at POST \/hook\/messages/s,
    );
    await cli(['targets', 'add', 'untested', `${bot.url}/x`, '--no-test'], { env: accessTo(gateway) });
    expect(bot.requests).toHaveLength(1);
  });

  it('without a handler are still added, with a hint what to change', async () => {
    const gateway = await startApi();
    const bot = await startBot();
    bot.otherwise = 404;
    const add = ['targets', 'add', 'bot', `${bot.url}/hook`];
    const { code, stdout } = await cli(add, { env: accessTo(gateway) });
    expect(code).toBe(0);
    expect(stdout).toMatch(/added.*answers, but not at POST \/hook \(404\).*→ .*path.*mode.*events.*The target stays/s);
    const json = jsonOf(await cli([...add, '--json'], { env: accessTo(gateway) }));
    expect(json).toMatchObject({ name: 'bot', test: { delivered: false, status: 404, path: '/hook' } });
    expect((await cli(['targets', 'test', (json as { id: string }).id], { env: accessTo(gateway) })).code).toBe(1);
  });

  it('that are unreachable are added, with a hint what to check and the next command', async () => {
    const gateway = await startApi();
    const { stdout } = await cli(['targets', 'add', 'bot', await unreachableUrl()], { env: accessTo(gateway) });
    expect(stdout).toMatch(/ECONNREFUSED.*\n→ Check that the bot is running at http:.* targets test bot\n/);
  });

  it('whose URL has no scheme are refused with a clear error instead of a pattern', async () => {
    const gateway = await startApi();
    const { code, stderr } = await cli(['targets', 'add', 'bot', 'localhost:3000/hook'], { env: accessTo(gateway) });
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining(
        '"url" is "localhost:3000/hook"; expected an http:// or https:// URL, for example https://',
      ),
    ]);
    expect(stderr).not.toContain('^');
  });

  it('get a new signing secret that is shown once', async () => {
    const gateway = await startApi();
    const { secret } = await gateway.addTarget({ name: 'bot', url: 'http://127.0.0.1:3000' });
    const args = ['targets', 'rotate-secret', 'bot', '--grace-seconds', '60', '--json'];
    const rotated = jsonOf(await cli(args, { env: accessTo(gateway) })) as { secret: string };
    expect(rotated.secret).toMatch(/^whsec_/);
    expect(rotated.secret).not.toBe(secret);
    expect(
      (await cli(['targets', 'rotate-secret', 'bot', '--grace-seconds', 'day'], { env: accessTo(gateway) })).code,
    ).toBe(2);
  });

  it('that fail a test exit with 1, unknown ones with 6, ambiguous names with 2', async () => {
    const gateway = await startApi();
    const env = accessTo(gateway);
    await gateway.addTarget({ name: 'dead', url: await unreachableUrl() });
    for (const url of ['http://127.0.0.1:3000', 'http://127.0.0.1:3001'])
      await gateway.addTarget({ name: 'twin', url });
    const codeOf = async (name: string) => (await cli(['targets', 'test', name], { env })).code;
    expect([await codeOf('dead'), await codeOf('nobody'), await codeOf('twin')]).toEqual([1, 6, 2]);
  });
});

describe('explain', () => {
  it('says why a delivery is pending', async () => {
    const gateway = await startApi();
    await gateway.addTarget({ url: 'http://127.0.0.1:9', enabled: false });
    await gateway.webhook(textWebhook('a-message'));
    const { stdout } = await cli(['explain', 'a-message'], { env: accessTo(gateway) });
    expect(stdout).toMatch(
      /\nDelivery dlv_\w+ is pending: target "bot" is disabled\. To send it: "targets enable tgt_/,
    );
  });

  it('shows the history of a message, whichever channel it belongs to', async () => {
    const gateway = await startApi();
    await gateway.addChannel({ name: 'another' });
    await gateway.webhook(textWebhook('a-message'));
    const env = accessTo(gateway);
    expect((await cli(['explain', 'a-message'], { env })).stdout).toMatch(/in channel main\n.*new by rule 10/);
    expect(jsonOf(await cli(['explain', 'a-message', '--json'], { env }))).toMatchObject({
      channel: 'main',
      message_id: 'a-message',
    });
    expect(await cli(['explain', 'no-message'], { env })).toMatchObject({
      code: 6,
      stderr: 'GW_NOT_FOUND: No message "no-message" (looked in another, main).\n',
    });
    const { code, stderr } = await cli(['explain', 'a-message', '--channel', 'shop'], { env });
    expect([code, stderr]).toEqual([
      6,
      expect.stringContaining('There is no channel "shop". Channels: another, main.'),
    ]);
  });
});

describe('doctor', () => {
  it('reports problems with their fix and exits with 1 if a check fails', async () => {
    const { code, stdout } = await cli(['doctor'], { env: accessTo(await startApi()) });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^ok {4}store: .*^fail {2}whapi \(main\): .*^warn {2}targets: .*\n {6}→ Add your bot/ms);
  });

  it('without a gateway checks the requirements of its start', async () => {
    const folder = temporaryFolder();
    const env = {
      DATABASE_URL: `sqlite:${join(folder, 'data', 'gateway.db')}`,
      GATEWAY_URL: await unreachableUrl(),
      PORT: '0',
    };
    const { code, stdout } = await cli(['doctor', '--json'], { env });
    const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string }[] };
    expect(code).toBe(1);
    expect(checks.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'gateway fail',
      'configuration ok',
      'store ok',
      'port ok',
    ]);
  });

  it('finds an invalid setting, a damaged database, a lost key and a port in use', async () => {
    const folder = temporaryFolder();
    const taken = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void taken.close());
    await new Promise((listening) => taken.once('listening', listening));
    mkdirSync(join(folder, 'data'));
    writeFileSync(join(folder, 'data', 'gateway.db'), 'this is no database at all');
    const port = String((taken.address() as AddressInfo).port);
    const { stdout } = await startCli(['doctor'], { cwd: folder, env: { PORT: port } }).ended;
    for (const words of [
      ...['is not a SQLite database', `Cannot read ${join(folder, 'data', 'encryption-key')}`],
      `127.0.0.1:${port} is already in use`,
    ])
      expect(stdout).toContain(words);
    expect((await startCli(['doctor'], { cwd: folder, env: { PORT: 'eighty' } }).ended).stdout).toContain(
      'GW_BAD_CONFIG: PORT',
    );
  });

  it('finds key files that the start refuses: changeable by other users, or without a key', async () => {
    const folder = temporaryFolder();
    const data = join(folder, 'data');
    mkdirSync(data);
    writeFileSync(join(data, 'gateway.db'), 'SQLite format 3\0');
    writeFileSync(join(data, 'admin-token'), 'a-token-of-mine-for-tests\n');
    chmodSync(join(data, 'admin-token'), 0o666);
    writeFileSync(join(data, 'encryption-key'), 'no key\n', { mode: 0o600 });
    const { code, stdout } = await startCli(['doctor'], { cwd: folder, env: { PORT: '0' } }).ended;
    expect(code).toBe(1);
    expect(stdout).toContain(
      `fail  admin_token: GW_UNSAFE_KEY_FILE: Other users may change ${join(data, 'admin-token')}`,
    );
    expect(stdout).toContain(`fail  encryption_key: GW_STORE_UNUSABLE: ${join(data, 'encryption-key')} is damaged`);
    expect(stdout).not.toContain('a-token-of-mine-for-tests');
  });
});

describe('the help', () => {
  it('names defaults only where a command uses them', async () => {
    expect((await cli(['targets', 'add', '--help'])).stdout).toContain('default: 30000');
    expect((await cli(['targets', 'set', '--help'])).stdout).not.toContain('default:');
  });
});

describe('the program that the command line starts', () => {
  it('is the gateway with serve, which listens and exits with 0 on SIGTERM', async () => {
    const folder = temporaryFolder();
    const run = startCli(['serve'], { cwd: folder, env: { PORT: '0' } });
    await run.written('"msg":"listening"');
    expect(adminTokenOf(join(folder, 'data'))).toMatch(/.{16}/);
    run.kill('SIGTERM');
    expect((await run.ended).code).toBe(0);
  });

  it('is the simulator with simulate, which has its own flags', async () => {
    const run = startCli(['simulate', '--port', '0', '--token', 'a-token-of-mine']);
    await run.written('A simulated Whapi is listening on');
    expect(run.text()).toContain('a-token-of-mine');
    run.kill('SIGTERM');
    expect((await run.ended).code).toBe(0);
  });
});

function jsonOf({ code, stdout, stderr }: CliEnded): unknown {
  if (stdout === '') throw new Error(`It ended with ${code} and said: ${stderr}`);
  return JSON.parse(stdout);
}
