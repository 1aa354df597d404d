import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import { Ids } from '../../src/store/sqlite/numbering.js';
import { AuditTables } from '../../src/store/sqlite/audit-tables.js';
import { openDatabase } from '../../src/store/sqlite/database.js';
import type { Db } from '../../src/store/sqlite/database.js';
import { DeliveryTables } from '../../src/store/sqlite/delivery-tables.js';
import { DueDeliveries } from '../../src/store/sqlite/due-deliveries.js';
import { EvidenceViews } from '../../src/store/sqlite/evidence.js';
import { openSqliteStore } from '../../src/store/sqlite/engine.js';
import { OLD_WEBHOOKS } from '../../src/store/sqlite/payload-pruning.js';
import { oldKeysOf, Pruning } from '../../src/store/sqlite/pruning.js';
import { ClockShift } from '../../src/store/sqlite/clock-shift.js';
import { IN_PROGRESS, WINDOW_SECONDS } from '../../src/store/sqlite/open-registrations.js';
import { Leases } from '../../src/store/sqlite/leases.js';
import { MessageClaimTables } from '../../src/store/sqlite/message-claims.js';
import { LedgerMemory } from '../../src/store/sqlite/ledger-memory.js';
import { RememberedIds } from '../../src/store/sqlite/remembered-ids.js';
import { RegistryTables } from '../../src/store/sqlite/registry-tables.js';
import { ShownMessages } from '../../src/store/sqlite/shown-messages.js';
import { Removals } from '../../src/store/sqlite/removals.js';
import { SqliteHistory } from '../../src/store/sqlite/history.js';
import { ResyncQueue } from '../../src/store/sqlite/resync-queue.js';
import { IS_RUNNING } from '../../src/store/sqlite/resync-views.js';
import { ResyncWindows } from '../../src/store/sqlite/resync-windows.js';
import { ClockMemory } from '../../src/store/sqlite/clock-memory.js';
import { DELIVERY_COLUMNS, DELIVERY_TABLES } from '../../src/store/sqlite/delivery-views.js';
import { WebhookDeliveries } from '../../src/store/sqlite/webhook-deliveries.js';
import { TargetCounts } from '../../src/store/sqlite/target-counts.js';
import { temporaryFolder } from '../support/files.js';

function openDb(): Db {
  const { db, close } = openDatabase(join(temporaryFolder(), 'gateway.db'));
  onTestFinished(close);
  return db;
}

/** SQLite's query plan, one line per step. */
function planOf(db: Db, sql: string, ...parameters: unknown[]): string[] {
  const steps = db.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).all(...parameters);
  return steps.map(({ detail }) => detail);
}

/** One plan for each prepared query with plain parameters. */
function plansOf(prepares: (db: Db) => unknown): string[] {
  const db = openDb();
  const texts: string[] = [];
  const listening = {
    prepare: (sql: string) => {
      texts.push(sql);
      return db.prepare(sql);
    },
  };
  prepares(listening as unknown as Db);
  const plain = texts.filter((sql) => !sql.includes('@'));
  return plain.map((sql) => {
    const parameters = sql
      .split('?')
      .slice(1)
      .map(() => 0);
    return planOf(db, sql, ...parameters).join('; ');
  });
}

describe('a claim from a backlog of any size', () => {
  it('is one lookup in the index of its kind, without a scan or a sort', () => {
    const plans = plansOf((db) => new DueDeliveries(db, new Leases()));
    const [targetFirst, dueFirst, rankedFirst, nextFirst, ...others] = plans;
    const [targetAgain, dueAgain, rankedAgain, nextAgain, dueAt, row, ...more] = others;
    expect(rankedFirst).toBe('SEARCH deliveries USING INDEX deliveries_due_first (target=? AND due_at>?)');
    expect(rankedAgain).toBe('SEARCH deliveries USING INDEX deliveries_due_again (target=? AND due_at>?)');
    expect(dueFirst).toBe('SEARCH deliveries USING INDEX deliveries_due_first (target=? AND due_at<?)');
    expect(dueAgain).toBe('SEARCH deliveries USING INDEX deliveries_due_again (target=? AND due_at<?)');
    expect(dueAt).toBe('SEARCH deliveries USING INTEGER PRIMARY KEY (rowid=?)');
    expect(row).toBe('SEARCH d USING INTEGER PRIMARY KEY (rowid=?); SEARCH w USING INTEGER PRIMARY KEY (rowid=?)');
    expect(targetFirst).toBe('SEARCH deliveries USING INDEX deliveries_due_first (target>?)');
    expect(targetAgain).toBe('SEARCH deliveries USING INDEX deliveries_due_again (target>?)');
    expect(nextFirst).toBe('SEARCH deliveries USING INDEX deliveries_due_first (target=?)');
    expect(nextAgain).toBe('SEARCH deliveries USING INDEX deliveries_due_again (target=?)');
    expect(more).toEqual([]);
  });
});

