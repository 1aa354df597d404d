import { createHash } from 'node:crypto';
import pg from 'pg';
import type { Effects } from '../../effects.js';
import { Histogram } from '../../histogram.js';
import type { Connection } from './connection.js';
import {
  asGatewayError,
  asUnavailable,
  isAborted,
  isLostConnection,
  missingDayOf,
  mustDropConnection,
  remedyOf,
} from './faults.js';
import { lockNumberOf } from './keys.js';

/** What a statement takes. Keys are passed as `uuidOf(key)`; a Buffer is a `bytea`. */
export type Param = string | number | boolean | null | Buffer | readonly (string | number | boolean | null)[];

/** Runs statements. Every statement names its columns and qualifies its tables: `gateway.webhooks`. */
export interface Queries {
  /** All rows. */
  all<Row extends object>(sql: string, ...params: Param[]): Promise<Row[]>;
  /** The first row; undefined: there is none. */
  one<Row extends object>(sql: string, ...params: Param[]): Promise<Row | undefined>;
  /** How many rows were changed. */
  run(sql: string, ...params: Param[]): Promise<number>;
}

/** A transaction. Statements are sent at once, without waiting for the answers of earlier ones. */
export interface Transaction extends Queries {
  /**
   * The first statement of each transaction that records, or that ends, revives or makes a delivery: locks the registry
   * against changes, and these channels in one order for all. Later statements see what was committed until then.
   */
  lockChannels(channels: Iterable<string>): Promise<void>;
  /** Locks the registry for a change: no webhook is recorded and no delivery settled meanwhile. */
  lockRegistry(): Promise<void>;
  /** Sends a last statement together with the commit: one round trip less. Nothing may follow. */
  commitWith(sql: string, ...params: Param[]): Promise<number>;
}

/** The first numbers of our advisory locks. */
export const REGISTRY_LOCK = 7;
const CHANNEL_LOCK = 8;

const LOCK_CHANNELS = `SELECT pg_advisory_xact_lock_shared(${REGISTRY_LOCK}, 0),
  (SELECT count(*) FROM (SELECT pg_advisory_xact_lock(${CHANNEL_LOCK}, number) FROM unnest($1::int[]) AS number) AS locked)`;
const LOCK_REGISTRY = `SELECT pg_advisory_xact_lock(${REGISTRY_LOCK}, 0)`;

/** How often a transaction is run before its fault is reported. */
const RUNS_AT_MOST = 3;
const INT8 = 20;
const INT8_ARRAY = 1016;

/** How long things may take, in milliseconds. */
export interface Timeouts {
  /** Connecting, or waiting for a free connection. */
  readonly connect: number;
  /** A statement. The server ends it. */
  readonly statement: number;
  /** A wait for a lock. The server ends it: Whapi waits for 5 seconds at most. */
  readonly lock: number;
  /** A pause in a transaction. A process that stops there holds its channels' locks, so the server ends its session. */
  readonly idleInTransaction: number;
  /** The answer to a statement. A network that goes silent never tells: the connection is dropped. */
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

/** `pg` knows this option; its types do not. */
type Statement = pg.QueryConfig & { readonly query_timeout?: number };
type ToStatement = (sql: string, params: readonly Param[]) => Statement;

/** All connections of this process to PostgreSQL. */
export class Database implements Queries {
  readonly #pool: pg.Pool;
  readonly #timeouts: Timeouts;
  readonly #names = new Map<string, string>();
  readonly #monotonic: Effects['monotonic'];
  #generation = 0;
  /** How long transactions took, from their first statement to their commit. */
  readonly commits = new Histogram();
  /** Makes the partitions that a transaction missed. `day`: of which one, if it is known. */
  onMissingDays: (day: number | null) => Promise<void> = () => Promise.resolve();

