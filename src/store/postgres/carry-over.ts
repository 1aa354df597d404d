import { CommandError, GatewayError, StartError } from '../../errors.js';
import type { PostgresLocation } from '../../postgres-url.js';
import type { Carried, CarriedSlice, CarriedTable, CarryOverDestination, CarryOverSource } from '../carry-over.js';
import type { StoreEffects } from '../store.js';
import { utcDay } from '../rules/days.js';
import { CLOCK } from './clock.js';
import { CARRIED_AT } from './carried-ids.js';
import { insertRows } from './carried-rows.js';
import { checkOf, checksumOf } from './carried-values.js';
import type { Column } from './carried-values.js';
import { connectionOf } from './connection.js';
import { Database } from './database.js';
import { LOCK_CARRY_OVER, LOCK_MIGRATIONS } from './locks.js';
import type { Queries, Transaction } from './queries.js';
import { prepare } from './engine.js';
import { asStartError } from './faults.js';
import { isHalfCarried, PROGRESS_TABLE } from './half-carried.js';
import { BLOCK, dayOfId, isCarriedDay, PER_DAY } from './numbers.js';
import { GONE_AFTER_MS } from './replicas.js';

/** Comparing a whole table may take minutes. */
const NO_TIMEOUTS = { statement: 0, answer: 0, answerInTransaction: 0, idleInTransaction: 0 };

const COLUMNS = `SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type FROM pg_attribute a
  WHERE a.attrelid = to_regclass('gateway.' || $1::text) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`;

interface ProgressRow {
  readonly name: string;
  readonly cursor: string | null;
  readonly rows: number;
  readonly checksum: string;
  readonly done: boolean;
}

/** Migrates the schema of the database that data is carried into. @throws StartError GW_STORE_UNUSABLE */
export async function openToFill(
  location: PostgresLocation,
  effects: Pick<StoreEffects, 'monotonic' | 'randomBytes'>,
): Promise<CarryOverDestination> {
  try {
    const config = connectionOf(location);
    await prepare(config, location.mayLoseCommits === true);
    return new PostgresDestination(new Database(config, 2, effects.monotonic, NO_TIMEOUTS), effects);
  } catch (error) {
    throw asStartError(error);
  }
}

class PostgresDestination implements CarryOverDestination {
  readonly #db: Database;
  readonly #effects: Pick<StoreEffects, 'randomBytes'>;
  readonly #columns = new Map<string, readonly Column[]>();

  constructor(db: Database, effects: Pick<StoreEffects, 'randomBytes'>) {
    this.#db = db;
    this.#effects = effects;
  }

