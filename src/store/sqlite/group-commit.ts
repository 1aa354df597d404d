import type { Effects } from '../../effects.js';
import { nextTurn } from '../../event-loop.js';
import { Histogram } from '../../histogram.js';
import { asGatewayError, isLocked, isMachineFault } from './database.js';
import type { Db } from './database.js';
import { Transaction } from './transaction.js';
import type { TransactionCache } from './transaction.js';
import type { TransactionMemory } from './transaction-memory.js';

interface Pending {
  readonly work: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** When it began to wait, by the monotonic clock. */
  readonly since: number;
  hasSavepoint: boolean;
}

/** Work without a savepoint threw: all work of the commit runs again, and that one in a savepoint. */
class RunAgain extends Error {}

/** More work waits for the next commit, so that no single commit blocks the process for long. */
const MAX_PER_COMMIT = 1000;
/** The work of one commit: what would start later waits for the next one. */
const MAX_COMMIT_MS = 50;
/** Turns of the event loop that a commit waits for more work. */
const MAX_TURNS = 8;
/** How often a write lock of another process is tried again. */
const LOCK_RETRY_MS = 20;
/** How long work waits for such a lock. Whapi wants an answer within 5 seconds, and supervisors' probes mostly too. */
const MAX_LOCK_WAIT_MS = 2000;

/**
 * Group commit: all pending writes share one transaction and one fsync. Work that arrives while a transaction runs waits
 * for the next one. A caller's promise settles after the commit that holds its work. (One transaction for each webhook was
 * measured at a twelfth of the rate.)
 *
 * Another process, such as the sqlite3 shell, can hold the write lock. SQLite's own wait for it would block the event loop.
 * So the connection does not wait: the commit is tried again on a timer, and work that has waited for MAX_LOCK_WAIT_MS is
 * rejected.
 */
export class GroupCommit {
  readonly #transaction: Transaction;
  readonly #effects: Pick<Effects, 'monotonic' | 'sleep'>;
  readonly #pending: Pending[] = [];
  readonly #alone: Pending[] = [];
  #running: Promise<void> | null = null;
  #lockWaitMs = MAX_LOCK_WAIT_MS;
  /** How long the commits took. */
  readonly durations = new Histogram();

  /**
   * @param cache what work caches from inside the transaction
   * @param memory what it changes beside the database; left out: nothing
   */
  constructor(
    db: Db,
    cache: TransactionCache,
    effects: Pick<Effects, 'monotonic' | 'sleep'>,
    memory?: TransactionMemory,
  ) {
    this.#transaction = new Transaction(db, cache, memory);
    this.#effects = effects;
  }

  /**
   * Runs `work` in the next transaction and resolves with its result after the commit. `work` must be synchronous. If it
   * throws, it alone is rolled back. It may run twice if another process locks the database.
   * @throws GatewayError GW_STORE_UNAVAILABLE when the machine fails or the lock lasts; nothing was changed
   */
  async run<T>(work: () => T): Promise<T> {
    return await this.#add(this.#pending, work, true);
  }

  /**
   * Like `run`, but without a savepoint, which would add a third to the cost of recording a webhook. For frequent work that
   * does not throw: it returns its refusals. If it throws all the same, the other work of the commit runs twice.
   */
  async runWithoutSavepoint<T>(work: () => T): Promise<T> {
    return await this.#add(this.#pending, work, false);
  }

  /**
   * Runs `work` while no other write runs, and outside the group's transaction. If it throws SQLITE_BUSY, it has changed
   * nothing, and runs again.
   * @throws GatewayError GW_STORE_UNAVAILABLE as `run`
   */
  async runAlone<T>(work: () => T | Promise<T>): Promise<T> {
    return await this.#add(this.#alone, work, false);
  }

  /** From now on work that meets a lock is rejected at its first retry, and so is what waits already. */
  stopWaiting(): void {
    this.#lockWaitMs = 0;
  }

