import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** What a stage of the dashboard runs on. Unlike the helpers of other tests, these end with their file, not their test. */

const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
export const ADMIN_TOKEN = 'the-admin-token-of-the-dashboard-tests';

export interface GatewayServer {
  readonly url: string;
  /** Ends the process and starts it again on the same data and port. `meanwhile` runs while it is down. */
  restart(meanwhile?: () => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

/** The real process on a free port. */
export async function startGatewayServer(env: Record<string, string> = {}): Promise<GatewayServer> {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-dashboard-'));
  let child = spawnGateway(folder, '0', env);
  const url = await urlOf(child);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  };
  return {
    url,
    restart: async (meanwhile) => {
      await end('SIGTERM');
      await meanwhile?.();
      child = spawnGateway(folder, new URL(url).port, env);
      await urlOf(child);
    },
    close: async () => {
      await end('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function spawnGateway(folder: string, port: string, env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, [MAIN], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      PORT: port,
      ADMIN_TOKEN,
      DATABASE_URL: `sqlite:${join(folder, 'gateway.db')}`,
      API_RATE_PER_MINUTE: '0',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function urlOf(child: ChildProcess): Promise<string> {
  return await new Promise((resolve, reject) => {
    const lines: string[] = [];
    child.once('exit', (code) => reject(new Error(`The gateway ended with ${String(code)}:\n${lines.join('\n')}`)));
    for (const stream of [child.stdout, child.stderr]) {
      if (!stream) continue;
      createInterface(stream).on('line', (line) => {
        if (lines.length < 50) lines.push(line);
        if (line.includes('"msg":"listening"')) resolve((JSON.parse(line) as { url: string }).url);
      });
    }
  });
}

export interface StageBot {
  readonly url: string;
  /** Bodies that it was sent, oldest first. */
  readonly bodies: readonly string[];
  close(): Promise<void>;
}

/** A bot that answers everything alike. */
export async function startStageBot(status: number, answer = ''): Promise<StageBot> {
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      bodies.push(body);
      response.writeHead(status).end(answer);
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    bodies,
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
