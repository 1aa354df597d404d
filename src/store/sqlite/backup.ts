import { closeSync, existsSync, lstatSync } from 'node:fs';
import Database from 'better-sqlite3';
import { CommandError, errorText, noDatabase, StartError } from '../../errors.js';
import { createPrivate, publish, unfinishedName } from '../../private-files.js';
import type { CopyOptions, DatabaseSummary } from '../copies.js';
import { BadDatabase, finishedCopy, openReadOnly, removeDatabase, summaryOf } from './database-copy.js';
import type { Db } from './database.js';

/** Pages that are copied between two looks at the signal. */
const PAGES_PER_STEP = 2000;

/**
 * Copies the database into a new file while a gateway reads and writes it. The copy shows one moment, the start of the
 * backup: it holds every webhook that was answered before. It takes no lock that a gateway waits for, and migrates nothing.
 * @throws StartError GW_STORE_UNUSABLE (no database), GW_BACKUP_EXISTS, GW_BACKUP_FAILED; CommandError GW_INTERRUPTED.
 *   No part of a file is left
 */
export async function backupDatabase(
  file: string,
  destination: string,
  { effects, signal }: CopyOptions,
): Promise<DatabaseSummary> {
  if (lstatSync(destination, { throwIfNoEntry: false })) throw exists(destination);
  const unfinished = unfinishedName(destination, effects);
  let source: Db | undefined;
  try {
    source = openSource(file);
    // The snapshot: without it, SQLite would begin again after each commit of the gateway, and under load never end.
    source.exec('BEGIN');
    const expected = summaryOf(source);
    closeSync(createPrivate(unfinished));
    await copyPages(source, unfinished, signal);
    const copied = finishedCopy(unfinished);
    mustBeEqual(expected, copied);
    publish(unfinished, destination);
    return copied;
  } catch (error) {
    throw asBackupError(error, file, destination);
  } finally {
    source?.close();
    removeDatabase(unfinished);
  }
}

function openSource(file: string): Db {
  if (existsSync(file)) return openReadOnly(file);
  throw noDatabase(file);
}

async function copyPages(source: Db, unfinished: string, signal: AbortSignal): Promise<void> {
  await source.backup(unfinished, {
    progress: () => {
      if (signal.aborted) throw new CommandError('GW_INTERRUPTED', 'Interrupted. No backup was written.');
      return PAGES_PER_STEP;
    },
  });
}

function mustBeEqual(expected: DatabaseSummary, copied: DatabaseSummary): void {
  const isEqual = (['schemaVersion', 'channels', 'targets', 'bytes'] as const).every(
    (field) => expected[field] === copied[field],
  );
  if (!isEqual) throw new BadDatabase('differs from the database');
}

function exists(destination: string): StartError {
  return new StartError(
    'GW_BACKUP_EXISTS',
    `${destination} exists, and a backup never replaces a file. Choose another name, for example with the date in it.`,
  );
}

const FAULTS: Readonly<Record<string, string>> = {
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'its folder is a file',
  EACCES: 'its folder is not writable',
  EPERM: 'its folder is not writable',
  EROFS: 'its disk is read-only',
  ENOSPC: 'the disk is full',
  SQLITE_FULL: 'the disk is full',
};

function asBackupError(error: unknown, file: string, destination: string): Error {
  if (error instanceof StartError || error instanceof CommandError) return error;
  const { code = '' } = error as NodeJS.ErrnoException;
  if (code === 'EEXIST') return exists(destination);
  const isOfDatabase = error instanceof Database.SqliteError && !FAULTS[code] && !code.startsWith('SQLITE_IOERR');
  if (isOfDatabase || error instanceof BadDatabase) {
    const detail = error instanceof BadDatabase ? `it ${error.message}` : errorText(error);
    return new StartError('GW_BACKUP_FAILED', `Cannot back up ${file}: ${detail}. No backup was written.`, {
      cause: error,
    });
  }
  const detail = FAULTS[code] ?? errorText(error);
  return new StartError('GW_BACKUP_FAILED', `Cannot write ${destination}: ${detail}. No backup was written.`, {
    cause: error,
  });
}