  async begin(source: CarryOverSource): Promise<ReadonlyMap<string, Carried>> {
    return await named(async () => {
      const days = await this.#daysOf(source);
      const names = source.tables.map(({ name }) => name);
      await this.#db.transaction(async (tx) => {
        await tx.run(LOCK_MIGRATIONS);
        await tx.run(LOCK_CARRY_OVER);
        if (await isHalfCarried(tx)) await refuseOtherSource(tx, source.stamp);
        else await start(tx, names, source.stamp, days);
      });
      for (const name of names) this.#columns.set(name, await this.#db.all<Column>(COLUMNS, name));
      const rows = await progressOf(this.#db);
      return new Map(rows.map(({ name, cursor, rows: count, done }) => [name, { cursor, rows: count, isDone: done }]));
    });
  }

  async write(table: string, slice: CarriedSlice): Promise<void> {
    const columns = this.#columnsOf(table, slice);
    const checksum = slice.rows.reduce((sum, row) => sum + checkOf(columns, row), 0n);
    await named(async () => {
      await this.#db.transaction(async (tx) => {
        if (slice.rows.length > 0) await insertRows(tx, table, columns, slice.rows);
        await tx.run(
          `INSERT INTO ${PROGRESS_TABLE} AS c (name, cursor, rows, checksum, done) VALUES ($1, $2, $3, $4::numeric, $5)
           ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor, rows = c.rows + excluded.rows,
             checksum = c.checksum + excluded.checksum, done = excluded.done`,
          ...[table, slice.cursor, slice.rows.length, String(checksum), slice.cursor === null],
        );
      });
    });
  }

  async verify(source: CarryOverSource, onTable: (name: string) => void): Promise<string[]> {
    return await named(async () => {
      const progress = new Map((await progressOf(this.#db)).map((row) => [row.name, row]));
      const differing: string[] = [];
      for (const table of source.tables) {
        onTable(table.name);
        const difference = await this.#difference(table, progress.get(table.name));
        if (difference !== null) differing.push(difference);
      }
      const lanes = await this.#db.one<{ rows: number }>('SELECT count(*) AS rows FROM gateway.lanes');
      if (lanes?.rows !== source.lanes) differing.push(`lanes (${lanes?.rows ?? 0} rows instead of ${source.lanes})`);
      return differing;
    });
  }

  async finish({ tables, greatest }: CarryOverSource): Promise<void> {
    await named(async () => {
      await this.#db.transaction(async (tx) => {
        for (const [table, number] of Object.entries(greatest.ofTables)) {
          if (number > 0)
            await tx.run("SELECT setval(pg_get_serial_sequence('gateway.' || $1, 'number'), $2)", table, number);
        }
        // Starts at a random place: if the migration is repeated on the same day, no new id may be one that a bot has seen.
        await tx.run(
          "SELECT setval('gateway.blocks', greatest($1, (SELECT last_value FROM gateway.blocks)) + $2)",
          Math.ceil(greatest.id / BLOCK),
          1 + (this.#effects.randomBytes(4).readUInt32BE(0) % (PER_DAY / BLOCK)),
        );
        await tx.run(
          `INSERT INTO gateway.meta (key, value) SELECT '${CARRIED_AT}', (${CLOCK})::text ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
        );
        await tx.run(`DROP TABLE ${PROGRESS_TABLE}`);
      });
      for (const { name } of [...tables, { name: 'lanes' }]) await this.#db.run(`ANALYZE gateway.${name}`);
    });
  }

  async close(): Promise<void> {
    await this.#db.end();
  }

  /** The days of partitions for the ids that SQLite gave. @throws StartError (its clock ran decades ahead) */
  async #daysOf(source: CarryOverSource): Promise<number[]> {
    const days = new Set(source.idsOfRanges(PER_DAY).map(dayOfId));
    const clock = await this.#db.one<{ now: number }>(CLOCK);
    const today = utcDay(clock?.now ?? 0);
    if ([...days].every((day) => isCarriedDay(day) && day < today - 1)) return [...days];
    throw new StartError(
      'GW_MIGRATION_FAILED',
      `The SQLite file has ids from the far future (${source.greatest.id}), because the clock of its machine was wrong. They ` +
        'cannot be carried over. Start with an empty PostgreSQL database instead.',
    );
  }

  /** The columns that the source gives, with their types. */
  #columnsOf(table: string, { rows: [row] }: CarriedSlice): readonly Column[] {
    if (row === undefined) return [];
    return (this.#columns.get(table) ?? []).filter(({ name }) => name in row);
  }

  /** How a table differs from what was read, in words; null: it does not. */
  async #difference({ name, total, isMerged, read }: CarriedTable, carried?: ProgressRow): Promise<string | null> {
    const expected = isMerged ? (carried?.rows ?? 0) : total;
    const columns = this.#columnsOf(name, read(null));
    const sum = columns.length === 0 ? "'0'" : checksumOf(columns);
    const found = await this.#db.one<{ rows: number; checksum: string }>(
      `SELECT count(*) AS rows, ${sum} AS checksum FROM gateway.${name}`,
    );
    if (found?.rows !== expected) return `${name} (${found?.rows ?? 0} rows instead of ${expected})`;
    return found.checksum === (carried?.checksum ?? '0') ? null : `${name} (other values)`;
  }
}

/** @throws StartError GW_STORE_NOT_EMPTY */
async function start(
  tx: Transaction,
  tables: readonly string[],
  stamp: string,
  days: readonly number[],
): Promise<void> {
  const filled: string[] = [];
  for (const name of tables.filter((each) => each !== 'meta')) {
    const row = await tx.one<{ found: boolean }>(`SELECT EXISTS (SELECT FROM gateway.${name}) AS found`);
    if (row?.found === true) filled.push(name);
  }
  const running = `SELECT EXISTS (SELECT FROM gateway.replicas WHERE seen_at > (${CLOCK}) - ${GONE_AFTER_MS}) AS found`;
  if ((await tx.one<{ found: boolean }>(running))?.found === true) filled.push('replicas');
  if (filled.length > 0) throw notEmpty(filled);
  // A gateway that was started once has pinned its key and its id.
  await tx.run("DELETE FROM gateway.meta WHERE key <> 'registry_version'");
  for (const day of days) await tx.run('SELECT gateway.make_day($1::int)', day);
  await tx.run(
    `CREATE TABLE ${PROGRESS_TABLE} (name text PRIMARY KEY, cursor text, rows bigint NOT NULL, checksum numeric NOT NULL, done boolean NOT NULL)`,
  );
  await tx.run(`INSERT INTO ${PROGRESS_TABLE} (name, cursor, rows, checksum, done) VALUES ('', $1, 0, 0, true)`, stamp);
}

async function refuseOtherSource(tx: Transaction, stamp: string): Promise<void> {
  const row = await tx.one<{ cursor: string }>(`SELECT cursor FROM ${PROGRESS_TABLE} WHERE name = ''`);
  if (row?.cursor === stamp) return;
  throw new StartError(
    'GW_STORE_NOT_EMPTY',
    'PostgreSQL holds part of another SQLite file, or of this one before it was changed. Drop that data (DROP SCHEMA gateway ' +
      'CASCADE), then run the command again.',
  );
}

function notEmpty(tables: readonly string[]): StartError {
  return new StartError(
    'GW_STORE_NOT_EMPTY',
    `The PostgreSQL database already has data of a gateway (${tables.slice(0, 3).join(', ')}${tables.length > 3 ? ', …' : ''}). ` +
      'Name an empty database, or stop its replicas and drop the data (DROP SCHEMA gateway CASCADE). Nothing was changed.',
  );
}

async function progressOf(db: Queries): Promise<ProgressRow[]> {
  return await db.all<ProgressRow>(
    `SELECT name, cursor, rows, checksum::text AS checksum, done FROM ${PROGRESS_TABLE} WHERE name <> ''`,
  );
}

/** Turns faults of the server into errors of the command. */
async function named<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof GatewayError || error instanceof CommandError ? error : asStartError(error);
  }
}
