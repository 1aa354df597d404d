import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startApi } from '../support/api.js';
import { accessTo, cli, startInTerminal } from '../support/cli.js';
import { temporaryFolder } from '../support/files.js';

const CTRL_C = '\x03';

/** A gateway, and the home of a person who has its token in a file. */
async function withHome() {
  const access = accessTo(await startApi());
  const [url = '', token = ''] = [access['GATEWAY_URL'], access['ADMIN_TOKEN']];
  const home = temporaryFolder();
  const tokenFile = join(home, 'token');
  writeFileSync(tokenFile, `${token}\n`);
  const login = ['login', '--gateway', url, '--token-file', tokenFile];
  const folder = join(home, '.config', 'whapi-resync-gateway');
  return { url, token, tokenFile, login, folder, env: { HOME: home } };
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;
const linesOf = (text: string): string[] => text.trimEnd().split('\n');

describe('login', () => {
  it('saves a profile for its user only, which later commands use', async () => {
    const { url, token, login, folder, env } = await withHome();
    const { code, stdout, stderr } = await cli(login, { env });
    expect([code, stdout, stderr]).toEqual([
      0,
      `Logged in to ${url}. Profile default saved: ${folder}/default.json\nCommands use it from now on.\n`,
      '',
    ]);
    expect([modeOf(folder), modeOf(`${folder}/default.json`), readdirSync(folder)]).toEqual([
      0o700,
      0o600,
      ['default.json'],
    ]);
    expect(JSON.parse(readFileSync(`${folder}/default.json`, 'utf8'))).toEqual({ gateway: url, token });
    expect((await cli(['channels', 'list'], { env })).stdout).toContain('main');
  });

  it('asks in a terminal, and never shows the token', async () => {
    const { url, token, env } = await withHome();
    const run = startInTerminal(['login', '--profile', 'shop'], env);
    await run.written('URL of the gateway \\[http://127.0.0.1:8080\\]: ');
    run.type(`${url}\n`);
    await run.written('Admin token \\(not shown\\): ');
    run.type(`mistyped\x15${token}x\x7f\r`);
    const { code, stdout } = await run.ended;
    expect([code, stdout.includes(token), stdout.includes('mistyped')]).toEqual([0, false, false]);
    expect((await cli(['channels', 'list', '--profile', 'shop'], { env })).stdout).toContain('main');
  });

  it.each(['URL of the gateway', 'Admin token'])('ends with Ctrl-C at the question "%s…"', async (question) => {
    const { url, folder, env } = await withHome();
    const run = startInTerminal(question === 'Admin token' ? ['login', '--gateway', url] : ['login'], env);
    await run.written(question);
    run.type(CTRL_C);
    expect([(await run.ended).code, existsSync(folder)]).toEqual([130, false]);
  });

  it('reads the token from standard input, and follows XDG_CONFIG_HOME', async () => {
    const { url, token, env } = await withHome();
    const config = temporaryFolder();
    const args = ['login', '--gateway', url, '--token-file', '-', '--json'];
    const { stdout } = await cli(args, { env: { ...env, XDG_CONFIG_HOME: config }, stdin: `${token}\n` });
    const file = join(config, 'whapi-resync-gateway', 'default.json');
    expect(JSON.parse(stdout)).toEqual({ profile: 'default', gateway: url, file });
    expect(readFileSync(file, 'utf8')).toContain(token);
  });

  it('saves nothing that the gateway does not accept', async () => {
    const { url, login, folder, env } = await withHome();
    const args = ['login', '--gateway', url, '--token-file', '-'];
    const refused = await cli(args, { env, stdin: 'another-token-than-its-own\n' });
    expect([refused.code, refused.stderr]).toEqual([5, expect.stringContaining('Nothing was saved.')]);
    expect(refused.stderr).not.toContain('another-token');
    expect((await cli(['login', '--gateway', url], { env })).code).toBe(2);
    expect((await cli([...login, '--profile', '../shop'], { env })).code).toBe(2);
    expect((await cli(login, { env: {} })).stderr).toContain('set HOME or XDG_CONFIG_HOME');
    expect(existsSync(folder)).toBe(false);
  });

  it('replaces a profile, also a link in its place, and closes an open folder', async () => {
    const { url, login, tokenFile, folder, env } = await withHome();
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o755);
    symlinkSync(tokenFile, `${folder}/default.json`);
    const before = readFileSync(tokenFile, 'utf8');
    expect((await cli(login, { env })).code).toBe(0);
    expect([readFileSync(tokenFile, 'utf8'), modeOf(folder)]).toEqual([before, 0o700]);
    expect(JSON.parse(readFileSync(`${folder}/default.json`, 'utf8'))).toMatchObject({ gateway: url });
  });
});

