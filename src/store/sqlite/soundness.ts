import { statSync } from 'node:fs';
import type { Database } from 'better-sqlite3';
import { StartError } from '../../errors.js';

/**
 * A file up to this size is read whole before anything is written to it: half a second from a disk that reads 30 MB/s.
 * Reading 318 MB so, with nothing in memory, took 10 s; so of a larger file only a sample is read, and `findDamage` reads
 * the rest beside the work.
 */
const MOST_READ_AT_START_BYTES = 16 * 1024 * 1024;

/**
 * Checks a file that has tables, before anything is written to it. SQLite itself has checked the header and the schema by
 * then, and that the file is not shorter than its header says. Returns whether everything was read.
 * @throws SqliteError, StartError
 */
export function checkSound(db: Database): boolean {
  const bytes = sizeOf(db);
  checkSize(db.name, readNumber(db, 'SELECT page_size FROM pragma_page_size'), bytes);
  if (bytes > MOST_READ_AT_START_BYTES) {
    readEndsOfTables(db);
    return false;
  }
  const found = db.prepare<[], string>('PRAGMA quick_check(1)').pluck().get();
  if (found !== 'ok') throw unsound(db.name, found ?? 'no answer');
  return true;
}

/** The bytes of all pages. The newest of them may be in the write-ahead log only. */
export function sizeOf(db: Database): number {
  return readNumber(db, 'SELECT page_count * page_size FROM pragma_page_count, pragma_page_size');
}

/** A file that is not a sound database. */
function unsound(file: string, reason: string): StartError {
  return new StartError('GW_STORE_UNUSABLE', unsoundDetail(file, reason));
}

export function unsoundDetail(file: string, reason: string): string {
  return `${file} is not a sound SQLite database (${oneLine(reason)}). Nothing was written to it. Move it away, or restore a backup.`;
}

/** What SQLite says of damage, which takes several lines. */
export function oneLine(reason: string): string {
  return reason.trim().replace(/\s*\n\s*/g, ', ');
}

/** @param bytes as `sizeOf` gives them */
function checkSize(file: string, pageSize: number, bytes: number): void {
  const size = statSync(file).size;
  const logSize = statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  if (size + logSize < bytes) throw unsound(file, `it has ${size} bytes of ${bytes}`);
  if (logSize === 0 && size % pageSize !== 0) {
    throw unsound(file, `its ${size} bytes are not a multiple of its page size of ${pageSize}`);
  }
}

/** Reads the way from the root to the first and to the last row of each table: a few dozen pages. @throws SqliteError */
function readEndsOfTables(db: Database): void {
  const tables = db
    .prepare<[], { name: string; wr: 0 | 1 }>(
      "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table'",
    )
    .all();
  const keyOf = db.prepare<[string], string>('SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk').pluck();
  for (const { name, wr } of tables) {
    const key = wr === 1 ? keyOf.all(name).map(quotedName) : ['rowid'];
    for (const direction of ['ASC', 'DESC']) {
      const order = key.map((column) => `${column} ${direction}`).join();
      db.prepare(`SELECT ${key.join()} FROM ${quotedName(name)} ORDER BY ${order} LIMIT 1`).get();
    }
  }
}

export function quotedName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The number that a query gives; 0: none. */
export function readNumber(db: Database, sql: string): number {
  return db.prepare<[], number>(sql).pluck().get() ?? 0;
}
