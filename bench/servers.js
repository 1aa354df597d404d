import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cleanUp } from './cleanup.js';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

export const WEBHOOK_SECRET = 'the-secret-of-the-webhook';

/** Starts a script and resolves with the URL in its first line `{"url":…}` (or in a line of the log). */
async function start(script, env) {
  const child = spawn(process.execPath, [script], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const kill = cleanUp(() => child.kill('SIGKILL'));
  child.once('exit', kill);
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

/** The baseline for deliveries: passes each webhook on to the bot, answers after the bot, and stores nothing. */
export async function startBareRelay(botUrl, connections) {
  return await start(here('./bare-relay.js'), { BOT_URL: botUrl, CONNECTIONS: String(connections) });
}

/** A bot that answers 200 and counts. `seen` resolves with the count and the time of its last answer. */
export async function startCounter() {
  const bot = await start(here('./counter.js'), {});
  return { ...bot, seen: async () => await (await fetch(`${bot.url}/count`)).json() };
}

/** Plays Whapi: answers each request with a message. */
export async function startUpstream() {
  return await start(here('./upstream.js'), {});
}

/**
 * The gateway with its SQLite file in a folder that is removed when it stops, and one channel `main`.
 * @param program the entry file of another version of the gateway; left out: of this tree
 */
export async function startGateway(env = {}, program = here('../dist/main.js')) {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-bench-'));
  const removeFolder = cleanUp(() => rmSync(folder, { recursive: true, force: true }));
  const launch = async () =>
    await start(program, {
      PORT: '0',
      DATABASE_URL: `sqlite:${join(folder, 'gateway.db')}`,
      LOG_LEVEL: 'info',
      ...env,
    });
  let running = await launch();
  const token = env.ADMIN_TOKEN ?? readFileSync(join(folder, 'admin-token'), 'utf8').trim();
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
  const channels = await call('GET', '/v1/channels');
  if (channels.data.length === 0)
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
    /** Whether no delivery is pending. */
    isIdle: async () => (await call('GET', '/v1/deliveries?status=pending&limit=1')).data.length === 0,
    /** Stops the process and keeps its data for `restart`. */
    halt: async () => await running.stop(),
    restart: async () => {
      running = await launch();
    },
    stop: async (signal) => {
      await running.stop(signal);
      removeFolder();
    },
  };
}
