import { Ids } from './numbering.js';
import { refusalOf } from '../rules/refusal.js';
import { ReplayWatch } from '../../intake/replays.js';
import { AuditMessageRelease } from './audit-release.js';
import { AuditTables } from './audit-tables.js';
import { AuditViews } from './audit-views.js';
import { SqliteAudits } from './audits.js';
import { SqliteBreakers } from './breakers.js';
import { BulkRelease, BulkRetry } from './bulk.js';
import { CallHistoryTable } from './call-history.js';
import { SqliteCalls } from './calls.js';
import { ChatFactsReader } from './chat-facts.js';
import { ClockMemory } from './clock-memory.js';
import { ClockShift } from './clock-shift.js';
import { findDamage } from './damage.js';
import { asStartError, openDatabase, stopWaitingForLocks } from './database.js';
import type { Db, OpenDatabase } from './database.js';
import { Claims } from './claims.js';
import { DeliveryMemory } from './delivery-memory.js';
import { DeliveryTables, GREATEST_SEQ } from './delivery-tables.js';
import { DeliveryViews } from './delivery-views.js';
import { DueDeliveries } from './due-deliveries.js';
import { EvidenceViews } from './evidence.js';
import { Explanations } from './explanations.js';
import { GroupCommit } from './group-commit.js';
import { HeldItems } from './held-items.js';
import { SqliteIntake } from './intake.js';
import { ItemRelease } from './item-release.js';
import { ItemViews } from './item-views.js';
import { SqliteItems } from './items.js';
import { SqliteJobs } from './jobs.js';
import { SqliteJudging } from './judging.js';
import { LaneOrder } from './lane-order.js';
import { LargeWebhooks } from './large-webhooks.js';
import { LedgerFolding } from './ledger-folding.js';
import { LedgerMemory } from './ledger-memory.js';
import { MessageClaimTables, SqliteMessageClaims } from './message-claims.js';
import { SqliteOutbox } from './outbox.js';
import { SqliteLevels } from './levels.js';
import { NamedLeases } from './named-leases.js';
import { PacedDeliveries } from './paced-deliveries.js';
import { SqliteProbes } from './probes.js';
import { Pruning } from './pruning.js';
import { createRecorder, recordingRegistry } from './recorder.js';
import { savedReplays } from './recording-tables.js';
import { Registrations } from './registrations.js';
import { RegistryTables } from './registry-tables.js';
import { SqliteRegistry } from './registry.js';
import { RememberedIds } from './remembered-ids.js';
import { Removals } from './removals.js';
import { ResyncCallTables } from './resync-calls.js';
import { ResyncViews } from './resync-views.js';
import { ResyncWindows } from './resync-windows.js';
import { SqliteHistory } from './history.js';
import { SqliteResyncs } from './resyncs.js';
import { Scratch } from './scratch.js';
import { ShownMessages } from './shown-messages.js';
import { SqliteRollups } from './rollups.js';
import { TargetCounts } from './target-counts.js';
import { TransactionMemory } from './transaction-memory.js';
import { TrafficCounts } from './traffic-counts.js';
import { SqliteTraffic } from './traffic.js';
import { SqliteTurns } from './turns.js';
import { WorkCounts } from './under-way.js';
import { SqliteUpkeep } from './upkeep.js';
import { WebhookLists } from './webhook-lists.js';
import { WebhookViews } from './webhook-views.js';
import type { Store, StoreEffects } from '../store.js';

/** Sizes that tests make small. */
export interface StoreSizes {
  readonly idsPerRun?: number | undefined;
  readonly claimsPerChannel?: number | undefined;
}

/**
 * The store in one SQLite file, for one process. Every write goes through one group commit; reads use the same connection,
 * on which no transaction is open between two turns of the event loop. Only webhooks with thousands of items have another one.
 * @throws StartError GW_STORE_LOCKED, GW_STORE_UNUSABLE
 */
export function openSqliteStore(file: string, effects: StoreEffects, sizes: StoreSizes = {}): Store {
  const opened = openDatabase(file);
  try {
    return assemble(opened, effects, sizes);
  } catch (error) {
    opened.close();
    throw asStartError(file, error);
  }
}

/**
 * Builds what the parts share, then the parts. A part implements the interface of its area: its writes run in the group
 * commit, its reads directly. The shared classes (`…Tables`, `…Counts`, `…Views` and their like) have synchronous methods;
 * those that write are for use inside a transaction.
 */
