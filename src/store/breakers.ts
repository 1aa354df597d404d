import type { Breaker } from '../model.js';

/** Stored circuit breakers, so that they survive a restart. */
export interface KeptBreakers {
  /** The breakers of all targets whose circuit is not fully closed. */
  notClosed(): Promise<readonly (KeptBreaker & { readonly targetId: string })[]>;
  /** Saves the breaker of a target; null: it is closed. Does nothing for a removed target. */
  keep(targetId: string, breaker: KeptBreaker | null): Promise<void>;
}

export type KeptBreaker = Omit<Breaker, 'ramp'>;
