import { describe, expect, it, onTestFinished } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import type { ListedMessage } from '../../src/model.js';
import type { AuditWalk } from '../../src/store/audits.js';
import { AuditMessageRelease } from '../../src/store/postgres/audit-release.js';
import { cancelAuditsOf } from '../../src/store/postgres/audit-rows.js';
import { PostgresAudits } from '../../src/store/postgres/audits.js';
import type { Base } from '../../src/store/postgres/base.js';
import { BulkRelease } from '../../src/store/postgres/bulk-release.js';
import { BulkRetry } from '../../src/store/postgres/bulk-retry.js';
import { PostgresCalls } from '../../src/store/postgres/calls.js';
import { ChannelWork } from '../../src/store/postgres/channel-work.js';
import { PostgresDeliveries } from '../../src/store/postgres/deliveries.js';
import { PostgresDeliveryViews } from '../../src/store/postgres/delivery-views.js';
import { connect, openPostgresStore } from '../../src/store/postgres/engine.js';
import { EvidenceViews } from '../../src/store/postgres/evidence.js';
import { HeldItems } from '../../src/store/postgres/held-items.js';
import { ItemViews } from '../../src/store/postgres/item-views.js';
import { PostgresJobs } from '../../src/store/postgres/jobs.js';
import { PostgresMessageClaims, removeClaimsOf } from '../../src/store/postgres/message-claims.js';
import { Recording } from '../../src/store/postgres/recording.js';
import { ResyncCalls } from '../../src/store/postgres/resync-calls.js';
import { cancelSomeOf } from '../../src/store/postgres/resync-windows.js';
import { PostgresResyncs } from '../../src/store/postgres/resyncs.js';
import { PostgresUpkeep } from '../../src/store/postgres/upkeep.js';
import { locationOf, useDatabases } from '../support/postgres/fixture.js';
import { SentStatements } from '../support/postgres/plans.js';
import { channel, DAY, first, HOUR, LEASE, START, target } from '../support/store.js';
import type { ResyncRequest } from '../../src/store/resyncs.js';

const databases = useDatabases();
const PAGE = { limit: 50, cursor: null };
const GROWING = [
  ...['resyncs', 'resync_messages', 'audits', 'audit_messages', 'jobs', 'claims'],
  ...['ledger', 'fingerprints', 'objects', 'chats', 'content_fingerprints'],
];

/** Two channels with 4,000 resyncs of ten messages each, of which two are being brought back. */
const RESYNCS = `WITH r AS (
    INSERT INTO gateway.resyncs (id, channel, deliver_unseen, window_seconds, created_at)
    SELECT 'rsy_' || n, CASE n % 2 WHEN 0 THEN 'main' ELSE 'other' END, false, 3600, ${START} - 1000 * n
    FROM generate_series(1, 4000) AS n RETURNING number, channel
  )
  INSERT INTO gateway.resync_messages (resync, position, message_id, key, channel, status, asked_at, calls, polls, refused, closes_at,
    closed, next_at, restored_at, settled_at)
  SELECT r.number, n, 'M' || r.number || '-' || n, md5(r.number || '-' || n)::uuid, r.channel, s.status, s.asked_at, 1, 1, false, s.closes_at,
    n > 6, CASE WHEN s.status <> 'restored' THEN ${START} - n END, s.restored_at, s.restored_at
  FROM r, generate_series(0, 9) AS n, LATERAL (
    SELECT CASE n WHEN 0 THEN 'queued' WHEN 1 THEN 'waiting' ELSE 'restored' END AS status,
      ${START} - 2000 AS asked_at, ${START} - 100 * n + 500 AS closes_at, CASE WHEN n > 1 THEN ${START} - 1000 END AS restored_at) s`;
const AUDITS = `WITH a AS (
    INSERT INTO gateway.audits (id, kind, channel, since, until, memory_since, status, created_at, ended_at)
    SELECT 'aud_' || n, 'audit', 'main', 0, 1, 0, CASE WHEN n < 20 THEN 'running' ELSE 'finished' END, ${START}, CASE WHEN n >= 20 THEN ${START} END
    FROM generate_series(1, 1000) AS n RETURNING number
  )
  INSERT INTO gateway.audit_messages (audit, round, key, message_id, sent_at, json, found_at)
  SELECT number, 1, md5(number || '-' || n)::uuid, 'N' || n, n, '{"id":"N"}', ${START} FROM a, generate_series(1, 30) AS n`;
