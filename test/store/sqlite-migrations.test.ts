import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, it, onTestFinished } from 'vitest';
import { migrationsOf } from '../../src/store/migrate.js';
import { openDatabase, retainForever } from '../../src/store/sqlite/database.js';
import type { Db } from '../../src/store/sqlite/database.js';
import { temporaryFolder } from '../support/files.js';

/** A database as a gateway of the given schema version left it, filled by `fill`, then opened by this version. */
function upgraded(version: number, fill: string): Db {
  const folder = temporaryFolder();
  const fresh = openDatabase(join(folder, 'fresh.db'));
  const applicationId = fresh.db.prepare<[], number>('SELECT * FROM pragma_application_id').pluck().get();
  fresh.close();
  const file = join(folder, 'gateway.db');
  const old = retainForever(new Database(file));
  for (const migration of migrationsOf('sqlite').filter((each) => each.version <= version)) old.exec(migration.sql);
  old.exec(`PRAGMA application_id = ${applicationId ?? 0}; PRAGMA user_version = ${version}; ${fill}`);
  old.close();
  const { db, close } = openDatabase(file);
  onTestFinished(close);
  return db;
}

it('a bulk release that an upgrade interrupts still releases only messages', () => {
  const db = upgraded(
    9,
    `INSERT INTO jobs (number, kind, filter, status, total, done, skipped, cursor, created_at) VALUES
       (1, 'release', '{"verdict":"restored"}', 'running', 1, 0, 0, '[0,0]', 1),
       (2, 'retry', '{"status":"dead"}', 'running', 1, 0, 0, '[0]', 1);`,
  );
  const filters = db.prepare<[], string>('SELECT filter FROM jobs ORDER BY number').pluck().all();
  expect(filters.map((filter) => JSON.parse(filter) as unknown)).toEqual([
    { verdict: 'restored', messagesOnly: true },
    { status: 'dead' },
  ]);
});

it('deliveries from before an upgrade are kept and do not count as released', () => {
  const db = upgraded(
    9,
    `INSERT INTO deliveries (id, webhook_id, target, channel, status, seq, chats, blocked, due_at, attempts, tries, verdicts,
       created_at, log) VALUES (7, 1, 1, 'main', 'pending', 7, x'', 0, 1, 0, 0, 'new', 1, '[]');`,
  );
  expect(db.prepare('SELECT id, status, released FROM deliveries').all()).toEqual([
    { id: 7, status: 'pending', released: 0 },
  ]);
});
