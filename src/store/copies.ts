import type { Effects } from '../effects.js';

/** What a database holds, as far as a person compares it. */
export interface DatabaseSummary {
  readonly schemaVersion: number;
  readonly channels: number;
  readonly targets: number;
  readonly bytes: number;
  /** What `Upkeep.pin` has stored. */
  readonly values: ReadonlyMap<string, string>;
}

export interface Restored extends DatabaseSummary {
  /** Where the database that was there before is now; null: there was none. */
  readonly keptAs: string | null;
}

export interface CopyOptions {
  readonly effects: Pick<Effects, 'randomBytes'>;
  /** Aborts a backup. */
  readonly signal: AbortSignal;
}
