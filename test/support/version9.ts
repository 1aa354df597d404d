import Database from 'better-sqlite3';
import { migrationsOf } from '../../src/store/migrate.js';
import { retainForever } from '../../src/store/sqlite/database.js';
import type { Db } from '../../src/store/sqlite/database.js';

/** A database as version 9 left it: a channel `main` and a target `bot`. */
export function databaseOfVersion9(file: string): Db {
  const db = retainForever(new Database(file));
  for (const { version, sql } of migrationsOf('sqlite')) if (version <= 9) db.exec(sql);
  db.exec(`PRAGMA application_id = 0x57524731; PRAGMA user_version = 9;
    INSERT INTO channels (name, whapi_token, webhook_secret, whapi_base_url, late_after_seconds, created_at)
      VALUES ('main', '', '', 'https://whapi.example', 900, 0);
    INSERT INTO targets (id, name, url, channels, events, deliver, mode, headers, secret, timeout_ms, max_attempts,
        concurrency, enabled, created_at)
      VALUES ('bot', 'bot', 'http://bot', '["*"]', '["*"]', '["new","event"]', 'body', '{}', '', 1, 9, 9, 1, 0);`);
  return db;
}
