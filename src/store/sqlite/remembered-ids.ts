import type { Db } from './database.js';
import type { LedgerMemory } from './ledger-memory.js';
import { factsOf, factsOfOld, LEDGER_COLUMNS, valuesOf } from './ledger-rows.js';
import type { LedgerRow, OldLedgerRow } from './ledger-rows.js';
import type { LedgerFacts } from '../rules/ledger-facts.js';

/** An id, and where it is kept. */
export interface RememberedId extends LedgerFacts {
  readonly place: { readonly recent: number } | { readonly run: number } | 'old';
}

/**
 * The ledger's memory of message ids. A new id is appended to `ledger_recent`, and an index in memory finds it there
 * (`RecentIds`). `LedgerFolding` copies 131,072 of them at a time into a sorted run, so that each page is written once and full;
 * a random page for each id took 8 KB of writes. A run is read only if its filter says that it may hold the id, so an unknown
 * id costs no read. A known id is updated where it is, which is rare.
 *
 * For one connection. Methods that write are for use inside a transaction.
 */
export class RememberedIds {
  readonly #memory: LedgerMemory;
  readonly #recent;
  readonly #inRun;
  readonly #old;
  readonly #filter;
  readonly #insert;
  readonly #updateRecent;
  readonly #updateInRun;
  readonly #deleteOld;

  constructor(db: Db, memory: LedgerMemory) {
    this.#memory = memory;
    this.#recent = db.prepare<[number], LedgerRow>(`SELECT ${LEDGER_COLUMNS} FROM ledger_recent WHERE id = ?`);
    this.#inRun = db.prepare<[number, Buffer], LedgerRow>(
      `SELECT ${LEDGER_COLUMNS} FROM ledger_ids WHERE run = ? AND key = ?`,
    );
    this.#old = db.prepare<[Buffer], OldLedgerRow>('SELECT * FROM ledger_before_runs WHERE key = ?');
    this.#filter = db.prepare<[number], Buffer>('SELECT bits FROM ledger_filters WHERE id = ?').pluck();
    this.#insert = db.prepare(`INSERT INTO ledger_recent (id, key, ${LEDGER_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)`);
    this.#updateRecent = db.prepare(`UPDATE ledger_recent SET (${LEDGER_COLUMNS}) = (?, ?, ?, ?) WHERE id = ?`);
    this.#updateInRun = db.prepare(
      `UPDATE ledger_ids SET (${LEDGER_COLUMNS}) = (?, ?, ?, ?) WHERE run = ? AND key = ?`,
    );
    this.#deleteOld = db.prepare('DELETE FROM ledger_before_runs WHERE key = ?');
  }

  /** Null: not known. */
  find(key: Buffer): RememberedId | null {
    const { filling, folding } = this.#memory;
    return (
      filling.find(key, this.#readRecent) ??
      folding?.ids.find(key, this.#readRecent) ??
      this.#memory.findInRuns(key, this.#readFilter, (run) => this.#readInRun(run, key)) ??
      (this.#memory.hasOldIds ? this.#readOld(key) : null)
    );
  }

  /** Whether a webhook carried a message: more than having been asked for, or seeded. */
  wasSeen(key: Buffer): boolean {
    return (this.find(key)?.firstSeenAt ?? null) !== null;
  }

  /** Adds an id that is not known. */
  insert(key: Buffer, facts: LedgerFacts): void {
    const id = this.#memory.nextId();
    this.#memory.addRecent(key, id);
    this.#insert.run(id, key, ...valuesOf(facts));
  }

  /** Changes an id that `find` found in this transaction. */
  update(key: Buffer, { place }: Pick<RememberedId, 'place'>, facts: LedgerFacts): void {
    if (place === 'old') {
      this.#deleteOld.run(key);
      this.insert(key, facts);
    } else if ('run' in place) {
      this.#updateInRun.run(...valuesOf(facts), place.run, key);
    } else {
      this.#updateRecent.run(...valuesOf(facts), place.recent);
      const { folding } = this.#memory;
      // It may have been copied already, and once the run is complete, lookups find the copy.
      if (folding && place.recent <= folding.lastId) this.#updateInRun.run(...valuesOf(facts), folding.run, key);
    }
  }

  readonly #readRecent = (id: number): RememberedId | undefined => {
    const row = this.#recent.get(id);
    return row && { ...factsOf(row), place: { recent: id } };
  };

  readonly #readFilter = (id: number): Buffer | undefined => this.#filter.get(id);

  #readInRun(run: number, key: Buffer): RememberedId | undefined {
    const row = this.#inRun.get(run, key);
    return row && { ...factsOf(row), place: { run } };
  }

  #readOld(key: Buffer): RememberedId | null {
    const row = this.#old.get(key);
    return row ? { ...factsOfOld(row), place: 'old' } : null;
  }
}
