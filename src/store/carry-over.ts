import { nextTurn } from '../event-loop.js';
import { CommandError, StartError } from '../errors.js';

/** A row by the names of PostgreSQL's columns, with SQLite's values. */
export type CarriedRow = Readonly<Record<string, string | number | Buffer | null>>;

/** Some rows of a table, in the order of its key. */
export interface CarriedSlice {
  readonly rows: readonly CarriedRow[];
  /** Where the next slice begins; null: this was the last one. */
  readonly cursor: string | null;
}

/** A table to carry over. */
export interface CarriedTable {
  readonly name: string;
  /** How many rows it has; at most this many if they are merged. */
  readonly total: number;
  /** Each row is merged from several, so that their number is known only after reading them. */
  readonly isMerged: boolean;
  read(cursor: string | null): CarriedSlice;
}

/** The highest numbers in use. New ones must be higher. */
export interface GreatestNumbers {
  /** Of ids and of places in lanes, which share a sequence. */
  readonly id: number;
  /** Of the numbers of rows, by table. */
  readonly ofTables: Readonly<Record<string, number>>;
}

/** The store to read, which no process has open. */
export interface CarryOverSource {
  /** Changes when the store is written to. */
  readonly stamp: string;
  readonly schemaVersion: number;
  readonly tables: readonly CarriedTable[];
  readonly greatest: GreatestNumbers;
  /** One id from each range of `size` ids that has rows. */
  idsOfRanges(size: number): readonly number[];
  /** Pinned values by name. */
  readonly values: ReadonlyMap<string, string>;
  /** How many rows its lanes have. The destination makes them from the pending deliveries. */
  readonly lanes: number;
  close(): void;
}

/** The progress of a table. */
export interface Carried {
  readonly cursor: string | null;
  readonly rows: number;
  readonly isDone: boolean;
}

/** The store to fill: empty, or with a part of the source. */
export interface CarryOverDestination {
  /**
   * Starts, or continues after an interruption. Returns the progress of each table.
   * @throws StartError GW_STORE_NOT_EMPTY: it has other data
   */
  begin(source: CarryOverSource): Promise<ReadonlyMap<string, Carried>>;
  /** Writes a slice and the progress of its table, in one transaction. */
  write(table: string, slice: CarriedSlice): Promise<void>;
  /** Compares everything with the source. Returns the tables that differ, with how they differ. */
  verify(source: CarryOverSource, onTable: (name: string) => void): Promise<string[]>;
  /** Lets gateways start with the store. */
  finish(source: CarryOverSource): Promise<void>;
  close(): Promise<void>;
}

/** The progress of the command. */
export interface CarryOverProgress {
  readonly phase: 'copy' | 'verify';
  readonly table: string;
  readonly rows: number;
  readonly total: number;
}

/** The outcome. */
export interface CarriedOver {
  readonly schemaVersion: number;
  /** By table. */
  readonly rows: Readonly<Record<string, number>>;
  /** It continued after an interruption. */
  readonly isResumed: boolean;
  readonly values: ReadonlyMap<string, string>;
}

export interface CarryOverOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: CarryOverProgress) => void;
}

/**
 * Carries everything from one store into another, table by table, and compares both. It can end at any moment: the next run
 * continues with the first slice that was not committed.
 * @throws StartError GW_STORE_NOT_EMPTY, GW_MIGRATION_FAILED; CommandError GW_INTERRUPTED
 */
export async function carryOver(
  source: CarryOverSource,
  destination: CarryOverDestination,
  { signal, onProgress }: CarryOverOptions,
): Promise<CarriedOver> {
  const before = await destination.begin(source);
  const rows: Record<string, number> = {};
  for (const table of source.tables) {
    const start = before.get(table.name) ?? { cursor: null, rows: 0, isDone: false };
    rows[table.name] = await carryTable(table, start, destination, { signal, onProgress });
  }
  const differing = await destination.verify(source, (table) => {
    endIfAborted(signal);
    onProgress({ phase: 'verify', table, rows: rows[table] ?? 0, total: rows[table] ?? 0 });
  });
  if (differing.length > 0) throw differs(differing);
  await destination.finish(source);
  return { schemaVersion: source.schemaVersion, rows, isResumed: before.size > 0, values: source.values };
}

/** Reads the next slice while the one before it is written. Returns how many rows the table has now. */
async function carryTable(
  { name, total, read }: CarriedTable,
  { cursor: start, rows, isDone }: Carried,
  destination: CarryOverDestination,
  { signal, onProgress }: CarryOverOptions,
): Promise<number> {
  let done = rows;
  let writing: Promise<void> = Promise.resolve();
  for (let cursor = start, isLast = isDone; !isLast;) {
    const slice = read(cursor);
    await writing;
    endIfAborted(signal);
    writing = destination.write(name, slice);
    writing.catch(() => undefined); // awaited below
    done += slice.rows.length;
    onProgress({ phase: 'copy', table: name, rows: done, total: Math.max(total, done) });
    cursor = slice.cursor;
    isLast = cursor === null;
    await nextTurn();
  }
  await writing;
  return done;
}

function endIfAborted(signal: AbortSignal): void {
  if (signal.aborted) {
    throw new CommandError('GW_INTERRUPTED', 'Interrupted. Run the same command again: it continues where it stopped.');
  }
}

function differs(tables: readonly string[]): StartError {
  return new StartError(
    'GW_MIGRATION_FAILED',
    `PostgreSQL does not hold what the SQLite file holds: ${tables.join(', ')}. No gateway can start with this database. ` +
      'Drop its schema (DROP SCHEMA gateway CASCADE), then run the command again. The SQLite file is unchanged.',
  );
}
