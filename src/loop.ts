import type { Effects } from './effects.js';

/** Work done in turns: whenever something is due, and immediately after a hint. */
export interface Loop {
  /** A hint that there may be work. Optional: without it, the next turn finds the work. */
  wake(): void;
  /** Starts no more turns. Resolves when the current one has ended. */
  stop(): Promise<void>;
}

export interface LoopOptions {
  /**
   * Does what is due. Returns when the next work is due (milliseconds since the epoch), or null if that is not known.
   */
  turn(): Promise<number | null>;
  /** Called when a turn failed. The next turn follows after `idleMs`. */
  onError(error: unknown): void;
  /** The longest pause between two turns, whatever is due. */
  readonly idleMs: number;
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
}

/**
 * Pause after an internal failure, such as a store that refuses writes, so that calls are not repeated in a tight loop.
 */
export const AFTER_FAULT_MS = 1000;

/** An abort without a reason would create an error with a stack, which takes a dozen microseconds per hint. */
const WOKEN = 'woken';

export function startLoop({ turn, onError, idleMs, effects }: LoopOptions): Loop {
  const stopped = new AbortController();
  let pause = new AbortController();

  const takeTurn = async (): Promise<number | null> => {
    try {
      return await turn();
    } catch (error) {
      onError(error);
      return null;
    }
  };

  const run = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      pause = new AbortController(); // before the turn, so that a hint during it is not lost
      const dueAt = await takeTurn();
      if (pause.signal.aborted) continue;
      await effects.sleep(Math.min(idleMs, dueAt === null ? idleMs : dueAt - effects.now()), pause.signal);
    }
  };

  const running = run();
  return {
    wake: () => pause.abort(WOKEN),
    stop: async () => {
      stopped.abort();
      pause.abort();
      await running;
    },
  };
}

/** Waits until everything in `underWay` has settled, for `graceMs` at most. */
export async function waitForAll(
  underWay: Iterable<Promise<void>>,
  graceMs: number,
  effects: Pick<Effects, 'sleep'>,
): Promise<void> {
  const ended = new AbortController();
  void Promise.allSettled(underWay).then(() => ended.abort());
  await effects.sleep(graceMs, ended.signal);
}
