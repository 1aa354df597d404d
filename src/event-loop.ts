import { setImmediate as turn } from 'node:timers/promises';
import type { Sliced } from './slices.js';

/** Resolves in the next turn of the event loop, after everything else that is due. */
export async function nextTurn(): Promise<void> {
  await turn();
}

/** Does one slice of long work in each turn of the event loop. */
export async function inSlices<T>(work: Sliced<T>): Promise<T> {
  let slice = work.next();
  while (slice.done !== true) {
    await nextTurn();
    slice = work.next();
  }
  return slice.value;
}
