import type { Database } from './database.js';
import type { Transaction } from './queries.js';
import type { Base } from './base.js';

interface RemovalRow {
  readonly number: number;
  readonly target: number | null;
  readonly channel: string | null;
}

/** Ends some of what is under way for a removed target or channel. Returns whether more may be left. */
type EndSome<Owner> = (tx: Transaction, owner: Owner, limit: number, now: number) => Promise<boolean>;

/** What a removed target or channel leaves behind. For use in a transaction that holds the lock of the registry. */
export interface RemovalParts {
  /** Pending deliveries, by the number of their target. */
  readonly endDeliveriesOf: EndSome<number>;
  readonly cancelResyncsOf: EndSome<string>;
  readonly cancelAuditsOf: EndSome<string>;
  readonly removeClaimsOf: EndSome<string>;
}

/** Keeps a step to some milliseconds, because no webhook is recorded during it. */
const ROWS_PER_STEP = 200;

/**
 * Ends what was under way for removed targets and channels, in small steps. The first step belongs to the transaction of the
 * removal, and is usually the last. Otherwise the removal stays stored until its last step. Any replica may make a step.
 */
export class Removals {
  readonly #db: Database;
  readonly #parts: RemovalParts;

  constructor({ db }: Pick<Base, 'db'>, parts: RemovalParts) {
    this.#db = db;
    this.#parts = parts;
  }

  /** For use in the transaction of the removal. @param target number of a target that was marked as removed in it */
  async beginTarget(tx: Transaction, target: number, now: number): Promise<void> {
    if (await this.#endSomeOfTarget(tx, target, now))
      await tx.run('INSERT INTO gateway.removals (target) VALUES ($1)', target);
  }

  /** The same. @param channel name of a channel that was deleted in it */
  async beginChannel(tx: Transaction, channel: string, now: number): Promise<void> {
    if (await this.#endSomeOfChannel(tx, channel, now))
      await tx.run('INSERT INTO gateway.removals (channel) VALUES ($1)', channel);
  }

  /** Runs the next step, in a transaction of its own. Returns false if no removal is unfinished. */
  async step(now: number): Promise<boolean> {
    // Read without the lock of the registry, which would stop all recording for a moment: usually there is none.
    const found = await this.#db.one('SELECT number FROM gateway.removals LIMIT 1');
    if (!found) return false;
    return await this.#db.transaction(async (tx) => {
      await tx.lockRegistry();
      const row = await tx.one<RemovalRow>(
        'SELECT number, target, channel FROM gateway.removals ORDER BY number LIMIT 1',
      );
      if (row) await this.#stepOf(tx, row, now);
      return row !== undefined;
    });
  }

  /**
   * Runs the next step for channels of this name. Returns false if none is unfinished: then the name can be used again. For
   * use in a transaction that holds the lock of the registry.
   */
  async stepOfChannel(tx: Transaction, name: string, now: number): Promise<boolean> {
    const row = await tx.one<RemovalRow>(
      'SELECT number, target, channel FROM gateway.removals WHERE channel = $1',
      name,
    );
    if (!row) return false;
    await this.#stepOf(tx, row, now);
    return true;
  }

  async #stepOf(tx: Transaction, { number, target, channel }: RemovalRow, now: number): Promise<void> {
    const isMore =
      target === null
        ? await this.#endSomeOfChannel(tx, channel ?? '', now)
        : await this.#endSomeOfTarget(tx, target, now);
    if (!isMore) await tx.run('DELETE FROM gateway.removals WHERE number = $1', number);
  }

  async #endSomeOfTarget(tx: Transaction, target: number, now: number): Promise<boolean> {
    return await this.#parts.endDeliveriesOf(tx, target, ROWS_PER_STEP, now);
  }

  async #endSomeOfChannel(tx: Transaction, channel: string, now: number): Promise<boolean> {
    return (
      (await this.#parts.cancelResyncsOf(tx, channel, ROWS_PER_STEP, now)) ||
      (await this.#parts.cancelAuditsOf(tx, channel, ROWS_PER_STEP, now)) ||
      (await this.#parts.removeClaimsOf(tx, channel, ROWS_PER_STEP, now))
    );
  }
}