  /** Resolves when no work is pending. */
  async idle(): Promise<void> {
    do {
      await this.#running;
      await nextTurn(); // a caller whose work was done may add more
    } while (this.#running);
  }

  async #add<T>(queue: Pending[], work: () => unknown, hasSavepoint: boolean): Promise<T> {
    return (await new Promise<unknown>((resolve, reject) => {
      queue.push({ work, resolve, reject, since: this.#effects.monotonic(), hasSavepoint });
      this.#running ??= nextTurn().then(async () => await this.#work());
    })) as T;
  }

  /** Commits and runs what must run alone in turn, so that neither waits for long. */
  async #work(): Promise<void> {
    while (this.#pending.length + this.#alone.length > 0) {
      try {
        await this.#gather();
        if (this.#pending.length > 0) this.#flush();
        if (this.#alone.length > 0) await this.#runNextAlone();
      } catch (error) {
        await this.#waitForLock(error);
      }
    }
    this.#running = null;
  }

  /**
   * Waits until a turn of the event loop brings no more work, for `MAX_TURNS` at most: requests that have already arrived
   * share the fsync. A single piece of work waits for one idle turn, a few microseconds.
   */
  async #gather(): Promise<void> {
    let before = 0;
    for (let turn = 0; turn < MAX_TURNS; turn += 1) {
      const count = this.#pending.length;
      if (count === before || count >= MAX_PER_COMMIT) return;
      before = count;
      await nextTurn();
    }
  }

  /**
   * Commits the first pending work.
   * @throws SqliteError SQLITE_BUSY: nothing was changed, and the work stays pending
   */
  #flush(): void {
    const settle: (() => void)[] = [];
    let started = 0;
    try {
      this.#transaction.begin();
      const since = this.#effects.monotonic();
      const endAt = since + MAX_COMMIT_MS;
      for (const pending of this.#pending.slice(0, MAX_PER_COMMIT)) {
        started += 1;
        settle.push(pending.hasSavepoint ? this.#runInSavepoint(pending) : this.#runPlain(pending));
        if (this.#effects.monotonic() >= endAt) break;
      }
      this.#transaction.commit();
      this.durations.observe(this.#effects.monotonic() - since);
    } catch (error) {
      this.#transaction.rollback();
      if (isLocked(error)) throw error;
      if (error instanceof RunAgain) return;
      for (const { reject } of this.#pending.splice(0, Math.max(started, 1))) reject(asGatewayError(error));
      return;
    }
    this.#pending.splice(0, started);
    for (const each of settle) each();
  }

  /** Returns how to settle the caller's promise once the transaction is committed. @throws RunAgain, SqliteError as below */
  #runPlain(pending: Pending): () => void {
    try {
      const result = pending.work();
      return () => pending.resolve(result);
    } catch (error) {
      if (isMachineFault(error)) throw error;
      pending.hasSavepoint = true;
      throw new RunAgain();
    }
  }

  /**
   * Returns how to settle the caller's promise once the transaction is committed.
   * @throws SqliteError when the machine fails. On a full disk SQLite has rolled back the whole transaction.
   */
  #runInSavepoint({ work, resolve, reject }: Pending): () => void {
    this.#transaction.savepoint();
    try {
      const result = work();
      this.#transaction.release();
      return () => resolve(result);
    } catch (error) {
      if (isMachineFault(error)) throw error;
      this.#transaction.rollbackToSavepoint();
      return () => reject(asGatewayError(error));
    }
  }

  /** @throws SqliteError SQLITE_BUSY: nothing was changed, and the work stays first in its queue */
  async #runNextAlone(): Promise<void> {
    const [next] = this.#alone;
    if (!next) return;
    try {
      const result = await next.work();
      next.resolve(result);
    } catch (error) {
      if (isLocked(error)) throw error;
      next.reject(asGatewayError(error));
    }
    this.#alone.shift();
  }

  /** Waits a moment, then rejects the work that has waited for too long. */
  async #waitForLock(error: unknown): Promise<void> {
    await this.#effects.sleep(LOCK_RETRY_MS);
    const overdueSince = this.#effects.monotonic() - this.#lockWaitMs;
    for (const queue of [this.#pending, this.#alone]) {
      // Work is queued in the order of `since`.
      const overdue = queue.findLastIndex(({ since }) => since <= overdueSince) + 1;
      for (const { reject } of queue.splice(0, overdue)) reject(asGatewayError(error));
    }
  }
}
