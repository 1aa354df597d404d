import pg from 'pg';
import type { PostgresLocation } from '../../postgres-url.js';
import { AuditMessageRelease } from './audit-release.js';
import { cancelAuditsOf } from './audit-rows.js';
import { PostgresAudits } from './audits.js';
import { PostgresBreakers } from './breakers.js';
import { ClockFall } from './clock-fall.js';
import { shiftAfterFall } from './clock-shift.js';
import type { Base } from './base.js';
import { BulkRelease } from './bulk-release.js';
import { BulkRetry } from './bulk-retry.js';
import { PostgresCalls } from './calls.js';
import { ChannelWork } from './channel-work.js';
import { DatabaseClock } from './clock.js';
import { connectionOf } from './connection.js';
import type { Connection } from './connection.js';
import { Database } from './database.js';
import type { Timeouts } from './database.js';
import { makeDays } from './days.js';
import { requireDurability } from './durability.js';
import { requireUnicode } from './encoding.js';
import { PostgresDeliveries } from './deliveries.js';
import { PostgresDeliveryViews } from './delivery-views.js';
import { EvidenceViews } from './evidence.js';
import { Explanations } from './explanations.js';
import { HeldItems } from './held-items.js';
import { ItemRelease } from './item-release.js';
import { ItemViews } from './item-views.js';
import { PostgresItems } from './items.js';
import { PostgresJobs } from './jobs.js';
import { WebhookViews } from './webhook-views.js';
import { PostgresHistory } from './history.js';
import { PostgresJudging } from './judging.js';
import { Trials } from './trials.js';
import { PostgresIntake } from './intake.js';
import { asStartError } from './faults.js';
import { PostgresLevels } from './levels.js';
import { PostgresMessageClaims, removeClaimsOf } from './message-claims.js';
import { migrate } from './migrations.js';
import { IdDays, SKIP_BLOCKS } from './numbers.js';
import { PostgresOutbox } from './outbox.js';
import { PostgresProbes } from './probes.js';
import { Recording } from './recording.js';
import { PostgresRegistry } from './registry.js';
import { refuseHalfCarried } from './half-carried.js';
import { RegistryCache } from './registry-cache.js';
import { Removals } from './removals.js';
import { PostgresRollups } from './rollups.js';
import { PostgresTraffic } from './traffic.js';
import { PostgresUpkeep } from './upkeep.js';
import { WorkCounts } from './work-counts.js';
import { PostgresReplicas } from './replicas.js';
import { PostgresServer } from './server-facts.js';
import { PostgresTurns } from './turns.js';
import { ResyncCalls } from './resync-calls.js';
import { cancelSomeOf } from './resync-windows.js';
import { PostgresResyncs } from './resyncs.js';
import type { Store, StoreEffects } from '../store.js';

/** Connections of one process: two writers (recording; claims and settlements), the API, workers. Three replicas use 24 of 100. */
const CONNECTIONS = 8;

/**
 * Migrates the schema and connects. Locks are always taken in this order, so that no two transactions wait for each other:
 * (7, 0) the registry, shared or exclusive → (8, channel) in ascending order → rows of `queue` (SKIP LOCKED, or under the
 * channel's lock) → `lanes` → upserts in the order of their keys. Turns and leases are transactions of their own. (7, 1)
 * belongs to migrations, (7, 2) to new partitions, (7, 3) to counts, (7, 4) to the begin of `migrate`.
 *
 * @param now a clock for tests; left out: the database's
 * @throws StartError GW_STORE_UNUSABLE
 */
export async function connect(
  location: PostgresLocation,
  effects: StoreEffects,
  now?: () => number,
  timeouts?: Partial<Timeouts>,
): Promise<Base> {
  const config = connectionOf(location);
  const db = new Database(config, CONNECTIONS, effects.monotonic, timeouts);
  return await orClosed(db, async () => {
    await prepare(config, location.mayLoseCommits === true);
    await refuseHalfCarried(db);
    const clock = new DatabaseClock(effects);
    const fall = new ClockFall(now ?? clock.now);
    const measureClock = async (): Promise<void> => {
      await clock.measure(db);
      await shiftAfterFall(db, fall);
    };
    await measureClock();
    const newest = await db.one<{ id: number | null }>('SELECT max(id) AS id FROM gateway.webhooks');
    const idDays = new IdDays(newest?.id ?? null);
    const base = { db, registry: new RegistryCache(db, effects), now: fall.now, fall, measureClock, idDays, effects };
    db.onMissingDays = async (day) => await makeDays(db, base.now(), day);
    db.afterLoss = SKIP_BLOCKS;
    await db.onMissingDays(null);
    return base;
  });
}

