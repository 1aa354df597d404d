import { setMaxListeners } from 'node:events';
import { jittered, pauseAt } from '../backoff.js';
import type { Effects } from '../effects.js';
import { isUnavailable } from '../errors.js';

export interface SettlerOptions {
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  /** Called once when the store starts to refuse writes, and again only after it has accepted one in between. */
  readonly onError: (error: unknown) => void;
}

/** Retries settlements while the store refuses writes. Without it, a bot would receive the same message twice. */
export interface Settler {
  /**
   * Retries `write` until the store accepts it or `deadline` has passed: the end of the lease, which a new claim moves. By
   * then the delivery is due again. Calls `onRefused` each time that the store refuses. Rejects only with errors other than
   * GW_STORE_UNAVAILABLE.
   */
  settle(write: () => Promise<unknown>, deadline: () => number, onRefused?: () => void): Promise<void>;
  /** Reports a refused write that is not worth a retry. Throws errors other than GW_STORE_UNAVAILABLE. */
  reportRefusal(error: unknown): void;
  /** Retries every waiting settlement once more, immediately, and then gives up. */
  stopRetrying(): void;
}

/** Pauses between retries; the last one is repeated. */
const PAUSES_MS: readonly number[] = [100, 200, 500, 1000, 2000, 5000];

export function createSettler({ effects, onError }: SettlerOptions): Settler {
  const stopping = new AbortController();
  setMaxListeners(0, stopping.signal); // one listener per waiting settlement; Node would warn about a leak at the 11th
  let isRefusing = false;

  /** Whether the store accepted the write. */
  const isWritten = async (write: () => Promise<unknown>): Promise<boolean> => {
    try {
      await write();
      isRefusing = false;
      return true;
    } catch (error) {
      reportRefusal(error);
      return false;
    }
  };

  const reportRefusal = (error: unknown): void => {
    if (!isUnavailable(error)) throw error;
    if (!isRefusing) onError(error);
    isRefusing = true;
  };

  return {
    settle: async (write, deadline, onRefused) => {
      for (let tries = 0; !(await isWritten(write)); tries += 1) {
        onRefused?.();
        const pause = jittered(pauseAt(PAUSES_MS, tries), effects.random());
        if (stopping.signal.aborted || effects.now() + pause >= deadline()) return;
        await effects.sleep(pause, stopping.signal);
      }
    },
    reportRefusal,
    stopRetrying: () => stopping.abort(),
  };
}
