import type { Db } from './database.js';
import { asGatewayError, isMachineFault } from './database.js';

interface PendingWork {
  readonly work: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** More work waits for the next commit, so that no single commit blocks the process for long. */
const MAX_PER_COMMIT = 1000;
/** Turns of the event loop that a commit waits for more work. */
const MAX_TURNS = 8;

/**
 * Group commit: all pending writes share one transaction and one fsync. Work that arrives while a transaction runs waits
 * for the next one. A caller's promise settles after the commit that holds its work. (One transaction for each webhook was
 * measured at a twelfth of the rate.)
 */
export class GroupCommit {
  readonly #begin;
  readonly #commit;
  readonly #rollback;
  readonly #savepoint;
  readonly #releaseSavepoint;
  readonly #rollbackToSavepoint;
  readonly #onRollback: () => void;
  #pending: PendingWork[] = [];
  #scheduled = false;

  /** @param onRollback called after each rollback: values cached inside the transaction are void */
  constructor(db: Db, onRollback: () => void) {
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
    this.#rollback = db.prepare('ROLLBACK');
    this.#savepoint = db.prepare('SAVEPOINT work');
    this.#releaseSavepoint = db.prepare('RELEASE work');
    this.#rollbackToSavepoint = db.prepare('ROLLBACK TO work');
    this.#onRollback = onRollback;
  }

  /**
   * Runs `work` in the next transaction and resolves with its result after the commit. `work` must be synchronous and
   * may run twice: when other work in the same transaction fails, each piece runs again in a savepoint of its own.
   * @throws GatewayError GW_STORE_UNAVAILABLE when the machine fails; nothing was changed
   */
  async run<T>(work: () => T): Promise<T> {
    return await new Promise<T>((resolve, reject) => {
      this.#pending.push({ work, resolve: resolve as (value: unknown) => void, reject });
      this.#schedule();
    });
  }

  /** Resolves when no work is pending. */
  async idle(): Promise<void> {
    while (this.#pending.length > 0) await this.run(() => undefined);
  }

  /**
   * Commits as soon as a turn of the event loop brings no more work, or after `MAX_TURNS`: requests that have already
   * arrived share the fsync. A single piece of work waits for one idle turn, a few microseconds.
   */
  #schedule(turns = 0, before = 0): void {
    if (turns === 0 && this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      const count = this.#pending.length;
      if (count > before && count < MAX_PER_COMMIT && turns < MAX_TURNS) {
        this.#schedule(turns + 1, count);
        return;
      }
      this.#scheduled = false;
      const batch = this.#pending.splice(0, MAX_PER_COMMIT);
      if (this.#pending.length > 0) this.#schedule();
      this.#flush(batch);
    });
  }

  #flush(batch: readonly PendingWork[]): void {
    try {
      const results = this.#transaction(() => batch.map(({ work }) => work()));
      batch.forEach(({ resolve }, index) => {
        resolve(results[index]);
      });
    } catch (error) {
      // On a full disk SQLite has rolled back the whole transaction; more work would run outside of any transaction.
      if (batch.length === 1 || isMachineFault(error)) rejectAll(batch, error);
      else this.#flushOneByOne(batch);
    }
  }

  /** Still one commit, but work that fails is rolled back alone. */
  #flushOneByOne(batch: readonly PendingWork[]): void {
    try {
      const settlements = this.#transaction(() => batch.map((pending) => this.#runInSavepoint(pending)));
      settlements.forEach((settle) => {
        settle();
      });
    } catch (error) {
      rejectAll(batch, error);
    }
  }

  /** Returns how to settle the caller's promise once the transaction is committed. */
  #runInSavepoint({ work, resolve, reject }: PendingWork): () => void {
    this.#savepoint.run();
    try {
      const result = work();
      this.#releaseSavepoint.run();
      return () => {
        resolve(result);
      };
    } catch (error) {
      if (isMachineFault(error)) throw error;
      this.#rollbackToSavepoint.run();
      this.#releaseSavepoint.run();
      this.#onRollback();
      return () => {
        reject(asGatewayError(error));
      };
    }
  }

  #transaction<T>(work: () => T): T {
    this.#begin.run();
    try {
      const result = work();
      this.#commit.run();
      return result;
    } catch (error) {
      this.#onRollback();
      // After some faults (a full disk) SQLite has already rolled back, and a second rollback is an error.
      if (this.#isOpen()) this.#rollback.run();
      throw error;
    }
  }

  #isOpen(): boolean {
    return this.#begin.database.inTransaction;
  }
}

function rejectAll(batch: readonly PendingWork[], error: unknown): void {
  for (const { reject } of batch) reject(asGatewayError(error));
}
