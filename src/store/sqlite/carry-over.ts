import { existsSync, statSync } from 'node:fs';
import { noDatabase, StartError } from '../../errors.js';
import { migrationsOf, pendingMigrations } from '../migrate.js';
import { KEY_BYTES } from '../rules/keys.js';
import type { CarriedRow, CarriedSlice, CarriedTable, CarryOverSource, GreatestNumbers } from '../carry-over.js';
import { CARRIED_TABLES } from './carried-tables.js';
import type { TableToCarry } from './carried-tables.js';
import { asStartError, databaseFiles, lockDatabase, realFile } from './database.js';
import type { Db } from './database.js';
import { BadDatabase, openReadOnly, summaryOf } from './database-copy.js';
import { GREATEST_SEQ } from './delivery-tables.js';
import { LedgerToCarry } from './ledger-to-carry.js';
import { readNumber } from './soundness.js';

const ROWS_PER_SLICE = 1000;
/** A slice ends with the row that exceeds this: bodies may be large. */
const BYTES_PER_SLICE = 4 * 1024 * 1024;

/**
 * Opens the database of a stopped gateway for reading, and locks out every gateway until it is closed.
 * @throws StartError GW_STORE_UNUSABLE (no database, another schema version); GatewayRunsError
 */
export function openToCarry(file: string): CarryOverSource {
  if (!existsSync(file)) throw noDatabase(file);
  const lock = lockDatabase(realFile(file));
  let db: Db | undefined;
  try {
    db = openReadOnly(file);
    return sourceOf(file, db, lock);
  } catch (error) {
    db?.close();
    lock.close();
    if (!(error instanceof BadDatabase)) throw asStartError(file, error);
    throw new StartError('GW_STORE_UNUSABLE', `${file} ${error.message}.`, { cause: error });
  }
}

function sourceOf(file: string, db: Db, lock: Db): CarryOverSource {
  db.exec('BEGIN'); // all reads see the same state, even if another program writes
  const { schemaVersion, values } = summaryOf(db);
  refuseOtherVersion(file, schemaVersion);
  return {
    stamp: stampOf(file),
    schemaVersion,
    values,
    tables: [...CARRIED_TABLES.map((table) => tableOf(db, table)), new LedgerToCarry(db)],
    greatest: greatestOf(db),
    idsOfRanges: (size) => idsOfRanges(db, size),
    lanes: readNumber(
      db,
      `SELECT coalesce(sum(length(chats) / ${KEY_BYTES}), 0) FROM deliveries WHERE status = 'pending'`,
    ),
    close: () => {
      db.close();
      lock.close();
    },
  };
}

function refuseOtherVersion(file: string, version: number): void {
  if (pendingMigrations(migrationsOf('sqlite'), version).length === 0) return;
  throw new StartError(
    'GW_STORE_UNUSABLE',
    `${file} has schema version ${version}, of an older version of the gateway. Start this version with it once, which ` +
      'upgrades the file, stop it, then run the command again.',
  );
}

/** When the files of the database were last written to, and their sizes. Reading changes neither. */
function stampOf(file: string): string {
  const [main = file, log = file] = databaseFiles(file);
  const parts = [main, log].map((path) => statSync(path, { throwIfNoEntry: false }));
  return parts.map((stat) => (stat && stat.size > 0 ? `${stat.size}@${stat.mtimeMs}` : '-')).join(' ');
}

function tableOf(db: Db, { name, from, where, columns, key }: TableToCarry): CarriedTable {
  const list = Object.entries(columns).map(([column, source]) => `${source} AS "${column}"`);
  const keys = key.join(', ');
  const after = `(${keys}) > (${key.map(() => '?').join(', ')})`;
  const select = (condition: string) =>
    db.prepare<unknown[], CarriedRow>(
      `SELECT ${list.join(', ')} FROM ${from} WHERE ${condition} ORDER BY ${keys} LIMIT ${ROWS_PER_SLICE}`,
    );
  const first = select(where);
  const next = select(`${where} AND ${after}`);
  return {
    name,
    isMerged: false,
    total: readNumber(db, `SELECT count(*) FROM ${from} WHERE ${where}`),
    read: (cursor) =>
      sliceOf(cursor === null ? first.iterate() : next.iterate(...parseCursor(cursor)), (row) =>
        cursorOf(key.map((column) => row[column] ?? null)),
      ),
  };
}

function sliceOf(found: Iterable<CarriedRow>, cursorAfter: (row: CarriedRow) => string): CarriedSlice {
  const rows: CarriedRow[] = [];
  let bytes = 0;
  for (const row of found) {
    rows.push(row);
    for (const value of Object.values(row)) bytes += typeof value === 'object' ? (value?.length ?? 0) : 0;
    if (bytes > BYTES_PER_SLICE) break;
  }
  const last = rows.at(-1);
  const isLast = rows.length < ROWS_PER_SLICE && bytes <= BYTES_PER_SLICE;
  return { rows, cursor: last === undefined || isLast ? null : cursorAfter(last) };
}

function cursorOf(key: readonly (string | number | Buffer | null)[]): string {
  return JSON.stringify(key.map((value) => (Buffer.isBuffer(value) ? { hex: value.toString('hex') } : value)));
}

function parseCursor(cursor: string): (string | number | Buffer)[] {
  const key = JSON.parse(cursor) as (string | number | { readonly hex: string })[];
  return key.map((value) => (typeof value === 'object' ? Buffer.from(value.hex, 'hex') : value));
}

/** Looks up the first id of each range, which reads few of the rows. */
function idsOfRanges(db: Db, size: number): number[] {
  const found: number[] = [];
  for (const [table, column] of [
    ['webhooks', 'id'],
    ['deliveries', 'id'],
    ['sightings', 'webhook_id'],
    ['evidence', 'webhook_id'],
  ] as const) {
    const next = db
      .prepare<[number], number | null>(`SELECT min(${column}) FROM ${table} WHERE ${column} >= ?`)
      .pluck();
    for (let id = next.get(0); typeof id === 'number'; id = next.get((Math.floor(id / size) + 1) * size))
      found.push(id);
  }
  return found;
}

function greatestOf(db: Db): GreatestNumbers {
  const number = (sql: string): number => readNumber(db, `SELECT coalesce(max(number), 0) FROM (${sql})`);
  // A number is never given twice, even if its row is gone.
  const ofTable = (table: string): number =>
    number(`SELECT number FROM ${table} UNION ALL SELECT seq FROM sqlite_sequence WHERE name = '${table}'`);
  return {
    id: number(
      `SELECT max(id) AS number FROM webhooks UNION ALL SELECT max(id) FROM deliveries UNION ALL SELECT max(seq) FROM deliveries
       UNION ALL SELECT max(number) FROM jobs UNION ALL SELECT CAST(value AS INTEGER) FROM meta WHERE key = '${GREATEST_SEQ}'`,
    ),
    ofTables: Object.fromEntries(
      ['targets', 'resyncs', 'audits', 'audit_messages', 'removals'].map((table) => [table, ofTable(table)]),
    ),
  };
}
