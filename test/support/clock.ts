import { systemEffects } from '../../src/effects.js';
import type { Effects } from '../../src/effects.js';

/** A clock that the test controls, for the `effects` of a gateway. */
export interface TestClock {
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
  now(): number;
  /** Moves it forward and wakes all sleepers, so that they read it. */
  advance(ms: number): void;
  /** Moves it forward without waking sleepers. */
  jump(ms: number): void;
  /** From now on every sleep ends at once, so that grace periods are over immediately. */
  endSleeps(): void;
}

/** It starts at the present and follows real time. With `stopped` it stands still until the test moves it. */
export function startClock({ stopped = false }: { stopped?: boolean } = {}): TestClock {
  const begun = systemEffects.now();
  let ahead = 0;
  let sleepsEndAtOnce = false;
  let alarm = new AbortController();
  const now = (): number => (stopped ? begun : systemEffects.now()) + ahead;
  const wakeAll = (): void => {
    const before = alarm;
    alarm = new AbortController();
    before.abort();
  };
  return {
    effects: {
      now,
      sleep: async (ms, signal) => {
        const signals = signal ? [signal, alarm.signal] : [alarm.signal];
        await systemEffects.sleep(sleepsEndAtOnce ? 0 : ms, AbortSignal.any(signals));
      },
    },
    now,
    advance: (ms) => {
      ahead += ms;
      wakeAll();
    },
    jump: (ms) => (ahead += ms),
    endSleeps: () => {
      sleepsEndAtOnce = true;
      wakeAll();
    },
  };
}
