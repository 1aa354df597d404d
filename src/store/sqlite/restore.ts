import {
  closeSync,
  existsSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { errorText, StartError } from '../../errors.js';
import { createPrivate, flush, keepAs, tighten, unfinishedName } from '../../private-files.js';
import type { CopyOptions, DatabaseSummary, Restored } from '../copies.js';
import { migrationsOf, pendingMigrations } from '../migrate.js';
import { BadDatabase, finishedCopy, hasSideFile, removeDatabase } from './database-copy.js';
import { isLocked, lockDatabase, realFile, retainForever } from './database.js';
import { makeFolderOf } from './folder.js';

const CHUNK_BYTES = 1024 * 1024;

/**
 * Puts a backup in the place of the database, once it is copied and checked. `ending`: what the name of the old database
 * gets. The old one stays complete, and the place is never empty: a crash leaves either the old database or the new one.
 * @throws GatewayRunsError; StartError GW_STORE_LOCKED (another program), GW_BAD_BACKUP, GW_STORE_UNUSABLE; the database is unchanged
 */
export function restoreDatabase(
  file: string,
  backup: string,
  ending: string,
  { effects }: Pick<CopyOptions, 'effects'>,
): Restored {
  const real = realFile(file);
  mustBeABackup(backup, real);
  makeFolderOf(real);
  const lock = lockDatabase(real); // no gateway starts meanwhile
  const unfinished = unfinishedName(real, effects);
  try {
    copyFile(backup, unfinished);
    const summary = checked(backup, unfinished);
    const keptAs = setAside(real, real + ending);
    renameSync(unfinished, real);
    flush(dirname(real));
    return { ...summary, keptAs };
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError('GW_STORE_UNUSABLE', `Cannot restore ${file}: ${errorText(error)}. It is unchanged.`, {
      cause: error,
    });
  } finally {
    lock.close();
    removeDatabase(unfinished);
  }
}

function mustBeABackup(backup: string, real: string): void {
  const found = statSync(backup, { throwIfNoEntry: false });
  if (!found) throw bad(backup, 'does not exist');
  if (!found.isFile()) throw bad(backup, 'is not a file');
  if (realpathSync(backup) === real) throw bad(backup, 'is the database itself');
  if (hasSideFile(backup)) {
    throw bad(
      backup,
      'has a write-ahead log or a journal beside it: it is a database in use, or an incomplete copy of one',
    );
  }
}

function bad(backup: string, problem: string): StartError {
  return new StartError(
    'GW_BAD_BACKUP',
    `${backup} ${problem}. Name a file that "backup" has written. Nothing was changed.`,
  );
}

function copyFile(from: string, to: string): void {
  const source = openSync(from, 'r');
  const target = createPrivate(to);
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let read = readSync(source, chunk); read > 0; read = readSync(source, chunk)) {
      for (let written = 0; written < read;) written += writeSync(target, chunk, written, read - written);
    }
  } finally {
    closeSync(source);
    closeSync(target);
  }
}

/** @throws StartError GW_BAD_BACKUP (damaged, of another program, or of a newer version) */
function checked(backup: string, copy: string): DatabaseSummary {
  try {
    const summary = finishedCopy(copy);
    pendingMigrations(migrationsOf('sqlite'), summary.schemaVersion);
    return summary;
  } catch (error) {
    if (error instanceof BadDatabase) throw bad(backup, error.message);
    if (error instanceof StartError) {
      throw bad(backup, `was made by a newer version of the gateway, whose schema this version does not support`);
    }
    if (error instanceof Database.SqliteError && error.code !== 'SQLITE_FULL') {
      throw bad(backup, `is damaged (${error.message})`);
    }
    throw error;
  }
}

/** Keeps the present database under another name, with everything that was committed. Returns null if there is none. */
function setAside(real: string, keptAs: string): string | null {
  if (!existsSync(real)) {
    removeDatabase(real); // a log without its database: SQLite would read it into the new one
    return null;
  }
  if (!isOneFile(real)) renameIfThere(`${real}-wal`, `${keptAs}-wal`); // damaged; the log goes with it
  rmSync(`${real}-shm`, { force: true });
  keepAs(real, keptAs);
  tighten([keptAs]);
  return keptAs;
}

/**
 * Writes the write-ahead log into the database, so that no log is left that SQLite would read into the restored one.
 * Returns false if the database is damaged. @throws StartError GW_STORE_LOCKED (another program has it open)
 */
function isOneFile(real: string): boolean {
  const db = retainForever(new Database(real, { timeout: 0 }));
  try {
    db.exec('PRAGMA journal_mode = DELETE');
    return true;
  } catch (error) {
    if (!isLocked(error)) return false;
    throw new StartError('GW_STORE_LOCKED', `Another program has ${real} open. Close it, then run the command again.`);
  } finally {
    db.close();
  }
}

function renameIfThere(from: string, to: string): void {
  if (existsSync(from)) renameSync(from, to);
}
