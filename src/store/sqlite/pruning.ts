import { HOUR_MS } from '../../durations.js';
import { leastId } from './numbering.js';
import { KEY_BYTES } from '../rules/keys.js';
import type { Retention } from '../upkeep.js';
import type { ClockMemory } from './clock-memory.js';
import type { Db } from './database.js';
import { IdMarks } from './id-marks.js';
import type { LedgerMemory } from './ledger-memory.js';
import { LedgerPruning } from './ledger-pruning.js';
import type { MessageClaimTables } from './message-claims.js';
import { PayloadPruning } from './payload-pruning.js';
import { RunPruning } from './run-pruning.js';
import { SettledTimes } from './settled-times.js';
import { inOrder, ROWS_PER_STEP } from './sweep-step.js';
import type { Limits, SweepStep } from './sweep-step.js';

const PAGES_PER_STEP = 500;
/** How long the last event of an object is kept, to recognize Whapi's retries (rule 13 needs 2 hours). */
const OBJECT_RETENTION_MS = 3 * HOUR_MS;

/** Before every key. */
const FIRST_KEY = Buffer.alloc(0);
/** After every key. */
const LAST_KEY = Buffer.alloc(KEY_BYTES + 1, 0xff);

/** Removes what has outlived its retention, in small steps: see `SweepStep`. */
export class Pruning {
  readonly #db: Db;
  readonly #marks: IdMarks;
  readonly #start: SweepStep;

  constructor(db: Db, clock: ClockMemory, ledger: LedgerMemory, claims: Pick<MessageClaimTables, 'prune'>) {
    this.#db = db;
    this.#marks = new IdMarks(db);
    const runs = new RunPruning(db);
    this.#start = inOrder([
      new SettledTimes(db, clock).start,
      new PayloadPruning(db).start,
      runs.resyncs,
      runs.jobs,
      runs.audits,
      endedClaims(claims),
      oldProbes(db),
      keyRangeSweep(db, 'fingerprints', 'recorded_at < @ledger'),
      keyRangeSweep(db, 'objects', 'recorded_at < @object'),
      new LedgerPruning(db, ledger).start,
      keyRangeSweep(db, 'ledger_before_runs', 'last_seen_at < @ledger'),
      keyRangeSweep(db, 'chats', 'received_at < @ledger'),
    ]);
  }

  /**
   * Runs a step, the first one of a sweep for null, and returns the one after it; null: the sweep is complete. Ledger rows
   * are kept at least as long as payloads, because they point to the first sighting of each message.
   */
  step(current: SweepStep | null, { payloadMs, ledgerMs }: Retention, now: number): SweepStep | null {
    const payload = now - payloadMs;
    if (current === null) this.#marks.set(payload, now);
    return (current ?? this.#start)({
      ...{ now, payload, ledger: now - Math.max(ledgerMs, payloadMs), object: now - OBJECT_RETENTION_MS },
      belowId: Math.max(leastId(payload), this.#marks.belowAt(payload)),
    });
  }

  /** Returns freed pages to the file system. Not for use inside a transaction, where SQLite ignores it. */
  vacuum(): void {
    this.#db.exec(`PRAGMA incremental_vacuum(${PAGES_PER_STEP})`);
  }
}

function endedClaims(claims: Pick<MessageClaimTables, 'prune'>): SweepStep {
  const step: SweepStep = ({ now }) => (claims.prune(now) ? step : null);
  return step;
}

/** The result of a probe is kept, without the id of its message. There is one probe per channel. */
function oldProbes(db: Db): SweepStep {
  const forget = db.prepare<{ before: number }>(
    'UPDATE probes SET message_id = NULL WHERE finished_at < @before AND message_id IS NOT NULL',
  );
  return ({ payload }) => {
    forget.run({ before: payload });
    return null;
  };
}

type HashedTable = 'fingerprints' | 'objects' | 'ledger_before_runs' | 'chats';

/** Exported for the test of its query plan: it must read one range of keys only. */
export function oldKeysOf(table: HashedTable, isOld: string): string {
  return `DELETE FROM ${table} WHERE key > @from AND key <= @to AND (${isOld})`;
}

/**
 * Removes old rows from a table of hashed keys, one range of keys at a time. An index on the time would find them at once,
 * but would cost a write for each message; this costs one slow pass per sweep.
 */
function keyRangeSweep(db: Db, table: HashedTable, isOld: string): SweepStep {
  const endOfRange = db
    .prepare<[Buffer], Buffer>(
      `SELECT key FROM ${table} WHERE key > ? ORDER BY key LIMIT 1 OFFSET ${ROWS_PER_STEP - 1}`,
    )
    .pluck();
  const deleteOld = db.prepare<Pick<Limits, 'object' | 'ledger'> & { from: Buffer; to: Buffer }>(
    oldKeysOf(table, isOld),
  );
  const after =
    (from: Buffer): SweepStep =>
    ({ object, ledger }) => {
      const last = endOfRange.get(from);
      deleteOld.run({ object, ledger, from, to: last ?? LAST_KEY });
      return last === undefined ? null : after(last);
    };
  return after(FIRST_KEY);
}
