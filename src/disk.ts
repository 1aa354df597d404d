import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { StoreLocation } from './config.js';

/** Bytes free for the database's files; null where they are on another machine. */
export async function freeBytesFor(store: StoreLocation): Promise<number | null> {
  if (store.engine !== 'sqlite') return null;
  const { bavail, bsize } = await statfs(dirname(store.file));
  return bavail * bsize;
}
