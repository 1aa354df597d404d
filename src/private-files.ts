import {
  chmodSync,
  closeSync,
  constants,
  fchownSync,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { Effects } from './effects.js';

/** Files that the gateway creates: their owner reads and writes them, no one else. */
const PRIVATE_FILE = 0o600;
/** Folders that the gateway creates. */
export const PRIVATE_FOLDER = 0o700;
/** What group and others may do. */
const OTHERS = 0o077;
const ALL_MAY_WRITE = 0o002;

/** Files that other users could read or write. */
export interface Tightened {
  readonly tightened: readonly string[];
  /** Those that belong to another user, so that their mode could not be changed. */
  readonly stillOpen: readonly string[];
}

/**
 * Creates a file that only its owner may read, and returns its descriptor. It never opens a file that exists and never
 * follows a link. A file that root creates belongs to the owner of its folder, whose gateway has to open it.
 * @throws ErrnoException, EEXIST among them
 */
export function createPrivate(file: string): number {
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  const handle = openSync(file, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, PRIVATE_FILE);
  if (process.getuid?.() === 0) {
    const { uid, gid } = statSync(dirname(file));
    if (uid !== 0) fchownSync(handle, uid, gid);
  }
  return handle;
}

/** Creates an empty private file unless that is not possible: SQLite, which opens it next, reports why. */
export function ensurePrivate(file: string): void {
  try {
    closeSync(createPrivate(file));
  } catch {
    // It exists, or cannot be created.
  }
}

/**
 * The name under which a file is written until it is complete. It is random, so that no one can prepare a link there, and
 * lies beside the file, so that a rename is enough.
 */
export function unfinishedName(file: string, { randomBytes }: Pick<Effects, 'randomBytes'>): string {
  return `${file}.${randomBytes(8).toString('hex')}.tmp`;
}

/** Errors of `link` on a file system without hard links. */
const NO_HARD_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP']);

/** Gives a complete file its name, durably. It never replaces a file. @throws ErrnoException, EEXIST among them */
export function publish(unfinished: string, file: string): void {
  try {
    linkSync(unfinished, file);
    rmSync(unfinished);
  } catch (error) {
    if (!NO_HARD_LINKS.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    closeSync(createPrivate(file));
    renameSync(unfinished, file);
  }
  flush(dirname(file));
}

/** Puts a complete file in the place of one that may exist, durably. There is a complete file at every moment. */
export function replace(unfinished: string, file: string): void {
  renameSync(unfinished, file);
  flush(dirname(file));
}

/**
 * Writes a private file, complete or not at all, and follows no link.
 * @param giveName `publish` never replaces a file, `replace` does
 * @throws ErrnoException
 */
export function writePrivate(
  file: string,
  text: string,
  giveName: typeof publish,
  effects: Pick<Effects, 'randomBytes'>,
): void {
  const unfinished = unfinishedName(file, effects);
  try {
    const handle = createPrivate(unfinished);
    try {
      writeFileSync(handle, text);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    giveName(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

/** Makes those of the files that exist private. */
export function tighten(files: readonly string[]): Tightened {
  const open = files.filter((file) => ((statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & OTHERS) !== 0);
  const tightened = open.filter(isMadePrivate);
  return { tightened, stillOpen: open.filter((file) => !tightened.includes(file)) };
}

function isMadePrivate(file: string): boolean {
  try {
    chmodSync(file, PRIVATE_FILE);
    return true;
  } catch {
    return false; // Another user's, or a file system without modes.
  }
}

/** Whether any user of the machine can create and remove files in a folder. */
export function isOpenToAll(folder: string): boolean {
  return (statSync(folder).mode & ALL_MAY_WRITE) !== 0;
}

/**
 * Keeps a file under another name as well. On a file system without hard links it has only that name then.
 * @throws ErrnoException EEXIST (the other name is taken), ENOENT
 */
export function keepAs(file: string, other: string): void {
  try {
    linkSync(file, other);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' || code === 'ENOENT') throw error;
    renameSync(file, other);
  }
}

/** Makes a file durable, or the names in a folder: after a crash a new or renamed file is there. */
export function flush(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
