import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import type { PostgresLocation } from '../../src/postgres-url.js';
import { connect, openPostgresStore } from '../../src/store/postgres/engine.js';
import type { Store } from '../../src/store/store.js';
import { rowsOf, runSql } from '../support/postgres/fixture.js';
import { startPostgres } from '../support/postgres/server.js';
import type { PostgresServer } from '../support/postgres/server.js';
import { channel, deliveredIds, message, messages, record, refusal, target } from '../support/store.js';

let server: PostgresServer;
/** As `DATABASE_URL` gives it. */
let location: PostgresLocation;
beforeAll(async () => {
  server = await startPostgres();
  location = { engine: 'postgres', url: server.url, tls: 'off', caFile: null };
}, 60_000);
afterAll(async () => await server.stop());

/** Rows that cannot be if every transaction was done as a whole. */
const TORN = `SELECT
  (SELECT count(*) FROM gateway.lanes l WHERE NOT EXISTS (SELECT FROM gateway.queue q WHERE q.id = l.delivery_id)) AS lanes,
  (SELECT count(*) FROM gateway.queue q WHERE q.blocked <> (SELECT count(*) FROM gateway.lanes l WHERE l.delivery_id = q.id
    AND EXISTS (SELECT FROM gateway.lanes e WHERE e.target = l.target AND e.lane = l.lane AND e.seq < l.seq))) AS blocked,
  (SELECT count(*) FROM gateway.webhooks w WHERE NOT EXISTS (SELECT FROM gateway.deliveries d WHERE d.webhook_id = w.id)) AS lost`;

/** Records these ids, three in a chat, each until it is answered. */
async function recordAll(store: Store, ids: readonly string[]): Promise<void> {
  for (const [at, id] of ids.entries()) {
    const body = messages(message(id, `chat of ${Math.floor(at / 3)}`));
    for (let answered = false; !answered;) {
      answered = await record(store, body).then(
        () => true,
        (error: unknown) => {
          expect(error).toEqual(refusal('GW_STORE_UNAVAILABLE'));
          return false;
        },
      );
    }
  }
}

it('a server that crashes while three replicas record: what was answered is delivered once (I1, I3)', async () => {
  const stores = await Promise.all([1, 2, 3].map(async () => await openPostgresStore(location, systemEffects)));
  onTestFinished(async () => {
    for (const store of stores) await store.close();
  });
  const [first] = stores as [Store, ...Store[]];
  await first.registry.addChannel(channel('main'));
  await first.registry.addTarget(target('bot'));
  const idsOf = (at: number): string[] => Array.from({ length: 90 }, (_, index) => `${at} ${index}`);
  const recording = stores.map(async (store, at) => await recordAll(store, idsOf(at)));
  await server.crash();
  await server.crash();
  await Promise.all(recording);
  expect(await rowsOf(server.url, TORN)).toEqual([{ lanes: '0', blocked: '0', lost: '0' }]);
  expect(await deliveredIds(first)).toEqual(stores.flatMap((_, at) => idsOf(at)).sort());
}, 60_000);

describe('a server that may lose what it has committed', () => {
  it.each([['synchronous_commit', 'off']])('because of %s=%s stops the start', async (setting, value) => {
    await runSql(server.url, `ALTER DATABASE postgres SET ${setting} = ${value}`);
    onTestFinished(async () => await runSql(server.url, `ALTER DATABASE postgres RESET ${setting}`));
    await expect(connect(location, systemEffects)).rejects.toMatchObject({
      code: 'GW_STORE_UNUSABLE',
      message: expect.stringContaining(`PostgreSQL runs with ${setting}=${value}`) as string,
    });
  });
});

it('a database whose encoding lacks characters stops the start', async () => {
  await runSql(server.url, "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
  const url = new URL(server.url);
  url.pathname = '/latin';
  await expect(connect({ ...location, url: url.href }, systemEffects)).rejects.toMatchObject({
    code: 'GW_STORE_UNUSABLE',
    message: expect.stringContaining('has the encoding LATIN1') as string,
  });
});
