import { KEY_BYTES } from '../rules/keys.js';
import type { LedgerFacts } from '../rules/ledger-facts.js';
import type { CarriedRow, CarriedSlice, CarriedTable } from '../carry-over.js';
import type { Db } from './database.js';
import { factsOf, factsOfOld, LEDGER_COLUMNS } from './ledger-rows.js';
import type { LedgerRow, OldLedgerRow } from './ledger-rows.js';
import type { RunRow } from './ledger-memory.js';
import { readNumber } from './soundness.js';

type Keyed<Row> = Row & { readonly key: Buffer };

/** Ranges of keys, by their first two bytes. Each is read from all places at once. */
const RANGES = 65_536;
const ROWS_PER_SLICE = 1000;

/**
 * The ledger of message ids as one table in the order of its keys. An id is looked for where `RememberedIds` does: in the
 * recent ids that no complete run has, in the complete runs, the newest first, then among those of earlier versions.
 */
export class LedgerToCarry implements CarriedTable {
  readonly name = 'ledger';
  readonly isMerged = true;
  readonly total: number;
  /** By range. */
  readonly #recent = new Map<number, Keyed<LedgerRow>[]>();
  /** Numbers of the complete runs, oldest first. */
  readonly #runs: readonly number[];
  readonly #inRun;
  readonly #old;

  constructor(db: Db) {
    const runs = db
      .prepare<[], Pick<RunRow, 'number' | 'state' | 'last_id'>>(
        "SELECT number, state, last_id FROM ledger_runs WHERE state <> 'copying' ORDER BY number",
      )
      .all();
    this.#runs = runs.map(({ number }) => number);
    const recent = db.prepare<[number], Keyed<LedgerRow>>(
      `SELECT key, ${LEDGER_COLUMNS} FROM ledger_recent WHERE id > ? ORDER BY id`,
    );
    for (const row of recent.iterate(Math.max(0, ...runs.map((run) => run.last_id)))) {
      const range = row.key.readUInt16BE(0);
      const rows = this.#recent.get(range);
      if (rows) rows.push(row);
      else this.#recent.set(range, [row]);
    }
    this.#inRun = db.prepare<[number, Buffer, Buffer], Keyed<LedgerRow>>(
      `SELECT key, ${LEDGER_COLUMNS} FROM ledger_ids WHERE run = ? AND key >= ? AND key <= ?`,
    );
    this.#old = db.prepare<[Buffer, Buffer], Keyed<OldLedgerRow>>(
      'SELECT * FROM ledger_before_runs WHERE key >= ? AND key <= ?',
    );
    this.total = readNumber(
      db,
      'SELECT (SELECT count(*) FROM ledger_before_runs) + (SELECT count(*) FROM ledger_ids) + (SELECT count(*) FROM ledger_recent)',
    );
  }

  /** @param cursor the first range of the slice */
  readonly read = (cursor: string | null): CarriedSlice => {
    const rows: CarriedRow[] = [];
    let range = Number(cursor ?? '0');
    for (; range < RANGES && rows.length < ROWS_PER_SLICE; range += 1) {
      for (const [key, facts] of this.#idsIn(range)) rows.push(rowOf(key, facts));
    }
    return { rows, cursor: range < RANGES ? String(range) : null };
  };

  /** Later entries replace earlier ones. */
  #idsIn(range: number): ReadonlyMap<string, LedgerFacts> {
    const ids = new Map<string, LedgerFacts>();
    const [first, last] = [Buffer.alloc(KEY_BYTES), Buffer.alloc(KEY_BYTES, 0xff)];
    first.writeUInt16BE(range);
    last.writeUInt16BE(range);
    for (const row of this.#old.all(first, last)) ids.set(row.key.toString('hex'), factsOfOld(row));
    for (const run of this.#runs) {
      for (const row of this.#inRun.all(run, first, last)) ids.set(row.key.toString('hex'), factsOf(row));
    }
    for (const row of this.#recent.get(range) ?? []) ids.set(row.key.toString('hex'), factsOf(row));
    return ids;
  }
}

function rowOf(key: string, facts: LedgerFacts): CarriedRow {
  return {
    key: Buffer.from(key, 'hex'),
    fingerprint: facts.fingerprint,
    first_seen_at: facts.firstSeenAt,
    last_seen_at: facts.lastSeenAt,
    webhook_id: facts.webhookId,
    seeded_at: facts.seededAt,
    position: facts.position,
    rule: facts.rule,
    unposted: Number(facts.unposted),
  };
}
