import type { Db } from './database.js';
import { asGatewayError, isMachineFault } from './database.js';

interface Waiting {
  readonly work: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Work that is put off to the next commit, so that no single one holds up the process for long. */
const MOST_PER_COMMIT = 1000;
/** Turns of the event loop that work may wait for more to come. */
const MOST_TURNS = 8;

/**
 * Group commit: all writes that are waiting share one transaction and one fsync. What comes while a transaction runs
 * waits for the next; each caller's promise settles after the commit that holds its work. (One transaction for each
 * webhook was measured at a twelfth of the rate.)
 */
export class GroupCommit {
  readonly #begin;
  readonly #commit;
  readonly #rollback;
  readonly #savepoint;
  readonly #release;
  readonly #undo;
  readonly #onRollback: () => void;
  #waiting: Waiting[] = [];
  #scheduled = false;

  /** @param onRollback told when a transaction was undone: what was cached from inside it is void */
  constructor(db: Db, onRollback: () => void) {
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
    this.#rollback = db.prepare('ROLLBACK');
    this.#savepoint = db.prepare('SAVEPOINT work');
    this.#release = db.prepare('RELEASE work');
    this.#undo = db.prepare('ROLLBACK TO work');
    this.#onRollback = onRollback;
  }

  /**
   * Runs `work` in the next transaction and resolves with its result after the commit. `work` must be synchronous and
   * may run twice: when another piece of the same transaction fails, each is run again by itself.
   */
  async run<T>(work: () => T): Promise<T> {
    return await new Promise<T>((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as (value: unknown) => void, reject });
      this.#schedule();
    });
  }

  /** Resolves when nothing is waiting any more. */
  async idle(): Promise<void> {
    while (this.#waiting.length > 0) await this.run(() => undefined);
  }

  /**
   * The commit waits for as long as each turn of the event loop brings more work, some turns at most: what is already on
   * its way is read first and shares the fsync. Alone, a piece of work waits for one idle turn, a few microseconds.
   */
  #schedule(turns = 0, before = 0): void {
    if (turns === 0 && this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      const count = this.#waiting.length;
      if (count > before && count < MOST_PER_COMMIT && turns < MOST_TURNS) {
        this.#schedule(turns + 1, count);
        return;
      }
      this.#scheduled = false;
      const batch = this.#waiting.splice(0, MOST_PER_COMMIT);
      if (this.#waiting.length > 0) this.#schedule();
      this.#flush(batch);
    });
  }

  #flush(batch: readonly Waiting[]): void {
    try {
      const results = this.#transaction(() => batch.map(({ work }) => work()));
      batch.forEach(({ resolve }, index) => {
        resolve(results[index]);
      });
    } catch (error) {
      // On a full disk SQLite has undone the whole transaction; single pieces run after it would be outside of any.
      if (batch.length === 1 || isMachineFault(error)) rejectAll(batch, error);
      else this.#flushOneByOne(batch);
    }
  }

  /** Still one commit, but what fails is undone alone. */
  #flushOneByOne(batch: readonly Waiting[]): void {
    try {
      const settle = this.#transaction(() => batch.map((waiting) => this.#attempt(waiting)));
      settle.forEach((report) => {
        report();
      });
    } catch (error) {
      rejectAll(batch, error);
    }
  }

  #attempt({ work, resolve, reject }: Waiting): () => void {
    this.#savepoint.run();
    try {
      const result = work();
      this.#release.run();
      return () => {
        resolve(result);
      };
    } catch (error) {
      if (isMachineFault(error)) throw error;
      this.#undo.run();
      this.#release.run();
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
      // After some faults (a full disk) SQLite has rolled back by itself, and a second time would be an error.
      if (this.#isOpen()) this.#rollback.run();
      throw error;
    }
  }

  #isOpen(): boolean {
    return this.#begin.database.inTransaction;
  }
}

function rejectAll(batch: readonly Waiting[], error: unknown): void {
  for (const { reject } of batch) reject(asGatewayError(error));
}
