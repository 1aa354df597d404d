import { KEY_BYTES } from '../rules/keys.js';
import type { Sliced } from '../../slices.js';
import type { Db } from './database.js';
import { FilterGroup } from './id-filter.js';
import type { FilterForm } from './id-filter.js';
import { RecentIds } from './recent-ids.js';

/** Ids in a run. The start reads up to twice as many, at a microsecond each, and keeps 32 bytes of each in memory. */
export const IDS_PER_RUN = 131_072;
const IDS_PER_READ = 4096;
/** Parts of the filters of eight runs that one slice reads: half a millisecond. */
const PARTS_PER_SLICE = 8;
/** Filters are stored under `run * PARTS_AT_MOST + part`. */
export const PARTS_AT_MOST = 65_536;

export interface RunRow {
  readonly number: number;
  readonly state: 'copying' | 'clearing' | 'done';
  readonly last_id: number;
  readonly parts: number;
  readonly part_bytes: number;
}

/** Ids that are being copied into a run. */
export interface Folding extends FilterForm {
  readonly ids: RecentIds;
  readonly run: number;
  /** The last of them in `ledger_recent`. */
  readonly lastId: number;
}

/**
 * What the connections know of the ledger without reading it. It may lag behind the database but is never ahead: a change of
 * the runs is applied here after its commit, and until then the ids are still where this memory says.
 */
export class LedgerMemory {
  /** The ids that are recorded now. */
  filling: RecentIds;
  folding: Folding | null = null;
  /** The run whose ids are being removed from `ledger_recent`. */
  clearing: Pick<RunRow, 'number' | 'last_id'> | null = null;
  readonly idsPerRun: number;
  /** Whether ids of earlier versions are left. */
  readonly hasOldIds: boolean;
  /** Called with each new id while there is something to fold. */
  onWork: () => void = () => undefined;
  /** When the newest message of `ShownMessages` was sent, or a later time, in Unix seconds; null: there are none. */
  newestShownAt: number | null = null;
  #lastId: number;
  #lastRun = 0;
  /** Of the complete runs, the newest first. */
  #groups: readonly FilterGroup[] = [];

  /** Reads the recent ids: at most about twice `idsPerRun`. */
  constructor(db: Db, idsPerRun = IDS_PER_RUN) {
    this.idsPerRun = idsPerRun;
    this.filling = new RecentIds(idsPerRun);
    const old = db.prepare<[Buffer]>('SELECT 1 FROM ledger_before_runs WHERE key > ? LIMIT 1');
    this.hasOldIds = old.get(Buffer.alloc(0)) !== undefined;
    const runs = db
      .prepare<[], RunRow>('SELECT number, state, last_id, parts, part_bytes FROM ledger_runs ORDER BY number')
      .all();
    this.#lastId = Math.max(0, ...runs.map((run) => run.last_id));
    let counted = 0;
    for (const run of runs) {
      this.#lastRun = Math.max(this.#lastRun, run.number);
      if (run.state !== 'copying') {
        this.addRun(run.number, formOf(run));
        counted = Math.max(counted, run.last_id);
      }
      if (run.state === 'clearing') this.clearing = run;
    }
    const copying = runs.find(({ state }) => state === 'copying');
    if (copying) {
      const ids = new RecentIds(idsPerRun);
      this.folding = { ids, run: copying.number, lastId: copying.last_id, ...formOf(copying) };
    }
    this.#readRecent(db, counted);
  }

  /** The id of a new row in `ledger_recent`. Never given twice, so the entry of a row that was rolled back finds no row. */
  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  /** The id of the newest row in `ledger_recent`. */
  get lastId(): number {
    return this.#lastId;
  }

  /** The number of a new run. */
  nextRun(): number {
    this.#lastRun += 1;
    return this.#lastRun;
  }

  addRecent(key: Buffer, id: number): void {
    this.filling.add(key, id);
    if (this.hasWork) this.onWork();
  }

  /** Whether there are ids for a run, or one is being made. */
  get hasWork(): boolean {
    return this.clearing !== null || this.folding !== null || this.filling.size >= this.idsPerRun;
  }

  addRun(number: number, form: FilterForm): void {
    const newest = this.#groups[0];
    const group = newest?.takes(form) === true ? newest : new FilterGroup(form);
    group.add(number);
    if (group !== newest) this.#groups = [group, ...this.#groups];
  }

  dropRun(number: number): void {
    for (const group of this.#groups) group.drop(number);
    this.#groups = this.#groups.filter((group) => !group.isEmpty);
  }

  /**
   * The first thing that `look` finds in one of the runs that may hold the key, the newest first.
   * @param readFilter reads a part of a filter by its id; undefined: not there
   */
  findInRuns<T>(
    key: Buffer,
    readFilter: (id: number) => Buffer | undefined,
    look: (run: number) => T | undefined,
  ): T | undefined {
    const read = (run: number, part: number) => readFilter(run * PARTS_AT_MOST + part);
    for (const group of this.#groups) {
      const found = group.find(key, read, look);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Reads all filters in slices, in the order in which they are stored. Until then each part is read when it is needed. */
  *filtersInSlices(readFilter: (id: number) => Buffer | undefined): Sliced<void> {
    const read = (run: number, part: number) => readFilter(run * PARTS_AT_MOST + part);
    for (const group of this.#groups) {
      for (let part = 0; part < group.parts; part += 1) {
        group.readPart(part, read);
        if (part % PARTS_PER_SLICE === 0) yield;
      }
    }
  }

  /** Reads the keys as hexadecimal text, because reading them as rows takes four times as long. */
  #readRecent(db: Db, after: number): void {
    const select = db
      .prepare<[number], [last: number | null, ids: string, keys: string]>(
        `SELECT max(id), group_concat(id, ' '), group_concat(hex(key), '') FROM (
           SELECT id, key FROM ledger_recent WHERE id > ? ORDER BY id LIMIT ${IDS_PER_READ}) AS slice`,
      )
      .raw();
    for (let last = after; ;) {
      const row = select.get(last);
      if (typeof row?.[0] !== 'number') return;
      last = row[0];
      const keys = Buffer.from(row[2], 'hex');
      for (const [at, text] of row[1].split(' ').entries()) {
        const id = Number(text);
        const { folding } = this;
        const ids = folding !== null && id <= folding.lastId ? folding.ids : this.filling;
        ids.add(keys.subarray(at * KEY_BYTES, (at + 1) * KEY_BYTES), id);
        this.#lastId = Math.max(this.#lastId, id);
      }
    }
  }
}

function formOf({ parts, part_bytes: partBytes }: RunRow): FilterForm {
  return { parts, partBytes };
}
