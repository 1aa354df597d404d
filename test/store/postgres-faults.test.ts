import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import { GatewayError } from '../../src/errors.js';
import type { Delivery } from '../../src/store/outbox.js';
import type { Database, Timeouts } from '../../src/store/postgres/database.js';
import { connect, openPostgresStore } from '../../src/store/postgres/engine.js';
import type { Store } from '../../src/store/store.js';
import { locationOf, runSql, useDatabases } from '../support/postgres/fixture.js';
import { proxyTo } from '../support/postgres/proxy.js';
import type { Proxy } from '../support/postgres/proxy.js';
import {
  channel,
  deliveredIds,
  HOUR,
  LEASE,
  message,
  messages,
  MINUTE,
  only,
  record,
  refusal,
  settlement,
  target,
} from '../support/store.js';

const databases = useDatabases();
const UNAVAILABLE = refusal('GW_STORE_UNAVAILABLE');

/** A store as a process has it: with the clock of the database. */
async function open(url: string, timeouts?: Partial<Timeouts>): Promise<Store> {
  const store = await openPostgresStore(locationOf(url), systemEffects, undefined, timeouts);
  onTestFinished(async () => await store.close());
  return store;
}

/** A store with the channel `main` and the target `bot`, and the URL of its database. */
async function stage(through: (url: string) => Promise<string> = async (url) => await Promise.resolve(url)) {
  const url = await databases.create();
  const store = await open(await through(url));
  await store.registry.addChannel(channel('main'));
  await store.registry.addTarget(target('bot'));
  return { url, store };
}

/** A session of someone else, with its transaction open. */
async function session(url: string, ...statements: string[]): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  onTestFinished(async () => await client.end());
  for (const statement of statements) await client.query(statement);
  return client;
}

/** The last block of numbers that was given. */
async function lastBlock(url: string): Promise<number> {
  const client = await session(url);
  const { rows } = await client.query<{ last_value: string }>('SELECT last_value FROM gateway.blocks');
  return Number(rows[0]?.last_value);
}

