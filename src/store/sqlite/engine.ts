import { newId } from '../../effects.js';
import type { Effects } from '../../effects.js';
import { GatewayError } from '../../errors.js';
import type { Channel } from '../../model.js';
import { deliveryId, Ids, jobId } from '../rules/ids.js';
import { auditOperations } from './audit-operations.js';
import { SqliteAuditRelease } from './audit-release.js';
import { SqliteAuditViews } from './audit-views.js';
import { SqliteAudits } from './audits.js';
import { BulkRelease, BulkRetry } from './bulk.js';
import { SqliteBreakers } from './breakers.js';
import { SqliteChannelCalls } from './channel-calls.js';
import { asGatewayError, asStartError, openDatabase } from './database.js';
import type { OpenDatabase } from './database.js';
import { GroupCommit } from './group-commit.js';
import { SqliteHeld } from './held.js';
import { SqliteIntake } from './intake.js';
import { SqliteItems } from './items.js';
import { SqliteJobs } from './jobs.js';
import { SqliteOutbox } from './outbox.js';
import { SqlitePrune } from './prune.js';
import { FIRST, ClockShift } from './clock-shift.js';
import type { Place } from './clock-shift.js';
import { registryOperations, SqliteRegistry } from './registry.js';
import { SqliteRegistrations } from './registrations.js';
import { SqliteRelease } from './release.js';
import { SqliteResyncViews } from './resync-views.js';
import { SqliteResyncs } from './resyncs.js';
import { Tallies } from './tallies.js';
import { SqliteTraffic } from './traffic.js';
import { SqliteViews } from './views.js';
import { SqliteWebhookViews } from './webhook-views.js';
import type { Store } from '../store.js';

const WINDOWS_PER_COMMIT = 500;
/** Bulk work may have grown by a tenth since a person looked. */
const GROWTH_DIVISOR = 10;

/**
 * The ledger in one SQLite file, for one process. Every write goes through one group commit; reads go straight to the
 * connection, on which no transaction is ever open between two turns of the event loop.
 * @throws StartError GW_STORE_LOCKED, GW_STORE_UNUSABLE
 */
export function openSqliteStore(file: string, effects: Pick<Effects, 'now' | 'randomBytes'>): Store {
  const opened = openDatabase(file);
  try {
    return ledgerOn(opened, effects);
  } catch (error) {
    opened.close();
    throw asStartError(file, error);
  }
}

