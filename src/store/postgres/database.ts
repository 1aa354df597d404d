import { createHash } from 'node:crypto';
import pg from 'pg';
import type { Effects } from '../../effects.js';
import { GatewayError } from '../../errors.js';
import { Histogram } from '../../histogram.js';
import type { Connection } from './connection.js';
import {
  asGatewayError,
  asUnavailable,
  isLostConnection,
  mayBeAnotherServer,
  missingDayOf,
  mustDropConnection,
  remedyOf,
} from './faults.js';
import { OpenTransaction } from './open-transaction.js';
import type { ToStatement } from './open-transaction.js';
import type { Param, Queries, Transaction } from './queries.js';
import { getTypeParser, storable } from './values.js';

/** How often a transaction runs before its fault is reported. */
const RUNS_AT_MOST = 3;

/** Time-outs in milliseconds. */
export interface Timeouts {
  /** Connecting, or waiting for a free connection. */
  readonly connect: number;
  /** A statement. The server ends it. */
  readonly statement: number;
  /** A wait for a lock. The server ends it: Whapi waits for 5 seconds at most. */
  readonly lock: number;
  /** A pause in a transaction. A process that freezes there holds its channels' locks, so the server ends its session. */
  readonly idleInTransaction: number;
  /** The answer to a statement. A network that goes silent reports nothing, so the connection is dropped. */
  readonly answer: number;
  /** The same in a transaction, which holds locks. */
  readonly answerInTransaction: number;
}

const TIMEOUTS: Timeouts = {
  connect: 5000,
  statement: 30_000,
  lock: 5000,
  idleInTransaction: 10_000,
  answer: 35_000,
  answerInTransaction: 12_000,
};

/** The connections of this replica to PostgreSQL. */
export class Database implements Queries {
  readonly #pool: pg.Pool;
  readonly #timeouts: Timeouts;
  readonly #names = new Map<string, string>();
  readonly #monotonic: Effects['monotonic'];
  #generation = 0;
  /** How long transactions took, from their first statement to their commit. */
  readonly commits = new Histogram();
  /** Makes the partitions that a transaction missed. `day`: the day of the row that found none; null: it is unknown. */
  onMissingDays: (day: number | null) => Promise<void> = () => Promise.resolve();
  /**
   * Runs before the first transaction of this process, and before the first one after a lost connection: another
   * server may have taken over. Null: nothing.
   */
  afterLoss: string | null = null;
  #mayHaveMoved = true;
  /** Grows with each fault after which another server may have taken over. Connections of an earlier era are not used again. */
  #era = 0;
  readonly #eraOf = new WeakMap<pg.PoolClient, number>();

