import type { Effects } from './effects.js';

/** Work that is done turn by turn: when it falls due, and at once when somebody has reason to think that there is some. */
export interface Loop {
  /** A hint that there may be work. Never needed: without it the work is found when it falls due. */
  wake(): void;
  /** No turn begins after this; resolves when the running one has ended. */
  stop(): Promise<void>;
}

export interface LoopOptions {
  /** Does what is due. Returns when the next work falls due (milliseconds since the epoch), null where none is known. */
  turn(): Promise<number | null>;
  /** Told of a turn that failed; the next comes after `idleMs`. */
  onError(error: unknown): void;
  /** The longest pause between two turns, whatever is said to be due. */
  readonly idleMs: number;
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
}

/** Aborting without a reason would make an error with a stack, a dozen microseconds for each hint. */
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
      pause = new AbortController(); // before the turn: a hint that comes during it must not be lost
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

/** Waits until all of what is under way has ended, `graceMs` at most. */
export async function waitForAll(
  underWay: Iterable<Promise<void>>,
  graceMs: number,
  effects: Pick<Effects, 'sleep'>,
): Promise<void> {
  const ended = new AbortController();
  void Promise.allSettled(underWay).then(() => ended.abort());
  await effects.sleep(graceMs, ended.signal);
}
