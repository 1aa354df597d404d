import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, onTestFinished, vi } from 'vitest';
import { openDatabase, retainForever } from '../../src/store/sqlite/database.js';
import type { Db } from '../../src/store/sqlite/database.js';
import { temporaryFolder } from './files.js';

/** Tables whose rows grow with traffic: a query that scans one gets slower every day. */
const GROWING = [
  ...['webhooks', 'sightings', 'deliveries', 'lanes', 'chats', 'fingerprints', 'objects'],
  ...['ledger_recent', 'ledger_ids', 'ledger_filters', 'ledger_before_runs', 'claims'],
];
const SCAN = new RegExp(`^SCAN (${GROWING.join('|')}|[wsdl])\\b(?! USING (COVERING )?INDEX)`);

const checked = new Set<string>();
let example: Db | undefined;

/** Checks after the test that no statement it prepared scans a growing table. */
export function watchPlans(): void {
  const prepare = vi.spyOn(Database.prototype, 'prepare');
  onTestFinished(() => {
    const texts = prepare.mock.calls.map(([sql]) => sql);
    prepare.mockRestore();
    expect(texts.filter(isScan)).toEqual([]);
  });
}

function isScan(sql: string): boolean {
  if (checked.has(sql) || !/^\s*(SELECT|UPDATE|DELETE|INSERT|WITH)\b/i.test(sql)) return false;
  checked.add(sql);
  return planOf(sql).some((step) => SCAN.test(step) && !ENDS_EARLY.test(sql));
}

/** A walk along a primary key that stops after a limited number of rows. */
const ENDS_EARLY = /ORDER BY \w*\.?(id|key|webhook_id)\b[^()]*LIMIT/;

function planOf(sql: string): string[] {
  example ??= retainForever(openDatabase(join(temporaryFolder(), 'plans.db')).db);
  const names = [...sql.matchAll(/[@:$]([a-z]\w*)/gi)].map(([, name]) => [name, null] as const);
  const marks = [...sql.matchAll(/\?/g)].map(() => null);
  const statement = example.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`);
  const rows = names.length > 0 ? statement.all(...marks, Object.fromEntries(names)) : statement.all(...marks);
  return rows.map(({ detail }) => detail);
}
