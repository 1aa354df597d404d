import pg from 'pg';
import type { PostgresLocation } from '../../postgres-url.js';
import type { Base } from './base.js';
import { PostgresCalls } from './calls.js';
import { ChannelWork } from './channel-work.js';
import { DatabaseClock } from './clock.js';
import { connectionOf } from './connection.js';
import type { Connection } from './connection.js';
import { Database } from './database.js';
import { makeDays } from './days.js';
import { PostgresIntake } from './intake.js';
import { asStartError } from './faults.js';
import { PostgresMessageClaims } from './message-claims.js';
import { migrate } from './migrations.js';
import { PostgresOutbox } from './outbox.js';
import { PostgresRegistry } from './registry.js';
import { refuseHalfCarried } from './half-carried.js';
import { RegistryCache } from './registry-cache.js';
import { PostgresReplicas } from './replicas.js';
import { PostgresTurns } from './turns.js';
import { PostgresProbes } from './probes.js';
import { ResyncCalls } from './resync-calls.js';
import { PostgresResyncs } from './resyncs.js';
import type { Store, StoreEffects } from '../store.js';

/** Connections of one process: two writers (recording; claims and settlements), the API, workers. Three replicas use 24 of 100. */
const CONNECTIONS = 8;

/**
 * Migrates the schema and connects. Locks are always taken in this order, so that no two transactions wait for each other:
 * (7, 0) the registry, shared or exclusive → (8, channel) in ascending order → rows of `queue` (SKIP LOCKED, or under the
 * channel's lock) → `lanes` → upserts in the order of their keys. Turns and leases are transactions of their own. (7, 1)
 * belongs to migrations, (7, 2) to new partitions.
 *
 * @param now a clock for tests; left out: the database's
 * @throws StartError GW_STORE_UNUSABLE
 */
export async function connect(location: PostgresLocation, effects: StoreEffects, now?: () => number): Promise<Base> {
  try {
    const config = connectionOf(location);
    await migrated(config);
    const db = new Database(config, CONNECTIONS);
    await refuseHalfCarried(db);
    const clock = new DatabaseClock(effects);
    const measureClock = async (): Promise<void> => await clock.measure(db);
    await measureClock();
    const base = { db, registry: new RegistryCache(db, effects), now: now ?? clock.now, measureClock, effects };
    db.onMissingDays = async () => await makeDays(db, base.now());
    await db.onMissingDays();
    return base;
  } catch (error) {
    throw asStartError(error);
  }
}

/** Migrates the schema, on a connection of its own: a migration may take longer than any statement of the gateway. */
export async function migrated(config: Connection): Promise<void> {
  const client = new pg.Client({ ...config, connectionTimeoutMillis: 10_000 });
  try {
    await client.connect();
    await migrate(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Areas that are not built yet: only on this branch. */
function unbuilt(area: string): never {
  return new Proxy(
    {},
    {
      get: (_, name) => {
        throw new Error(`${area}.${String(name)} is not built yet`);
      },
    },
  ) as never;
}

/** The store in PostgreSQL, which any number of processes share. @throws StartError GW_STORE_UNUSABLE */
export async function openPostgresStore(
  location: PostgresLocation,
  effects: StoreEffects,
  now?: () => number,
): Promise<Store> {
  const base = await connect(location, effects, now);
  const { db } = base;
  const channels = new ChannelWork(base);
  const resyncCalls = new ResyncCalls(base, channels);
  const replicas = new PostgresReplicas(base);
  const intake = new PostgresIntake(base, { accepted: () => undefined });
  const outbox = new PostgresOutbox(base, unbuilt('release'));
  await replicas.start();
  return {
    intake,
    outbox,
    jobs: unbuilt('jobs'),
    resyncs: new PostgresResyncs(base, {
      channels,
      calls: resyncCalls,
      held: { countsForResync: async () => new Map() },
    }),
    calls: new PostgresCalls(base, { channels, resyncCalls }),
    audits: unbuilt('audits'),
    registry: new PostgresRegistry(base),
    breakers: unbuilt('breakers'),
    probes: new PostgresProbes(base),
    traffic: unbuilt('traffic'),
    items: unbuilt('items'),
    claims: new PostgresMessageClaims(base),
    judging: unbuilt('judging'),
    history: unbuilt('history'),
    rollups: unbuilt('rollups'),
    levels: unbuilt('levels'),
    upkeep: unbuilt('upkeep'),
    stopWaiting: () => undefined,
    replicas,
    turns: new PostgresTurns(base),
    close: async () => {
      await intake.idle();
      await outbox.idle();
      await replicas.stop();
      await resyncCalls.giveBack().catch(() => undefined); // else their leases end
      await db.end();
    },
  };
}