/** @throws StartError GW_STORE_UNUSABLE, once no connection is left */
async function orClosed<T>(db: Database, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await db.end();
    throw asStartError(error);
  }
}

/** Migrates the schema, on a connection of its own: a migration may take longer than any statement of the gateway. */
export async function prepare(config: Connection, mayLoseCommits: boolean): Promise<void> {
  const client = new pg.Client({ ...config, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined); // told by the statement under way
  try {
    await client.connect();
    if (!mayLoseCommits) await requireDurability(client);
    await requireUnicode(client);
    await migrate(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The store in PostgreSQL, which any number of processes share. @throws StartError GW_STORE_UNUSABLE */
export async function openPostgresStore(
  location: PostgresLocation,
  effects: StoreEffects,
  now?: () => number,
  timeouts?: Partial<Timeouts>,
): Promise<Store> {
  const base = await connect(location, effects, now, timeouts);
  const { db } = base;
  const held = new HeldItems(base);
  const evidence = new EvidenceViews(db);
  const deliveryViews = new PostgresDeliveryViews(db);
  const webhooks = new WebhookViews(base, { evidence, deliveries: deliveryViews });
  const channels = new ChannelWork(base);
  const resyncCalls = new ResyncCalls(base, channels);
  const recording = new Recording(base);
  const traffic = new PostgresTraffic(base);
  const intake = new PostgresIntake(base, traffic);
  const deliveries = new PostgresDeliveries(base);
  const removals = new Removals(base, {
    endDeliveriesOf: async (...of) => await deliveries.endSomeOfRemoved(...of),
    cancelResyncsOf: cancelSomeOf,
    cancelAuditsOf,
    removeClaimsOf,
  });
  const replicas = new PostgresReplicas(base);
  const itemViews = new ItemViews(base, evidence);
  const outbox = new PostgresOutbox(base, new ItemRelease(base));
  const levels = await orClosed(db, async () => {
    const opened = await PostgresLevels.open(base);
    await replicas.start();
    // Once more: a "migrate" that began meanwhile did not see this process.
    await refuseHalfCarried(db).catch(async (error: unknown) => {
      await replicas.stop();
      throw error;
    });
    return opened;
  });
  return {
    intake,
    outbox,
    jobs: new PostgresJobs(base, {
      retry: new BulkRetry(base, deliveries),
      release: new BulkRelease(base),
      deliveries: deliveryViews,
      items: itemViews,
      removals,
    }),
    resyncs: new PostgresResyncs(base, { channels, calls: resyncCalls, held }),
    calls: new PostgresCalls(base, { channels, resyncCalls }),
    audits: new PostgresAudits(base, new AuditMessageRelease(base, recording)),
    registry: new PostgresRegistry(base, { removals, workCounts: new WorkCounts(base), forgetTraffic: traffic.forget }),
    breakers: new PostgresBreakers(base),
    probes: new PostgresProbes(base),
    traffic,
    items: new PostgresItems({
      views: itemViews,
      webhooks,
      explanations: new Explanations(base, { held, evidence }),
    }),
    claims: new PostgresMessageClaims(base),
    judging: new PostgresJudging(base, { webhooks, trials: new Trials(base, evidence) }),
    history: new PostgresHistory(base, evidence),
    rollups: new PostgresRollups(base),
    levels,
    upkeep: new PostgresUpkeep(base),
    stopWaiting: () => undefined,
    replicas,
    server: new PostgresServer(base),
    turns: new PostgresTurns(base),
    close: async () => {
      await intake.idle();
      await outbox.idle();
      await traffic.flush();
      await replicas.stop();
      await resyncCalls.giveBack().catch(() => undefined); // else their leases end
      await db.end();
    },
  };
}
