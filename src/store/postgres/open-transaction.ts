import type pg from 'pg';
import { isAborted } from './faults.js';
import { lockNumberOf } from './keys.js';
import { LOCK_CHANNELS, LOCK_REGISTRY } from './locks.js';
import type { Param, Transaction } from './queries.js';

/**
 * Explicit, because the database or the role may have another default. A transaction would then not see what was committed
 * while it waited for its locks.
 */
export const BEGIN = 'BEGIN ISOLATION LEVEL READ COMMITTED';

/** `pg` knows this option; its types do not. */
export type Statement = pg.QueryConfig & { readonly query_timeout?: number };

export type ToStatement = (sql: string, params: readonly Param[]) => Statement;

/** A transaction on one connection. Its BEGIN is sent at once. */
export class OpenTransaction implements Transaction {
  readonly #client: pg.PoolClient;
  readonly #statement: ToStatement;
  readonly #begun: Promise<unknown>;
  #committed: Promise<pg.QueryResult> | null = null;
  /** The error of the first statement that failed. */
  #firstFault: unknown = null;

  constructor(client: pg.PoolClient, statement: ToStatement) {
    this.#client = client;
    this.#statement = statement;
    this.#begun = this.#query(BEGIN, []);
    this.#begun.catch(() => undefined); // reported by the next statement, or by the commit
  }

  async all<Row extends object>(sql: string, ...params: Param[]): Promise<Row[]> {
    return (await this.#query(sql, params)).rows as Row[];
  }

  async one<Row extends object>(sql: string, ...params: Param[]): Promise<Row | undefined> {
    return (await this.#query(sql, params)).rows[0] as Row | undefined;
  }

  async run(sql: string, ...params: Param[]): Promise<number> {
    return (await this.#query(sql, params)).rowCount ?? 0;
  }

  /** Until then, a lost connection means that nothing was changed. */
  get isCommitSent(): boolean {
    return this.#committed !== null;
  }

  async lockChannels(channels: Iterable<string>): Promise<void> {
    const numbers = new Set([...channels].map(lockNumberOf));
    await this.#query(LOCK_CHANNELS, [[...numbers].sort((one, other) => one - other)]);
  }

  async lockRegistry(): Promise<void> {
    await this.#query(LOCK_REGISTRY, []);
  }

  async commitWith(sql: string, ...params: Param[]): Promise<number> {
    const written = this.#query(sql, params);
    written.catch(() => undefined); // awaited below
    void this.#sendCommit().catch(() => undefined);
    const { rowCount } = await written;
    await this.commit();
    return rowCount ?? 0;
  }

  /** The error to report: statements behind the one that failed are refused without a fault of their own. */
  causeOf(thrown: unknown): unknown {
    return isAborted(thrown) ? (this.#firstFault ?? thrown) : thrown;
  }

  /** After a failed statement, COMMIT "succeeds" as a rollback. */
  async commit(): Promise<void> {
    const { command } = await this.#sendCommit();
    await this.#begun;
    if (command === 'COMMIT') return;
    throw this.#firstFault instanceof Error ? this.#firstFault : new Error('The transaction was rolled back.');
  }

  async #sendCommit(): Promise<pg.QueryResult> {
    if (this.#committed === null) {
      this.#committed = this.#query('COMMIT', []);
      this.#committed.catch(() => undefined);
    }
    return await this.#committed;
  }

  async #query(sql: string, params: readonly Param[]): Promise<pg.QueryResult> {
    try {
      return await this.#client.query(this.#statement(sql, params));
    } catch (error) {
      this.#firstFault ??= error;
      throw error;
    }
  }
}
