import type { Breaker } from '../model.js';

/**
 * Stored circuit breakers: they survive a restart, and all replicas share them. Each change names the version that it was made
 * from, and is refused if another one came first.
 */
export interface KeptBreakers {
  /** The breakers of all targets that ever had one stored. The same list until something changes. */
  all(): Promise<readonly StoredBreaker[]>;
  /** Saves the breaker of a target and ends its probe; `after` null: it is healthy. Does nothing for a removed target. */
  change(targetId: string, beforeVersion: number, after: KeptBreaker | null): Promise<BreakerChange>;
  /**
   * Saves the open breaker of a target like `change`, with its probe leased for `leaseMs`. Refused as well while another
   * lease of the probe is running.
   */
  takeProbe(targetId: string, beforeVersion: number, open: KeptBreaker, leaseMs: number): Promise<BreakerChange>;
}

export type KeptBreaker = Omit<Breaker, 'ramp'>;

export interface StoredBreaker {
  readonly targetId: string;
  /** Grows with each change; 0: none was ever stored. */
  readonly version: number;
  /** Null: closed, and not ramping up. */
  readonly breaker: KeptBreaker | null;
  /** When the lease of its probe ends (Unix milliseconds); null: no probe is under way. */
  readonly probeUntil: number | null;
}

export interface BreakerChange {
  readonly isMade: boolean;
  /** What is stored now: the change, or what came before it. */
  readonly stored: StoredBreaker;
}
