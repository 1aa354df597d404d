import type { Db } from './database.js';
import type { GroupCommit } from './group-commit.js';
import { filterOf, formFor } from './id-filter.js';
import { PARTS_AT_MOST } from './ledger-memory.js';
import type { Folding, LedgerMemory } from './ledger-memory.js';
import { LAST_SEEN_AT, LEDGER_COLUMNS } from './ledger-rows.js';
import { RecentIds } from './recent-ids.js';
import { yieldToCommits } from './slices.js';

/** Ids that one commit copies: a few milliseconds. */
const IDS_PER_STEP = 500;
const MOST_IDS_PER_STEP = 2000;
/** Removing them in their order takes a fraction of the time of a copy. */
const REMOVED_PER_STEP = 2000;
/** Ids that are recorded between a step that failed and the next try: a step that meets damage fails its whole commit. */
const IDS_BEFORE_RETRY = 1000;

/** Updates memory once the step is committed. */
type AfterCommit = () => void;

/**
 * Folds recent ids into a run, in steps that share the group commit with webhooks:
 *
 * - copying: copies the ids in the order of their keys, part by part, each part with its filter. Lookups use the recent ids.
 * - clearing: from the commit of the last part on, lookups use the run. The ids are removed from `ledger_recent`.
 * - done.
 *
 * A crash loses nothing: the next start continues after the last part that has a filter.
 */
export class LedgerFolding {
  readonly #memory: LedgerMemory;
  readonly #commit: GroupCommit;
  readonly #addRun;
  readonly #copy;
  readonly #oldestOfPart;
  readonly #noteOldest;
  readonly #addFilter;
  readonly #filter;
  readonly #countParts;
  readonly #setState;
  readonly #remove;
  #running: Promise<void> | null = null;
  #isStopped = false;
  /** The part of the run that is copied next; null: unknown. */
  #nextPart: number | null = null;
  /** The newest id at the last step. */
  #lastId = 0;
  /** After a failure: the id from which on it goes on. */
  #retryFrom = 0;