function assemble({ db, isChecked, close }: OpenDatabase, effects: StoreEffects, sizes: StoreSizes): Store {
  const { now } = effects;
  const ids = new Ids(greatestId(db));
  const registry = new RegistryTables(db);
  const transactionMemory = new TransactionMemory();
  const memory = new DeliveryMemory(transactionMemory, effects.randomBytes(6).readUIntBE(0, 6));
  const { leases, offers } = memory;
  const commit = new GroupCommit(db, registry, effects, transactionMemory);
  const breakers = new SqliteBreakers(db, registry, commit, now);
  const counts = new TargetCounts(db, registry, memory);
  const held = new HeldItems(db, registry, transactionMemory);
  const deliveries = new DeliveryTables(db, ids, registry, counts, memory, held);
  const due = new DueDeliveries(db, leases, memory.ranked);
  const facts = new ChatFactsReader(db, leases);
  const paced = new PacedDeliveries(db, registry, due, facts, memory.ranked);
  const replays = new ReplayWatch(savedReplays(db));
  const traffic = new TrafficCounts(db, commit, replays);
  const ledger = new LedgerMemory(db, sizes.idsPerRun);
  const folding = new LedgerFolding(db, ledger, commit);
  const rememberedIds = new RememberedIds(db, ledger);
  const recorder = createRecorder(db, ids, registry, deliveries, ledger, { offers, replays });
  const large = new LargeWebhooks(db, ids, registry, ledger, replays, memory);
  const history = new CallHistoryTable(db);
  const turns = new SqliteTurns(now);
  const auditLeases = new NamedLeases();
  const clock = new ClockMemory(db);
  const registrations = new Registrations(db, registry, rememberedIds, commit, now);
  const shown = new ShownMessages(db, ledger);
  const resyncCalls = new ResyncCallTables(db, { registry, history, ids: rememberedIds, shown });
  const resyncWindows = new ResyncWindows(db, rememberedIds, shown);
  const audits = new AuditTables(db, registry, rememberedIds);
  const probes = new SqliteProbes(db, registry, commit);
  const claims = new MessageClaimTables(db, sizes.claimsPerChannel);
  const release = new ItemRelease(db, registry, deliveries, held, rememberedIds);
  const order = new LaneOrder(db, memory.lanes);
  const deliveryViews = new DeliveryViews(db, leases, order);
  const evidence = new EvidenceViews(db, rememberedIds);
  const webhookViews = new WebhookViews(db, leases, order, evidence);
  const itemViews = new ItemViews(db, { held, ids: rememberedIds, evidence });
  const workCounts = new WorkCounts(db, registry, counts, leases);
  const removals = new Removals(db, { deliveries, resyncWindows, audits, claims });

  recoverInFlight(db, deliveries, now());
  breakers.endProbes();
  paced.load();
  registrations.dropIncomplete();
  resyncCalls.requeueInterrupted(now());
  stopWaitingForLocks(db);
  shown.refresh();
  ledger.onWork = () => folding.wake();
  folding.start();

  return {
    intake: new SqliteIntake({ commit, registry, recorder, large, traffic }, now),
    outbox: new SqliteOutbox(
      {
        ...{ commit, claims: new Claims(db, registry, leases, due, memory.ranked), offers, facts, paced },
        ...{ deliveries, views: deliveryViews, release, counts },
      },
      now,
    ),
    jobs: new SqliteJobs(
      db,
      {
        commit,
        ids,
        retry: new BulkRetry(db, registry, deliveries),
        release: new BulkRelease(db, registry, release, held),
        deliveries: deliveryViews,
        items: itemViews,
        removals,
      },
      now,
    ),
    resyncs: new SqliteResyncs(
      {
        commit,
        registrations,
        calls: resyncCalls,
        turns,
        windows: resyncWindows,
        shown,
        views: new ResyncViews(db, registry, history, held),
      },
      effects,
    ),
    calls: new SqliteCalls({ commit, registry, history, resyncCalls }, now),
    turns,
    audits: new SqliteAudits(
      {
        commit,
        tables: audits,
        leases: auditLeases,
        release: new AuditMessageRelease(db, registry, rememberedIds, recorder),
        views: new AuditViews(db, rememberedIds),
      },
      effects,
    ),
    registry: new SqliteRegistry(
      { commit, tables: registry, breakers, callHistory: history, removals, traffic, probes, workCounts },
      now,
    ),
    breakers,
    probes,
    traffic: new SqliteTraffic(db, traffic, now),
    items: new SqliteItems(
      {
        views: itemViews,
        webhooks: webhookViews,
        lists: new WebhookLists(db),
        explanations: new Explanations(db, { held, leases, order, ids: rememberedIds, evidence, claims }),
      },
      now,
    ),
    claims: new SqliteMessageClaims(commit, claims, now),
    judging: new SqliteJudging(
      {
        ...{ registry, webhooks: webhookViews, scratch: new Scratch(db, rememberedIds, replays) },
        refusalOf: (webhook, document) => refusalOf(recordingRegistry(registry), webhook, document),
      },
      now,
    ),
    history: new SqliteHistory(db, registry, evidence),
    rollups: new SqliteRollups(db, commit),
    levels: new SqliteLevels(db, registry, commit.durations),
    // The lock on the file keeps every other process out.
    replicas: { alive: () => 1, list: () => Promise.resolve([]), introduce: () => Promise.resolve() },
    server: { facts: () => Promise.resolve(null) },
    upkeep: new SqliteUpkeep(
      db,
      {
        ...{
          commit,
          registry,
          clock,
          pruning: new Pruning(db, clock, ledger, claims),
          clockShift: new ClockShift(db),
          leases,
          turns,
          auditLeases,
        },
        findDamage: async (signal) => (isChecked ? null : await findDamage(db.name, signal)),
      },
      now,
    ),
    stopWaiting: () => commit.stopWaiting(),
    close: async () => {
      commit.stopWaiting();
      await folding.stop();
      await commit.idle();
      await traffic.flush();
      large.close();
      close();
    },
  };
}

/** In one transaction, so that a crash cannot leave a delivery due without its places in its lanes (I6). */
function recoverInFlight(db: Db, deliveries: DeliveryTables, now: number): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    deliveries.recoverInFlight(now);
    db.exec('COMMIT');
  } catch (error) {
    if (db.inTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** The greatest number that was given to a row: every new one is greater, whatever the clock says. */
function greatestId(db: Db): number {
  const select = db.prepare<[string], number | null>(
    `SELECT max(id) FROM (SELECT max(id) AS id FROM webhooks UNION ALL SELECT max(id) FROM deliveries
       UNION ALL SELECT max(number) FROM jobs UNION ALL SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?)`,
  );
  return select.pluck().get(GREATEST_SEQ) ?? 0;
}
