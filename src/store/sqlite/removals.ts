import type { AuditTables } from './audit-tables.js';
import type { Db } from './database.js';
import type { DeliveryTables } from './delivery-tables.js';
import type { MessageClaimTables } from './message-claims.js';
import type { ResyncWindows } from './resync-windows.js';

interface RemovalRow {
  readonly number: number;
  readonly target: number | null;
  readonly channel: string | null;
}

/** What a removed target or channel leaves behind. */
export interface RemovalParts {
  readonly deliveries: Pick<DeliveryTables, 'endSomeOfRemoved' | 'forgetCounts'>;
  readonly resyncWindows: Pick<ResyncWindows, 'cancelSomeOf'>;
  readonly audits: Pick<AuditTables, 'cancelSomeOf'>;
  readonly claims: Pick<MessageClaimTables, 'removeSomeOf'>;
}

/** Small enough that a step takes a few milliseconds and webhooks hardly wait for it. */
const ROWS_PER_STEP = 200;

/**
 * Ends what was under way for removed targets and channels, in small steps. The first step belongs to the transaction of the
 * removal: mostly nothing is left after it. Otherwise the removal stays on record until its last step, so that a restart
 * continues it. For use inside a transaction.
 */
export class Removals {
  readonly #parts: RemovalParts;
  readonly #insert;
  readonly #oldest;
  readonly #ofChannel;
  readonly #delete;

  constructor(db: Db, parts: RemovalParts) {
    this.#parts = parts;
    this.#insert = db.prepare<[number | null, string | null]>('INSERT INTO removals (target, channel) VALUES (?, ?)');
    this.#oldest = db.prepare<[], RemovalRow>('SELECT number, target, channel FROM removals ORDER BY number LIMIT 1');
    this.#ofChannel = db.prepare<[string], RemovalRow>(
      'SELECT number, target, channel FROM removals WHERE channel = ?',
    );
    this.#delete = db.prepare<[number]>('DELETE FROM removals WHERE number = ?');
  }

  /** @param target number of a target that was marked as removed in this transaction */
  beginTarget(target: number, now: number): void {
    if (this.#endSomeOfTarget(target, now)) this.#insert.run(target, null);
  }

  /** @param channel name of a channel that was deleted in this transaction */
  beginChannel(channel: string, now: number): void {
    if (this.#endSomeOfChannel(channel, now)) this.#insert.run(null, channel);
  }

  /** Runs the next step. Returns false if no removal is unfinished. */
  step(now: number): boolean {
    const row = this.#oldest.get();
    if (!row) return false;
    this.#stepOf(row, now);
    return true;
  }

  /** Runs the next step for channels of this name. Returns false if none is unfinished: then the name can be used again. */
  stepOfChannel(name: string, now: number): boolean {
    const row = this.#ofChannel.get(name);
    if (!row) return false;
    this.#stepOf(row, now);
    return true;
  }

  #stepOf({ number, target, channel }: RemovalRow, now: number): void {
    const isMore = target === null ? this.#endSomeOfChannel(channel ?? '', now) : this.#endSomeOfTarget(target, now);
    if (!isMore) this.#delete.run(number);
  }

  /** Returns whether more is left, like the method below. */
  #endSomeOfTarget(target: number, now: number): boolean {
    const isMore = this.#parts.deliveries.endSomeOfRemoved(target, ROWS_PER_STEP, now);
    if (!isMore) this.#parts.deliveries.forgetCounts(target);
    return isMore;
  }

  #endSomeOfChannel(channel: string, now: number): boolean {
    return (
      this.#parts.resyncWindows.cancelSomeOf(channel, ROWS_PER_STEP, now) ||
      this.#parts.audits.cancelSomeOf(channel, ROWS_PER_STEP, now) ||
      this.#parts.claims.removeSomeOf(channel)
    );
  }
}
