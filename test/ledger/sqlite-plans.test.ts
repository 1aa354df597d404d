import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/ledger/sqlite/database.js';
import { OLD_WEBHOOKS } from '../../src/ledger/sqlite/prune.js';
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
