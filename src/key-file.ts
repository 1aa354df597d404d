import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { dirname } from 'node:path';
import type { Effects } from './effects.js';
import { errorText, StartError } from './errors.js';
import { keepAs, publish, replace, writePrivate } from './private-files.js';

const OTHERS_MAY_READ = 0o044;
const OTHERS_MAY_WRITE = 0o022;
/** A key is far shorter. */
const LONGEST_BYTES = 4096;
const ROOT = 0;

export interface KeyFile {
  /** Without white space at its ends. */
  readonly text: string;
  /** Other users of the machine may read it. This is usual for secrets that a container mounts. */
  readonly isReadableByOthers: boolean;
}

/**
 * Reads a file with a secret; null if it does not exist. It may be a link, as secrets are that Kubernetes mounts.
 * @throws StartError GW_STORE_UNUSABLE (unreadable), GW_UNSAFE_KEY_FILE (other users may change it)
 */
export function readKeyFile(file: string): KeyFile | null {
  const read = readGuarded(file, OTHERS_MAY_WRITE);
  if (read === null) return null;
  if (read.isTooLong) {
    throw unusable(`${file} is longer than ${LONGEST_BYTES} bytes, so it is not a key. Restore it from a backup.`);
  }
  if (read.text === '') {
    throw unusable(`${file} is empty. Restore it from a backup, or remove it so that the gateway makes a new one.`);
  }
  return read;
}

/**
 * Reads a file that only its owner may read and change; null if it does not exist.
 * @throws StartError GW_STORE_UNUSABLE (unreadable), GW_UNSAFE_KEY_FILE (other users may read or change it)
 */
export function readPrivate(file: string): GuardedFile | null {
  return readGuarded(file, OTHERS_MAY_READ | OTHERS_MAY_WRITE);
}

interface GuardedFile extends KeyFile {
  /** Its text is incomplete. */
  readonly isTooLong: boolean;
}

/** @param forbidden what other users may not do, as bits of a mode */
function readGuarded(file: string, forbidden: number): GuardedFile | null {
  let handle: number;
  try {
    handle = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK); // a pipe without a writer would never open
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw unusable(`Cannot read ${file}: ${errorText(error)}. Check its permissions.`, error);
  }
  try {
    const stats = fstatSync(handle);
    if (!stats.isFile()) throw unusable(`${file} is not a regular file. Move it away, or restore it from a backup.`);
    refuseUnsafe(file, stats, forbidden);
    const bytes = Buffer.alloc(LONGEST_BYTES + 1);
    const length = readSync(handle, bytes, 0, bytes.length, 0);
    return {
      text: bytes.toString('utf8', 0, length).trim(),
      isReadableByOthers: (stats.mode & OTHERS_MAY_READ) !== 0,
      isTooLong: length > LONGEST_BYTES,
    };
  } finally {
    closeSync(handle);
  }
}

/** Creates a file with a secret, complete or not at all. It replaces nothing and follows no link. @throws StartError */
export function makeKeyFile(file: string, text: string, effects: Pick<Effects, 'randomBytes'>): void {
  try {
    writePrivate(file, `${text}\n`, publish, effects);
  } catch (error) {
    throw unusable(`Cannot write ${file}: ${errorText(error)}. Check the permissions of its folder.`, error);
  }
}

/** Puts `successor` in the place of a key file. The old one stays as `keptAs`. There is a key at every moment. */
export function replaceKeyFile(file: string, successor: string, keptAs: string): void {
  try {
    keepAs(file, keptAs);
  } catch (error) {
    // It is missing, or kept already: the database already needs the successor.
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error;
  }
  replace(successor, file);
}

/** Anyone who may change the key can lock the gateway out, and who may change the token owns its API. */
function refuseUnsafe(file: string, { mode, uid }: Stats, forbidden: number): void {
  const own = process.getuid?.();
  if (own === undefined) return; // Windows has no such modes
  if ((mode & forbidden) !== 0) {
    const might = (mode & OTHERS_MAY_WRITE) === 0 ? 'read' : 'change';
    throw new StartError(
      'GW_UNSAFE_KEY_FILE',
      `Other users may ${might} ${file}. Run: chmod 600 ${quotedForShell(file)}`,
    );
  }
  // Root reads for the user whose folder it is; everyone else trusts root.
  const trusted = own === ROOT ? [ROOT, statSync(dirname(file)).uid] : [ROOT, own];
  if (trusted.includes(uid)) return;
  throw new StartError(
    'GW_UNSAFE_KEY_FILE',
    `${file} belongs to another user (${uid}), who may change it. Check its content, then run: chown ${trusted.at(-1) ?? own} ` +
      quotedForShell(file),
  );
}

function quotedForShell(file: string): string {
  return /^[\w@%+=:,./-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`;
}

function unusable(message: string, cause?: unknown): StartError {
  return new StartError('GW_STORE_UNUSABLE', message, { cause });
}
