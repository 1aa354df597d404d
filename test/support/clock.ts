import { systemEffects } from '../../src/effects.js';
import type { Effects } from '../../src/effects.js';

/** A clock in the test's hands, for `effects` of a gateway. */
export interface TestClock {
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
  now(): number;
  /** Sets it forward and wakes all sleepers, so that they look at it. */
  advance(ms: number): void;
  /** Sets it forward while everybody sleeps on. */
  jump(ms: number): void;
  /** From here on every sleep ends at once: whoever is given time to finish has none. */
  hurry(): void;
}

/** It begins at the present and runs on with real time; `stopped`: it stands still until it is set forward. */
export function startClock({ stopped = false }: { stopped?: boolean } = {}): TestClock {
  const begun = systemEffects.now();
  let ahead = 0;
  let isHurried = false;
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
        await systemEffects.sleep(isHurried ? 0 : ms, AbortSignal.any(signals));
      },
    },
    now,
    advance: (ms) => {
      ahead += ms;
      wakeAll();
    },
    jump: (ms) => (ahead += ms),
    hurry: () => {
      isHurried = true;
      wakeAll();
    },
  };
}
