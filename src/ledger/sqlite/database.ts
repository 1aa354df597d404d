import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { GatewayError, StartError } from '../../errors.js';
import { migrationsOf, pendingMigrations } from '../migrate.js';
import type { Migration } from '../migrate.js';

export type Db = Database.Database;

/** 'WRG1': marks a file as ours, so that no other program's database is ever written to. */
const APPLICATION_ID = 0x57524731;
const CACHE_KIB = 65_536;
/** Pages in the write-ahead log before it is folded back: fewer, longer pauses than the default 1000 would make. */
const CHECKPOINT_PAGES = 4000;
const LOG_SIZE_LIMIT_BYTES = 64 * 1024 * 1024;

export interface OpenDatabase {
  readonly db: Db;
  close(): void;
}

/**
 * Opens the file, makes it if there is none, brings its schema up to date and keeps every other gateway process out.
 * @throws StartError GW_STORE_LOCKED, GW_STORE_UNUSABLE; the file is then as it was
 */
export function openDatabase(file: string): OpenDatabase {
  try {
    mkdirSync(dirname(file), { recursive: true });
  } catch (error) {
    throw new StartError('GW_STORE_UNUSABLE', `The folder of ${file} cannot be made: ${words(error)}`, {
      cause: error,
    });
  }
  const lock = lockBeside(existsSync(file) ? realpathSync(file) : file); // one lock, whatever name it is opened by
  let db: Db | undefined;
  try {
    db = new Database(file);
    prepare(db);
    const opened = db;
    return {
      db: opened,
      close: () => {
        opened.close();
        lock.close();
      },
    };
  } catch (error) {
    db?.close();
    lock.close();
    if (error instanceof StartError) throw error;
    throw new StartError('GW_STORE_UNUSABLE', unusable(file, error), { cause: error });
  }
}

/**
 * A second file whose only use is SQLite's own lock, which dies with the process. Locking the database itself
 * (locking_mode=EXCLUSIVE) would also keep backups and a look with the sqlite3 shell out.
 */
function lockBeside(file: string): Db {
  const lockFile = `${file}-lock`;
  let lock: Db | undefined;
  try {
    lock = new Database(lockFile, { timeout: 0 });
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock?.close();
    if (codeOf(error).startsWith('SQLITE_BUSY')) {
      throw new StartError(
        'GW_STORE_LOCKED',
        `Another gateway process has ${file} open. Stop it first, or give this one its own DATABASE_URL.`,
      );
    }
    throw new StartError('GW_STORE_UNUSABLE', unusable(lockFile, error), { cause: error });
  }
}

function prepare(db: Db): void {
  const isEmpty = db.prepare('SELECT count(*) FROM sqlite_master').pluck().get() === 0;
  if (!isEmpty && db.pragma('application_id', { simple: true }) !== APPLICATION_ID) {
    throw new StartError(
      'GW_STORE_UNUSABLE',
      `${db.name} is a database of another program. Give the gateway a file of its own with DATABASE_URL.`,
    );
  }
  const pending = pendingMigrations(migrationsOf('sqlite'), db.pragma('user_version', { simple: true }) as number);
  // Up to here nothing was written: a file that is refused stays as it was.
  if (isEmpty) db.pragma('auto_vacuum = INCREMENTAL'); // only possible before the first table
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL'); // a commit is on the disk: I1
  db.pragma(`cache_size = -${CACHE_KIB}`);
  db.pragma('temp_store = MEMORY');
  db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  db.pragma(`journal_size_limit = ${LOG_SIZE_LIMIT_BYTES}`);
  migrate(db, pending);
}

function migrate(db: Db, pending: readonly Migration[]): void {
  for (const migration of pending) {
    db.transaction(() => {
      db.pragma(`application_id = ${APPLICATION_ID}`);
      db.pragma(`user_version = ${migration.version}`);
      db.exec(migration.sql);
    }).immediate();
  }
}

function unusable(file: string, error: unknown): string {
  const code = codeOf(error);
  if (code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT')) {
    return `${file} is not a sound SQLite database (${words(error)}). Nothing was written to it. Move it away, or restore a backup.`;
  }
  if (code.startsWith('SQLITE_READONLY') || code.startsWith('SQLITE_CANTOPEN')) {
    return `${file} cannot be written (${words(error)}). Check the rights of the file and its folder${existsSync(file) ? '' : ', and that the folder exists'}.`;
  }
  return `${file} cannot be used: ${words(error)}`;
}

/** A fault of the machine and not of one piece of work: the next piece would meet it as well. */
export function isMachineFault(error: unknown): boolean {
  return error instanceof Database.SqliteError && !error.code.startsWith('SQLITE_CONSTRAINT');
}

/** What an operation of the store rejects with: our own errors as they are, faults of the machine as unavailable. */
export function asGatewayError(error: unknown): unknown {
  if (!(error instanceof Database.SqliteError)) return error;
  const isFull = error.code === 'SQLITE_FULL';
  const what = isFull ? 'The disk is full' : `The database does not take writes (${error.code})`;
  return new GatewayError('GW_STORE_UNAVAILABLE', `${what}. Nothing was changed; try again.`, [], { cause: error });
}

function codeOf(error: unknown): string {
  return error instanceof Database.SqliteError ? error.code : '';
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
