import type { Histogram } from '../histogram.js';
import type { ResyncMessageStatus, Verdict } from '../model.js';

/** How much there is at the moment, for monitoring. Counting is done in slices: ask seldom, and never while a client waits. */
export interface Levels {
  /** The version of the database's schema. */
  readonly schemaVersion: number;
  /** How long transactions took since the start. */
  readonly commits: Pick<Histogram, 'counts' | 'sumMs'>;
  /** Held items by channel and verdict. */
  heldItems(): Promise<readonly HeldCount[]>;
  /** Messages of resyncs that are under way, by channel and status. At most 10,000 of a channel are counted. */
  resyncMessages(): Promise<readonly ResyncMessageCount[]>;
}

export interface HeldCount {
  readonly channel: string;
  readonly verdict: Verdict;
  readonly count: number;
}

export interface ResyncMessageCount {
  readonly channel: string;
  readonly status: ResyncMessageStatus;
  readonly count: number;
}