  /**
   * @param most connections at once
   * @param monotonic times transactions
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
    // A connection that breaks is replaced; the statement that uses it, or needs the next one, tells the fault. The pool
    // listens only while it is idle, and an error without a listener would end the process.
    this.#pool.on('error', () => undefined);
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
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
   * what it changes is set anew by each run.
   * @throws GatewayError GW_STORE_UNAVAILABLE: nothing was changed, or it is not known whether
   */
  async transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const made = new Set<number | null>();
    for (let run = 1; ; run += 1) {
      const client = await this.#connect();
      const tx = new OpenTransaction(client, this.#statementInTransaction);
      try {
        return await this.#run(tx, client, work);
      } catch (error) {
        const day = missingDayOf(error);
        if (remedyOf(error) === 'make_days' && !made.has(day)) {
          run -= 1; // several days may be missing, and each run tells one
          made.add(day);
          await this.onMissingDays(day);
        } else if (run >= RUNS_AT_MOST || !this.#mayRunAgain(error, !tx.isCommitSent)) throw asGatewayError(error);
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
      if (mustDropConnection(error)) client.release(true);
      else
        await client.query('ROLLBACK').then(
          () => client.release(),
          () => client.release(true),
        );
      throw error;
    }
  }

  /** A read is repeated if its connection turns out to be dead. */
  async #read(sql: string, params: readonly Param[]): Promise<pg.QueryResult> {
    for (let run = 1; ; run += 1) {
      const client = await this.#connect();
      try {
        const result = await client.query(this.#statement(sql, params));
        client.release();
        return result;
      } catch (error) {
        client.release(mustDropConnection(error));
        if (run >= RUNS_AT_MOST || !this.#mayRunAgain(error, changesNothing(sql))) throw asGatewayError(error);
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

  async #connect(): Promise<pg.PoolClient> {
    return await this.#pool.connect().catch((error: unknown) => {
      throw asUnavailable(error);
    });
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
    return params.length === 0 && /^(BEGIN|COMMIT)$/.test(sql)
      ? { text: sql, ...limit }
      : { ...this.#statement(sql, params), ...limit };
  };
}

class OpenTransaction implements Transaction {
  readonly #client: pg.PoolClient;
  readonly #statement: ToStatement;
  readonly #begun: Promise<unknown>;
  #committed: Promise<pg.QueryResult> | null = null;
  /** What the first statement that failed was refused for. */
  #firstFault: unknown = null;

  constructor(client: pg.PoolClient, statement: ToStatement) {
    this.#client = client;
    this.#statement = statement;
    this.#begun = this.#query('BEGIN', []);
    this.#begun.catch(() => undefined); // told by the next statement, or by the commit
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

  /** Statements behind the one that failed are refused for nothing of their own. */
  causeOf(thrown: unknown): unknown {
    return isAborted(thrown) ? (this.#firstFault ?? thrown) : thrown;
  }

  /** After a failed statement, COMMIT "succeeds" as a rollback. */
  async commit(): Promise<void> {
    const { command } = await this.#sendCommit();
    await this.#begun;
    if (command !== 'COMMIT') throw this.#firstFault ?? new Error('The transaction was rolled back.');
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

/** PostgreSQL's texts cannot hold U+0000, which a message id may have. */
function storable(param: Param): unknown {
  if (typeof param === 'string') return withoutNul(param);
  if (!Array.isArray(param)) return param;
  return param.map((each: unknown) => (typeof each === 'string' ? withoutNul(each) : each));
}

function withoutNul(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text;
}

/** Our bigints are ids and times, which fit into a number. */
function getTypeParser(oid: number, format?: 'text' | 'binary'): unknown {
  if (oid === INT8) return Number;
  if (oid === INT8_ARRAY) return (text: string) => (text === '{}' ? [] : text.slice(1, -1).split(',').map(Number));
  // @types/pg has an enum of the known types here; any oid is allowed.
  return (pg.types.getTypeParser as (oid: number, format?: string) => unknown)(oid, format);
}

function changesNothing(sql: string): boolean {
  return /^\s*(SELECT|WITH)\b/.test(sql) && !/\b(INSERT|UPDATE|DELETE)\b/.test(sql);
}
