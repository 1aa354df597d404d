import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Ids } from '../../src/store/sqlite/numbering.js';
import { NO_BOUNDS } from '../../src/store/rules/bulk-work.js';
import { BulkRelease, BulkRetry } from '../../src/store/sqlite/bulk.js';
import type { BulkCursor } from '../../src/store/rules/bulk-work.js';
import { openDatabase } from '../../src/store/sqlite/database.js';
import { Leases } from '../../src/store/sqlite/leases.js';
import type { Db } from '../../src/store/sqlite/database.js';
import { ABOVE_ALL_IDS } from '../../src/store/sqlite/filters.js';
import { EvidenceViews } from '../../src/store/sqlite/evidence.js';
import { HeldItems } from '../../src/store/sqlite/held-items.js';
import { ItemViews } from '../../src/store/sqlite/item-views.js';
import { DeliveryTables } from '../../src/store/sqlite/delivery-tables.js';
import { HAS_STATUS } from '../../src/store/sqlite/resync-views.js';
import { newestRuns } from '../../src/store/sqlite/run-lists.js';
import { TargetCounts } from '../../src/store/sqlite/target-counts.js';
import { NEVER_SEEN } from '../../src/store/rules/ledger-facts.js';
import { LedgerMemory } from '../../src/store/sqlite/ledger-memory.js';
import { RememberedIds } from '../../src/store/sqlite/remembered-ids.js';
import { RegistryTables } from '../../src/store/sqlite/registry-tables.js';
import { LaneOrder } from '../../src/store/sqlite/lane-order.js';
import { ItemRelease } from '../../src/store/sqlite/item-release.js';
import { DeliveryViews } from '../../src/store/sqlite/delivery-views.js';
import { WebhookLists } from '../../src/store/sqlite/webhook-lists.js';
import { temporaryFolder } from '../support/files.js';
import type { DeliveryFilter } from '../../src/store/deliveries.js';
import type { ItemFilter } from '../../src/store/items.js';

const ALL = { limit: 50, cursor: null };

