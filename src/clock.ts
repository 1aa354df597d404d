import type { Effects } from './effects.js';
import { startLoop } from './loop.js';
import type { Loop } from './loop.js';

export interface ClockWatchOptions {
  readonly effects: Pick<Effects, 'now' | 'monotonic' | 'sleep'>;
  /** The clock was set back by `byMs`. Called again until it succeeds. */
  readonly onSetBack: (byMs: number) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

const CHECK_EVERY_MS = 1000;
/** NTP makes smaller corrections all the time, and they delay nothing that matters. */
const LEAST_SHIFT_MS = 1000;

/**
 * Stored times use the store's clock (`upkeep.now`), because they must survive a restart. If that clock is set back by an
 * hour, work due in a minute would wait an hour and a minute. So this watch compares it with the monotonic clock of the
 * process, which cannot be set, and reports how far due times must be shifted. A clock that is set forward needs nothing here: work becomes due
 * early. Pruning, which cannot be undone, has a `ConfirmedClock`.
 */
export function startClockWatch({ effects, onSetBack, onError }: ClockWatchOptions): Loop {
  const offsetMs = (): number => effects.now() - effects.monotonic();
  let previous = offsetMs();
  const turn = async (): Promise<null> => {
    const current = offsetMs();
    if (previous - current > LEAST_SHIFT_MS) await onSetBack(Math.round(previous - current));
    previous = current;
    return null;
  };
  return startLoop({ turn, onError, idleMs: CHECK_EVERY_MS, effects });
}
