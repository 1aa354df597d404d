import { KEY_BYTES } from '../rules/keys.js';
import type { Db } from './database.js';
import { PARTS_AT_MOST } from './ledger-memory.js';
import type { LedgerMemory } from './ledger-memory.js';
import { LAST_SEEN_AT } from './ledger-rows.js';
import { inOrder, ROWS_PER_STEP } from './sweep-step.js';
import type { SweepStep } from './sweep-step.js';

/** Before and after every key. */
const FIRST_KEY = Buffer.alloc(0);
const LAST_KEY = Buffer.alloc(KEY_BYTES + 1, 0xff);

/**
 * Forgets ids that have outlived their retention. It skips runs without such ids, and drops a run together with its filter
 * once it is empty.
 */
export class LedgerPruning {
  readonly #memory: LedgerMemory;
  readonly #endOfRecent;
  readonly #deleteRecent;
  readonly #nextRun;
  readonly #endInRun;
  readonly #deleteInRun;
  readonly #isLeft;
  readonly #dropFilter;
  readonly #dropRun;

  constructor(db: Db, memory: LedgerMemory) {
    this.#memory = memory;
    this.#endOfRecent = db
      .prepare<[number], number>(
        `SELECT id FROM ledger_recent WHERE id > ? ORDER BY id LIMIT 1 OFFSET ${ROWS_PER_STEP - 1}`,
      )
      .pluck();
    this.#deleteRecent = db.prepare<{ from: number; to: number; ledger: number }>(
      `DELETE FROM ledger_recent WHERE id > @from AND id <= @to AND ${LAST_SEEN_AT} < @ledger`,
    );
    this.#nextRun = db
      .prepare<[number, number], number>(
        `SELECT number FROM ledger_runs WHERE number > ? AND state = 'done' AND coalesce(oldest_at, 0) < ? ORDER BY number LIMIT 1`,
      )
      .pluck();
    this.#endInRun = db
      .prepare<[number, Buffer], Buffer>(
        `SELECT key FROM ledger_ids WHERE run = ? AND key > ? ORDER BY key LIMIT 1 OFFSET ${ROWS_PER_STEP - 1}`,
      )
      .pluck();
    this.#deleteInRun = db.prepare<{ run: number; from: Buffer; to: Buffer; ledger: number }>(
      `DELETE FROM ledger_ids WHERE run = @run AND key > @from AND key <= @to AND ${LAST_SEEN_AT} < @ledger`,
    );
    this.#isLeft = db.prepare<[number], number>('SELECT 1 FROM ledger_ids WHERE run = ? LIMIT 1').pluck();
    this.#dropFilter = db.prepare('DELETE FROM ledger_filters WHERE id >= ? AND id < ?');
    this.#dropRun = db.prepare('DELETE FROM ledger_runs WHERE number = ?');
  }

  get start(): SweepStep {
    return inOrder([this.#recentAfter(0), this.#runsAfter(0)]);
  }

  #recentAfter(from: number): SweepStep {
    return ({ ledger }) => {
      const last = this.#endOfRecent.get(from);
      this.#deleteRecent.run({ ledger, from, to: last ?? Number.MAX_SAFE_INTEGER });
      return last === undefined ? null : this.#recentAfter(last);
    };
  }

  #runsAfter(number: number): SweepStep {
    return (limits) => {
      const run = this.#nextRun.get(number, limits.ledger);
      return run === undefined ? null : inOrder([this.#keysAfter(run, FIRST_KEY), this.#runsAfter(run)])(limits);
    };
  }

  #keysAfter(run: number, from: Buffer): SweepStep {
    return ({ ledger }) => {
      const last = this.#endInRun.get(run, from);
      this.#deleteInRun.run({ run, ledger, from, to: last ?? LAST_KEY });
      return last === undefined ? this.#dropIfEmpty(run) : this.#keysAfter(run, last);
    };
  }

  /** A step of its own: the run is empty by then, so memory may forget it even if this step is rolled back. */
  #dropIfEmpty(run: number): SweepStep {
    return () => {
      if (this.#isLeft.get(run) !== undefined) return null;
      this.#dropFilter.run(run * PARTS_AT_MOST, (run + 1) * PARTS_AT_MOST);
      this.#dropRun.run(run);
      this.#memory.dropRun(run);
      return null;
    };
  }
}