  constructor(db: Db, memory: LedgerMemory, commit: GroupCommit) {
    this.#memory = memory;
    this.#commit = commit;
    this.#addRun = db.prepare(
      `INSERT INTO ledger_runs (number, state, last_id, parts, part_bytes) VALUES (?, 'copying', ?, ?, ?)
       ON CONFLICT (number) DO NOTHING`,
    );
    this.#copy = db.prepare<[number, number]>(
      `INSERT OR REPLACE INTO ledger_ids (run, key, ${LEDGER_COLUMNS}) SELECT ?, key, ${LEDGER_COLUMNS} FROM ledger_recent WHERE id = ?`,
    );
    this.#oldestOfPart = db
      .prepare<[number, Buffer, Buffer], number | null>(
        `SELECT min(${LAST_SEEN_AT}) FROM ledger_ids WHERE run = ? AND key >= ? AND key <= ?`,
      )
      .pluck();
    this.#noteOldest = db.prepare<{ run: number; at: number }>(
      'UPDATE ledger_runs SET oldest_at = min(coalesce(oldest_at, @at), @at) WHERE number = @run',
    );
    this.#addFilter = db.prepare('INSERT INTO ledger_filters (id, bits) VALUES (?, ?)');
    this.#filter = db.prepare<[number], Buffer>('SELECT bits FROM ledger_filters WHERE id = ?').pluck();
    this.#countParts = db
      .prepare<[number, number], number>('SELECT count(*) FROM ledger_filters WHERE id >= ? AND id < ?')
      .pluck();
    this.#setState = db.prepare('UPDATE ledger_runs SET state = ? WHERE number = ?');
    this.#remove = db.prepare<{ lastId: number }>(
      `DELETE FROM ledger_recent WHERE id <= @lastId
         AND id <= (SELECT id FROM ledger_recent ORDER BY id LIMIT 1) + ${REMOVED_PER_STEP - 1}`,
    );
  }

  /** Reads the filters, then continues where the previous process stopped. */
  start(): void {
    this.#running = this.#readFilters().finally(() => {
      this.#running = null;
      this.wake();
    });
  }

  /** Starts or continues folding, if there is work. After a failure it continues when some more ids are recorded. */
  wake(): void {
    if (this.#running || this.#isStopped || !this.#memory.hasWork || this.#memory.lastId < this.#retryFrom) return;
    this.#running = this.#run().finally(() => {
      this.#running = null;
    });
  }

  /** Resolves after the current step. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #readFilters(): Promise<void> {
    try {
      const slices = this.#memory.filtersInSlices((id) => this.#filter.get(id));
      while (!this.#isStopped && slices.next().done !== true) await yieldToCommits();
    } catch {
      // A damaged file: webhooks meet it as well, and report it.
    }
  }

  async #run(): Promise<void> {
    try {
      while (!this.#isStopped && this.#memory.hasWork) {
        const updateMemory = await this.#commit.run(() => this.#step());
        updateMemory();
      }
    } catch {
      // A full disk, a lock or a damaged file: webhooks meet it as well, and report it.
      const { lastId, idsPerRun } = this.#memory;
      this.#retryFrom = lastId + Math.min(IDS_BEFORE_RETRY, Math.floor(idsPerRun / 2));
    }
  }

  /** For use inside a transaction. */
  #step(): AfterCommit {
    const { clearing } = this.#memory;
    if (clearing) return this.#clear(clearing.number, clearing.last_id);
    return this.#copyParts(this.#memory.folding ?? this.#begin());
  }

  /** No recording is under way in this step, so each of these ids is committed, commits with it, or was rolled back. */
  #begin(): Folding {
    const { filling, idsPerRun, lastId } = this.#memory;
    // More than usual after a burst: with a filter for fewer ids, most lookups would read the run.
    const form = formFor(Math.max(idsPerRun, filling.size));
    const folding = { ids: filling, run: this.#memory.nextRun(), lastId, ...form };
    this.#memory.folding = folding;
    this.#memory.filling = new RecentIds(idsPerRun);
    this.#nextPart = 0;
    return folding;
  }

  #copyParts(folding: Folding): AfterCommit {
    const { run, lastId, parts, partBytes } = folding;
    const from = (this.#nextPart ??= this.#countParts.get(run * PARTS_AT_MOST, (run + 1) * PARTS_AT_MOST) ?? 0);
    if (from === 0) this.#addRun.run(run, lastId, parts, partBytes);
    // Twice as many as were recorded since, so that a run is complete long before the next one is full.
    const most = Math.min(MOST_IDS_PER_STEP, Math.max(IDS_PER_STEP, 2 * (this.#memory.lastId - this.#lastId)));
    this.#lastId = this.#memory.lastId;
    let copied = 0;
    let part = from;
    while (part < parts && (part === from || copied < most)) {
      copied += this.#copyPart(folding, part);
      part += 1;
    }
    if (part < parts)
      return () => {
        this.#nextPart = part;
      };
    this.#setState.run('clearing', run);
    return () => {
      this.#nextPart = null;
      this.#memory.addRun(run, folding);
      this.#memory.folding = null;
      this.#memory.clearing = { number: run, last_id: lastId };
    };
  }

  #copyPart({ ids, run, parts, partBytes }: Folding, part: number): number {
    const entries = ids.part(part, parts);
    for (const { row } of entries) this.#copy.run(run, row);
    const keys = entries.map(({ key }) => key);
    this.#addFilter.run(run * PARTS_AT_MOST + part, filterOf(keys, partBytes));
    const [first, last] = [keys[0], keys.at(-1)];
    const at = first && last ? this.#oldestOfPart.get(run, first, last) : null;
    if (typeof at === 'number') this.#noteOldest.run({ run, at });
    return entries.length;
  }

  #clear(run: number, lastId: number): AfterCommit {
    if (this.#remove.run({ lastId }).changes > 0) return () => undefined;
    this.#setState.run('done', run);
    return () => {
      this.#memory.clearing = null;
    };
  }
}
