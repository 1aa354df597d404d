import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { dirname } from 'node:path';
import type { Effects } from './effects.js';
import { errorText, StartError } from './errors.js';
import { createPrivate, flush, keepAs, publish, unfinishedName } from './private-files.js';

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
    refuseUnsafe(file, stats);
    const text = contentOf(file, handle);
    return { text, isReadableByOthers: (stats.mode & OTHERS_MAY_READ) !== 0 };
  } finally {
    closeSync(handle);
  }
}

/** Creates a file with a secret, complete or not at all. It replaces nothing and follows no link. @throws StartError */
export function makeKeyFile(file: string, text: string, effects: Pick<Effects, 'randomBytes'>): void {
  const unfinished = unfinishedName(file, effects);
  try {
    const handle = createPrivate(unfinished);
    try {
      writeFileSync(handle, `${text}\n`);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    publish(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true });
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
  renameSync(successor, file);
  flush(dirname(file));
}

/** Anyone who may change the key can lock the gateway out, and who may change the token owns its API. */
function refuseUnsafe(file: string, { mode, uid }: Stats): void {
  const own = process.getuid?.();
  if (own === undefined) return; // Windows has no such modes
  if ((mode & OTHERS_MAY_WRITE) !== 0) {
    throw new StartError(
      'GW_UNSAFE_KEY_FILE',
      `Other users may change ${file}. Run: chmod 600 ${quotedForShell(file)}`,
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

function contentOf(file: string, handle: number): string {
  const bytes = Buffer.alloc(LONGEST_BYTES + 1);
  const length = readSync(handle, bytes, 0, bytes.length, 0);
  if (length > LONGEST_BYTES) {
    throw unusable(`${file} is longer than ${LONGEST_BYTES} bytes, so it is not a key. Restore it from a backup.`);
  }
  const text = bytes.toString('utf8', 0, length).trim();
  if (text === '') {
    throw unusable(`${file} is empty. Restore it from a backup, or remove it so that the gateway makes a new one.`);
  }
  return text;
}

function unusable(message: string, cause?: unknown): StartError {
  return new StartError('GW_STORE_UNUSABLE', message, { cause });
}
