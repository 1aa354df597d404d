import type { Effects } from './effects.js';
import { HOUR_MS } from './durations.js';
import { startLoop } from './loop.js';
import type { Loop } from './loop.js';
import type { Retention, Upkeep } from './store/upkeep.js';

export interface SweepOptions {
  readonly store: { readonly upkeep: Pick<Upkeep, 'prune'> };
  readonly retention: Retention;
  readonly onError: (error: unknown) => void;
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
}

const SWEEP_EVERY_MS = HOUR_MS;
/** Between two steps of one sweep, so that webhooks come first. */
const STEP_PAUSE_MS = 20;

/** Deletes payloads and ledger entries past their retention: once an hour, in small steps. */
export function startSweep({ store, retention, onError, effects }: SweepOptions): Loop {
  const turn = async (): Promise<number> => {
    const isMore = await store.upkeep.prune(retention);
    return effects.now() + (isMore ? STEP_PAUSE_MS : SWEEP_EVERY_MS);
  };
  return startLoop({ turn, onError, idleMs: SWEEP_EVERY_MS, effects });
}
