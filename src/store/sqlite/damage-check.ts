/**
 * A process of its own: `node damage-check.js <file>` reads every page of every table and index, at the lowest priority,
 * and prints `{"damage": …}`. A table is one read transaction, and while it lasts the write-ahead log grows by what is
 * written: so it is one table at a time.
 */
import { constants, setPriority } from 'node:os';
import Database from 'better-sqlite3';
import { openReadOnly } from './database-copy.js';
import type { Db } from './database.js';
import { oneLine, quotedName } from './soundness.js';

function damageIn(db: Db): string | null {
  const tables = db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all();
  for (const name of tables) {
    const found = db
      .prepare<[], string>(`PRAGMA quick_check(${quotedName(name)})`)
      .pluck()
      .get();
    if (found !== 'ok') return `${name}: ${oneLine(found ?? 'no answer')}`;
  }
  return null;
}

function check(file: string): string | null {
  const db = openReadOnly(file);
  try {
    return damageIn(db);
  } catch (error) {
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_CORRUPT')) return error.message;
    throw error;
  } finally {
    db.close();
  }
}

setPriority(constants.priority.PRIORITY_LOW);
process.stdout.write(JSON.stringify({ damage: check(process.argv[2] ?? '') }));
