import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, it, onTestFinished } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import { migrationsOf } from '../../src/store/migrate.js';
import { openStore } from '../../src/store/open.js';
import { retainForever } from '../../src/store/sqlite/database.js';
import { temporaryFolder } from '../support/files.js';

/** A database as version 9 of the schema left it, with one target. */
function databaseOfVersion9(): string {
  const file = join(temporaryFolder(), 'gateway.db');
  const db = retainForever(new Database(file));
  for (const { sql } of migrationsOf('sqlite').filter(({ version }) => version <= 9)) db.exec(sql);
  db.pragma('application_id = 0x57524731'); // The gateway's own.
  db.pragma('user_version = 9');
  db.exec(
    `INSERT INTO targets (id, name, url, channels, events, deliver, mode, headers, secret, timeout_ms, max_attempts,
       concurrency, enabled, created_at)
     VALUES ('tgt_1', 'bot', 'http://127.0.0.1/', '["*"]', '["message"]', '["new"]', 'path', '{}', 's', 15000, 10, 16, 1, 1)`,
  );
  db.close();
  return file;
}

it('a target of an earlier version keeps its settings and old event names, and is not split', async () => {
  const store = await openStore({ engine: 'sqlite', file: databaseOfVersion9() }, systemEffects);
  onTestFinished(async () => await store.close());
  const kept = { events: ['message'], mode: 'path', timeoutMs: 15_000, enabled: true };
  expect(await store.registry.targets()).toMatchObject([{ id: 'tgt_1', ...kept, split: 'none' }]);
});
