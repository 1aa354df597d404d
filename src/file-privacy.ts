import { dirname } from 'node:path';
import type { StoreLocation } from './config.js';
import { isOpenToAll, tighten } from './private-files.js';
import { filesOf } from './store/open.js';

interface Log {
  readonly warn: (fields: object, event: string) => void;
}

/**
 * Closes the files of an open store to other users of the machine: earlier versions created them with the mode of any
 * file, so that everyone could read the messages, and stall the gateway with a read lock.
 */
export function closeToOthers(store: StoreLocation, log: Log): void {
  if (store.engine !== 'sqlite') return;
  const { tightened, stillOpen } = tighten(filesOf(store));
  if (tightened.length > 0)
    log.warn({ files: tightened }, 'database files were open to other users, permissions tightened');
  if (stillOpen.length > 0) log.warn({ files: stillOpen, fix: 'chmod 600' }, 'database files are open to other users');
  const folder = dirname(store.file);
  // The user's own folder is left as it is.
  if (isOpenToAll(folder)) log.warn({ folder, fix: `chmod o-w ${folder}` }, 'data folder is writable by all users');
}
