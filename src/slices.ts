/** Long work that yields where other work may run, every few milliseconds, and returns its result. Pure. */
export type Sliced<T> = Generator<undefined, T, undefined>;

/** Does all slices at once: for work that is known to be small, or that nothing may interrupt. */
export function finish<T>(work: Sliced<T>): T {
  let slice = work.next();
  while (slice.done !== true) slice = work.next();
  return slice.value;
}

/** Rows that a large webhook writes in one slice: a few milliseconds, also on a slow machine. */
export const WRITES_PER_SLICE = 100;

/** Whether a slice ends after this many written rows. */
export function isEndOfSlice(writes: number): boolean {
  return writes > 0 && writes % WRITES_PER_SLICE === 0;
}