const OTHERS = `WITH c AS (
    INSERT INTO gateway.claims (key, channel, owner, claimed_at, expires_at)
    SELECT md5('claim ' || n)::uuid, CASE n % 20 WHEN 0 THEN 'main' WHEN 1 THEN 'other' ELSE 'of ' || n % 20 END, 'one', ${START}, ${START} + n * 1000
    FROM generate_series(1, 20000) AS n
  ), j AS (
    INSERT INTO gateway.jobs (number, kind, filter, status, total, done, skipped, cursor, created_at, finished_at)
    SELECT n, 'retry', '{}', 'finished', 1, 1, 0, '[0]', ${START}, ${START} FROM generate_series(1, 20000) AS n
  ), f AS (
    INSERT INTO gateway.fingerprints (key, recorded_at) SELECT md5('f ' || n)::uuid, ${START} FROM generate_series(1, 20000) AS n
  ), o AS (
    INSERT INTO gateway.objects (key, recorded_at, last) SELECT md5('o ' || n)::uuid, ${START}, '' FROM generate_series(1, 20000) AS n
  ), k AS (
    INSERT INTO gateway.content_fingerprints (key, message_key, sent_at)
    SELECT md5('k ' || n)::uuid, md5('m ' || n)::uuid, 1 FROM generate_series(1, 20000) AS n
  ), h AS (
    INSERT INTO gateway.chats (key, newest_at, received_at) SELECT md5('c ' || n)::uuid, 1, ${START} FROM generate_series(1, 20000) AS n
  )
  INSERT INTO gateway.ledger (key, first_seen_at, last_seen_at, unposted)
  SELECT md5(r || '-' || n)::uuid, ${START}, ${START}, false FROM generate_series(1, 4000) AS r, generate_series(0, 9) AS n`;

/** A database with what a year of resyncs, audits and claims may leave. */
async function stage(): Promise<Base> {
  const location = locationOf(await databases.create());
  const store = await openPostgresStore(location, systemEffects, () => START);
  for (const name of ['main', 'other']) await store.registry.addChannel(channel(name));
  await store.registry.addTarget(target('bot'));
  await store.close();
  const base = await connect(location, systemEffects, () => START);
  onTestFinished(async () => await base.db.end());
  for (const sql of [RESYNCS, AUDITS, OTHERS, 'ANALYZE']) await base.db.run(sql);
  return base;
}

function request(messageIds: readonly string[]): ResyncRequest {
  const idempotency = { key: `of ${messageIds.length}`, fingerprint: 'any' };
  return { channel: 'main', messageIds, deliverUnseen: false, windowSeconds: 3600, idempotency };
}

function listed(count: number): ListedMessage[] {
  const json = Buffer.from('{}');
  return Array.from({ length: count }, (_, n) => ({ id: `L${n}`, type: 'text', chatId: 'c', timestamp: n, json }));
}

const WALK: AuditWalk = {
  ...{ stage: 'read', from: 0, widthSeconds: 1, count: 1, total: null },
  ...{ totalsAreOff: false, round: 1, unsettled: false },
};

