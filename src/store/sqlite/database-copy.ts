import { existsSync, rmSync } from 'node:fs';
import Database from 'better-sqlite3';
import { flush } from '../../private-files.js';
import { APPLICATION_ID, retainForever } from './database.js';
import type { Db } from './database.js';
import { oneLine, readNumber, sizeOf } from './soundness.js';
import type { DatabaseSummary } from '../copies.js';

/** The side files that SQLite may keep beside a database. */
const SIDE_FILES = ['-wal', '-shm', '-journal'];

/** A database that is no gateway's, or is damaged. The message completes "The file … ". */
export class BadDatabase extends Error {
  constructor(problem: string) {
    super(problem);
    this.name = 'BadDatabase';
  }
}

/** Opens a database that nothing may change. */
export function openReadOnly(file: string): Db {
  return retainForever(new Database(file, { readonly: true, fileMustExist: true }));
}

/** What is in the database of a gateway. @throws BadDatabase (of another program), SqliteError */
export function summaryOf(db: Db): DatabaseSummary {
  if (readNumber(db, 'SELECT application_id FROM pragma_application_id') !== APPLICATION_ID) {
    throw new BadDatabase('is not the database of a gateway');
  }
  const meta = db.prepare<[], { key: string; value: string }>('SELECT key, value FROM meta').all();
  return {
    schemaVersion: readNumber(db, 'SELECT user_version FROM pragma_user_version'),
    channels: readNumber(db, 'SELECT count(*) FROM channels'),
    targets: readNumber(db, 'SELECT count(*) FROM targets WHERE removed_at IS NULL'),
    bytes: sizeOf(db),
    values: new Map(meta.map(({ key, value }) => [key, value])),
  };
}

/**
 * Makes a fresh copy one complete file, without a write-ahead log beside it, reads it whole to check it, and flushes it to
 * the disk. @throws BadDatabase, SqliteError
 */
export function finishedCopy(file: string): DatabaseSummary {
  const db = retainForever(new Database(file, { fileMustExist: true }));
  try {
    const summary = summaryOf(db);
    db.exec('PRAGMA journal_mode = DELETE');
    const found = db.prepare<[], string>('PRAGMA integrity_check(1)').pluck().get();
    if (found !== 'ok') throw new BadDatabase(`is damaged (${oneLine(found ?? 'no answer')})`);
    return summary;
  } finally {
    db.close();
    flush(file);
  }
}

/** Removes a database with its side files. */
export function removeDatabase(file: string): void {
  for (const ending of ['', ...SIDE_FILES]) rmSync(file + ending, { force: true });
}

/** Whether commits may lie in a file beside the database, so that the database alone is not complete. */
export function hasSideFile(file: string): boolean {
  return existsSync(`${file}-wal`) || existsSync(`${file}-journal`);
}
