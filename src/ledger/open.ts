import type { StoreLocation } from '../config.js';
import type { Effects } from '../effects.js';
import { StartError } from '../errors.js';
import type { Ledger } from './ledger.js';
import { openSqliteLedger } from './sqlite/engine.js';

/** Opens the store that the configuration names. @throws StartError */
export function openLedger(location: StoreLocation, effects: Pick<Effects, 'now' | 'randomBytes'>): Ledger {
  if (location.engine === 'postgres') {
    throw new StartError(
      'GW_BAD_CONFIG',
      'DATABASE_URL names PostgreSQL, which this version does not have yet. Use sqlite:<path>.',
    );
  }
  return openSqliteLedger(location.file, effects);
}