describe('among tens of thousands of rows, no statement reads a whole table that grows', () => {
  it('for resyncs and the calls to Whapi', async () => {
    const base = await stage();
    const channels = new ChannelWork(base);
    const calls = new ResyncCalls(base, channels);
    const resyncs = new PostgresResyncs(base, { channels, calls, held: new HeldItems(base) });
    const ofChannels = new PostgresCalls(base, { channels, resyncCalls: calls });
    const sent = new SentStatements(base.db);

    const many = Array.from({ length: 2500 }, (_, n) => `new ${n}`);
    const { id } = await resyncs.register(request([...many, 'M2-0', 'M2-1', 'M2-5']));
    await resyncs.registerAsked(request(['M4-0', 'unknown']), LEASE);
    await resyncs.registerUnlessRecent(request(['M6-0']), HOUR);
    for (const status of ['restored', 'waiting', 'failed'] as const) {
      const call = await resyncs.takeCall('main', status === 'waiting' ? 'poll' : 'resync', LEASE);
      if (call) await resyncs.settleCall(call, { status, nextAt: START + 1, closesAt: START + HOUR, tookMs: 5 });
    }
    await resyncs.pendingCalls('me');
    await ofChannels.stateOf('main');
    await ofChannels.settleCheck('main', { pause: null, wasAway: true });
    for (const filter of [{}, { channel: 'main' }, { status: 'running' }, { status: 'finished' }] as const)
      await resyncs.list(PAGE, filter);
    for (const filter of [{}, { status: 'queued' }, { held: true }] as const) await resyncs.messages(id, PAGE, filter);
    await resyncs.report(id);
    await resyncs.states({ after: 0, before: 1000 }, 50);
    await resyncs.stillRunning([id, 'rsy_1']);
    await resyncs.cancel('rsy_8');
    expect(await resyncs.closeWindows()).toBeGreaterThan(0);
    await base.db.transaction(async (tx) => await cancelSomeOf(tx, 'other', 200, START));
    expect(await sent.scansOf(GROWING)).toEqual([]);
  }, 60_000);

  it('for audits', async () => {
    const base = await stage();
    const audits = new PostgresAudits(base, new AuditMessageRelease(base, new Recording(base)));
    const sent = new SentStatements(base.db);

    await audits.begin({ kind: 'audit', channel: 'main', since: 0, until: 1, memorySince: 0 });
    const run = first(await audits.take('me', LEASE));
    await audits.noteWindow(run, listed(500), WALK);
    await audits.noteTrouble(run, 'Whapi is busy.');
    await audits.end(run, null);
    await audits.release(run.id, null, true);
    await audits.release(run.id, null, false);
    await audits.cancel('aud_5');
    for (const filter of [{}, { status: 'running' }, { channel: 'main' }] as const) await audits.list(PAGE, filter);
    await audits.get('aud_30');
    await audits.messages('aud_30', PAGE);
    await base.db.transaction(async (tx) => await cancelAuditsOf(tx, 'main', 200, START));
    expect(await sent.scansOf(GROWING)).toEqual([]);
  }, 60_000);

  it('for jobs and claims of messages', async () => {
    const base = await stage();
    const jobs = new PostgresJobs(base, {
      retry: new BulkRetry(base, new PostgresDeliveries(base)),
      release: new BulkRelease(base),
      deliveries: new PostgresDeliveryViews(base.db),
      items: new ItemViews(base, new EvidenceViews(base.db)),
      removals: { step: async () => await Promise.resolve(false) },
    });
    const claims = new PostgresMessageClaims(base);
    const sent = new SentStatements(base.db);

    const { id } = await jobs.add({ kind: 'retry', filter: { status: 'dead' } });
    await jobs.get(id);
    while ((await jobs.step()) !== null);
    await jobs.cancel(id);
    for (const filter of [{}, { status: 'finished' }, { kind: 'retry' }, { channel: 'main' }] as const)
      await jobs.list(PAGE, filter);
    const claim = { channel: 'main', messageId: 'X', owner: 'me', ttlSeconds: 60 };
    await claims.claim(claim);
    await claims.claim(claim);
    await claims.release(claim);
    await claims.prune(START + HOUR);
    await base.db.transaction(async (tx) => await removeClaimsOf(tx, 'other', 200));
    expect(await sent.scansOf(GROWING)).toEqual([]);
  }, 60_000);

  it('for a sweep', async () => {
    const base = await stage();
    const upkeep = new PostgresUpkeep(base);
    const sent = new SentStatements(base.db);
    const now = START + 30 * DAY;
    while (await upkeep.prune({ payloadMs: 7 * DAY, ledgerMs: 8 * DAY }, now));
    expect(await sent.scansOf(GROWING)).toEqual([]);
  }, 60_000);
});
