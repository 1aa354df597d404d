import type { ItemReleaseRequest } from '../contract/items.js';
import { eventOf } from './event-names.js';
import { timesOf } from './schemas.js';
import type { ItemFilter, ReleaseFilter } from '../store/items.js';

/** The filter of a list or of a release, as a request gives it. */
interface GivenFilter extends Omit<ItemReleaseRequest, 'held' | 'dry_run' | 'expected_count'> {
  readonly held?: boolean;
}

/** The same filter as the store takes it: a list and a release that are given the same fields match the same items. */
export function itemFilterOf({ message_id: messageId, ...given }: GivenFilter): ItemFilter & ReleaseFilter {
  return { ...given, ...eventOf(given), ...timesOf(given), messageId };
}
