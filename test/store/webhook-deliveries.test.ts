import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/store/sqlite/database.js';
import type { Db } from '../../src/store/sqlite/database.js';
import { WebhookDeliveries } from '../../src/store/sqlite/webhook-deliveries.js';
import { temporaryFolder } from '../support/files.js';
import { counted } from '../support/rows.js';

function openDb(): Db {
  const { db, close } = openDatabase(join(temporaryFolder(), 'gateway.db'));
  onTestFinished(close);
  return db;
}

function insert(db: Db, webhook: number, released: number, ...ids: number[]): void {
  const statement = db.prepare(
    `INSERT INTO deliveries (id, webhook_id, target, channel, status, seq, chats, blocked, due_at, attempts, tries, verdicts,
       created_at, log, released)
     VALUES (?, ?, 1, 'main', 'delivered', 1, x'', 0, 0, 0, 0, 'new', 0, '[]', ?)`,
  );
  for (const id of ids) statement.run(id, webhook, released);
}

it('a webhook has the deliveries that were recorded with it and those of its releases, page by page', () => {
  const db = openDb();
  insert(db, 10, 0, 11, 12, 13);
  insert(db, 20, 0, 21);
  insert(db, 10, 1, 22);
  insert(db, 30, 0, 31);
  insert(db, 10, 1, 32, 33);
  insert(db, 20, 1, 34);
  const deliveries = new WebhookDeliveries<object>(db, 'd.target');
  const idsAfter = (webhook: number, after: number, limit: number): number[] =>
    deliveries.after(webhook, after, limit).map(({ id }) => id);
  expect(idsAfter(10, 0, 9)).toEqual([11, 12, 13, 22, 32, 33]);
  expect([idsAfter(10, 0, 2), idsAfter(10, 12, 2), idsAfter(10, 22, 9)]).toEqual([
    [11, 12],
    [13, 22],
    [32, 33],
  ]);
  expect([idsAfter(20, 0, 9), idsAfter(30, 0, 9), idsAfter(25, 0, 9)]).toEqual([[21, 34], [31], []]);
});

it('a webhook that was recorded before thousands of releases is looked up without reading them', () => {
  const db = openDb();
  insert(db, 10, 0, 11);
  insert(db, 5, 1, ...Array.from({ length: 2000 }, (_, at) => 12 + at));
  const { db: watched, rows } = counted(db);
  expect(new WebhookDeliveries(watched, 'd.target').after(10, 0, 500)).toHaveLength(1);
  expect(rows()).toBe(2);
});
