import { expect, it, onTestFinished } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import { utcDay } from '../../src/store/rules/days.js';
import type { BulkWork } from '../../src/store/jobs.js';
import type { Base } from '../../src/store/postgres/base.js';
import { BulkRelease } from '../../src/store/postgres/bulk-release.js';
import { BulkRetry } from '../../src/store/postgres/bulk-retry.js';
import { PostgresDeliveries } from '../../src/store/postgres/deliveries.js';
import { PostgresDeliveryViews } from '../../src/store/postgres/delivery-views.js';
import { EvidenceViews } from '../../src/store/postgres/evidence.js';
import { ItemRelease } from '../../src/store/postgres/item-release.js';
import { ItemViews } from '../../src/store/postgres/item-views.js';
import { PostgresJobs } from '../../src/store/postgres/jobs.js';
import { connect, openPostgresStore } from '../../src/store/postgres/engine.js';
import { leastId } from '../../src/store/postgres/numbers.js';
import type { Lease } from '../../src/store/postgres/leases.js';
import { PostgresOutbox } from '../../src/store/postgres/outbox.js';
import { Unanswered } from '../../src/store/postgres/unanswered.js';
import { locationOf, runSql, useDatabases } from '../support/postgres/fixture.js';
import { SentStatements } from '../support/postgres/sent-statements.js';
import { channel, first, HOUR, LEASE, MINUTE, settlement, target } from '../support/store.js';

const databases = useDatabases();
const ROWS = 20_000;
const PAGE = { limit: 50, cursor: null };

const NO_RELEASE = {
  release: async () => await Promise.resolve([]),
  releaseItem: async () => await Promise.resolve([]),
};

/** A database with many webhooks, and a pending and a settled delivery of each, of one target. */
async function stageMany(effects = systemEffects): Promise<Base> {
  const url = await databases.create();
  const base = await connect(locationOf(url), effects);
  onTestFinished(async () => await base.db.end());
  const store = await openPostgresStore(locationOf(url), systemEffects);
  await store.registry.addChannel(channel('main'));
  await store.registry.addTarget(target('bot', { backlogRatePerMinute: 10, backlogPolicy: 'newest_per_chat' }));
  await store.close();
  const { number } = (await base.registry.refresh()).requireTarget('bot');
  const id = `${leastId(base.now())} + n`;
  const lanes = `ARRAY[md5('lane ' || n % 2000)::uuid]`;
  const rows = `FROM generate_series(1, ${ROWS}) AS n`;
  const now = base.now();
  await runSql(
    url,
    `INSERT INTO gateway.webhooks (id, received_at, channel, method, suffix, event, body)
       SELECT ${id}, ${now}, 'main', 'POST', '', 'messages.post', '{"messages":[{"id":"A"}]}' ${rows};
     INSERT INTO gateway.sightings (webhook_id, position, rule, held, placeholder, carrier, verdict)
       SELECT ${id}, 0, 10, false, false, 'messages', 'new' ${rows};
     INSERT INTO gateway.queue (id, webhook_id, seq, due_at, created_at, target, blocked, attempts, tries, channel, lanes, verdicts)
       SELECT ${id}, ${id}, n, ${now} - n, ${now}, ${number}, (n > 2000)::int, 0, (n % 2), 'main', ${lanes}, 'new' ${rows};
     INSERT INTO gateway.lanes (target, lane, seq, delivery_id) SELECT target, lanes[1], seq, id FROM gateway.queue;
     INSERT INTO gateway.history (id, webhook_id, created_at, settled_at, target, attempts, tries, released, status, channel, lanes, verdicts, log)
       SELECT ${id} + ${ROWS}, ${id}, ${now}, ${now}, ${number}, 1, 1, false, CASE WHEN n % 100 = 0 THEN 'dead' ELSE 'delivered' END,
         'main', ${lanes}, 'new', '[]' ${rows};
     ANALYZE gateway.webhooks, gateway.sightings, gateway.queue, gateway.lanes, gateway.history;`,
  );
  return base;
}

/** With the partitions of today, which have all rows. */
function growingTables(base: Base): string[] {
  const day = utcDay(base.now());
  return ['queue', 'lanes', ...['webhooks', 'sightings', 'history'].map((table) => `${table}_${day}`)];
}

it('the outbox of PostgreSQL reads no table that grows from one end to the other', async () => {
  const base = await stageMany();
  const sent = new SentStatements(base.db);
  const outbox = new PostgresOutbox(base, NO_RELEASE);
  await outbox.due();
  const want = { targetId: 'bot', limit: 16, retries: { kept: 2, most: 8 }, backlog: 5, bytes: 1e6 };
  const { deliveries } = await outbox.claim([want], LEASE);
  const [delivered, superseded, returned, retried] = deliveries;
  if (!delivered || !superseded || !returned || !retried) throw new Error('Too few deliveries were claimed.');
  await outbox.chatFacts(delivered, { answered: true, followed: true });
  await Promise.all([
    outbox.settle(settlement(delivered, 'delivered')),
    outbox.settle({ ...settlement(superseded, 'superseded'), attempt: null }),
    outbox.settle(settlement(returned, 'pending', base.now())),
  ]);
  await outbox.pendingOf('bot');
  await outbox.loadOf('bot');
  await outbox.retry(retried.id);
  await outbox.retry(superseded.id);
  for (const filter of [{}, { status: 'pending' }, { status: 'dead', target: 'bot' }, { status: 'delivered' }] as const)
    await outbox.delivery(first((await outbox.deliveries({ ...filter, event: 'messages' }, PAGE)).data).id);
  expect(await sent.scansOf(growingTables(base))).toEqual([]);
});

