import { nextTurn } from '../../event-loop.js';

/** Rows that one query reads at most, matching or not: about a millisecond. */
export const ROWS_PER_SLICE = 1000;
/** Rows that a large webhook writes in one slice: a few milliseconds, also on a slow machine. */
export const WRITES_PER_SLICE = 100;
/** More turns of the event loop than a commit waits, so that a webhook waits for one slice and not for one in each turn. */
const TURNS_BETWEEN_READS = 10;

/** Whether a slice ends after this many written rows. */
export function isEndOfSlice(writes: number): boolean {
  return writes > 0 && writes % WRITES_PER_SLICE === 0;
}

/** Lets webhooks be recorded between two slices of a long read. */
export async function yieldToCommits(): Promise<void> {
  for (let turn = 0; turn < TURNS_BETWEEN_READS; turn += 1) await nextTurn();
}
