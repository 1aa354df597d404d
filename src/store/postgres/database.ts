import { createHash } from 'node:crypto';
import pg from 'pg';
import type { Effects } from '../../effects.js';
import { Histogram } from '../../histogram.js';
import type { Connection } from './connection.js';
import { asGatewayError, isAborted, mustDropConnection, remedyOf } from './faults.js';
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

/** All connections of this process to PostgreSQL. */
export class Database implements Queries {
  readonly #pool: pg.Pool;
  readonly #names = new Map<string, string>();
  readonly #monotonic: Effects['monotonic'];
  /** How long transactions took, from their first statement to their commit. */
  readonly commits = new Histogram();
  /** Makes the partitions that a transaction missed. */
  onMissingDays: () => Promise<void> = () => Promise.resolve();

  /**
   * @param most connections at once
   * @param monotonic times transactions
   * @param timeouts other ones, for work that takes long
   */
  constructor(
    connection: Connection,
    most: number,
    monotonic: Effects['monotonic'],
    timeouts: Partial<typeof TIMEOUTS> = {},
  ) {
    this.#monotonic = monotonic;
    this.#pool = new pg.Pool({
      ...connection,
      max: most,
      pipeline: true,
      application_name: 'whapi-resync-gateway',
      types: { getTypeParser },
      ...TIMEOUTS,
      ...timeouts,
    });
    // An idle connection that breaks is replaced; the statement that needs the next one tells the fault.
    this.#pool.on('error', () => undefined);
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
    for (let run = 1; ; run += 1) {
      try {
        return await this.#runOnce(work);
      } catch (error) {
        const remedy = remedyOf(error);
        if (remedy === 'make_days' && run < RUNS_AT_MOST) await this.onMissingDays();
        else if (run >= RUNS_AT_MOST || (remedy !== 'again' && remedy !== 'reconnect')) throw asGatewayError(error);
      }
    }
  }

  /** Statements outside of a transaction, such as a migration's: a connection of its own, without our timeouts. */
  async end(): Promise<void> {
    await this.#pool.end();
  }

  async #runOnce<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    const begunAt = this.#monotonic();
    const tx = new OpenTransaction(client, this.#statement);
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

  /** A read is repeated once: the first connection may have been dead for a while. */
  async #read(sql: string, params: readonly Param[]): Promise<pg.QueryResult> {
    for (let run = 1; ; run += 1) {
      const client = await this.#pool.connect().catch((error: unknown) => {
        throw asGatewayError(error);
      });
      try {
        const result = await client.query(this.#statement(sql, params));
        client.release();
        return result;
      } catch (error) {
        client.release(mustDropConnection(error));
        const isReadOnce = run === 1 && /^\s*(SELECT|WITH)\b/.test(sql);
        if (!isReadOnce || (remedyOf(error) !== 'reconnect' && !isLostConnection(error))) throw asGatewayError(error);
      }
    }
  }

  /** Each text is prepared once per connection. */
  readonly #statement = (sql: string, params: readonly Param[]): pg.QueryConfig => {
    let name = this.#names.get(sql);
    if (name === undefined) {
      name = createHash('sha256').update(sql).digest('base64url').slice(0, 22);
      this.#names.set(sql, name);
    }
    return { name, text: sql, values: params.map(storable) };
  };
}

/**
 * - A statement or a wait for a lock that takes this long is ended by the server: Whapi waits for 5 seconds at most.
 * - A process that stops in the middle of a transaction holds its channels' locks; the server ends its session.
 * - `query_timeout` is for a network that goes silent: the client is dropped.
 */
const TIMEOUTS = {
  connectionTimeoutMillis: 5000,
  statement_timeout: 30_000,
  lock_timeout: 5000,
  idle_in_transaction_session_timeout: 10_000,
  query_timeout: 35_000,
  keepAlive: true,
  keepAliveInitialDelayMillis: 10_000,
};

class OpenTransaction implements Transaction {
  readonly #client: pg.PoolClient;
  readonly #statement: (sql: string, params: readonly Param[]) => pg.QueryConfig;
  readonly #begun: Promise<unknown>;
  #committed: Promise<pg.QueryResult> | null = null;
  /** What the first statement that failed was refused for. */
  #firstFault: unknown = null;

  constructor(client: pg.PoolClient, statement: (sql: string, params: readonly Param[]) => pg.QueryConfig) {
    this.#client = client;
    this.#statement = statement;
    this.#begun = client.query('BEGIN');
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
    if (command !== 'COMMIT') throw new Error('The transaction was rolled back.');
  }

  async #sendCommit(): Promise<pg.QueryResult> {
    if (this.#committed === null) {
      this.#committed = this.#client.query('COMMIT');
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

function isLostConnection(error: unknown): boolean {
  return remedyOf(error) === 'unavailable' && mustDropConnection(error);
}
