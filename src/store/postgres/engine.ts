import pg from 'pg';
import type { PostgresLocation } from '../../postgres-url.js';
import type { Store, StoreEffects } from '../store.js';
import { AuditMessageRelease } from './audit-release.js';
import { cancelAuditsOf } from './audit-rows.js';
import { PostgresAudits } from './audits.js';
import type { Base } from './base.js';
import { PostgresBreakers } from './breakers.js';
import { BulkRelease } from './bulk-release.js';
import { BulkRetry } from './bulk-retry.js';
import { PostgresCalls } from './calls.js';
import { ChannelWork } from './channel-work.js';
import { ClockFall } from './clock-fall.js';
import { shiftAfterFall } from './clock-shift.js';
import { DatabaseClock } from './clock.js';
import { connectionOf } from './connection.js';
import type { Connection } from './connection.js';
import { Database } from './database.js';
import type { Timeouts } from './database.js';
import { makeDays } from './days.js';
import { PostgresDeliveries } from './deliveries.js';
import { PostgresDeliveryViews } from './delivery-views.js';
import { requireDurability } from './durability.js';
import { requireUnicode } from './encoding.js';
import { EvidenceViews } from './evidence.js';
import { Explanations } from './explanations.js';
import { asStartError } from './faults.js';
import { refuseHalfCarried } from './half-carried.js';
import { HeldItems } from './held-items.js';
import { PostgresHistory } from './history.js';
import { PostgresIntake } from './intake.js';
import { ItemRelease } from './item-release.js';
import { ItemViews } from './item-views.js';
import { PostgresItems } from './items.js';
import { PostgresJobs } from './jobs.js';
import { PostgresJudging } from './judging.js';
import { PostgresLevels } from './levels.js';
import { PostgresMessageClaims, removeClaimsOf } from './message-claims.js';
import { migrate } from './migrations.js';
import { IdDays, SKIP_BLOCKS } from './numbers.js';
import { PostgresOutbox } from './outbox.js';
import { PostgresProbes } from './probes.js';
import { Recording } from './recording.js';
import { RegistryCache } from './registry-cache.js';
import { PostgresRegistry } from './registry.js';
import { Removals } from './removals.js';
import { PostgresReplicas } from './replicas.js';
import { ResyncCalls } from './resync-calls.js';
import { cancelSomeOf } from './resync-windows.js';
import { PostgresResyncs } from './resyncs.js';
import { PostgresRollups } from './rollups.js';
import { PostgresServer } from './server-facts.js';
import { PostgresTraffic } from './traffic.js';
import { Trials } from './trials.js';
import { PostgresTurns } from './turns.js';
import { PostgresUpkeep } from './upkeep.js';
import { WebhookViews } from './webhook-views.js';
import { WorkCounts } from './work-counts.js';

/** The most connections of one replica. Three replicas use at most 24 of PostgreSQL's 100. */
const CONNECTIONS = 8;

/**
 * Migrates the schema and connects. Every transaction takes its locks in the order of locks.ts.
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

/** Closes all connections if the start fails. @throws StartError GW_STORE_UNUSABLE */
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
  client.on('error', () => undefined); // reported by the statement in flight
  try {
    await client.connect();
    if (!mayLoseCommits) await requireDurability(client);
    await requireUnicode(client);
    await migrate(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The store in PostgreSQL, which any number of replicas share. @throws StartError GW_STORE_UNUSABLE */
export async function openPostgresStore(
  location: PostgresLocation,
  effects: StoreEffects,
  now?: () => number,
  timeouts?: Partial<Timeouts>,
): Promise<Store> {
  const base = await connect(location, effects, now, timeouts);
  const { db } = base;
  const views = viewsOf(base);
  const { evidence, held, webhooks } = views;
  const channels = new ChannelWork(base);
  const resyncCalls = new ResyncCalls(base, channels);
  const recording = new Recording(base);
  const traffic = new PostgresTraffic(base);
  const intake = new PostgresIntake(base, recording, traffic);
  const deliveries = new PostgresDeliveries(base);
  const removals = removalsOf(base, deliveries);
  const replicas = new PostgresReplicas(base, traffic.saveDue);
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
      deliveries: views.deliveries,
      items: views.items,
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
      views: views.items,
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

/** Lists, details and evidence, which several areas read. */
function viewsOf(base: Base) {
  const evidence = new EvidenceViews(base.db);
  const deliveries = new PostgresDeliveryViews(base.db);
  return {
    evidence,
    deliveries,
    held: new HeldItems(base),
    items: new ItemViews(base, evidence),
    webhooks: new WebhookViews(base, { evidence, deliveries }),
  };
}

/** What ends with a removed target or channel, in steps. */
function removalsOf(base: Base, deliveries: PostgresDeliveries): Removals {
  return new Removals(base, {
    endDeliveriesOf: async (...of) => await deliveries.endSomeOfRemoved(...of),
    cancelResyncsOf: cancelSomeOf,
    cancelAuditsOf,
    removeClaimsOf,
  });
}
