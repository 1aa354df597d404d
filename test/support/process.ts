import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { createClient } from './client.js';
import type { Client } from './client.js';
import { temporaryFolder } from './files.js';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** The gateway with a faster clock, see there. */
export const FAST_GATEWAY = fileURLToPath(new URL('fast-gateway.js', import.meta.url));

/** The gateway with some of its intervals replaced: the JSON in INTERVALS, see there. */
export const TUNED_GATEWAY = fileURLToPath(new URL('tuned-gateway.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A gateway in its own process, over HTTP on a free port and a SQLite file in a folder of the test. */
export interface GatewayProcess {
  readonly folder: string;
  readonly client: Client;
  /** Every line that it has logged, over all starts. */
  readonly log: readonly string[];
  readonly pid: number;
  /** Whether it is not running, for whatever reason. */
  readonly hasEnded: boolean;
  /** Closes the reader of its log, like a broken pipe. */
  stopReading(): void;
  /** Sends it a signal and waits for its end. */
  end(signal: NodeJS.Signals): Promise<Ended>;
  /** Starts it again on the same data, on a new port. */
  start(): Promise<void>;
}

export async function startProcess(
  env: Record<string, string> = {},
  folder = temporaryFolder(),
  script = MAIN,
): Promise<GatewayProcess> {
  const log: string[] = [];
  let child: ChildProcess;
  let client: Client;

  const gateway: GatewayProcess = {
    folder,
    log,
    get client() {
      return client;
    },
    get pid() {
      return child.pid ?? 0;
    },
    get hasEnded() {
      return child.exitCode !== null || child.signalCode !== null;
    },
    stopReading: () => {
      child.stdout?.destroy();
    },
    end: async (signal) => {
      if (gateway.hasEnded) return { code: child.exitCode, signal: child.signalCode };
      child.kill(signal);
      const [code, by] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
      return { code, signal: by };
    },
    start: async () => {
      child = spawnScript(script, folder, env);
      const url = await listening(child, log);
      client = createClient(url, env['ADMIN_TOKEN'] ?? readFileSync(join(folder, 'admin-token'), 'utf8').trim());
    },
  };
  onTestFinished(async () => {
    await gateway.end('SIGKILL');
  });
  await gateway.start();
  return gateway;
}

/** Runs a process that is expected to end by itself. `limits` are shell commands that start it. */
export async function runToEnd(
  folder: string,
  env: Record<string, string> = {},
  limits = ':',
): Promise<Ended & { stdout: string; stderr: string }> {
  const child = spawnScript(MAIN, folder, env, limits);
  onTestFinished(() => void child.kill('SIGKILL'));
  const text = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk: Buffer) => (text.stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (text.stderr += chunk.toString()));
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, ...text };
}

function spawnScript(script: string, folder: string, env: Record<string, string>, limits = ':'): ChildProcess {
  return spawn('sh', ['-c', `${limits}; exec "$0" "$1"`, process.execPath, script], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      PORT: '0',
      DATABASE_URL: `sqlite:${join(folder, 'gateway.db')}`,
      API_RATE_PER_MINUTE: '0',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function listening(child: ChildProcess, log: string[]): Promise<string> {
  return await new Promise((resolve, reject) => {
    child.once('exit', (code) =>
      reject(new Error(`The gateway ended with ${String(code)}:\n${log.slice(-20).join('\n')}`)),
    );
    for (const stream of [child.stdout, child.stderr]) {
      if (!stream) continue;
      createInterface(stream).on('line', (line) => {
        log.push(line);
        if (line.includes('"msg":"listening"')) resolve((JSON.parse(line) as { url: string }).url);
      });
    }
  });
}
