import type { ClockFall } from './clock-fall.js';
import type { Database } from './database.js';
import type { IdDays } from './numbers.js';
import type { RegistryCache } from './registry-cache.js';
import type { StoreEffects } from '../store.js';

/** What every area of the engine uses. */
export interface Base {
  readonly db: Database;
  readonly registry: RegistryCache;
  /** The database's clock, Unix milliseconds. */
  readonly now: () => number;
  /** Detects that this clock was set back. */
  readonly fall: ClockFall;
  /** Measures this clock, and shifts due times if it was set back. */
  readonly measureClock: () => Promise<void>;
  /** The day that goes into the ids of new webhooks. */
  readonly idDays: IdDays;
  readonly effects: StoreEffects;
}
