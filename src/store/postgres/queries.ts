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
