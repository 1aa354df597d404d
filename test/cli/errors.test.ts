import { describe, expect, it } from 'vitest';
import { startAnswering, startApi, unreachableUrl } from '../support/api.js';
import { accessTo, cli } from '../support/cli.js';

const NOWHERE = { GATEWAY_URL: 'http://127.0.0.1:9', ADMIN_TOKEN: 'any' };

interface ErrorJson {
  readonly code: string;
  readonly detail: string;
  readonly errors?: unknown;
}

/** A command with --json that must fail: its exit code, and the one line on standard error. */
async function jsonError(
  args: readonly string[],
  env: Record<string, string>,
): Promise<ErrorJson & { exit: number | null }> {
  const { code: exit, stdout, stderr } = await cli([...args, '--json'], { env });
  expect([args, stdout]).toEqual([args, '']);
  expect(stderr).toMatch(/^\{.*\}\n$/);
  return { exit, ...(JSON.parse(stderr) as ErrorJson) };
}

describe('an error with --json is one line of JSON on standard error', () => {
  it.each([
    [['chanels'], 'Unknown command "chanels". Did you mean channels? Add --help for usage and examples.'],
    [['channels', 'add'], 'Missing required argument "name". Add --help for usage and examples.'],
    [['channels', 'list', '--no-such'], 'Unknown option "--no-such". Add --help for usage and examples.'],
    [['channels'], 'Missing command. Add --help for the list of commands.'],
    [['audit'], 'Missing --since (for example --since 7d).'],
    [
      ['audit', '--channel', 'main', '--since', 'yesterday'],
      'Invalid --since "yesterday": expected a time such as 2026-01-31T12:00:00Z, or how long ago, such as 30min, 12h, 7d or 4w.',
    ],
    [
      ['audit', '--channel', 'main', '--since', '99999999999999w'],
      expect.stringContaining('Invalid --since') as unknown,
    ],
    [
      ['targets', 'add', 'bot', 'http://a', '--timeout-ms', 'long'],
      'Invalid --timeout-ms "long": expected a number, for example 30000.',
    ],
    [['held', '--limit', 'all'], 'Invalid --limit "all": expected a whole number, for example 50.'],
    [
      ['held', '--gateway', 'http://user:hush@127.0.0.1:8080'],
      "The gateway's URL contains a user name or password: remove it, for example http://127.0.0.1:8080.",
    ],
    [
      ['held', '--gateway', 'ftp://user:hush@127.0.0.1'],
      'Invalid --gateway "ftp://***@127.0.0.1": expected an http:// or https:// URL, for example http://127.0.0.1:8080.',
    ],
    [
      ['held', '--gateway', 'localhost:8080'],
      'Invalid --gateway "localhost:8080": expected an http:// or https:// URL, for example http://127.0.0.1:8080.',
    ],
  ])('wrong usage: %j', async (args, detail) => {
    expect(await jsonError(args, NOWHERE)).toEqual({ exit: 2, code: 'GW_USAGE', detail });
  });

  it('that the gateway answered, with its code and the wrong fields', async () => {
    const env = accessTo(await startApi());
    expect(await jsonError(['targets', 'add', 'bot', 'localhost:3000'], env)).toMatchObject({
      exit: 2,
      code: 'GW_BAD_REQUEST',
      detail: expect.stringMatching(/^Invalid request body: "url" is "localhost:3000"; expected /) as unknown,
      errors: [{ path: '/url' }],
    });
  });

  it('of a gateway that is unreachable', async () => {
    const env = { ...NOWHERE, GATEWAY_URL: await unreachableUrl() };
    expect(await jsonError(['channels', 'list'], env)).toMatchObject({ exit: 3, code: 'GW_UNREACHABLE' });
  });
});

it('with PostgreSQL, the token file of another gateway in this folder is not taken', async () => {
  const env = { GATEWAY_URL: NOWHERE.GATEWAY_URL, DATABASE_URL: 'postgres://gateway:hush@db.example/gateway' };
  const { exit, code, detail } = await jsonError(['channels', 'list'], env);
  expect([exit, code, detail]).toEqual([2, 'GW_NO_ADMIN_TOKEN', expect.stringMatching(/^ADMIN_TOKEN is not set/)]);
});

it.each([502, 503])('a proxy that finds no gateway (%i) is not taken for another program', async (status) => {
  const env = { ...NOWHERE, GATEWAY_URL: await startAnswering(status, '') };
  const { exit, code, detail } = await jsonError(['channels', 'list'], env);
  expect([exit, code, detail]).toEqual([
    3,
    'GW_UNREACHABLE',
    expect.stringMatching(/^No gateway answers behind .*\/readyz/),
  ]);
});

describe('the same mistake ends every command with the same exit code', () => {
  it('6: what is named does not exist', async () => {
    const env = { ...accessTo(await startApi()), WHAPI_TOKEN: 'x' };
    for (const args of [
      ['channels', 'remove', 'nobody'],
      ['channels', 'connect', 'nobody', '--public-url', 'https://gateway.example.com'],
      ['channels', 'seed', 'nobody'],
      ['targets', 'remove', 'nobody'],
      ['targets', 'test', 'nobody'],
      ['resync', 'an-id', '--channel', 'nobody'],
      ['resync', '--watch', 'rsy_nobody'],
      ['resync', '--cancel', 'rsy_nobody'],
      ['audit', '--since', '1d', '--channel', 'nobody'],
      ['audit', '--list', 'aud_nobody'],
      ['explain', 'an-id', '--channel', 'nobody'],
      ['explain', 'an-id'],
      ['release', 'itm_nobody'],
    ])
      expect([args, await jsonError(args, env)]).toMatchObject([args, { exit: 6, code: 'GW_NOT_FOUND' }]);
  });

  it('2: a value is invalid, whether the command or the gateway finds it', async () => {
    const env = accessTo(await startApi());
    for (const args of [
      ['targets', 'add', 'bot', 'http://127.0.0.1:9', '--mode', 'foo'],
      ['targets', 'add', 'bot', 'http://127.0.0.1:9', '--events', 'mesages'],
      ['targets', 'add', 'bot', 'http://127.0.0.1:9', '--concurrency', 'many'],
      ['channels', 'connect', 'main', '--mode', 'foo'],
      ['held', '--limit', '9999'],
      ['held', '--verdict', 'old'],
      ['held', '--since', 'yesterday'],
      ['release', '--resync', 'rsy_x', '--expected-count', 'many'],
      ['resync', 'not/an/id'],
    ])
      expect([args, (await jsonError(args, env)).exit]).toEqual([args, 2]);
  });
});

describe('a list without entries', () => {
  it.each([
    ['channels', /^No channels yet\. To add one: .*channels add <name>/],
    ['targets', /^No targets yet\. To add one: .*targets add <name> <url>/],
  ])('of %s says so and how to add one; with --json it is []', async (name, words) => {
    const gateway = await startApi();
    const env = accessTo(gateway);
    if (name === 'channels') await cli(['channels', 'remove', 'main'], { env });
    expect((await cli([name, 'list'], { env })).stdout).toMatch(words);
    expect((await cli([name, 'list', '--json'], { env })).stdout).toBe('[]\n');
  });
});

it('the version is printed with -V as with --version', async () => {
  const { stdout } = await cli(['-V']);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect((await cli(['--version'])).stdout).toBe(stdout);
});
