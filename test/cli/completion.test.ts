import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cli, startShell } from '../support/cli.js';
import { temporaryFolder } from '../support/files.js';

const NAME = 'whapi-resync-gateway';

async function scriptIn(folder: string, shell: string): Promise<string> {
  const file = join(folder, `completion.${shell}`);
  writeFileSync(file, (await cli(['completion', shell])).stdout);
  return file;
}

/** What bash offers after the typed words; the last one is incomplete. */
async function offered(...lines: readonly string[][]): Promise<string[][]> {
  const folder = temporaryFolder();
  const files = temporaryFolder();
  writeFileSync(join(files, 'ids of may.txt'), '');
  mkdirSync(join(files, 'backups'));
  const ask = (words: readonly string[]): string =>
    `COMP_WORDS=(${[NAME, ...words].map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; COMPREPLY=(); ` +
    `_whapi_resync_gateway; printf '%s|' "\${COMPREPLY[@]}"; echo`;
  const script = join(folder, 'ask.sh');
  writeFileSync(script, [`set -u; source ${await scriptIn(folder, 'bash')}`, ...lines.map(ask)].join('\n'));
  const { stdout, stderr } = await startShell(`bash --norc ${script}`, { cwd: files }).ended;
  expect(stderr).toBe('');
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split('|').filter((word) => word !== ''));
}

describe('completion in bash', () => {
  it('offers commands, then those of a group, then options', async () => {
    expect(await offered(['chan'], ['channels', 're'], ['channels', 'connect', '--p'], ['explain', '--ch'])).toEqual([
      ['channels'],
      ['remove'],
      ['--public-url', '--profile'],
      ['--channel'],
    ]);
  });

  it('looks past options and their values', async () => {
    expect(
      await offered(['--json', '--profile', 'audit', 'targets', 'rot'], ['targets', '--gateway', 'http://a', 'en']),
    ).toEqual([['rotate-secret'], ['enable']]);
  });

  it('offers files where a file belongs, and nothing where a value does', async () => {
    const files = ['backups', 'ids of may.txt'];
    const [argument, option, value, shells] = await offered(
      ['restore', ''],
      ['resync', '--file', ''],
      ['resync', '--channel', ''],
      ['completion', ''],
    );
    expect([argument?.sort(), option?.sort(), value, shells]).toEqual([files, files, [], ['bash', 'zsh', 'fish']]);
  });

  it('knows every command and option that a help shows', async () => {
    const { stdout } = await cli(['targets', 'add', '--help']);
    const flags = [...stdout.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(([, flag]) => flag);
    expect(flags.length).toBeGreaterThan(10);
    const [options = []] = await offered(['targets', 'add', '-']);
    expect(options).toEqual(expect.arrayContaining(flags));
  });
});

const isThere = (shell: string): boolean => spawnSync(shell, ['-c', 'true']).status === 0;

/** Shells that not every machine has. */
const OTHER_SHELLS: Readonly<Record<string, () => Promise<void>>> = {
  zsh: async () => {
    const file = await scriptIn(temporaryFolder(), 'zsh');
    expect(await startShell(`zsh -f -n ${file}`).ended).toEqual({ code: 0, stdout: '', stderr: '' });
  },
  fish: async () => {
    const home = temporaryFolder();
    const file = await scriptIn(home, 'fish');
    const ask = (line: string): string => `complete -C '${NAME} ${line}'`;
    const script = `source ${file}; ${ask('channels re')}; ${ask('--profile audit targets rot')}; ${ask('completion z')}`;
    const { stdout } = await startShell(`fish --no-config -c "${script}"`, { env: { HOME: home } }).ended;
    expect(stdout.split('\n').map((line) => line.split('\t')[0])).toEqual(['remove', 'rotate-secret', 'zsh', '']);
  },
};

describe('completion in another shell', () => {
  it.each(Object.keys(OTHER_SHELLS).filter(isThere))('is understood by %s', async (shell) => {
    await OTHER_SHELLS[shell]?.();
  });

  it('refuses a shell that it does not know', async () => {
    const { code, stderr } = await cli(['completion', 'tcsh']);
    expect([code, stderr]).toEqual([
      2,
      'Invalid shell "tcsh": expected one of bash, zsh, fish. Add --help for usage and examples.\n',
    ]);
  });
});
