import type { StoreLocation } from '../config.js';
import { StartError } from '../errors.js';
import type { PostgresLocation } from '../postgres-url.js';
import type { CopyOptions, DatabaseSummary, Restored } from './copies.js';
import { carryOver } from './carry-over.js';
import type { CarriedOver, CarryOverOptions } from './carry-over.js';
import { openToFill } from './postgres/carry-over.js';
import { backupDatabase } from './sqlite/backup.js';
import { databaseFiles } from './sqlite/database.js';
import { openPostgresStore } from './postgres/engine.js';
import { openToCarry } from './sqlite/carry-over.js';
import { examineDatabase } from './postgres/examine.js';
import type { FoundDatabase } from './postgres/examine.js';
import { openSqliteStore } from './sqlite/engine.js';
import { restoreDatabase } from './sqlite/restore.js';
import type { Store, StoreEffects } from './store.js';

/** Opens the store that the configuration names. @throws StartError */
export async function openStore(location: StoreLocation, effects: StoreEffects): Promise<Store> {
  return await openEngine(location, effects);
}

function openEngine(location: StoreLocation, effects: StoreEffects): Store | Promise<Store> {
  switch (location.engine) {
    case 'sqlite':
      return openSqliteStore(location.file, effects);
    case 'postgres':
      return openPostgresStore(location, effects, effects.serverNow);
  }
}

/** Creates an empty database in PostgreSQL. */
export { createTemporaryDatabase } from './postgres/temporary.js';

/**
 * Connects to PostgreSQL as a start does, and changes nothing. Null for another engine.
 * @throws StartError (a start would fail)
 */
export async function examineStore(location: StoreLocation): Promise<FoundDatabase | null> {
  return location.engine === 'postgres' ? await examineDatabase(location) : null;
}

/** The files that the store keeps on this machine, whether or not they exist. */
export function filesOf(location: StoreLocation): string[] {
  return location.engine === 'sqlite' ? databaseFiles(location.file) : [];
}

/** Copies a store that may be in use into a new file. @throws StartError, CommandError (interrupted) */
export async function backupStore(
  location: StoreLocation,
  destination: string,
  options: CopyOptions,
): Promise<DatabaseSummary> {
  return await backupDatabase(sqliteFile(location), destination, options);
}

/**
 * Puts a backup in the place of a store that no process has open. `ending`: what the name of the old one gets.
 * @throws StartError
 */
export function restoreStore(
  location: StoreLocation,
  backup: string,
  ending: string,
  options: Pick<CopyOptions, 'effects'>,
): Restored {
  return restoreDatabase(sqliteFile(location), backup, ending, options);
}

/**
 * Carries everything from the SQLite file of a stopped gateway into an empty PostgreSQL database. The file is not changed.
 * @throws StartError GW_STORE_UNUSABLE, GW_STORE_NOT_EMPTY, GW_MIGRATION_FAILED; GatewayRunsError; CommandError (interrupted)
 */
export async function carryOverStore(
  file: string,
  location: PostgresLocation,
  effects: StoreEffects,
  options: CarryOverOptions,
): Promise<CarriedOver> {
  const source = openToCarry(file);
  try {
    const destination = await openToFill(location, effects);
    try {
      return await carryOver(source, destination, options);
    } finally {
      await destination.close();
    }
  } finally {
    source.close();
  }
}

/** The file, for what only a database in a file can do. @throws StartError GW_BAD_CONFIG */
export function sqliteFile(location: StoreLocation): string {
  if (location.engine === 'sqlite') return location.file;
  throw new StartError(
    'GW_BAD_CONFIG',
    'DATABASE_URL names PostgreSQL, which has its own tools for this: pg_dump and pg_restore, or the snapshots of your provider. ' +
      'This command is for a SQLite file.',
  );
}
