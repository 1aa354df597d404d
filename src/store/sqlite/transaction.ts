import type { Db } from './database.js';
import { TransactionMemory } from './transaction-memory.js';

/** Values that are cached from inside transactions. */
export interface TransactionCache {
  /** Grows with each change of what is cached. */
  readonly version: number;
  clearCache(): void;
}

/**
 * The write transaction of a connection, and a savepoint inside it. A rollback undoes what the work changed in memory, and
 * clears the cache if the undone work changed it.
 */
export class Transaction {
  readonly #db: Db;
  readonly #cache: TransactionCache;
  readonly #memory: TransactionMemory;
  readonly #begin;
  readonly #commit;
  readonly #rollback;
  readonly #savepoint;
  readonly #release;
  readonly #rollbackToSavepoint;
  #versionAtBegin = 0;
  #versionAtSavepoint = 0;
  #savepointInMemory = 0;

  constructor(db: Db, cache: TransactionCache, memory = new TransactionMemory()) {
    this.#db = db;
    this.#cache = cache;
    this.#memory = memory;
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
    this.#rollback = db.prepare('ROLLBACK');
    this.#savepoint = db.prepare('SAVEPOINT work');
    this.#release = db.prepare('RELEASE work');
    this.#rollbackToSavepoint = db.prepare('ROLLBACK TO work');
  }

  /** @throws SqliteError SQLITE_BUSY: another process holds the write lock */
  begin(): void {
    this.#versionAtBegin = this.#cache.version;
    this.#begin.run();
    this.#memory.begin();
  }

  commit(): void {
    this.#memory.write();
    this.#commit.run();
    this.#memory.committed();
  }

  /** Does nothing if no transaction is open: after some faults (a full disk) SQLite has already rolled back. */
  rollback(): void {
    if (this.#db.inTransaction) this.#rollback.run();
    this.#memory.rolledBack();
    this.#clearIfChangedSince(this.#versionAtBegin);
  }

  savepoint(): void {
    this.#savepoint.run();
    this.#versionAtSavepoint = this.#cache.version;
    this.#savepointInMemory = this.#memory.mark();
  }

  release(): void {
    this.#release.run();
  }

  /** Undoes the work since the savepoint. */
  rollbackToSavepoint(): void {
    this.#rollbackToSavepoint.run();
    this.#release.run();
    this.#memory.undoTo(this.#savepointInMemory);
    this.#clearIfChangedSince(this.#versionAtSavepoint);
  }

  #clearIfChangedSince(version: number): void {
    if (this.#cache.version !== version) this.#cache.clearCache();
  }
}
