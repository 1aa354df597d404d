import { existsSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { GatewayError, StartError } from '../../errors.js';
import { migrationsOf, pendingMigrations } from '../migrate.js';
import type { Migration } from '../migrate.js';
import { defineMigrationFunctions } from './migration-functions.js';

export type Db = Database.Database;

/** 'WRG1': marks a file as ours, so that no other program's database is ever written to. */
const APPLICATION_ID = 0x57524731;
const CACHE_KIB = 32_768;
/** Pages in the write-ahead log before it is folded back: fewer, longer pauses than the default 1000 would make. */
const CHECKPOINT_PAGES = 4000;
const LOG_SIZE_LIMIT_BYTES = 64 * 1024 * 1024;
/**
 * The start reads a file up to this size whole, to find damage before anything is written; the check takes a second or two
 * for it. In a larger file damage is found when it is met.
 */
const MOST_CHECKED_BYTES = 512 * 1024 * 1024;

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
    throw new StartError('GW_STORE_UNUSABLE', `The folder of ${file} cannot be made: ${errorText(error)}`, {
      cause: error,
    });
  }
  mustHaveOneName(file);
  const lock = lockBeside(existsSync(file) ? realpathSync(file) : file); // one lock, whatever name it is opened by
  let db: Db | undefined;
  try {
    db = kept(new Database(file));
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
    throw asStartError(file, error);
  }
}

/** What the start ends with where the file cannot be used. */
export function asStartError(file: string, error: unknown): StartError {
  if (error instanceof StartError) return error;
  return new StartError('GW_STORE_UNUSABLE', unusable(file, error), { cause: error });
}

/** Two hard links to one database have two write-ahead logs and two locks: whoever writes by both ruins it. */
function mustHaveOneName(file: string): void {
  const names = statSync(file, { throwIfNoEntry: false });
  if (!names?.isFile() || names.nlink === 1) return;
  throw new StartError(
    'GW_STORE_UNUSABLE',
    `${file} has ${names.nlink} names (hard links), under which several processes could write to it at once. Remove the ` +
      'others, or copy the file.',
  );
}

/**
 * A second file whose only use is SQLite's own lock, which dies with the process. Locking the database itself
 * (locking_mode=EXCLUSIVE) would also keep backups and a look with the sqlite3 shell out.
 */
function lockBeside(file: string): Db {
  const lockFile = `${file}-lock`;
  let lock: Db | undefined;
  try {
    lock = kept(new Database(lockFile, { timeout: 0 }));
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
  const isEmpty = read(db, 'SELECT count(*) FROM sqlite_master') === 0;
  if (!isEmpty && read(db, 'SELECT application_id FROM pragma_application_id') !== APPLICATION_ID) {
    throw new StartError(
      'GW_STORE_UNUSABLE',
      `${db.name} is a database of another program. Give the gateway a file of its own with DATABASE_URL.`,
    );
  }
  if (!isEmpty) mustBeSound(db);
  const pending = pendingMigrations(migrationsOf('sqlite'), read(db, 'SELECT user_version FROM pragma_user_version'));
  // Up to here nothing was written: a file that is refused stays as it was.
  if (isEmpty) db.exec('PRAGMA auto_vacuum = INCREMENTAL'); // only possible before the first table
  db.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL; -- a commit is on the disk: I1
    PRAGMA cache_size = -${CACHE_KIB};
    PRAGMA temp_store = MEMORY;
    PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
    PRAGMA journal_size_limit = ${LOG_SIZE_LIMIT_BYTES};`);
  migrate(db, pending);
}

/** @throws SqliteError, StartError */
function mustBeSound(db: Db): void {
  const bytes = read(db, 'SELECT page_count * page_size FROM pragma_page_count, pragma_page_size');
  if (bytes > MOST_CHECKED_BYTES) return;
  const found = db.prepare<[], string>('PRAGMA quick_check(1)').pluck().get();
  if (found !== 'ok') throw new StartError('GW_STORE_UNUSABLE', unsound(db.name, found ?? 'no answer'));
}

function unsound(file: string, what: string): string {
  return `${file} is not a sound SQLite database (${what.replaceAll('\n', ' ')}). Nothing was written to it. Move it away, or restore a backup.`;
}

function read(db: Db, sql: string): number {
  return db.prepare<[], number>(sql).pluck().get() ?? 0;
}

const KEPT: Db[] = [];

/**
 * Keeps a connection and each statement prepared on it for good, one statement for one text. Since Node 24.19 a process
 * that was built against its headers aborts when an object of this driver is garbage-collected (`RemoveEnvironmentCleanupHook`,
 * WiseLibs/better-sqlite3#1515); so none may become garbage, and pragmas, which prepare a statement of their own, go
 * through `exec`. The texts are few, and preparing one each time took longer than running it.
 */
export function kept(db: Db): Db {
  KEPT.push(db);
  const prepare = db.prepare.bind(db);
  const statements = new Map<string, unknown>();
  db.prepare = ((sql: string) => {
    const statement = statements.get(sql) ?? prepare(sql);
    statements.set(sql, statement);
    return statement;
  }) as typeof db.prepare;
  return db;
}

function migrate(db: Db, pending: readonly Migration[]): void {
  defineMigrationFunctions(db);
  for (const { version, sql } of pending) {
    try {
      db.exec(
        `BEGIN IMMEDIATE; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${version}; ${sql}; COMMIT`,
      );
    } catch (error) {
      if (db.inTransaction) db.exec('ROLLBACK');
      throw error;
    }
  }
}

function unusable(file: string, error: unknown): string {
  const code = codeOf(error);
  if (code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT')) {
    return unsound(file, errorText(error));
  }
  if (code.startsWith('SQLITE_READONLY') || code.startsWith('SQLITE_CANTOPEN')) {
    return `${file} cannot be written (${errorText(error)}). Check the rights of the file and its folder${existsSync(file) ? '' : ', and that the folder exists'}.`;
  }
  return `${file} cannot be used: ${errorText(error)}`;
}

/** A fault of the machine and not of one piece of work: the next piece would meet it as well. */
export function isMachineFault(error: unknown): boolean {
  return error instanceof Database.SqliteError && !error.code.startsWith('SQLITE_CONSTRAINT');
}

/** What an operation of the store rejects with: our own errors as they are, faults of the machine as unavailable. */
export function asGatewayError(error: unknown): unknown {
  if (!(error instanceof Database.SqliteError)) return error;
  return new GatewayError('GW_STORE_UNAVAILABLE', `${faultOf(error.code)}. Nothing was changed; try again.`, [], {
    cause: error,
  });
}

function faultOf(code: string): string {
  if (code === 'SQLITE_FULL') return 'The disk is full';
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB')
    return 'The database file is damaged: stop the gateway and restore a backup, or what "sqlite3 <file> .recover" rescues';
  return `The database does not take writes (${code})`;
}

function codeOf(error: unknown): string {
  return error instanceof Database.SqliteError ? error.code : '';
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
