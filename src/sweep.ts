import { ConfirmedClock } from './confirmed-clock.js';
import { HOUR_MS, MINUTE_MS } from './durations.js';
import type { Effects } from './effects.js';
import { startLoop } from './loop.js';
import type { Loop } from './loop.js';
import type { Retention, Upkeep } from './store/upkeep.js';

export interface SweepOptions {
  readonly store: { readonly upkeep: Pick<Upkeep, 'prune' | 'confirmedTime' | 'rememberTime'> };
  readonly retention: Retention;
  /** The clock jumped forward by `byMs`, also while the process was down: pruning waits for an hour. */
  readonly onJump: (byMs: number) => void;
  readonly onError: (error: unknown) => void;
  readonly effects: Pick<Effects, 'now' | 'monotonic' | 'sleep'>;
}

const SWEEP_EVERY_MS = HOUR_MS;
/** Between two looks at the clock. What it shows is remembered as often, for the next start. */
const LOOK_EVERY_MS = MINUTE_MS;
/** Between two steps of one sweep, so that webhooks come first. */
const STEP_PAUSE_MS = 20;

/**
 * Deletes payloads and ledger entries past their retention: once an hour, in small steps, while the time is confirmed. Its
 * own intervals are measured with the monotonic clock.
 */
export function startSweep({ store, retention, onJump, onError, effects }: SweepOptions): Loop {
  let clock: ConfirmedClock | null = null;
  let sweepAt = 0;
  let rememberAt = 0;
  const turn = async (): Promise<number> => {
    clock ??= new ConfirmedClock({ effects, confirmedAt: await store.upkeep.confirmedTime(), onJump });
    const confirmed = clock.now();
    if (effects.monotonic() >= rememberAt) {
      await store.upkeep.rememberTime(confirmed ?? effects.now(), confirmed !== null);
      rememberAt = effects.monotonic() + LOOK_EVERY_MS;
    }
    if (confirmed === null || effects.monotonic() < sweepAt) return effects.now() + LOOK_EVERY_MS;
    const isMore = await store.upkeep.prune(retention, confirmed);
    if (!isMore) sweepAt = effects.monotonic() + SWEEP_EVERY_MS;
    return effects.now() + (isMore ? STEP_PAUSE_MS : LOOK_EVERY_MS);
  };
  return startLoop({ turn, onError, idleMs: LOOK_EVERY_MS, effects });
}
