import type { StoreLocation } from '../config.js';
import { StartError } from '../errors.js';
import { openSqliteStore } from './sqlite/engine.js';
import type { StoreEffects } from './sqlite/engine.js';
import type { Store } from './store.js';

/** Opens the store that the configuration names. @throws StartError */
export function openStore(location: StoreLocation, effects: StoreEffects): Store {
  if (location.engine === 'postgres') {
    throw new StartError(
      'GW_BAD_CONFIG',
      'DATABASE_URL names PostgreSQL, which this version does not support. Use a SQLite file, for example ' +
        'sqlite:./data/gateway.db.',
    );
  }
  return openSqliteStore(location.file, effects);
}
