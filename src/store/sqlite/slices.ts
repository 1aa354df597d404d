import { nextTurn } from '../../event-loop.js';

/** Rows that one query reads at most, matching or not: about a millisecond. */
export const ROWS_PER_SLICE = 1000;
/** More turns of the event loop than a commit waits, so that a webhook waits for one slice and not for one in each turn. */
const TURNS_BETWEEN_READS = 10;

/** Lets webhooks be recorded between two slices of a long read. */
export async function yieldToCommits(): Promise<void> {
  for (let turn = 0; turn < TURNS_BETWEEN_READS; turn += 1) await nextTurn();
}
