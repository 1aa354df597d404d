import type { Effects } from './effects.js';
import { startLoop } from './loop.js';
import type { Loop } from './loop.js';

export interface ClockWatchOptions {
  readonly effects: Pick<Effects, 'now' | 'monotonic' | 'sleep'>;
  /** The clock of the machine was set back by so many milliseconds. Told again, when it fails, until it succeeds. */
  readonly onSetBack: (byMs: number) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

const CHECK_EVERY_MS = 1000;
/** Less than that is how clocks are disciplined all the time; it delays nothing that matters. */
const LEAST_SHIFT_MS = 1000;

/**
 * Times are stored by the machine's clock, for they have to mean the same after a restart. When it is set back, what is
 * due in a minute would be due in a minute and the length of the jump: so the jump is noticed, by a clock that nobody
 * sets, and what waits is moved with it. A jump forth needs nothing: what waits falls due early.
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