describe('the open registration of an id', () => {
  it.each([
    `SELECT m.resync FROM resync_messages m JOIN resyncs r ON r.number = m.resync
     WHERE m.key = ? AND ${IN_PROGRESS} AND r.complete = 1 ORDER BY m.resync LIMIT 1`,
    `SELECT max(${WINDOW_SECONDS}) FROM resync_messages m JOIN resyncs r ON r.number = m.resync WHERE m.key = ? AND ${IN_PROGRESS}`,
    `UPDATE resync_messages SET closes_at = 1 WHERE key = ? AND ${IN_PROGRESS} AND closes_at < 1`,
    `UPDATE resync_messages SET next_at = 1 WHERE key = ? AND closed = 0 AND (status = 'waiting' OR asked_at = 1)`,
    'SELECT resync FROM resync_messages WHERE key = ? AND closed = 0 AND asked_at = 1',
  ])('is found by its key: %#', (sql) => {
    const [first] = planOf(openDb(), sql, Buffer.alloc(16));
    expect(first).toMatch(/^SEARCH (m|resync_messages) USING INDEX resync_messages_by_key \(key=\?\)$/);
  });
});

describe('the running state of a resync', () => {
  it.each(['r.id = ?', 'r.number > ? ORDER BY r.number DESC LIMIT 1'])('is one lookup (%s)', (where) => {
    const plan = planOf(openDb(), `SELECT ${IS_RUNNING} FROM resyncs r WHERE ${where}`, 0);
    expect(plan[0]).toMatch(/^SEARCH r USING (INTEGER PRIMARY KEY|INDEX sqlite_autoindex_resyncs_1)/);
    expect(plan.slice(1)).toEqual([
      'CORRELATED SCALAR SUBQUERY 1',
      'SEARCH m USING COVERING INDEX resync_messages_by_status (resync=? AND status=?)',
    ]);
  });
});

describe('the queue of calls to Whapi', () => {
  it('is counted in its index, group by group', () => {
    expect(plansOf((db) => new ResyncQueue(db))).toEqual([
      'SEARCH resync_messages USING COVERING INDEX resync_messages_due (channel=? AND status=? AND (next_at,resync)>(?,?))',
      'SEARCH resync_messages USING COVERING INDEX resync_messages_due (channel=? AND status=? AND next_at=? AND resync=?)',
    ]);
  });
});

describe('a pruning step', () => {
  it('reads only old payloads, however many recent ones exist', () => {
    const plan = planOf(openDb(), OLD_WEBHOOKS, { after: 0, belowId: 0 });
    expect(plan).toEqual(['SEARCH webhooks USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)']);
  });

  it('scans no table that grows and sorts nothing', () => {
    const db = openDb();
    const texts: string[] = [];
    const prepare = (sql: string) => {
      texts.push(sql);
      return db.prepare(sql);
    };
    const prepared = { prepare } as unknown as Db;
    new Pruning(prepared, new ClockMemory(db), new LedgerMemory(db), new MessageClaimTables(prepared));
    const plans = texts.flatMap((sql) => planOf(db, sql.replaceAll(/@\w+|\?/g, '1')));
    const few = /^SCAN (audits|probes|dead_counts|id_marks|ledger_runs|\(subquery-\d\))/; // of an audit, an hour, half a day; a slice
    expect(plans.length).toBeGreaterThan(texts.length);
    expect(plans.filter((plan) => /SCAN|B-TREE/.test(plan) && !few.test(plan))).toEqual([
      'USE TEMP B-TREE FOR GROUP BY', // of the hours in the future
    ]);
  });

  it.each(['fingerprints', 'objects', 'ledger_before_runs', 'chats'] as const)(
    'of %s stays within its key range',
    (table) => {
      const plan = planOf(openDb(), oldKeysOf(table, 'TRUE'), { from: Buffer.alloc(0), to: Buffer.alloc(0) });
      expect(plan).toEqual([`SEARCH ${table} USING PRIMARY KEY (key>? AND key<?)`]);
    },
  );
});

