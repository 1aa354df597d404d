import { verdictOf } from '../../intake/judge.js';
import type { Verdict } from '../../model.js';
import type { ItemFilter } from '../items.js';
import { messageKey } from './keys.js';

export type MessageOfFilter = Pick<ItemFilter, 'channel' | 'messageId'>;

/**
 * The keys of a filter's message id, which is matched by (channel, id); null: it has none.
 * @param channels reads the names of all channels
 */
export function messageKeysOf(
  { channel, messageId }: MessageOfFilter,
  channels: () => Iterable<string>,
): Buffer[] | null {
  if (messageId === undefined) return null;
  return (channel === undefined ? [...channels()] : [channel]).map((name) => messageKey(name, messageId));
}

/** The verdict, few of all items, that each item of a filter has; null: they may have several, or a common one. */
export function rareVerdictOf({ verdict, rule }: Pick<ItemFilter, 'verdict' | 'rule'>): Verdict | null {
  const wanted = verdict ?? (rule === undefined ? null : verdictOf(rule));
  return wanted === 'new' || wanted === 'event' ? null : wanted;
}