describe('lists and bulk jobs behind any number of delivered deliveries:', () => {
  it.each(['dead', 'expired'] as const)('%s deliveries are looked up by status', async (status) => {
    const { plans, views } = open();
    await views.list({ status }, ALL);
    expect(plans()).toEqual([
      'SEARCH d USING COVERING INDEX deliveries_by_rare_status (status=? AND id>? AND id<?)',
      'SEARCH d USING INDEX deliveries_by_rare_status (status=? AND id>? AND id<?)',
    ]);
  });

  it('pending deliveries are looked up by target', async () => {
    const { plans, views } = open();
    await views.list({ status: 'pending', target: 'bot' }, ALL);
    expect(plans()).toEqual([
      'SEARCH d USING INDEX deliveries_pending (target=? AND id>? AND id<?)',
      'SEARCH d USING INDEX deliveries_pending (target=? AND id>? AND id<?)',
    ]);
  });

  it.each<[DeliveryFilter, string]>([
    [
      { status: 'pending', target: 'bot', channel: 'main', event: 'messages', since: 1, until: 2 },
      'INDEX deliveries_pending (target=? AND id>?',
    ],
    [{ status: 'dead', target: 'bot' }, 'INDEX deliveries_by_rare_status (status=? AND id>?'],
  ])('adding the filter %j keeps that index', async (filter, index) => {
    const { plans, views } = open();
    await views.list(filter, ALL);
    expect(plans().filter((plan) => !plan.includes(index))).toEqual([]);
  });

  it('delivered deliveries are scanned in id order within two bounds', async () => {
    const { plans, views } = open();
    await views.list({ status: 'delivered', target: 'bot' }, ALL);
    expect(new Set(plans())).toEqual(new Set(['SEARCH d USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)']));
  });

  it('bulk jobs look up dead deliveries and held items', () => {
    const { plans, retry, release } = open();
    retry.scan({ status: 'dead', channel: 'main' }, NO_BOUNDS, retry.start);
    retry.step({ status: 'dead', target: 'bot' }, NO_BOUNDS, retry.start, 0);
    expect(plans().every((plan) => plan.includes('INDEX deliveries_by_rare_status (status=? AND id>?'))).toBe(true);
    const before = plans().length;
    release.scan({ channel: 'main' }, NO_BOUNDS, release.start);
    release.step({ resync: 'rsy', verdict: 'restored' }, NO_BOUNDS, release.start, 0);
    const ofRelease = plans().slice(before);
    expect(ofRelease.every((plan) => /SEARCH s(ightings)? USING (COVERING )?INDEX sightings_held/.test(plan))).toBe(
      true,
    );
  });

  it.each<[ItemFilter, string]>([
    [{}, 'PRIMARY KEY'],
    [{ event: 'messages.post', channel: 'main', since: 1, held: false }, 'PRIMARY KEY'],
    [{ verdict: 'new' }, 'PRIMARY KEY'],
    [{ held: true, event: 'statuses' }, 'INDEX sightings_held'],
    [{ held: true, verdict: 'event' }, 'INDEX sightings_held'],
    [{ verdict: 'late', held: true }, 'INDEX sightings_by_rare_verdict'],
    [{ verdict: 'duplicate', messagesOnly: true, until: 9 }, 'INDEX sightings_by_rare_verdict'],
    [{ rule: 9, channel: 'main' }, 'INDEX sightings_by_rare_verdict'],
    [{ rule: 13, held: true }, 'INDEX sightings_by_rare_verdict'],
    [{ rule: 10, event: 'messages' }, 'PRIMARY KEY'],
    [{ messageId: 'A', channel: 'main', verdict: 'duplicate' }, 'INDEX sightings_by_message'],
  ])('items filtered by %j are looked up in one index', async (filter, index) => {
    const { db, items, plans } = open();
    register(db, 'rsy');
    await items.items(filter, ALL);
    const inOrder = 'webhook_id,position)>(?,?) AND (webhook_id,position)<(?,?)';
    const walks = plans().filter((plan) => plan !== FIRST_OF_MESSAGE);
    expect(walks.map((plan) => plan.includes(index) && plan.includes(inOrder))).toEqual([true, true]);
  });

  it.each([{}, { event: 'quiet' }, { channel: 'main', since: 1, until: 2 }])(
    'webhooks filtered by %j are read in the order of their ids, and their verdicts by primary key',
    async (filter) => {
      const { db } = open();
      fill(db, 3);
      const plans = plansOf(db, /^(SEARCH|SCAN|USE TEMP)/);
      await new WebhookLists(db).webhooks(filter, ALL);
      const walk = /^SEARCH (w|webhooks) USING (INTEGER PRIMARY KEY|PRIMARY KEY) \(rowid>\? AND rowid<\?\)$/;
      const verdicts = ['SEARCH sightings USING PRIMARY KEY (webhook_id=?)', 'USE TEMP B-TREE FOR GROUP BY'];
      expect(plans().filter((plan) => !walk.test(plan) && !verdicts.includes(plan))).toEqual([]);
      expect(plans().filter((plan) => walk.test(plan))).toHaveLength(2);
    },
  );

  it('runs are read in the order of their numbers, whatever the filter', async () => {
    const { db, plans } = open();
    const status = await Promise.all([
      newestRuns(db, { from: 'jobs', conditions: [["filter ->> '$.channel' = ?", 'main']] }, ABOVE_ALL_IDS, 50),
      newestRuns(db, { from: 'audits', conditions: [['status = ?', 'running']] }, ABOVE_ALL_IDS, 50),
      newestRuns(db, { from: 'resyncs r', conditions: [[HAS_STATUS.running]] }, ABOVE_ALL_IDS, 50),
    ]);
    expect([status, plans()]).toEqual([[[], [], []], []]);
  });

  it('a few old pending deliveries are found behind 100,000 delivered ones', async () => {
    const { db, views } = open();
    fill(db, 100_000);
    const { data, nextCursor } = await views.list({ status: 'pending' }, ALL);
    expect([data.length, nextCursor]).toEqual([3, null]);
  });

  it('items of a resync are looked up by the keys of its ids', async () => {
    const { db, items, ids, plans } = open();
    register(db, 'rsy');
    ids.insert(Buffer.alloc(16), { ...NEVER_SEEN, lastSeenAt: 1, webhookId: 1, position: 0 });
    await items.items({ resync: 'rsy', held: true, since: 1 }, ALL);
    const temporary = 'USE TEMP B-TREE FOR ORDER BY'; // It sorts one slice of ids.
    const byKey = plans().filter((plan) => plan.includes('INDEX sightings_by_message (message_key=?'));
    const others = plans().filter((plan) => !byKey.includes(plan) && plan !== FIRST_OF_MESSAGE && !PLACES.test(plan));
    expect([byKey.length, others]).toEqual([1, [temporary, temporary]]);
  });

  it("held items of a message, or of a resync's ids, are looked up by key", () => {
    const { db, registry, plans } = open();
    expect(new HeldItems(db, registry).countForMessage(Buffer.alloc(16))).toBe(0);
    const looks = plans().filter((plan) => !plan.startsWith('SCAN json_each') && !plan.startsWith('SEARCH d '));
    expect([...new Set(looks)]).toEqual(['SEARCH s USING INDEX sightings_held_messages (message_key=?)']);
  });

  it('a list of items without a match reads each row once and yields between its slices', async () => {
    const { db, items } = open();
    fill(db, 100_000);
    const all = `SELECT count(*) FROM sightings s CROSS JOIN webhooks w ON w.id = s.webhook_id WHERE w.event GLOB 'quiet.*'`;
    const once = await fastest(() => db.prepare(all).get());
    const list = await fastest(async () => await items.items({ held: true, event: 'quiet' }, ALL));
    expect(list / once).toBeLessThan(25); // Slices that restart from the beginning would make it 50.
  });

  it('a list and a count without a match read each row once', async () => {
    const { db, views, retry, release } = open();
    fill(db, 100_000);
    const once = await fastest(() => db.prepare("SELECT count(*) FROM deliveries WHERE channel = 'quiet'").get());
    const list = await fastest(async () => await views.list({ channel: 'quiet' }, ALL));
    const filter = { status: 'delivered', channel: 'quiet' } as const;
    const count = await fastest(() => {
      for (let at: BulkCursor | null = retry.start; at !== null; at = retry.scan(filter, NO_BOUNDS, at).next);
    });
    const held = await fastest(() => {
      for (let at: BulkCursor | null = release.start; at !== null; at = release.scan({}, NO_BOUNDS, at).next);
    });
    expect(Math.max(list, count, held) / once).toBeLessThan(25); // Slices that restart from the beginning would make it 50.
  });
});