describe('the load of a target', () => {
  it('is looked up without a count, scan or sort, except for a few hours of dead deliveries', () => {
    const plans = plansOf((db) => new TargetCounts(db, new RegistryTables(db)));
    expect(plans.filter((plan) => /SCAN|TEMP B-TREE/.test(plan))).toEqual([
      'SEARCH dead_counts USING PRIMARY KEY (target=? AND hour>?); USE TEMP B-TREE FOR GROUP BY',
    ]);
    expect(plans).toContain('SEARCH deliveries USING INDEX deliveries_pending (target=?)');
    expect(plans).toContain('SEARCH deliveries USING INDEX deliveries_due_again (target=?)');
  });
});

describe('a clock that goes back', () => {
  it('shifts what is pending in index order and in slices, and reads nothing else', () => {
    const [endOfSlice, nextTarget, deliveries, calls, call] = plansOf((db) => new ClockShift(db));
    expect(endOfSlice).toBe('SEARCH deliveries USING INDEX deliveries_pending (target=? AND id>?)');
    expect(nextTarget).toBe('SEARCH deliveries USING INDEX deliveries_pending (target>?)');
    expect(deliveries).toBe('SEARCH deliveries USING INDEX deliveries_pending (target=? AND id>? AND id<?)');
    const inOrder = '(channel=? AND status=? AND (next_at,resync,position)>(?,?,?))';
    expect(calls).toBe(`SEARCH resync_messages USING COVERING INDEX resync_messages_due ${inOrder}`);
    expect(call).toBe('SEARCH resync_messages USING PRIMARY KEY (resync=? AND position=?)');
  });
});

describe('the evidence for a verdict', () => {
  it('is looked up by the place of its item, its key, or a time', () => {
    expect(plansOf((db) => new EvidenceViews(db, { find: () => null }))).toEqual([
      'SEARCH evidence USING PRIMARY KEY (webhook_id=? AND position=?)',
      'SEARCH m USING INDEX resync_messages_by_key (key=?); SEARCH r USING INTEGER PRIMARY KEY (rowid=?)',
      'SEARCH s USING INDEX sightings_by_message (message_key=? AND webhook_id>? AND webhook_id<?)',
      'SEARCH webhooks USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)',
    ]);
  });
});

describe('a registered message under another id', () => {
  it('is found by the keys of its content, and forgotten by its own', () => {
    const plans = plansOf((db) => new ShownMessages(db, new LedgerMemory(openDb())));
    expect(plans.filter((plan) => plan.includes('SCAN'))).toEqual([]);
    expect(plans.join('; ')).toContain(
      'SEARCH f USING PRIMARY KEY (key=?); SEARCH m USING INDEX resync_messages_by_key',
    );
    expect(plans.join('; ')).toContain('USING COVERING INDEX content_fingerprints_by_time');
  });
});

describe('the deliveries of a webhook', () => {
  it.each([
    ['d.target', 'deliveries d'],
    [DELIVERY_COLUMNS, DELIVERY_TABLES],
  ])('are read in the order of ids, from those of the webhook on: %#', (columns, tables) => {
    const [recorded, released] = plansOf((db) => new WebhookDeliveries(db, columns, tables));
    expect(recorded).toMatch(/^SEARCH d USING INTEGER PRIMARY KEY \(rowid>\?\)/);
    expect(released).toMatch(/SEARCH d USING INDEX deliveries_released \(webhook_id=\? AND rowid>\?\)/);
    expect(`${recorded} ${released}`).not.toMatch(/SCAN (d|w|t|deliveries|webhooks)\b|TEMP B-TREE/);
  });
});

