import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/ledger/sqlite/database.js';
import { OLD_WEBHOOKS, oldKeysOf } from '../../src/ledger/sqlite/prune.js';
import { temporaryFolder } from '../support/files.js';

/** The steps of SQLite's plan for a query, each in its own words. */
function planOf(sql: string, parameters: Record<string, unknown>): string[] {
  const { db, close } = openDatabase(join(temporaryFolder(), 'gateway.db'));
  onTestFinished(close);
  return db
    .prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`)
    .all(parameters)
    .map(({ detail }) => detail);
}

it('a step of pruning reads old payloads alone, however many young ones there are', () => {
  const [outer] = planOf(OLD_WEBHOOKS, { before: 0, belowId: 0, cursor: 0 });
  expect(outer).toBe('SEARCH w USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)');
});

it.each(['traces', 'ledger', 'chats'] as const)('a step of pruning %s stays within its range of keys', (table) => {
  const sql = oldKeysOf(table, 'TRUE');
  const plan = planOf(sql, { from: Buffer.alloc(0), to: Buffer.alloc(0) });
  expect(plan).toEqual([`SEARCH ${table} USING PRIMARY KEY (key>? AND key<?)`]);
});
