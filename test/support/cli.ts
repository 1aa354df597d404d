import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { runCommandLine } from '../../src/cli/program.js';
import { systemEffects } from '../../src/effects.js';
import { adminTokenOf } from './api.js';
import type { LocalGateway } from './gateway.js';
import { until } from './intervals.js';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

export interface CliEnded {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: Record<string, string>;
  readonly stdin?: string;
  readonly cwd?: string;
}

export type CliHereOptions = Omit<CliOptions, 'cwd'>;

/** A running command. */
export interface CliRun {
  /** Everything that it has written so far. In a terminal stdout and stderr are one. */
  readonly text: () => string;
  /** Resolves when its output matches. */
  readonly written: (pattern: RegExp | string) => Promise<void>;
  readonly type: (text: string) => void;
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly ended: Promise<CliEnded>;
}

/** The gateway's address and admin token, as environment of the command line. */
export function accessTo({ url, folder }: Pick<LocalGateway, 'url' | 'folder'>): Record<string, string> {
  return { GATEWAY_URL: url, ADMIN_TOKEN: adminTokenOf(folder) };
}

/** Runs the command line without a terminal. */
export function startCli(args: readonly string[], { env = {}, stdin, cwd }: CliOptions = {}): CliRun {
  const child = spawn(process.execPath, [CLI, ...args], { cwd, env: { PATH: process.env['PATH'], ...env } });
  child.stdin.end(stdin ?? '');
  return runOf(child);
}

/** Runs a command line in a shell. It may call any program. */
export function startShell(command: string, { env = {}, stdin, cwd }: CliOptions = {}): CliRun {
  const child = spawn('sh', ['-c', command], { cwd, env: { PATH: process.env['PATH'], ...env } });
  child.stdin.end(stdin ?? '');
  return runOf(child);
}

/** Commands in the process of the test, and its umask before the first of them. */
let running = 0;
let umask = 0;

/**
 * Runs the command line in the process of the test, without a terminal: a process of its own takes half a second more. That
 * program, with its signals and pipes, is tested with `startCli`.
 */
export async function cli(args: readonly string[], { env = {}, stdin = '' }: CliHereOptions = {}): Promise<CliEnded> {
  const text = { stdout: '', stderr: '' };
  if (running === 0) umask = process.umask(0o077); // as cli.ts
  running += 1;
  const code = await runCommandLine(
    args,
    {
      env: { PATH: process.env['PATH'], ...env },
      stdin: Readable.from([Buffer.from(stdin)]),
      write: (written) => void (text.stdout += written),
      tell: (written) => void (text.stderr += written),
      columns: () => null,
      signal: new AbortController().signal,
      effects: systemEffects,
    },
    async (program) => await Promise.reject(new Error(`${program} needs a process of its own: startCli`)),
    async () => await import('../../src/maintenance.js'),
  ).finally(() => {
    running -= 1;
    if (running === 0) process.umask(umask);
  });
  return { code, ...text };
}

/**
 * Runs the command line in a terminal. `script` (util-linux) creates the terminal: it is essential on
 * Debian, while the npm packages for this bring a compiled addon.
 */
export function startInTerminal(args: readonly string[], env: Record<string, string>, columns = 100): CliRun {
  const quoted = [process.execPath, CLI, ...args].map((part) => `'${part}'`).join(' ');
  const command = `stty cols ${columns} rows 30; exec ${quoted}`;
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: { PATH: process.env['PATH'], TERM: 'xterm', SHELL: '/bin/sh', ...env },
  });
  return runOf(child);
}

function runOf(child: ChildProcess): CliRun {
  onTestFinished(() => void child.kill('SIGKILL'));
  const text = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk: Buffer) => (text.stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (text.stderr += chunk.toString()));
  child.stdin?.on('error', () => undefined); // It may end before it has read everything.
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...text }));
  const all = (): string => text.stdout + text.stderr;
  return {
    text: all,
    written: async (pattern) =>
      await until(() => {
        if (!new RegExp(pattern).test(all())) throw new Error(`${String(pattern)} is not in:\n${all()}`);
      }),
    type: (keys) => void child.stdin?.write(keys),
    kill: (signal) => void child.kill(signal),
    ended,
  };
}