describe('a removal', () => {
  it('finds the next rows of its target or channel in an index', () => {
    const steps = plansOf((db) => {
      const registry = new RegistryTables(db);
      const deliveries = new DeliveryTables(db, new Ids(0), registry, new TargetCounts(db, registry));
      const ids = new RememberedIds(db, new LedgerMemory(openDb()));
      const shown = new ShownMessages(db, new LedgerMemory(openDb()));
      const [resyncWindows, audits] = [new ResyncWindows(db, ids, shown), new AuditTables(db, registry, ids)];
      const claims = new MessageClaimTables(db);
      const removals = new Removals(db, { deliveries, resyncWindows, audits, claims });
      removals.beginTarget(1, 0);
      removals.beginChannel('main', 0);
      removals.step(0);
    });
    expect(steps.filter((plan) => /\bSCAN (?!removals|CONSTANT)/.test(plan))).toEqual([]);
    for (const index of ['deliveries_pending (target=?)', 'resync_messages_in_progress (channel=?)'])
      expect(steps.join('; ')).toContain(index);
  });
});

describe('the history', () => {
  it('reads ranges of ids, whatever the size of the tables', () => {
    const plans = plansOf((db) => {
      const evidence = new EvidenceViews(openDb(), new RememberedIds(openDb(), new LedgerMemory(openDb())));
      return new SqliteHistory(db, new RegistryTables(openDb()), evidence);
    });
    expect(plans).toEqual([
      'SEARCH webhooks USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)',
      'SEARCH webhooks', // max(id): its last row
      'SEARCH webhooks USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)',
      'SEARCH webhooks USING INTEGER PRIMARY KEY (rowid=?)',
      'SEARCH sightings USING PRIMARY KEY (webhook_id=? AND position>?)',
      'SEARCH d USING INTEGER PRIMARY KEY (rowid>?)',
      'SEARCH d USING INDEX deliveries_released (webhook_id=? AND rowid>?)',
    ]);
  });
});

describe('a start', () => {
  it('reads no table that grows, however much was left in flight', async () => {
    const file = join(temporaryFolder(), 'gateway.db');
    const effects = { ...systemEffects, now: () => 0 };
    await openSqliteStore(file, effects).close();
    const { db, close } = openDatabase(join(temporaryFolder(), 'plans.db'));
    onTestFinished(close);
    const ran = await executedBy(db, async () => await openSqliteStore(file, effects).close());
    const plans = ran.flatMap((sql) =>
      planOf(
        db,
        sql,
        ...sql
          .split('?')
          .slice(1)
          .map(() => 0),
      ),
    );
    const small =
      /^SCAN (targets|breakers|channels|channel_webhooks|replays|ledger_runs|c|w|sqlite_master|pragma\w*|CONSTANT ROW|\(.*\))\b/;
    expect(plans.filter((plan) => plan.startsWith('SCAN') && !small.test(plan) && !BOUNDED.has(plan))).toEqual([]);
  });
});

/**
 * The newest 10,000 webhooks, which tell when each channel received its last one; some thousand of the recent ids; and indexes of
 * what is in flight.
 */
const BOUNDED = new Set([
  'SCAN webhooks',
  'SCAN slice',
  'SCAN resyncs USING COVERING INDEX resyncs_incomplete',
  'SCAN deliveries USING INDEX deliveries_in_flight',
]);

/** The texts of the statements with plain parameters that `work` executes. */
async function executedBy(db: Db, work: () => Promise<void>): Promise<string[]> {
  const prototype = Object.getPrototypeOf(db.prepare('SELECT 1')) as Record<'run' | 'get' | 'all', () => unknown>;
  const spies = (['run', 'get', 'all'] as const).map((method) => vi.spyOn(prototype, method));
  try {
    await work();
    const statements = spies.flatMap((spy) => spy.mock.contexts as unknown as { source: string }[]);
    return [...new Set(statements.map(({ source }) => source))].filter((sql) => /^\s*(SELECT|UPDATE|DELETE)/.test(sql));
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
