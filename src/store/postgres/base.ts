import type { Effects } from '../../effects.js';
import type { ClockFall } from './clock-fall.js';
import type { Database } from './database.js';
import type { RegistryCache } from './registry-cache.js';

export type StoreEffects = Pick<Effects, 'monotonic' | 'sleep' | 'randomBytes'> & Partial<Pick<Effects, 'now'>>;

/** What all areas of the engine are built on. */
export interface Base {
  readonly db: Database;
  readonly registry: RegistryCache;
  /** The database's clock, Unix milliseconds. */
  readonly now: () => number;
  /** Whether that clock shows less than before. */
  readonly fall: ClockFall;
  readonly effects: StoreEffects;
}
