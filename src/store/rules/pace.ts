import { SECOND_MS } from '../../durations.js';

/**
 * A delivery that waits for the pace of its target's backlog has no due time. In its place stands a number beyond all times,
 * the smaller, the newer its chat: so the indexes of due deliveries hold the backlog as well, behind all else and in order.
 */
const FIRST_RANK = 8.9e15;
/** Due times from here on are ranks. No `Date` is as late. */
export const RANKS_FROM = 8.8e15;

/** The rank of a chat whose newest message was sent then, Unix seconds; a clock that is ahead gives no better rank. */
export function rankOf(newestAt: number, now: number): number {
  return FIRST_RANK - Math.floor(Math.min(Math.max(0, newestAt), now / SECOND_MS));
}

/** Whether a due time is a rank. */
export function isRank(dueAt: number): boolean {
  return dueAt >= RANKS_FROM;
}