/** The list of places in the ledger that is read, and written into no table. */
const PLACES = /^SCAN (p VIRTUAL TABLE|json_each)/;

/** The sighting that the ledger points to. */
const FIRST_OF_MESSAGE = 'SEARCH s USING PRIMARY KEY (webhook_id=? AND position=?)';

async function fastest(look: () => unknown): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 3; i += 1) {
    const startedAt = performance.now();
    await look();
    times.push(performance.now() - startedAt);
  }
  return Math.min(...times);
}

/** A resync of one message. */
function register(db: Db, id: string): void {
  db.exec(`
    INSERT INTO resyncs (number, id, channel, deliver_unseen, window_seconds, created_at) VALUES (1, '${id}', 'main', 0, 1, 0);
    INSERT INTO resync_messages (resync, position, message_id, key, channel, status, calls, polls, refused, closed)
      VALUES (1, 0, 'A', zeroblob(16), 'main', 'queued', 0, 0, 0, 0);`);
}

function open() {
  const { db, close } = openDatabase(join(temporaryFolder(), 'gateway.db'));
  onTestFinished(close);
  const registry = new RegistryTables(db);
  const outbox = new DeliveryTables(db, new Ids(0), registry, new TargetCounts(db, registry));
  const held = new HeldItems(db, registry);
  const ids = new RememberedIds(db, new LedgerMemory(db));
  const retry = new BulkRetry(db, registry, outbox);
  const release = new BulkRelease(db, registry, new ItemRelease(db, registry, outbox, held, ids), held);
  return {
    db,
    views: new DeliveryViews(db, new Leases(), new LaneOrder(db)),
    ids,
    items: new ItemViews(db, { held, ids, evidence: new EvidenceViews(db, ids) }),
    registry,
    retry,
    release,
    plans: plansOf(db),
  };
}

/**
 * The query plans of all SQL from now on: the indexes that SQLite uses for the rows of a list, and every step that
 * would scan a whole table or sort it.
 */
function plansOf(db: Db, shown = /^SEARCH (d|s|sightings) |SCAN|TEMP/): () => string[] {
  const prepare = db.prepare;
  const texts: string[] = [];
  db.prepare = (sql: string) => {
    if (sql.startsWith('SELECT')) texts.push(sql);
    return prepare(sql);
  };
  return () =>
    texts.flatMap((sql) => {
      const values = Array<null>(sql.split('?').length - 1).fill(null);
      const steps = prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).all(...values);
      return steps.map(({ detail }) => detail).filter((detail) => shown.test(detail));
    });
}

/** Three pending deliveries, then the given number of delivered ones. */
function fill(db: Db, count: number): void {
  db.exec(`
    INSERT INTO targets (id, name, url, channels, events, deliver, mode, headers, secret, timeout_ms, max_attempts,
        concurrency, enabled, created_at)
      VALUES ('bot', 'bot', 'http://bot', '["*"]', '["*"]', '["new"]', 'body', '{}', '', 1, 1, 1, 1, 0);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count + 3})
      INSERT INTO webhooks (id, channel, received_at, method, suffix, event, body)
      SELECT i, 'main', 1, 'POST', '', 'messages.post', x'7b7d' FROM n;
    INSERT INTO deliveries (id, webhook_id, target, channel, status, seq, chats, blocked, due_at, attempts, tries, verdicts,
        created_at, log)
      SELECT id, id, 1, 'main', iif(id <= 3, 'pending', 'delivered'), id, x'', 0, 1, 1, 1, 'new', 1, '[]' FROM webhooks;
    INSERT INTO sightings (webhook_id, position, carrier, message_id, verdict, rule, held)
      SELECT id, 0, 'messages', 'A', 'duplicate', 8, 1 FROM webhooks;`);
}
