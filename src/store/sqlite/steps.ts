/** Synchronous work in steps of a few milliseconds: the caller decides what may happen between two of them. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** Rows that one step writes at most: a few milliseconds, also on a slow machine. */
export const ROWS_PER_STEP = 100;

/** Whether a step ends after this many rows. */
export function isEndOfStep(rows: number): boolean {
  return rows > 0 && rows % ROWS_PER_STEP === 0;
}

/** Takes all steps at once. */
export function finish<T>(steps: Steps<T>): T {
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  return step.value;
}

/** Takes one step in each turn of the event loop. */
export async function finishInTurns<T>(steps: Steps<T>): Promise<T> {
  let step = steps.next();
  while (step.done !== true) {
    await nextTurn();
    step = steps.next();
  }
  return step.value;
}

/** Resolves in the next turn of the event loop. */
export async function nextTurn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