  /**
   * @param most connections at once
   * @param monotonic times transactions
   * @param timeouts other ones, for work that takes long
   */
  constructor(connection: Connection, most: number, monotonic: Effects['monotonic'], timeouts: Partial<Timeouts> = {}) {
    this.#monotonic = monotonic;
    this.#timeouts = { ...TIMEOUTS, ...timeouts };
    this.#pool = new pg.Pool({
      ...connection,
      max: most,
      pipeline: true,
      application_name: 'whapi-resync-gateway',
      types: { getTypeParser },
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      connectionTimeoutMillis: this.#timeouts.connect,
      statement_timeout: this.#timeouts.statement,
      lock_timeout: this.#timeouts.lock,
      idle_in_transaction_session_timeout: this.#timeouts.idleInTransaction,
      query_timeout: this.#timeouts.answer,
    });
    // A broken connection is replaced, and the statement that uses it rejects. The pool listens only to idle connections, and
    // an error event without a listener would end the process.
    this.#pool.on('error', this.#beginEra);
    this.#pool.on('connect', (client) => {
      this.#eraOf.set(client, this.#era);
      client.on('error', () => undefined);
    });
  }

  async all<Row extends object>(sql: string, ...params: Param[]): Promise<Row[]> {
    return (await this.#read(sql, params)).rows as Row[];
  }

  async one<Row extends object>(sql: string, ...params: Param[]): Promise<Row | undefined> {
    return (await this.#read(sql, params)).rows[0] as Row | undefined;
  }

  async run(sql: string, ...params: Param[]): Promise<number> {
    return (await this.#read(sql, params)).rowCount ?? 0;
  }

  /**
   * Runs `work` in a transaction and commits it. It may run again after a fault, so it changes nothing but the database, or
   * sets anew what it changes.
   * @param isRepeatable it may run again after its commit, so it does if the answer to the commit is lost
   * @throws GatewayError GW_STORE_UNAVAILABLE: nothing was changed, or it is unknown whether
   */
  async transaction<T>(work: (tx: Transaction) => Promise<T>, isRepeatable = false): Promise<T> {
    const made = new Set<number | null>();
    for (let run = 1; ; run += 1) {
      const client = await this.#connectAgain();
      const tx = new OpenTransaction(client, this.#statementInTransaction);
      try {
        return await this.#run(tx, client, work);
      } catch (error) {
        const day = missingDayOf(error);
        if (remedyOf(error) === 'make_days' && !made.has(day)) {
          run -= 1; // several days may be missing, and each run reports one
          made.add(day);
          await this.onMissingDays(day);
        } else if (!this.#mayRunAgain(error, isRepeatable || !tx.isCommitSent) || run >= RUNS_AT_MOST)
          throw asGatewayError(error);
      }
    }
  }

  async end(): Promise<void> {
    await this.#pool.end();
  }

  async #run<T>(tx: OpenTransaction, client: pg.PoolClient, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const begunAt = this.#monotonic();
    try {
      const result = await work(tx);
      await tx.commit();
      this.commits.observe(this.#monotonic() - begunAt);
      client.release();
      return result;
    } catch (thrown) {
      const error = tx.causeOf(thrown);
      // PgBouncer ends a connection later for statements behind a failed one, with another transaction on it: see `isPreparedTwice`.
      if (this.#isToDrop(error) || !(error instanceof GatewayError)) client.release(true);
      else
        await client.query('ROLLBACK').then(
          () => client.release(),
          () => client.release(true),
        );
      throw error;
    }
  }

  /** Whether the connection is unusable after this error. If another server may have taken over, all of them are. */
  #isToDrop(error: unknown): boolean {
    if (mayBeAnotherServer(error)) this.#beginEra();
    return mustDropConnection(error);
  }

  readonly #beginEra = (): void => {
    this.#mayHaveMoved = true;
    this.#era += 1;
  };

  /** Repeats a read if its connection turns out to be dead. */
  async #read(sql: string, params: readonly Param[]): Promise<pg.QueryResult> {
    for (let run = 1; ; run += 1) {
      const client = await this.#connect();
      try {
        const result = await client.query(this.#statement(sql, params));
        client.release();
        return result;
      } catch (error) {
        client.release(this.#isToDrop(error));
        if (!this.#mayRunAgain(error, changesNothing(sql)) || run >= RUNS_AT_MOST) throw asGatewayError(error);
      }
    }
  }

  /** @param ifLost whether nothing can have changed if the connection was lost */
  #mayRunAgain(error: unknown, ifLost: boolean): boolean {
    const remedy = remedyOf(error);
    if (remedy === 'prepare_anew') {
      // Under new names: each connection has prepared the old ones.
      this.#names.clear();
      this.#generation += 1;
    }
    return remedy === 'again' || remedy === 'prepare_anew' || (ifLost && isLostConnection(error));
  }

  /** @throws GatewayError GW_STORE_UNAVAILABLE */
  async #connectAgain(): Promise<pg.PoolClient> {
    const client = await this.#connect();
    if (!this.#mayHaveMoved || this.afterLoss === null) return client;
    try {
      await client.query(this.afterLoss);
      this.#mayHaveMoved = false;
      return client;
    } catch (error) {
      client.release(true);
      throw asUnavailable(error);
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    for (;;) {
      const client = await this.#pool.connect().catch((error: unknown) => {
        this.#mayHaveMoved = true;
        throw asUnavailable(error);
      });
      if (this.#eraOf.get(client) === this.#era) return client;
      client.release(true);
    }
  }

  /** Each text is prepared once per connection. */
  readonly #statement: ToStatement = (sql, params) => {
    let name = this.#names.get(sql);
    if (name === undefined) {
      name = createHash('sha256').update(`${this.#generation} ${sql}`).digest('base64url').slice(0, 22);
      this.#names.set(sql, name);
    }
    return { name, text: sql, values: params.map(storable) };
  };

  readonly #statementInTransaction: ToStatement = (sql, params) => {
    const limit = { query_timeout: this.#timeouts.answerInTransaction };
    return params.length === 0 && /^(BEGIN|COMMIT)\b/.test(sql)
      ? { text: sql, ...limit }
      : { ...this.#statement(sql, params), ...limit };
  };
}

function changesNothing(sql: string): boolean {
  return /^\s*(SELECT|WITH)\b/.test(sql) && !/\b(INSERT|UPDATE|DELETE)\b/.test(sql);
}
