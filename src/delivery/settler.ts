import { setMaxListeners } from 'node:events';
import { jittered, pauseAt } from '../backoff.js';
import type { Effects } from '../effects.js';
import { GatewayError } from '../errors.js';

export interface SettlerOptions {
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  /** Called once when the store refuses, and again only after it has taken something. */
  readonly onError: (error: unknown) => void;
}

/** Settles attempts even if the store refuses for a while: otherwise a bot would be sent a message twice. */
export interface Settler {
  /**
   * Has `write` tried until the store takes it or `deadline` has passed: the lease is over then, and the delivery is due
   * again. Rejects only with another error than GW_STORE_UNAVAILABLE.
   */
  settle(write: () => Promise<unknown>, deadline: number): Promise<void>;
  /** Reports a refusal of a write that need not be retried. Throws any other error than GW_STORE_UNAVAILABLE. */
  reportRefusal(error: unknown): void;
  /** Tries what waits once more, at once, and then gives up. */
  stopRetrying(): void;
}

/** Between tries; the last one is repeated. */
const PAUSES_MS: readonly number[] = [100, 200, 500, 1000, 2000, 5000];

export function createSettler({ effects, onError }: SettlerOptions): Settler {
  const stopping = new AbortController();
  setMaxListeners(0, stopping.signal); // one for each settlement that waits; Node would warn of a leak at the eleventh
  let isRefusing = false;

  /** Whether the store has taken it. */
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
    if (!(error instanceof GatewayError && error.code === 'GW_STORE_UNAVAILABLE')) throw error;
    if (!isRefusing) onError(error);
    isRefusing = true;
  };

  return {
    settle: async (write, deadline) => {
      for (let tries = 0; !(await isWritten(write)); tries += 1) {
        const pause = jittered(pauseAt(PAUSES_MS, tries), effects.random());
        if (stopping.signal.aborted || effects.now() + pause >= deadline) return;
        await effects.sleep(pause, stopping.signal);
      }
    },
    reportRefusal,
    stopRetrying: () => stopping.abort(),
  };
}
