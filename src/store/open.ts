import type { StoreLocation } from '../config.js';
import type { Effects } from '../effects.js';
import { StartError } from '../errors.js';
import { databaseFiles } from './sqlite/database.js';
import { openSqliteStore } from './sqlite/engine.js';
import type { Store } from './store.js';

/** Opens the store that the configuration names. @throws StartError */
export function openStore(location: StoreLocation, effects: Pick<Effects, 'now' | 'randomBytes'>): Store {
  if (location.engine === 'postgres') {
    throw new StartError(
      'GW_BAD_CONFIG',
      'DATABASE_URL names PostgreSQL, which this version does not support. Use a SQLite file, for example ' +
        'sqlite:./data/gateway.db.',
    );
  }
  return openSqliteStore(location.file, effects);
}

/** The files that the store keeps on this machine, whether or not they exist. */
export function filesOf(location: StoreLocation): string[] {
  return location.engine === 'sqlite' ? databaseFiles(location.file) : [];
}
