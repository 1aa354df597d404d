import { LEFT_OUT_STATUSES } from '../../model.js';
import type { LeftOutStatus, Verdict } from '../../model.js';
import type { StoredBoolean } from './stored-boolean.js';

/** What a release needs to know of an item that was withheld from a target. */
export interface HeldFacts {
  readonly carrier: string;
  /** Null: it has no message id. */
  readonly message_key: unknown;
  readonly verdict: Verdict;
  readonly rule: number;
  readonly placeholder: StoredBoolean;
}

/** The rule of a repeated vote, which reuses the id of its poll. */
export const REPEATED_VOTE = 1;

/** Whether an item is the message and not a revision, vote or placeholder, which share its id but are released by themselves. */
export function isMessageItself({ carrier, message_key: key, verdict, rule, placeholder }: HeldFacts): boolean {
  return carrier === 'messages' && key !== null && verdict !== 'event' && rule !== REPEATED_VOTE && !placeholder;
}

/**
 * The held items that are released together with this one, oldest first, itself included.
 * @param heldOfMessage reads the held items under its message id, oldest first
 */
export function repetitionsOf<Row extends HeldFacts>(row: Row, heldOfMessage: () => readonly Row[]): readonly Row[] {
  return isMessageItself(row) ? heldOfMessage().filter(isMessageItself) : [row];
}

/**
 * What a release of one message sends to targets that have no delivery of it: revisions, votes and placeholders, and the
 * message itself once, by its newest sighting. Duplicates alone release nothing.
 * @param held its held items, oldest first
 */
export function sentByRelease<Row extends HeldFacts>(held: readonly Row[]): Row[] {
  const matching = held.filter(({ verdict }) => verdict !== 'duplicate');
  const newest = held.findLast(isMessageItself);
  const sent = matching.filter((row) => !isMessageItself(row));
  if (newest && matching.some(isMessageItself)) sent.push(newest);
  return sent;
}

/** Whether a delivery ended because its target's settings left it out: its items are held. */
export function isLeftOut(status: string): status is LeftOutStatus {
  return (LEFT_OUT_STATUSES as readonly string[]).includes(status);
}
