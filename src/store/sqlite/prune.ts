import { leastId } from '../rules/ids.js';
import { KEY_BYTES } from '../rules/keys.js';
import type { Db } from './database.js';
import { HOUR_MS } from '../../durations.js';
import type { Retention } from '../upkeep.js';

/** Small enough that a step takes a few milliseconds, so that webhooks between two steps hardly wait. */
const WEBHOOKS_PER_STEP = 200;
const KEYS_PER_STEP = 500;
const PAGES_PER_STEP = 500;
/** What was recorded last about an object, to which Whapi's retries are compared (rule 13 asks for 2 hours). */
const OBJECTS_MS = 3 * HOUR_MS;

const START = Buffer.alloc(0);
/** Behind every key. */
const END = Buffer.alloc(KEY_BYTES + 1, 0xff);

/** Exported for the test of its plan: it must never read more than one step of old payloads. */
export const OLD_WEBHOOKS = `
  SELECT w.id, NOT EXISTS (
    SELECT 1 FROM deliveries d WHERE d.webhook_id = w.id AND (d.status = 'pending' OR d.settled_at >= @before)
  ) AS isFree
  FROM webhooks w WHERE w.id > @cursor AND w.id < @belowId ORDER BY w.id LIMIT ${WEBHOOKS_PER_STEP}`;

/** What lies before these moments has outlived its retention. */
interface Limits {
  readonly payload: number;
  readonly ledger: number;
  readonly retry: number;
}

/**
 * Removes what has outlived its retention, one small step at a time. A sweep goes through its phases one after the
 * other; a phase is done when its step says that nothing is left. For use inside a transaction.
 */
export class SqlitePrune {
  readonly #db: Db;
  readonly #phases: readonly ((limits: Limits) => boolean)[];
  #phase = 0;
  /** Walks through payloads that cannot go yet, so that they are not looked at in every step of a sweep. */
  #webhookCursor = 0;

  constructor(db: Db) {
    this.#db = db;
    const walks = [
      new Walk(db, 'fingerprints', 'recorded_at < @ledger'),
      new Walk(db, 'objects', 'recorded_at < @retry'),
      new Walk(db, 'ledger', 'last_seen_at < @ledger'),
      new Walk(db, 'chats', 'received_at < @ledger'),
    ];
    this.#phases = [
      ({ payload }) => this.#pruneWebhooks(payload),
      ({ payload }) => this.#pruneResync(payload),
      ({ payload }) => this.#pruneJobs(payload),
      ({ payload }) => this.#pruneAudit(payload),
      ...walks.map((walk) => (limits: Limits) => walk.step(limits)),
    ];
  }

  /**
   * True while the sweep is not at its end. The ledger is kept at least as long as the payloads, for it points to the
   * first sighting of each message.
   */
  step({ payloadMs, ledgerMs }: Retention, now: number): boolean {
    const limits = {
      payload: now - payloadMs,
      ledger: now - Math.max(ledgerMs, payloadMs),
      retry: now - OBJECTS_MS,
    };
    if (this.#phases[this.#phase]?.(limits) !== true) this.#phase += 1;
    const isOver = this.#phase >= this.#phases.length;
    if (isOver) this.#phase = 0;
    return !isOver;
  }

  /** Gives freed pages back to the file system. Not inside a transaction: SQLite would ignore it. */
  vacuum(): void {
    this.#db.exec(`PRAGMA incremental_vacuum(${PAGES_PER_STEP})`);
  }

  /**
   * A payload goes when it is old and all its deliveries were settled as long ago; with it go its verdicts (I4). No id
   * is less than its time says, so those below the limit are old, and no step reads what is younger.
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

  /** An audit goes, with the messages that it found, as long after its end. */
  #pruneAudit(before: number): boolean {
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

  /** A resync is forgotten, with the ids that it names in the clear, when the last of its windows closed that long ago. */
  #pruneResync(before: number): boolean {
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

/** Exported for the test of its plan: a range of keys, and no look behind its end. */
export function oldKeysOf(table: HashedTable, isOld: string): string {
  return `DELETE FROM ${table} WHERE key > @from AND key <= @to AND (${isOld})`;
}

/**
 * Goes through a table of hashed keys in the order of the keys and removes what is old. An index on the time would make
 * it a look-up, but would cost a write for each message; the walk costs one slow pass per sweep.
 */
class Walk {
  readonly #last;
  readonly #remove;
  #cursor: Buffer = START;

  constructor(db: Db, table: HashedTable, isOld: string) {
    this.#last = db
      .prepare<[Buffer], Buffer>(
        `SELECT key FROM ${table} WHERE key > ? ORDER BY key LIMIT 1 OFFSET ${KEYS_PER_STEP - 1}`,
      )
      .pluck();
    this.#remove = db.prepare(oldKeysOf(table, isOld));
  }

  /** False at the end of the table. */
  step({ retry, ledger }: Limits): boolean {
    const last = this.#last.get(this.#cursor);
    this.#remove.run({ retry, ledger, from: this.#cursor, to: last ?? END });
    this.#cursor = last ?? START;
    return last !== undefined;
  }
}
