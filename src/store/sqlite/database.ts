import { existsSync, realpathSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { DAMAGE_FIX, DamagedStoreError, errorText, GatewayError, GatewayRunsError, StartError } from '../../errors.js';
import { ensurePrivate } from '../../private-files.js';
import { migrationsOf, pendingMigrations } from '../migrate.js';
import type { Migration } from '../migrate.js';
import { makeFolderOf } from './folder.js';
import { defineMigrationFunctions } from './migration-functions.js';
import { checkSound, readNumber, unsoundDetail } from './soundness.js';

export type Db = Database.Database;

/** 'WRG1': marks a file as ours, so that no other program's database is ever written to. */
export const APPLICATION_ID = 0x57524731;
const CACHE_KIB = 32_768;
/** A long transaction writes its pages as it goes, so that its commit has few left to write. */
const BESIDE_CACHE_KIB = 2048;
/** Pages in the write-ahead log before a checkpoint: fewer, longer pauses than with the default of 1000. */
const CHECKPOINT_PAGES = 4000;
const WAL_SIZE_LIMIT_BYTES = 64 * 1024 * 1024;

/** How long the start waits for a write lock of another process. Later nothing waits in SQLite: see `GroupCommit`. */
const START_LOCK_WAIT_MS = 5000;

export interface OpenDatabase {
  readonly db: Db;
  /** Whether all of it was read to look for damage. */
  readonly isChecked: boolean;
  close(): void;
}

/**
 * Opens or creates the file, migrates its schema and locks out every other gateway process.
 * @throws StartError GW_STORE_LOCKED, GW_STORE_UNUSABLE; the file is unchanged
 */
export function openDatabase(file: string): OpenDatabase {
  makeFolderOf(file);
  refuseHardLinks(file);
  const lock = lockDatabase(realFile(file)); // one lock, also when opened through a symbolic link
  let db: Db | undefined;
  try {
    db = openPrivate(file, { timeout: START_LOCK_WAIT_MS });
    const isChecked = initialize(db);
    const opened = db;
    return {
      db: opened,
      isChecked,
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

/** Ends the start: from now on a lock of another process is an error at once, because a wait would block the event loop. */
export function stopWaitingForLocks(db: Db): void {
  db.exec('PRAGMA busy_timeout = 0');
}

/**
 * Another connection to the same file, for a transaction that stays open over many turns of the event loop: the first one
 * reads nothing of it before its commit. @throws SqliteError
 */
export function openBeside(db: Db): Db {
  const beside = retainForever(new Database(db.name, { timeout: 0, fileMustExist: true }));
  beside.exec(`
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -${BESIDE_CACHE_KIB};
    PRAGMA temp_store = MEMORY;
    PRAGMA wal_autocheckpoint = 0; -- the next commit on the first connection does it, in a turn of its own`);
  return beside;
}

/** An empty database of the current schema in memory. */
export function openInMemory(): Db {
  const db = retainForever(new Database(':memory:'));
  migrate(db, migrationsOf('sqlite'));
  return db;
}

/** The database, its write-ahead log with that log's index, and the lock of its gateway with its journal. */
export function databaseFiles(file: string): string[] {
  return ['', '-wal', '-shm', '-lock', '-lock-journal'].map((ending) => realFile(file) + ending);
}

/** The file that a path names, past symbolic links: SQLite keeps its other files beside that one. */
export function realFile(file: string): string {
  return existsSync(file) ? realpathSync(file) : file;
}

/** Opens a file that no other user can read if it is new. The write-ahead log and its index get the mode of their database. */
function openPrivate(file: string, options?: Database.Options): Db {
  ensurePrivate(file);
  return retainForever(new Database(file, options));
}

/** The error that ends the start when the file cannot be used. */
export function asStartError(file: string, error: unknown): StartError {
  if (error instanceof StartError) return error;
  if (isLocked(error)) {
    return new StartError(
      'GW_STORE_LOCKED',
      `Another process holds a write lock on ${file}, for example an open transaction in the sqlite3 shell. End it there ` +
        '(COMMIT or ROLLBACK), or stop that process, then start the gateway again.',
      { cause: error },
    );
  }
  return new StartError('GW_STORE_UNUSABLE', unusableDetail(file, error), { cause: error });
}

/** Each hard link to a database has its own write-ahead log and lock, so writing through two of them corrupts it. */
function refuseHardLinks(file: string): void {
  const names = statSync(file, { throwIfNoEntry: false });
  if (!names?.isFile() || names.nlink === 1) return;
  throw new StartError(
    'GW_STORE_UNUSABLE',
    `${file} has ${names.nlink} names (hard links), so several processes could write to it at once. Remove the other ` +
      `names, or copy the file, for example: cp ${file} copy.db`,
  );
}

/**
 * Locks a second file through SQLite, so that the lock ends with the process. Locking the database itself
 * (locking_mode=EXCLUSIVE) would also block backups and the sqlite3 shell.
 */
export function lockDatabase(file: string): Db {
  const lockFile = `${file}-lock`;
  let lock: Db | undefined;
  try {
    lock = openPrivate(lockFile, { timeout: 0 });
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock?.close();
    if (isLocked(error)) throw new GatewayRunsError(file, { cause: error });
    throw new StartError('GW_STORE_UNUSABLE', unusableDetail(lockFile, error), { cause: error });
  }
}

/** Returns whether all of the file was read to look for damage. */
function initialize(db: Db): boolean {
  const isEmpty = readNumber(db, 'SELECT count(*) FROM sqlite_master') === 0;
  if (!isEmpty && readNumber(db, 'SELECT application_id FROM pragma_application_id') !== APPLICATION_ID) {
    throw new StartError(
      'GW_STORE_UNUSABLE',
      `${db.name} is a database of another program. Give the gateway a file of its own with DATABASE_URL, for example ` +
        'DATABASE_URL=sqlite:./data/gateway.db.',
    );
  }
  const isChecked = isEmpty || checkSound(db);
  const pending = pendingMigrations(
    migrationsOf('sqlite'),
    readNumber(db, 'SELECT user_version FROM pragma_user_version'),
  );
  // Nothing was written up to here: a refused file stays unchanged.
  if (isEmpty) db.exec('PRAGMA auto_vacuum = INCREMENTAL'); // must precede the first table
  db.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL; -- I1: a commit is on disk
    PRAGMA cache_size = -${CACHE_KIB};
    PRAGMA temp_store = MEMORY;
    PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
    PRAGMA journal_size_limit = ${WAL_SIZE_LIMIT_BYTES};`);
  migrate(db, pending);
  return isChecked;
}

const RETAINED: Db[] = [];

/**
 * Keeps a connection and its prepared statements from being garbage-collected, with one statement for each text. Since Node
 * 24.19 a process that was built against its headers aborts when an object of this driver is collected
 * (`RemoveEnvironmentCleanupHook`, WiseLibs/better-sqlite3#1515). For the same reason pragmas, which prepare a statement of
 * their own, go through `exec`. The texts are few, and preparing one each time took longer than running it.
 */
export function retainForever(db: Db): Db {
  RETAINED.push(db);
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

function unusableDetail(file: string, error: unknown): string {
  const code = codeOf(error);
  if (isDamage(code)) {
    return unsoundDetail(file, errorText(error));
  }
  if (code.startsWith('SQLITE_READONLY') || code.startsWith('SQLITE_CANTOPEN')) {
    return `${file} is not writable (${errorText(error)}). Check the permissions of the file and its folder${existsSync(file) ? '' : ', and that the folder exists'}.`;
  }
  return `Cannot use ${file}: ${errorText(error)}`;
}

/** Whether the machine failed rather than one piece of work: the next piece would fail as well. */
export function isMachineFault(error: unknown): boolean {
  return error instanceof Database.SqliteError && !error.code.startsWith('SQLITE_CONSTRAINT');
}

/** The error that an operation of the store rejects with: a fault of the machine becomes GW_STORE_UNAVAILABLE. */
export function asGatewayError(error: unknown): unknown {
  if (!(error instanceof Database.SqliteError)) return error;
  if (isDamage(error.code)) {
    const detail = `The database file is damaged, and this operation met the damage. Nothing was changed. ${DAMAGE_FIX}`;
    return new DamagedStoreError(detail, { cause: error });
  }
  return new GatewayError('GW_STORE_UNAVAILABLE', `${faultOf(error.code)}. Nothing was changed; try again.`, [], {
    cause: error,
  });
}

function faultOf(code: string): string {
  if (code.startsWith('SQLITE_BUSY'))
    return 'Another process holds a write lock on the database, for example an open transaction in the sqlite3 shell: end it there (COMMIT or ROLLBACK), or stop that process';
  if (code === 'SQLITE_FULL') return 'The disk is full';
  return `The database does not take writes (${code})`;
}

/** Whether another process holds a lock that the statement needs. */
export function isLocked(error: unknown): boolean {
  return codeOf(error).startsWith('SQLITE_BUSY');
}

function isDamage(code: string): boolean {
  return code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT');
}

function codeOf(error: unknown): string {
  return error instanceof Database.SqliteError ? error.code : '';
}
