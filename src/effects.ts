import { randomBytes as cryptoRandomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

/** Time and randomness: everything impure that decisions depend on. Code that needs them takes this object. */
export interface Effects {
  /** Milliseconds since the Unix epoch. May jump back when the machine's clock is set. */
  now(): number;
  /** Milliseconds since some moment of this process. Runs evenly, however the machine's clock is set. */
  monotonic(): number;
  /** Stands in for the clock of a database server. Left out: the server's own. */
  serverNow?(): number;
  /** Resolves after `ms` milliseconds; returns early, without an error, if `signal` is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** A number from 0 (included) to 1 (excluded). */
  random(): number;
  /** `size` bytes from a cryptographically secure source. */
  randomBytes(size: number): Buffer;
}

/** setTimeout takes a signed 32-bit number of milliseconds; a longer timeout would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemEffects: Effects = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    await delay(Math.min(Math.max(ms, 0), LONGEST_TIMER_MS), undefined, signal ? { signal } : {}).catch(
      (error: unknown) => {
        if (!signal?.aborted) throw error;
      },
    );
  },
  random: () => Math.random(),
  randomBytes: (size) => cryptoRandomBytes(size),
};

/** An id for a public object: `prefix_` and 20 random characters (120 bits). */
export function newId(prefix: string, effects: Pick<Effects, 'randomBytes'>): string {
  return `${prefix}_${effects.randomBytes(15).toString('base64url')}`;
}