it('counts few pending deliveries of a target each time, and thousands of them once a minute', async () => {
  let time = 0;
  const base = await stageMany({ ...systemEffects, monotonic: () => time });
  const outbox = new PostgresOutbox(base, NO_RELEASE);
  const pendingAfter = async (settled: string): Promise<number> => {
    await base.db.run(`DELETE FROM gateway.queue WHERE ${settled}`);
    return (await outbox.pendingOf('bot')).pending;
  };
  expect(await pendingAfter('false')).toBe(ROWS);
  expect(await pendingAfter('seq > 10000')).toBe(ROWS);
  time += MINUTE;
  expect(await pendingAfter('seq > 9000')).toBe(9000);
  expect(await pendingAfter('seq > 3')).toBe(3);
});

it('looks by id whether settlements were saved whose answers were lost', async () => {
  const base = await stageMany();
  const unanswered = new Unanswered();
  const ids = await base.db.all<{ id: number }>('SELECT id FROM gateway.history LIMIT 256');
  const sent = new SentStatements(base.db);
  const lost = ids.map(({ id }) => {
    const lease = { id, token: 1, until: base.now() + LEASE } as Lease;
    return { lease, settlement: settlement({ id: '', lease: 1 }, 'dead'), at: base.now() };
  });
  unanswered.note(lost, base.now());
  expect(await unanswered.saved(base.db, lost)).toEqual([]);
  expect(await sent.scansOf(growingTables(base))).toEqual([]);
});

it('hundreds of deliveries that are left out or retried at once: PostgreSQL reads none of these tables either', async () => {
  const base = await stageMany();
  const outbox = new PostgresOutbox(base, NO_RELEASE);
  const retry = new BulkRetry(base, new PostgresDeliveries(base));
  const [sent, bounds] = [new SentStatements(base.db), { number: Number.MAX_SAFE_INTEGER, madeAt: base.now() + HOUR }];
  const { deliveries } = await outbox.claim([{ targetId: 'bot', limit: 400 }], LEASE);
  await Promise.all(
    deliveries.map(async (each) => await outbox.settle({ ...settlement(each, 'superseded'), attempt: null })),
  );
  await base.db.transaction(async (tx) => await retry.step(tx, { status: 'superseded' }, bounds, retry.start));
  expect(await sent.scansOf(growingTables(base))).toEqual([]);
});

it('releases and jobs of PostgreSQL read no table that grows from one end to the other', async () => {
  const base = await stageMany();
  await base.db.run(
    `UPDATE gateway.sightings SET held = true, rule = 3, verdict = 'restored', message_id = 'A', message_key = md5((webhook_id % 500)::text)::uuid
     WHERE webhook_id % 200 = 0`,
  );
  for (const table of ['queue', 'history'])
    // they carried another item
    await base.db.run(`UPDATE gateway.${table} SET positions = '{1}' WHERE webhook_id % 200 = 0`);
  await base.db.run('ANALYZE gateway.sightings, gateway.queue, gateway.history');
  const sent = new SentStatements(base.db);
  const evidence = new EvidenceViews(base.db);
  const jobs = new PostgresJobs(base, {
    retry: new BulkRetry(base, new PostgresDeliveries(base)),
    release: new BulkRelease(base),
    deliveries: new PostgresDeliveryViews(base.db),
    items: new ItemViews(base, evidence),
    removals: { step: async () => await Promise.resolve(false) },
  });
  const release = new ItemRelease(base);
  const works: readonly BulkWork[] = [
    { kind: 'retry', filter: { status: 'dead', target: 'bot', since: base.now() - HOUR } },
    { kind: 'retry', filter: { status: 'delivered', event: 'messages' } },
    { kind: 'release', filter: { channel: 'main', until: base.now() + HOUR } },
  ];
  for (const work of works) {
    const { sample } = await jobs.survey(work);
    if (work.kind === 'release') await release.releaseItem(sample.at(-1)?.id ?? '', null);
    const { id } = await jobs.add(work);
    expect(await jobs.step()).toBeGreaterThan(0);
    await jobs.cancel(id);
  }
  await jobs.list(PAGE);
  await expect(release.release('main', 'unknown', null)).rejects.toMatchObject({ code: 'GW_NOT_FOUND' });
  expect(await sent.scansOf(growingTables(base))).toEqual([]);
});