describe('a profile', () => {
  it('is listed and removed without its token', async () => {
    const { url, token, login, folder, env } = await withHome();
    expect((await cli(['profiles'], { env })).stdout).toContain('No profiles yet.');
    await cli([...login, '--profile', 'shop'], { env });
    await cli(login, { env });
    const { stdout } = await cli(['profiles'], { env: { ...env, GATEWAY_PROFILE: 'shop' } });
    expect(linesOf(stdout)).toEqual([
      expect.stringMatching(/^PROFILE {2}GATEWAY +IN USE$/) as unknown,
      `default  ${url}  no`,
      `shop     ${url}  yes`,
    ]);
    const json = (await cli(['profiles', '--json'], { env })).stdout;
    expect([json.includes(token), JSON.parse(json)]).toMatchObject([false, [{ profile: 'default', in_use: true }, {}]]);
    expect((await cli(['logout', '--profile', 'shop'], { env })).stdout).toContain('Profile shop removed.');
    expect(readdirSync(folder)).toEqual(['default.json']);
  });

  it.each([
    [0o640, 'Other users may read'],
    [0o606, 'Other users may change'],
  ])('that others may open (mode %o) is refused, and login repairs it', async (mode, words) => {
    const { token, login, folder, env } = await withHome();
    await cli(login, { env });
    chmodSync(`${folder}/default.json`, mode);
    const { code, stderr } = await cli(['channels', 'list'], { env });
    expect([code, stderr]).toEqual([2, `${words} ${folder}/default.json. Run: chmod 600 ${folder}/default.json\n`]);
    expect((await cli(['profiles'], { env })).stdout).toContain(words);
    expect((await cli(login, { env })).code).toBe(0);
    expect(readFileSync(`${folder}/default.json`, 'utf8')).toContain(token);
  });

  it.each(['', '{', '{"gateway":"ftp://x","token":"hush-hush"}', '{"token":"hush hush"}', `"${'x'.repeat(5000)}"`])(
    'that is damaged is refused, without its content: %#',
    async (content) => {
      const { login, folder, env } = await withHome();
      await cli(login, { env });
      writeFileSync(`${folder}/default.json`, content);
      const { code, stderr } = await cli(['channels', 'list', '--json'], { env });
      expect([code, JSON.parse(stderr)]).toMatchObject([2, { code: 'GW_NO_ADMIN_TOKEN' }]);
      expect(stderr).toContain('login --profile default');
      expect(stderr).not.toContain('hush');
    },
  );

  it('that does not exist is wrong usage, with the names of those that do', async () => {
    const { login, env } = await withHome();
    await cli([...login, '--profile', 'shop'], { env });
    for (const args of [['channels', 'list', '--profile', 'other'], ['logout', '--profile', 'other'], ['logout']]) {
      const { code, stderr } = await cli(args, { env });
      expect([code, stderr]).toEqual([2, expect.stringMatching(/^No profile "\w+"\. Profiles: shop\. To save one: /)]);
    }
    const named = await cli(['channels', 'list'], { env: { ...env, GATEWAY_PROFILE: 'other' } });
    expect([named.code, named.stderr]).toEqual([2, expect.stringContaining('No profile "other".')]);
  });

  it('that the gateway no longer accepts is explained', async () => {
    const { url, folder, login, env } = await withHome();
    await cli(login, { env });
    writeFileSync(`${folder}/default.json`, JSON.stringify({ gateway: url, token: 'an-old-token' }));
    const { code, stderr } = await cli(['channels', 'list'], { env });
    expect([code, stderr]).toEqual([5, expect.stringContaining('login --profile default')]);
    expect(stderr).not.toContain('an-old-token');
  });
});
