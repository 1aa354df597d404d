import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

export const WEBHOOK_SECRET = 'the-secret-of-the-webhook';

/** Starts a script and resolves with the URL in its first line `{"url":…}` (or in a line of the log). */
async function start(script, env) {
  const child = spawn(process.execPath, [script], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const url = await new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${script} ended with ${code}`)));
    createInterface(child.stdout).on('line', (line) => {
      const found = JSON.parse(line).url;
      if (found !== undefined) resolve(found);
    });
  });
  const stop = async (signal = 'SIGTERM') => {
    if (child.exitCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  };
  return { url, pid: child.pid, stop };
}

/** The baseline: a bare Fastify route that parses JSON and stores nothing. */
export async function startBareRoute() {
  return await start(here('./bare-route.js'), {});
}

/** A bot that answers 200 and counts. */
export async function startCounter() {
  return await start(here('./counter.js'), {});
}

/** Plays Whapi: answers each request with a message. */
export async function startUpstream() {
  return await start(here('./upstream.js'), {});
}

/** The gateway with its SQLite file in a folder that is removed when it stops, and one channel `main`. */
export async function startGateway(env = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-bench-'));
  const launch = async () =>
    await start(here('../dist/main.js'), {
      PORT: '0',
      DATABASE_URL: `sqlite:${join(folder, 'gateway.db')}`,
      LOG_LEVEL: 'info',
      ...env,
    });
  let running = await launch();
  const token = readFileSync(join(folder, 'admin-token'), 'utf8').trim();
  const call = async (method, path, body) => {
    const response = await fetch(running.url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
      body: body && JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(JSON.stringify(answer));
    return answer;
  };
  await call('POST', '/v1/channels', { name: 'main', whapi_token: 'bench', webhook_secret: WEBHOOK_SECRET });
  return {
    get url() {
      return running.url;
    },
    get pid() {
      return running.pid;
    },
    folder,
    call,
    /** Stops the process and keeps its data for `restart`. */
    halt: async () => await running.stop(),
    restart: async () => {
      running = await launch();
    },
    stop: async (signal) => {
      await running.stop(signal);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
