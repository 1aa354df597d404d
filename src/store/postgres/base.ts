import type { ClockFall } from './clock-fall.js';
import type { Database } from './database.js';
import type { IdDays } from './numbers.js';
import type { RegistryCache } from './registry-cache.js';
import type { StoreEffects } from '../store.js';

/** What all areas of the engine are built on. */
export interface Base {
  readonly db: Database;
  readonly registry: RegistryCache;
  /** The database's clock, Unix milliseconds. */
  readonly now: () => number;
  /** Whether that clock shows less than before. */
  readonly fall: ClockFall;
  /** Measures that clock, and shifts due times if it has fallen. */
  readonly measureClock: () => Promise<void>;
  /** The day that the ids of webhooks tell. */
  readonly idDays: IdDays;
  readonly effects: StoreEffects;
}
