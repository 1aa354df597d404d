import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { temporaryFolder } from './files.js';

/** A disk that a test fills and frees under a running process. */
export interface Disk {
  readonly folder: string;
  fill(pid: number): void;
  free(pid: number): void;
}

/** If mounting is not possible, a process that writes a file beyond this is refused as on a full disk. */
const FULL_BYTES = 4096;
const MEBIBYTE = Buffer.alloc(1024 * 1024);

/** A small file system of its own if this user may mount one, otherwise a limit on the size of the process's files. */
export function smallDisk(sizeMib = 16): Disk {
  const folder = temporaryFolder();
  const filler = join(folder, 'filler');
  const limit = (pid: number, bytes: number | 'unlimited'): void =>
    void execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`]);
  if (!mounted(['-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'tmpfs', folder], folder)) {
    return { folder, fill: (pid) => limit(pid, FULL_BYTES), free: (pid) => limit(pid, 'unlimited') };
  }
  return {
    folder,
    fill: () => fillUp(filler),
    free: () => rmSync(filler),
  };
}

/** To the last byte, even if others write at the same time. */
function fillUp(file: string): void {
  const fd = openSync(file, 'a');
  try {
    for (;;) writeSync(fd, MEBIBYTE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(fd);
  }
}

/** Removes the write permission from a folder and its content until the test is over. */
export function readOnly(folder: string): void {
  execFileSync('chmod', ['-R', 'a-w', folder]);
  onTestFinished(() => void execFileSync('chmod', ['-R', 'u+w', folder]));
}

/** For `runToEnd`: drops root's privilege to write despite file permissions. */
export const UNPRIVILEGED = process.getuid?.() === 0 ? 'exec setpriv --bounding-set=-all "$0" "$1"' : ':';

function mounted(options: readonly string[], folder: string): boolean {
  if (spawnSync('mount', [...options]).status !== 0) return false;
  onTestFinished(() => void spawnSync('umount', ['-l', folder]));
  return true;
}
