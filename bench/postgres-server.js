import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { cleanUp } from './cleanup.js';
import { usageOf } from './usage.js';

/** PostgreSQL in a temporary folder, in a process of its own, with its usual durability: each commit is on disk. */
export async function startPostgres() {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./embedded-postgres.js', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const kill = cleanUp(() => child.kill('SIGTERM'));
  const [line] = await once(createInterface(child.stdout), 'line');
  const { url, pid } = JSON.parse(line);
  const query = async (sql, database) => {
    const client = new pg.Client({ connectionString: database ?? url });
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  };
  return {
    url,
    query,
    /** Creates an empty database and returns its URL. */
    createDatabase: async (name) => {
      await query(`CREATE DATABASE ${name}`);
      return url.replace(/[^/]+$/, name);
    },
    /** CPU in microseconds of all its processes, and the bytes of its write-ahead log, so far. */
    usage: async () => {
      const [{ wal }] = await query("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 AS wal");
      return { cpuUs: cpuOf(pid), walBytes: wal };
    },
    stop: async () => {
      child.stdin.end();
      await once(child, 'exit');
      kill();
    },
  };
}

/** By process, what it had used when it was last seen: connections come and go. */
const used = new Map();

/** Of the server and its children, those that have ended included. */
function cpuOf(postmaster) {
  const pids = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name) && parentOf(name) === postmaster);
  for (const pid of [postmaster, ...pids]) used.set(pid, Math.max(used.get(pid) ?? 0, usageOfEnded(pid)));
  return [...used.values()].reduce((sum, us) => sum + us, 0);
}

function usageOfEnded(pid) {
  try {
    return usageOf(pid).cpuUs;
  } catch {
    return 0;
  }
}

function parentOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return null;
  }
}

/** A TCP proxy that delays each direction, in milliseconds: a network between gateway and database. */
export async function startDelay(url, delayMs) {
  const { hostname, port } = new URL(url);
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('./delay-proxy.js', import.meta.url)), hostname, port, String(delayMs)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  cleanUp(() => child.kill('SIGKILL'));
  const [line] = await once(createInterface(child.stdout), 'line');
  const delayed = new URL(url);
  delayed.port = String(JSON.parse(line).port);
  return { url: delayed.href, stop: () => child.kill('SIGKILL') };
}

export async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}
