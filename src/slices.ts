import { setImmediate as nextTurn } from 'node:timers/promises';

/** Long work that yields where other work may run, and returns its result. */
export type Sliced<T> = Generator<undefined, T>;

/** Runs long work in slices: between two of them, everything else that is due gets its turn. */
export async function inSlices<T>(work: Sliced<T>): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    await nextTurn();
  }
}
