import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/ledger/sqlite/database.js';
import type { Db } from '../../src/ledger/sqlite/database.js';
import { Due } from '../../src/ledger/sqlite/due.js';
import { temporaryFolder } from '../support/files.js';

/** How SQLite goes about the queries of a claim, in its own words: one plan for each. */
function plansOfAClaim(): string[] {
  const { db, close } = openDatabase(join(temporaryFolder(), 'gateway.db'));
  onTestFinished(close);
  const texts: string[] = [];
  const listening = {
    prepare: (sql: string) => {
      texts.push(sql);
      return db.prepare(sql);
    },
  };
  new Due(listening as unknown as Db);
  return texts.map((sql) => {
    const parameters = sql
      .split('?')
      .slice(1)
      .map(() => 0);
    const steps = db.prepare<number[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).all(...parameters);
    return steps.map(({ detail }) => detail).join('; ');
  });
}

describe('a claim from a backlog of any length', () => {
  it('is one look into the index of its kind: nothing is scanned, nothing is sorted', () => {
    const [dueFirst, nextFirst, dueAgain, nextAgain, ...more] = plansOfAClaim();
    const webhook = 'SEARCH w USING INTEGER PRIMARY KEY (rowid=?)';
    expect(dueFirst).toBe(`SEARCH d USING INDEX deliveries_due_first (target=? AND due_at<?); ${webhook}`);
    expect(dueAgain).toBe(`SEARCH d USING INDEX deliveries_due_again (target=? AND due_at<?); ${webhook}`);
    expect(nextFirst).toBe('SEARCH deliveries USING INDEX deliveries_due_first (target=?)');
    expect(nextAgain).toBe('SEARCH deliveries USING INDEX deliveries_due_again (target=?)');
    expect(more).toEqual([]);
  });
});