function ledgerOn({ db, close }: OpenDatabase, effects: Pick<Effects, 'now' | 'randomBytes'>): Store {
  const { now } = effects;
  const greatest = db.prepare<[], number>(
    'SELECT max(id) FROM (SELECT max(id) AS id FROM webhooks UNION ALL SELECT max(seq) FROM lanes UNION ALL SELECT max(id) FROM deliveries UNION ALL SELECT max(number) FROM jobs)',
  );
  const ids = new Ids(greatest.pluck().get() ?? 0);
  const registry = new SqliteRegistry(db);
  const breakers = new SqliteBreakers(db, registry);
  const tallies = new Tallies(db, registry);
  const outbox = new SqliteOutbox(db, ids, registry, tallies);
  const intake = new SqliteIntake(db, ids, registry, outbox);
  const history = new SqliteChannelCalls(db);
  const resyncs = new SqliteResyncs(db, registry, history);
  const audits = new SqliteAudits(db, registry);
  const auditViews = new SqliteAuditViews(db);
  const held = new SqliteHeld(db, registry);
  const release = new SqliteRelease(db, registry, outbox, held);
  const bulkRelease = new BulkRelease(db, registry, release, held);
  const jobs = new SqliteJobs(db, ids, new BulkRetry(db, registry, outbox), bulkRelease);
  const views = new SqliteViews(db, held);
  const items = new SqliteItems(db, held);
  const webhooks = new SqliteWebhookViews(db);
  const resyncViews = new SqliteResyncViews(db, registry, history, held);
  const prune = new SqlitePrune(db);
  const clockShift = new ClockShift(db);
  const commit = new GroupCommit(db, () => registry.forget());
  const traffic = new SqliteTraffic(db, commit);
  const registrations = new SqliteRegistrations(db, registry, commit);
  const beat = db.prepare(
    "INSERT INTO meta (key, value) VALUES ('probed_at', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
  );

  const pin = db.prepare('INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING');
  const pinned = db.prepare<[string], string>('SELECT value FROM meta WHERE key = ?').pluck();

  outbox.dropLeases(now());
  registrations.dropIncomplete();
  resyncs.requeueInterrupted(now());

  const read = async <T>(query: () => T | Promise<T>): Promise<T> => {
    try {
      return await query();
    } catch (error) {
      throw asGatewayError(error);
    }
  };

  return {
    intake: {
      record: async (webhook, document) => {
        const { recorded, at } = await commit.run(() => {
          const at = now();
          const recorded = intake.record(webhook, document, at);
          traffic.recording(webhook.channel, at);
          return { recorded, at };
        });
        traffic.accepted(webhook.channel, at);
        return recorded;
      },
    },
    outbox: {
      claim: async (wanted, leaseMs) => await commit.run(() => outbox.claim(wanted, now(), leaseMs)),
      settle: async (settlement) => await commit.run(() => outbox.settle(settlement, now())),
      release: async (channel, messageId, targetIds) => {
        const made = await commit.run(() => release.release(channel, messageId, targetIds, now()));
        return made.map(deliveryId);
      },
      releaseItem: async (id, targetIds) => {
        const made = await commit.run(() => release.releaseItem(id, targetIds, now()));
        return made.map(deliveryId);
      },
      retry: async (id) => {
        await commit.run(() => outbox.retry(id, now()));
        return found(views.delivery(id));
      },
      deliveries: async (filter, page) => await read(async () => await views.deliveries(filter, page)),
      delivery: async (id) => await read(() => views.delivery(id)),
      loadOf: async (targetId) => await read(() => tallies.loadOf(targetId, now())),
    },
    jobs: {
      survey: async (work) =>
        await read(async () => {
          const { sample, ...counts } = await jobs.survey(work);
          return work.kind === 'retry'
            ? { ...counts, kind: work.kind, sample: sample.flatMap(([id = 0]) => views.summary(id) ?? []) }
            : {
                ...counts,
                kind: work.kind,
                sample: sample.flatMap(([webhookId = 0, position = 0]) => items.item({ webhookId, position }) ?? []),
              };
        }),
      add: async (work, expectedCount) => {
        const { count } = await read(async () => await jobs.survey(work));
        mustBeExpected(count, expectedCount);
        const number = await commit.run(() => jobs.add(work, count, now()));
        return found(views.job(jobId(number)));
      },
      step: async () => await commit.run(() => jobs.step(now())),
      cancel: async (id) => {
        await commit.run(() => jobs.cancel(id, now()));
        return found(views.job(id));
      },
      list: async (page) => await read(() => views.jobs(page)),
      get: async (id) => await read(() => views.job(id)),
    },
    resyncs: {
      register: async (request) => {
        const id = await registrations.register(request, newId('rsy', effects), now);
        return found(resyncViews.resync(id, now()));
      },
      registerAsked: async (request, leaseMs) => {
        const id = newId('rsy', effects);
        return await commit.run(() => {
          const rows = registrations.registerAsked(request, id, now());
          return resyncs.takeAsked(rows, request.channel, request.messageIds, now(), leaseMs);
        });
      },
      registerUnlessRecent: async (request, withinMs) => {
        const id = newId('rsy', effects);
        return await commit.run(() => registrations.registerUnlessRecent(request, id, now() - withinMs, now()));
      },
      takeCall: async (channel, prefer, leaseMs) =>
        await commit.run(() => resyncs.takeCall(channel, prefer, now(), leaseMs)),
      settleCall: async (call, result) => await commit.run(() => resyncs.settleCall(call, result, now())),
      pendingCalls: async () => await read(() => resyncs.pendingCalls(now())),
      closeWindows: async () => {
        if (!(await read(() => resyncs.hasWindowsToClose(now())))) return 0; // at each turn of the worker: mostly none
        return await commit.run(() => resyncs.closeWindows(now(), WINDOWS_PER_COMMIT));
      },
      cancel: async (id) => {
        await commit.run(() => resyncs.cancel(id, now()));
        return found(resyncViews.resync(id, now()));
      },
      list: async (page) => await read(() => resyncViews.resyncs(page, now())),
      get: async (id) => await read(() => resyncViews.resync(id, now())),
      states: async (range, limit) => await read(() => resyncViews.resyncStates(range, limit)),
      stillRunning: async (ids) => await read(() => resyncViews.stillRunning(ids)),
      messages: async (id, page, filter) => await read(() => resyncViews.resyncMessages(id, page, filter)),
      report: async (id) => await read(() => resyncViews.resyncReport(id, now())),
    },
    calls: {
      stateOf: async (name) =>
        await read(() => {
          const channel = registry.channels().get(name);
          return channel ? { ...history.of(name, now()), channel } : null;
        }),
      nextCalls: async (channel) => await read(() => resyncs.nextCalls(channel)),
      countCall: async (channel) => await commit.run(() => history.count(channel, now())),
      settleCheck: async (channel, result) => await commit.run(() => resyncs.settleCheck(channel, result, now())),
      noteAnswer: async (channel, pause) => await commit.run(() => history.settle(channel, pause, now())),
    },
    audits: {
      ...auditOperations(
        { audits, release: new SqliteAuditRelease(db, registry, intake), views: auditViews, commit },
        effects,
      ),
      list: async (page) => await read(() => auditViews.audits(page)),
      get: async (id) => await read(() => auditViews.audit(id)),
      messages: async (id, page) => await read(() => auditViews.auditMessages(id, page)),
    },
    registry: {
      ...registryOperations(registry, commit, now, {
        channelChanged: (before, after) => {
          if (mayEndPause(before, after)) history.checkNow(after.name, now());
        },
        channelRemoved: (name) => {
          resyncs.cancelAllOf(name, now());
          history.forget(name);
          traffic.forget(name);
          audits.cancelAllOf(name, now());
        },
        targetRemoved: (number) => {
          outbox.deadLetterPending(number, now());
          breakers.remove(number);
        },
      }),
    },
    breakers: {
      notClosed: async () => await read(() => breakers.all()),
      keep: async (targetId, breaker) => await commit.run(() => breakers.keep(targetId, breaker)),
    },
    traffic: {
      countRefusal: (channel, code) => traffic.refused(channel, code, now()),
      of: async (channel) => await read(() => traffic.of(channel, now())),
      recentEvents: async () => await read(() => views.recentEvents()),
      lastWebhookAt: async (channel, since) =>
        await read(() => {
          const { lastWebhookAt } = traffic.of(channel, now());
          return lastWebhookAt !== null && lastWebhookAt >= since ? lastWebhookAt : null;
        }),
      lastForm: async (event, channels) => await read(() => views.lastForm(event, channels)),
    },
    items: {
      list: async (filter, page) => await read(async () => await items.items(filter, page)),
      messages: async (filter, page) => await read(async () => await items.messages(filter, page)),
      webhook: async (id) => await read(() => webhooks.webhook(id, now())),
      explain: async (channel, messageId) => await read(() => views.explain(channel, messageId)),
    },
    upkeep: {
      clockSetBack: async (byMs) => {
        let after: Place | null = FIRST;
        while (after !== null) {
          const from: Place = after;
          after = await commit.run(() => clockShift.deliveries(byMs, from, now()));
        }
        await commit.run(() => clockShift.calls(byMs, now()));
      },
      probe: async () => {
        await commit.run(() => beat.run(String(now())));
      },
      pin: async (name, value) =>
        await commit.run(() => {
          pin.run(name, value);
          return pinned.get(name) ?? value;
        }),
      pinned: async (name) => await read(() => pinned.get(name) ?? null),
      prune: async (retention) => {
        const isMore = await commit.run(() => {
          registry.dropExpiredSecrets(now());
          return prune.step(retention, now());
        });
        await read(() => prune.vacuum());
        return isMore;
      },
    },
    close: async () => {
      await commit.idle();
      await traffic.flush();
      close();
    },
  };
}

/** Another token or address may be the right one; another budget may leave calls to make. */
function mayEndPause(before: Channel, after: Channel): boolean {
  return (
    before.whapiToken !== after.whapiToken ||
    before.whapiBaseUrl !== after.whapiBaseUrl ||
    before.dailyCallBudget !== after.dailyCallBudget
  );
}

/** @throws GatewayError GW_CONFLICT */
function mustBeExpected(count: number, expectedCount: number | undefined): void {
  if (expectedCount === undefined || (count - expectedCount) * GROWTH_DIVISOR <= expectedCount) return;
  throw new GatewayError(
    'GW_CONFLICT',
    `The filter finds ${count} now, more than a tenth above expected_count (${expectedCount}). Look again with ` +
      '"dry_run": true, then send the new count.',
  );
}

/** What was just written can be read. */
function found<T>(view: T | null): T {
  if (!view) throw new GatewayError('GW_INTERNAL', 'What was just written could not be read.');
  return view;
}
