import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { StoreLocation } from './config.js';

/** Free bytes on the disk of the database; null if it is on another machine. */
export async function freeBytesFor(store: StoreLocation): Promise<number | null> {
  if (store.engine !== 'sqlite') return null;
  const { bavail, bsize } = await statfs(dirname(store.file));
  return bavail * bsize;
}
