import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemsOf } from '../src/demo/report.js';
import type { Row } from '../src/demo/report.js';
import { temporaryFolder } from './support/files.js';
import { rowsOf, useDatabases } from './support/postgres/fixture.js';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const DEMO = fileURLToPath(new URL('../dist/demo.js', import.meta.url));
const ESCAPE = '\u001b';

/** Runs the demo without a terminal. Its files on disk are under `folder`. */
async function runDemo(folder: string, interruptAt?: string, args: readonly string[] = []): Promise<Ended> {
  const child = spawn(process.execPath, [DEMO, ...args], {
    env: { PATH: process.env['PATH'], TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = { stdout: '', stderr: '' };
  child.stderr.on('data', (chunk: Buffer) => (text.stderr += chunk.toString()));
  child.stdout.on('data', (chunk: Buffer) => {
    text.stdout += chunk.toString();
    if (!child.killed && interruptAt !== undefined && text.stdout.includes(interruptAt)) child.kill('SIGINT');
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...text };
}

describe('npm run demo as a separate process', () => {
  let folder: string;
  let demo: Ended;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'demo-test-'));
    demo = await runDemo(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('exits with 0, because the bot answered only the new, late and released messages', () => {
    expect(demo.stderr).toBe('');
    expect(demo.stdout).toContain('The bot answered exactly the new and late messages and the released one.');
    expect(demo.stdout).toContain(
      'Answers: 5 to 5 new messages, 1 to 1 late, 0 to 3 old or repeated, 1 to 1 released manually.',
    );
    expect(demo.code).toBe(0);
  });

  it.each([
    ['Alice, live', 'new (10)', 'yes', 'yes'],
    ['Carol, live, during resync', 'new (10)', 'yes', 'yes'],
    ['Bob, 30 days old, resynced', 'restored (3)', 'no', 'yes'],
    ['Alice again, resynced', 'restored (3)', 'no', 'yes'],
    ['Dan, live, same webhook', 'new (10)', 'yes', 'yes'],
    ['Eve, live', 'new (10)', 'yes', 'yes'],
    ['Eve, same webhook again', 'duplicate (8)', 'no', 'yes'],
    ['Frank, 6 hours late', 'new (10)', 'yes', 'yes'],
    ['Alice, behind her newer one', 'late (9)', 'yes', 'yes'],
    ['Bob, released manually', 'released', 'yes', '-'],
  ])('summarizes "%s" as: %s, answered %s, without the gateway %s', (...cells) => {
    const rows = demo.stdout.split('\n').map((line) => line.trim().split(/ {2,}/).slice(1));
    expect(rows).toContainEqual(cells);
  });

  it('counts what the same bot answers without the gateway: two old messages and one repeated webhook', () => {
    const text = demo.stdout.replaceAll(/\s+/g, ' ');
    expect(text).toContain('gave 3 wrong answers: 2 to old messages that came back and 1 to a webhook sent twice.');
  });

  it('writes plain lines of at most 100 columns if there is no terminal', () => {
    expect(demo.stdout).not.toContain(ESCAPE);
    expect(demo.stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
  });

  it('leaves no temporary file behind', () => {
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('an interrupted demo', () => {
  it('cleans up, reports it and does not exit with 0', async () => {
    const folder = temporaryFolder();
    const { code, stdout, stderr } = await runDemo(folder, 'Act 2');
    expect({ code, stderr }).toEqual({ code: 130, stderr: expect.stringContaining('Interrupted.') as string });
    expect(stdout).not.toContain('Summary');
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('the demo with PostgreSQL', () => {
  const databases = useDatabases({});
  const done = {
    code: 0,
    stderr: '',
    stdout: expect.stringContaining('uses a temporary PostgreSQL database') as string,
  };

  /** Root runs the server as another user. */
  function openFolder(): string {
    const folder = temporaryFolder();
    chmodSync(folder, 0o711);
    return folder;
  }

  it('tells the same story with a server of its own, and leaves nothing behind', async () => {
    const folder = openFolder();
    expect(await runDemo(folder, undefined, ['--postgres'])).toEqual(done);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('tells it with another server, in a database that it drops', async () => {
    const url = await databases.create();
    expect(await runDemo(temporaryFolder(), undefined, [`--postgres=${url}`])).toEqual(done);
    expect(await rowsOf(url, "SELECT datname FROM pg_database WHERE datname LIKE 'gateway_demo%'")).toEqual([]);
    expect(await rowsOf(url, 'SELECT name FROM gateway.channels')).toEqual([]);
  });

  it('stops its server when it is interrupted', async () => {
    const folder = openFolder();
    const { code, stderr } = await runDemo(folder, 'Act 1', ['--postgres']);
    expect({ code, stderr }).toEqual({ code: 130, stderr: expect.stringContaining('Interrupted.') as string });
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([
    ['an unknown argument', '--sqlite', 2, 'Use no arguments, --postgres, or --postgres=postgres://'],
    [
      'a server that does not answer',
      '--postgres=postgres://me:hush@127.0.0.1:1/postgres',
      1,
      'Check that the server runs',
    ],
  ])('refuses %s', async (_, argument, code, words) => {
    const ended = await runDemo(temporaryFolder(), undefined, [argument]);
    expect(ended).toMatchObject({ code, stderr: expect.stringContaining(words) as string });
    expect(ended.stderr).not.toContain('hush');
  });
});

describe('the check at the end of the demo', () => {
  const fresh: Row = { act: 1, what: 'a', expected: 'new', verdict: 'new', rule: 10, answers: 1, directAnswers: 1 };
  const old: Row = { ...fresh, act: 2, what: 'b', expected: 'restored', verdict: 'restored', rule: 3, answers: 0 };

  it.each<[string, Row[], { answers: number; answersAtWhapi: number }, string[]]>([
    ['every row is as expected', [fresh, old], { answers: 1, answersAtWhapi: 1 }, []],
    [
      'an old message was answered',
      [fresh, { ...old, answers: 1 }],
      { answers: 2, answersAtWhapi: 2 },
      ['Act 2, b: the bot answered 1 time, not 0.'],
    ],
    [
      'a new message was not answered',
      [{ ...fresh, answers: 0 }, old],
      { answers: 0, answersAtWhapi: 0 },
      ['Act 1, a: the bot answered 0 times, not 1.'],
    ],
    [
      'a late message was not answered',
      [fresh, { ...fresh, act: 5, what: 'c', expected: 'late', verdict: 'late', rule: 9, answers: 0 }],
      { answers: 1, answersAtWhapi: 1 },
      ['Act 5, c: the bot answered 0 times, not 1.'],
    ],
    [
      'a verdict differs from the expected one',
      [fresh, { ...old, verdict: 'late' }],
      { answers: 1, answersAtWhapi: 1 },
      ['Act 2, b: the verdict was late, not restored.'],
    ],
    [
      'the bot answered an unexpected message',
      [fresh, old],
      { answers: 2, answersAtWhapi: 2 },
      ['Answers of the bot: 2; to the messages above: 1.'],
    ],
    [
      'an answer did not reach Whapi',
      [fresh, old],
      { answers: 1, answersAtWhapi: 0 },
      ['Answers of the bot: 1; at Whapi: 0.'],
    ],
  ])('names the problems if %s', (_, rows, totals, problems) => {
    expect(problemsOf(rows, totals)).toEqual(problems);
  });
});
