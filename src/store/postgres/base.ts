import type { Database } from './database.js';
import type { RegistryCache } from './registry-cache.js';
import type { StoreEffects } from '../store.js';

/** What all areas of the engine are built on. */
export interface Base {
  readonly db: Database;
  readonly registry: RegistryCache;
  /** The database's clock, Unix milliseconds. */
  readonly now: () => number;
  readonly measureClock: () => Promise<void>;
  readonly effects: StoreEffects;
}
