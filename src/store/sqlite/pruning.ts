import { leastId } from '../rules/ids.js';
import { KEY_BYTES } from '../rules/keys.js';
import type { Db } from './database.js';
import { HOUR_MS } from '../../durations.js';
import type { Retention } from '../upkeep.js';

/** Small enough that a step takes a few milliseconds and webhooks hardly wait for it. */
const WEBHOOKS_PER_STEP = 200;
const KEYS_PER_STEP = 500;
const PAGES_PER_STEP = 500;
/** How long the last event of an object is kept, to recognize Whapi's retries (rule 13 needs 2 hours). */
const OBJECT_RETENTION_MS = 3 * HOUR_MS;

/** Before every key. */
const FIRST_KEY = Buffer.alloc(0);
/** After every key. */
const LAST_KEY = Buffer.alloc(KEY_BYTES + 1, 0xff);

/** Exported for the test of its query plan: it must read no more than one step of old payloads. */
export const OLD_WEBHOOKS = `
  SELECT w.id, NOT EXISTS (
    SELECT 1 FROM deliveries d WHERE d.webhook_id = w.id AND (d.status = 'pending' OR d.settled_at >= @before)
  ) AS isFree
  FROM webhooks w WHERE w.id > @cursor AND w.id < @belowId ORDER BY w.id LIMIT ${WEBHOOKS_PER_STEP}`;

/** Rows from before these times have outlived their retention. */
interface Limits {
  readonly payload: number;
  readonly ledger: number;
  readonly object: number;
}

/**
 * Removes what has outlived its retention, in small steps. A sweep runs its phases one after the other; a phase ends when
 * its step returns false. Steps are for use inside a transaction.
 */
export class Pruning {
  readonly #db: Db;
  readonly #phases: readonly ((limits: Limits) => boolean)[];
  #phase = 0;
  /** Skips payloads that must stay for now, so that a sweep reads each of them once. */
  #webhookCursor = 0;

  constructor(db: Db) {
    this.#db = db;
    const sweeps = [
      new KeyRangeSweep(db, 'fingerprints', 'recorded_at < @ledger'),
      new KeyRangeSweep(db, 'objects', 'recorded_at < @object'),
      new KeyRangeSweep(db, 'ledger', 'last_seen_at < @ledger'),
      new KeyRangeSweep(db, 'chats', 'received_at < @ledger'),
    ];
    this.#phases = [
      ({ payload }) => this.#pruneWebhooks(payload),
      ({ payload }) => this.#pruneOneResync(payload),
      ({ payload }) => this.#pruneJobs(payload),
      ({ payload }) => this.#pruneOneAudit(payload),
      ...sweeps.map((sweep) => (limits: Limits) => sweep.step(limits)),
    ];
  }

  /**
   * Returns true until the sweep is complete. Ledger rows are kept at least as long as payloads, because they point to the
   * first sighting of each message.
   */
  step({ payloadMs, ledgerMs }: Retention, now: number): boolean {
    const limits = {
      payload: now - payloadMs,
      ledger: now - Math.max(ledgerMs, payloadMs),
      object: now - OBJECT_RETENTION_MS,
    };
    if (this.#phases[this.#phase]?.(limits) !== true) this.#phase += 1;
    const isOver = this.#phase >= this.#phases.length;
    if (isOver) this.#phase = 0;
    return !isOver;
  }

  /** Returns freed pages to the file system. Not for use inside a transaction, where SQLite ignores it. */
  vacuum(): void {
    this.#db.exec(`PRAGMA incremental_vacuum(${PAGES_PER_STEP})`);
  }

  /**
   * Removes old payloads whose deliveries were all settled as long ago, with their verdicts (I4). An id is never lower than
   * its time, so ids below the limit are old and no step reads younger ones.
   */
  #pruneWebhooks(before: number): boolean {
    const rows = this.#db
      .prepare<unknown[], { id: number; isFree: number }>(OLD_WEBHOOKS)
      .all({ before, belowId: leastId(before), cursor: this.#webhookCursor });
    const remove = ['webhooks WHERE id', 'sightings WHERE webhook_id', 'deliveries WHERE webhook_id'].map((from) =>
      this.#db.prepare<[number]>(`DELETE FROM ${from} = ?`),
    );
    for (const { id } of rows.filter(({ isFree }) => isFree === 1)) for (const statement of remove) statement.run(id);
    const isMore = rows.length === WEBHOOKS_PER_STEP;
    this.#webhookCursor = isMore ? (rows.at(-1)?.id ?? 0) : 0;
    return isMore;
  }

  #pruneJobs(before: number): boolean {
    this.#db.prepare('DELETE FROM jobs WHERE finished_at < ?').run(before);
    return false;
  }

  /** Removes an audit and its messages in steps, one payload retention after its end. */
  #pruneOneAudit(before: number): boolean {
    const number = this.#db
      .prepare<[number], number>('SELECT number FROM audits WHERE ended_at < ? LIMIT 1')
      .pluck()
      .get(before);
    if (number === undefined) return false;
    const { changes } = this.#db
      .prepare(
        `DELETE FROM audit_messages WHERE number IN (SELECT number FROM audit_messages WHERE audit = ? LIMIT ${WEBHOOKS_PER_STEP})`,
      )
      .run(number);
    if (changes === 0) this.#db.prepare('DELETE FROM audits WHERE number = ?').run(number);
    return true;
  }

  /** Removes a resync, with its readable message ids, one payload retention after its last window closed. */
  #pruneOneResync(before: number): boolean {
    const number = this.#db
      .prepare<{ before: number }, number>(
        `SELECT number FROM resyncs r WHERE created_at < @before AND NOT EXISTS (
           SELECT 1 FROM resync_messages m WHERE m.resync = r.number AND (m.closed = 0 OR m.closes_at >= @before)
         ) LIMIT 1`,
      )
      .pluck()
      .get({ before });
    if (number === undefined) return false;
    this.#db.prepare('DELETE FROM resync_messages WHERE resync = ?').run(number);
    this.#db.prepare('DELETE FROM resyncs WHERE number = ?').run(number);
    return true;
  }
}

type HashedTable = 'fingerprints' | 'objects' | 'ledger' | 'chats';

/** Exported for the test of its query plan: it must read one range of keys only. */
export function oldKeysOf(table: HashedTable, isOld: string): string {
  return `DELETE FROM ${table} WHERE key > @from AND key <= @to AND (${isOld})`;
}

/**
 * Removes old rows from a table of hashed keys, one range of keys at a time. An index on the time would find them at once,
 * but would cost a write for each message; this costs one slow pass per sweep.
 */
class KeyRangeSweep {
  readonly #endOfRange;
  readonly #deleteOld;
  #cursor: Buffer = FIRST_KEY;

  constructor(db: Db, table: HashedTable, isOld: string) {
    this.#endOfRange = db
      .prepare<[Buffer], Buffer>(
        `SELECT key FROM ${table} WHERE key > ? ORDER BY key LIMIT 1 OFFSET ${KEYS_PER_STEP - 1}`,
      )
      .pluck();
    this.#deleteOld = db.prepare(oldKeysOf(table, isOld));
  }

  /** Returns false at the end of the table. */
  step({ object, ledger }: Limits): boolean {
    const last = this.#endOfRange.get(this.#cursor);
    this.#deleteOld.run({ object, ledger, from: this.#cursor, to: last ?? LAST_KEY });
    this.#cursor = last ?? FIRST_KEY;
    return last !== undefined;
  }
}
