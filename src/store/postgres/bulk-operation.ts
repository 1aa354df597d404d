import type { Bounds, BulkCursor, Scanned, Stepped } from '../rules/bulk-work.js';
import type { Queries, Transaction } from './queries.js';
import type { RegistryState } from './registry-cache.js';

/** Rows that one query looks at, matching or not: a few milliseconds. */
export const ROWS_PER_SLICE = 1000;

/** One kind of bulk work: handles the rows that a filter matches, in the order of recording, in slices. */
export interface BulkOperation<Filter> {
  readonly start: BulkCursor;
  /** @throws GatewayError GW_NOT_FOUND (a target or resync of the filter) */
  checkFilter(filter: Filter, registry: RegistryState, queries: Queries): Promise<void>;
  scan(filter: Filter, after: BulkCursor): Promise<Scanned>;
  /**
   * For use in a transaction that has locked no channel yet. Does slow reads before it locks, and then repeats those that
   * may have changed.
   */
  step(tx: Transaction, filter: Filter, bounds: Bounds, after: BulkCursor): Promise<Stepped>;
}