/** Ends the sessions of all gateways, as an administrator or a failover does. */
const KILL = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE datname = current_database() AND application_name = 'whapi-resync-gateway'`;

it('a replica skips numbers when it starts: another server may have taken over while it did not run', async () => {
  const { url, store } = await stage();
  await record(store, messages('A'));
  const before = await lastBlock(url);
  await open(url);
  expect((await lastBlock(url)) - before).toBeGreaterThanOrEqual(4096);
});

it('a standby that takes over behind a pooler, and was behind, gives no number a second time', async () => {
  const { url, store } = await stage();
  const { webhook: before } = await record(store, messages('A'));
  await runSql(url, "SELECT setval('gateway.blocks', last_value - 100) FROM gateway.blocks");
  const { webhook: after } = await record(store, messages('B'));
  expect(after > before).toBe(true);
});

describe('a connection that is lost', () => {
  it('skips numbers, because a server that took over may not know which were given', async () => {
    const { url, store } = await stage();
    await record(store, messages('A'));
    const before = await lastBlock(url);
    await runSql(url, KILL);
    await record(store, messages('B')).catch(async () => await record(store, messages('B')));
    expect((await lastBlock(url)) - before).toBeGreaterThanOrEqual(4096);
  });

  it('because the network went silent skips numbers as well', async () => {
    let proxy: Awaited<ReturnType<typeof proxyTo>> | undefined;
    const url = await databases.create();
    const store = await open((proxy = await proxyTo(url)).url, { answer: 300, answerInTransaction: 300 });
    await store.registry.addChannel(channel('main'));
    const before = await lastBlock(url);
    proxy.fallSilent();
    await expect(record(store, messages('A'))).rejects.toEqual(UNAVAILABLE);
    await record(store, messages('A'));
    expect((await lastBlock(url)) - before).toBeGreaterThanOrEqual(4096);
  });

  it('right after COMMIT was sent rejects, and repeating gives one delivery (I3)', async () => {
    let proxy: Awaited<ReturnType<typeof proxyTo>> | undefined;
    const { store } = await stage(async (url) => (proxy = await proxyTo(url)).url);
    proxy?.cutAt('COMMIT');
    const answers = await Promise.allSettled([record(store, messages('A'))]);
    proxy?.mend();
    expect(answers).toEqual([{ status: 'rejected', reason: UNAVAILABLE }]);
    expect((await record(store, messages('A'))).verdicts).toEqual(['duplicate']);
    expect(await deliveredIds(store)).toEqual(['A']);
  });

  it.each([
    ['its commit was sent', 'COMMIT', 'dead'],
    ['it was returned for a retry', 'UPDATE', 'pending'],
  ] as const)('right after %s: a repeated settlement is reported as saved, once', async (_when, cut, outcome) => {
    let proxy: Proxy | undefined;
    const { store } = await stage(async (url) => (proxy = await proxyTo(url)).url);
    await record(store, messages('A'));
    const { id, lease } = await untilClaimed(store);
    const settle = async () => await store.outbox.settle(settlement({ id, lease }, outcome, store.upkeep.now()));
    proxy?.cutAt(cut);
    await expect(settle()).rejects.toEqual(UNAVAILABLE);
    proxy?.mend();
    expect([await settle(), await settle()]).toEqual([true, false]);
    expect(await store.outbox.delivery(id)).toMatchObject({ status: outcome, attempts: 1, log: [{ status: 500 }] });
  });

  it('right after the end of a delivery without an attempt was committed: the same', async () => {
    let proxy: Proxy | undefined;
    const { store } = await stage(async (url) => (proxy = await proxyTo(url)).url);
    await record(store, messages('A'));
    const { id, lease } = await untilClaimed(store);
    const settle = async () => await store.outbox.settle({ id, lease, status: 'expired', attempt: null });
    proxy?.cutAt('COMMIT');
    await expect(settle()).rejects.toEqual(UNAVAILABLE);
    proxy?.mend();
    expect([await settle(), await settle()]).toEqual([true, false]);
  });

  it('while webhooks are recorded: each is repeated until it is answered, and delivered once (I1, I3)', async () => {
    const { url, store } = await stage();
    const ids = Array.from({ length: 25 }, (_, at) => `m${at}`);
    const done = new AbortController();
    const killing = (async () => {
      while (!done.signal.aborted) await runSql(url, KILL);
    })();
    for (const id of ids) await untilAnswered(async () => await record(store, messages(id)));
    done.abort();
    await killing;
    expect(await deliveredIds(await open(url))).toEqual([...ids].sort());
  });

  it('before COMMIT was sent is not noticed', async () => {
    const { url, store } = await stage();
    await runSql(url, KILL);
    expect((await record(store, messages('A'))).verdicts).toEqual(['new']);
    await runSql(url, KILL);
    expect((await store.registry.targets()).map(({ id }) => id)).toEqual(['bot']);
  });

  it('a network that goes silent: the statement ends, and the next one uses a new connection', async () => {
    let proxy: Awaited<ReturnType<typeof proxyTo>> | undefined;
    const url = await databases.create();
    const store = await open((proxy = await proxyTo(url)).url, { answer: 300, answerInTransaction: 300 });
    await store.registry.addChannel(channel('main'));
    proxy.fallSilent();
    await expect(record(store, messages('A'))).rejects.toEqual(UNAVAILABLE);
    expect((await record(store, messages('A'))).verdicts).toEqual(['new']);
  });
});

describe('a server that takes no more writes, because another one has taken over', () => {
  const demoted = async (db: Database): Promise<void> => {
    const write = db.transaction(async (tx) => {
      await tx.run('SET TRANSACTION READ ONLY');
      await tx.run('DELETE FROM gateway.meta');
    });
    await expect(write).rejects.toThrow(/read-only/);
  };
  const sessions = async (db: Database): Promise<Set<number>> => {
    const all = Array.from({ length: 8 }, async () => await db.all<{ pid: number }>(PID));
    return new Set((await Promise.all(all)).flat().map(({ pid }) => pid));
  };
  const PID = 'SELECT pg_backend_pid() AS pid, pg_sleep(0.1)';

  it('loses all connections at once, not one for each refusal', async () => {
    const { db } = await openBase();
    const before = await sessions(db);
    await demoted(db);
    const after = await sessions(db);
    expect([before.size, after.size, [...after].filter((pid) => before.has(pid))]).toEqual([8, 8, []]);
  });

  it('leaves numbers out as well', async () => {
    const { url, db } = await openBase();
    const before = await lastBlock(url);
    await demoted(db);
    await db.transaction(async (tx) => await tx.all('SELECT 1'));
    expect((await lastBlock(url)) - before).toBeGreaterThanOrEqual(4096);
  });
});

describe('inside a transaction', () => {
  it('a connection that is lost between two statements ends neither the process nor the work', async () => {
    const { url, db } = await openBase();
    let runs = 0;
    const answer = await db.transaction(async (tx) => {
      await tx.all('SELECT 1');
      if ((runs += 1) === 1) await runSql(url, KILL);
      return await tx.all<{ n: number }>('SELECT 2 AS n');
    });
    expect({ answer, runs }).toEqual({ answer: [{ n: 2 }], runs: 2 });
  });

  it('a pause of this process that the server ends is followed by another run', async () => {
    const { db } = await openBase({ idleInTransaction: 100 });
    let runs = 0;
    const work = db.transaction(async (tx) => {
      await tx.all('SELECT 1');
      if ((runs += 1) === 1) await gone(db);
      return await tx.all<{ n: number }>('SELECT 2 AS n');
    });
    expect({ answer: await work, runs }).toEqual({ answer: [{ n: 2 }], runs: 2 });
  });

  it('the first fault is reported, not that of the statements behind it', async () => {
    const { db } = await openBase();
    const work = db.transaction(async (tx) => {
      const first = tx.all("SELECT 1 / 0 AS n, 'first'");
      first.catch(() => undefined);
      return await tx.all('SELECT 1');
    });
    await expect(work).rejects.toThrow(/division by zero/);
  });

  it('a statement that PgBouncer takes for prepared twice is run again, also with the commit sent behind it', async () => {
    const { db } = await openBase();
    const words = 'prepared statement name is already in use';
    const twice = Object.assign(new pg.DatabaseError(words, words.length, 'error'), { code: '08P01' });
    let runs = 0;
    const answer = await db.transaction(async (tx) => {
      const rows = await tx.all<{ n: number }>('SELECT 2 AS n');
      if ((runs += 1) > 1) return rows;
      await tx.commitWith('SELECT 1');
      throw twice;
    });
    expect({ answer, runs }).toEqual({ answer: [{ n: 2 }], runs: 2 });
  });

  it('a refusal keeps the connection', async () => {
    const { db } = await openBase();
    const pid = async () => await db.one<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const before = await pid();
    const work = db.transaction(async () => await Promise.reject(new GatewayError('GW_NOT_FOUND', 'No.')));
    await expect(work).rejects.toEqual(refusal('GW_NOT_FOUND'));
    expect(await pid()).toEqual(before);
  });

  it('statements that wait for a free connection for too long are refused, and work later', async () => {
    const { db } = await openBase({ connect: 200 });
    const busy = Array.from({ length: 8 }, async () => await db.all('SELECT pg_sleep(1)'));
    await expect(db.all('SELECT 1')).rejects.toEqual(UNAVAILABLE);
    await Promise.all(busy);
    expect(await db.all('SELECT 1 AS n')).toEqual([{ n: 1 }]);
  });
});

describe('a lease', () => {
  it('that another replica took after its end: the first holder settles nothing (I5)', async () => {
    const { url, store: first } = await stage();
    const second = await open(url);
    await record(first, messages('A'));
    const slow = only((await first.outbox.claim([{ targetId: 'bot', limit: 1 }], 1)).deliveries);
    const next = await untilClaimed(second);
    expect(await first.outbox.settle(settlement(slow, 'dead'))).toBe(false);
    expect(await second.outbox.settle(settlement(next, 'delivered'))).toBe(true);
    expect(await first.outbox.delivery(next.id)).toMatchObject({ status: 'delivered', attempts: 1 });
  });

  it('has its times from the clock of the database: two machines may differ by an hour', async () => {
    const { url, store: first } = await stage();
    const ahead = { ...systemEffects, now: () => Date.now() + HOUR, monotonic: () => performance.now() + HOUR };
    const second = await openPostgresStore(locationOf(url), ahead);
    onTestFinished(async () => await second.close());
    await record(first, messages(message('A', 'alice')));
    await record(second, messages(message('B', 'bob')));
    const [one, other] = [await untilClaimed(first), await untilClaimed(second)];
    expect(Math.abs(one.leaseEndsAt - other.leaseEndsAt)).toBeLessThan(MINUTE);
    expect(Math.abs(one.recordedAt - other.recordedAt)).toBeLessThan(MINUTE);
    expect((await second.outbox.claim([{ targetId: 'bot', limit: 2 }], LEASE)).deliveries).toEqual([]);
  });
});

async function openBase(timeouts?: Partial<Timeouts>) {
  const url = await databases.create();
  const base = await connect(locationOf(url), systemEffects, undefined, timeouts);
  onTestFinished(async () => await base.db.end());
  return { url, db: base.db };
}

/** Resolves once the server has ended the only session of this process that was in a transaction. */
async function gone(db: Database): Promise<void> {
  const idle = `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`;
  while ((await db.all(idle)).length > 0);
}

async function untilClaimed(store: Store): Promise<Delivery> {
  for (;;) {
    const { deliveries } = await store.outbox.claim([{ targetId: 'bot', limit: 1 }], LEASE);
    if (deliveries[0]) return deliveries[0];
  }
}

async function untilAnswered<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      expect(error).toEqual(UNAVAILABLE);
    }
  }
}

describe('a lock that is held for too long', () => {
  const LOCK_ALL = 'LOCK TABLE gateway.ledger IN ACCESS EXCLUSIVE MODE';

  it('by another session: work is refused after lock_timeout, and succeeds once the lock is free', async () => {
    const { url } = await stage();
    const store = await open(url, { lock: 200 });
    const other = await session(url, 'BEGIN', 'SELECT pg_advisory_xact_lock(7, 0)');
    await expect(record(store, messages('A'))).rejects.toThrow(/holds a lock/);
    await other.query('ROLLBACK');
    expect((await record(store, messages('A'))).verdicts).toEqual(['new']);
  });

  it('by a process that is frozen in a transaction: the server ends its session, which frees the lock', async () => {
    const { url, store } = await stage();
    const frozen = await session(
      url,
      "SET idle_in_transaction_session_timeout = '300ms'",
      'BEGIN',
      'SELECT pg_advisory_xact_lock(7, 0)',
    );
    expect((await record(store, messages('A'))).verdicts).toEqual(['new']);
    await expect(frozen.query('COMMIT')).rejects.toThrow();
  });

  it('so that a statement runs for too long: work is refused after statement_timeout', async () => {
    const { url } = await stage();
    const store = await open(url, { statement: 200 });
    const other = await session(url, 'BEGIN', LOCK_ALL);
    await expect(record(store, messages('A'))).rejects.toThrow(/took too long/);
    await other.query('ROLLBACK');
    expect((await record(store, messages('A'))).verdicts).toEqual(['new']);
  });
});

describe('the server refuses', () => {
  it('writes, while it is read-only: works on new connections once it is writable', async () => {
    const { url, store } = await stage();
    await setReadOnly(url, true);
    await expect(untilRefused(store)).rejects.toThrow(/read-only/);
    await expect(store.upkeep.probe()).rejects.toThrow(/read-only/);
    await setReadOnly(url, false);
    await untilAnswered(async () => await record(store, messages('A')));
    expect(await deliveredIds(store)).toContain('A');
  });

  it('connections, when all are taken: work is refused, and succeeds once they are free', async () => {
    const { url } = await stage();
    const role = await roleOn(url);
    const store = await open(role.url);
    await runSql(url, `ALTER ROLE ${role.name} CONNECTION LIMIT 0`);
    await runSql(url, KILL);
    await expect(record(store, messages('A'))).rejects.toThrow(/free connection/);
    await runSql(url, `ALTER ROLE ${role.name} CONNECTION LIMIT -1`);
    expect((await record(store, messages('A'))).verdicts).toEqual(['new']);
  });

  it('to write because its disk is full: nothing is recorded, and work succeeds once there is room', async () => {
    const { url, store } = await stage();
    await runSql(url, FULL_DISK);
    await expect(record(store, messages('A'))).rejects.toThrow(/disk .* is full/);
    await runSql(url, 'DROP TRIGGER full_disk ON gateway.queue; DROP FUNCTION gateway.full_disk');
    expect((await record(store, messages('A'))).verdicts).toEqual(['new']);
  });

  it('a row because the partition of its day is missing: it is made', async () => {
    const { url, store } = await stage();
    await record(store, messages('A'));
    await runSql(url, DROP_DAYS);
    expect((await record(store, messages('B'))).verdicts).toEqual(['new']);
  });

  it('a row for a missing partition in another language than English: it is made', async () => {
    let proxy: Awaited<ReturnType<typeof proxyTo>> | undefined;
    const { url, store } = await stage(async (direct) => (proxy = await proxyTo(direct)).url);
    proxy?.rewrite('no partition of relation', 'keine Partition für Rel.');
    await runSql(url, DROP_DAYS);
    expect((await record(store, messages('B'))).verdicts).toEqual(['new']);
  });

  it('to settle a delivery of an old day whose partition is gone: it is made', async () => {
    const { url, store } = await stage();
    await record(store, messages('A'));
    const old = 'UPDATE gateway.queue SET id = id - (40::bigint << 38)';
    await runSql(url, `${old}; UPDATE gateway.lanes SET delivery_id = delivery_id - (40::bigint << 38)`);
    expect(await deliveredIds(store)).toEqual(['A']);
  });

  it('prepared statements after a change of the schema: they are prepared again', async () => {
    const { url, store } = await stage();
    const registry = async (): Promise<number[]> => (await store.registry.targets()).map((each) => each.concurrency);
    await Promise.all(Array.from({ length: 8 }, async () => await record(store, messages('A'))));
    await runSql(url, RETYPE);
    const other = await open(url);
    await other.registry.addTarget(target('second'));
    await record(store, messages('B'));
    await expect.poll(registry, { timeout: 5000 }).toEqual([16, 16]);
  });
});

const FULL_DISK = `CREATE FUNCTION gateway.full_disk() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$;
  CREATE TRIGGER full_disk BEFORE INSERT ON gateway.queue EXECUTE FUNCTION gateway.full_disk()`;
const DROP_DAYS = `DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT inhrelid::regclass FROM pg_inherits JOIN pg_class ON oid = inhparent WHERE relkind = 'p' AND relnamespace = 'gateway'::regnamespace
    AND inhrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r')
  LOOP EXECUTE 'DROP TABLE ' || name; END LOOP; END $$`;
const RETYPE = 'ALTER TABLE gateway.targets ALTER concurrency TYPE bigint';

async function setReadOnly(url: string, value: boolean): Promise<void> {
  const name = new URL(url).pathname.slice(1);
  const admin = await session(url, 'SET default_transaction_read_only = off');
  await admin.query(`ALTER DATABASE ${name} SET default_transaction_read_only = ${value}`);
  await runSql(url, KILL);
}

/** A user who is no superuser, with all rights on the gateway's tables. */
async function roleOn(url: string): Promise<{ name: string; url: string }> {
  const name = `role_${new URL(url).pathname.slice(1)}`;
  await runSql(url, `CREATE ROLE ${name} LOGIN PASSWORD 'secret' IN ROLE ${new URL(url).username}`);
  onTestFinished(async () => await runSql(url, `DROP ROLE ${name}`));
  const moved = new URL(url);
  Object.assign(moved, { username: name, password: 'secret' });
  return { name, url: moved.href };
}

/** Records until an error. */
async function untilRefused(store: Store): Promise<void> {
  for (let at = 0; at < 100; at += 1) await record(store, messages(`m${at}`));
}
