import type { Breaker } from '../model.js';

/** Circuit breakers that are not closed: they outlive a restart. */
export interface KeptBreakers {
  notClosed(): Promise<readonly (KeptBreaker & { readonly targetId: string })[]>;
  /** Replaces the breaker of a target; null: it is closed. Does nothing for a target that was removed. */
  keep(targetId: string, breaker: KeptBreaker | null): Promise<void>;
}

export type KeptBreaker = Omit<Breaker, 'ramp'>;
