import type { Db } from './database.js';
import { yieldToCommits } from './slices.js';

interface Group {
  readonly nextAt: number;
  readonly resync: number;
}

/** Messages and groups that are counted before other work can run: a few milliseconds. */
const MESSAGES_PER_SLICE = 20_000;
const GROUPS_PER_SLICE = 500;

/**
 * How many messages of each resync wait for their call. The messages of one resync mostly have one due time, so that they
 * are a group in the index of due calls; one lookup leads from each group to the next, and its entries are counted. Reads
 * only. (Counting the entries anew for each resync of a list held up everything for 1.7 s with 50 resyncs of 10,000
 * messages; this takes 124 ms, 8 ms at a time (bench/resync-list.js). Stored counters would have to change in each of the
 * dozen statements that change a status.)
 */
export class ResyncQueue {
  readonly #nextGroup;
  readonly #countGroup;

  constructor(db: Db) {
    this.#nextGroup = db.prepare<[string, number, number], Group>(
      `SELECT next_at AS nextAt, resync FROM resync_messages
       WHERE channel = ? AND status = 'queued' AND next_at IS NOT NULL AND (next_at, resync) > (?, ?)
       ORDER BY next_at, resync LIMIT 1`,
    );
    this.#countGroup = db
      .prepare<[string, number, number], number>(
        "SELECT count(*) FROM resync_messages WHERE channel = ? AND status = 'queued' AND next_at = ? AND resync = ?",
      )
      .pluck();
  }

  /** The queued messages of a channel by the number of their resync, counted in slices. */
  async queued(channel: string): Promise<ReadonlyMap<number, number>> {
    const counts = new Map<number, number>();
    let [messages, groups] = [0, 0];
    let group = this.#nextGroup.get(channel, -Infinity, 0);
    while (group) {
      const { nextAt, resync } = group;
      const count = this.#countGroup.get(channel, nextAt, resync) ?? 0;
      counts.set(resync, (counts.get(resync) ?? 0) + count);
      messages += count;
      groups += 1;
      if (messages >= MESSAGES_PER_SLICE || groups >= GROUPS_PER_SLICE) {
        [messages, groups] = [0, 0];
        await yieldToCommits();
      }
      group = this.#nextGroup.get(channel, nextAt, resync);
    }
    return counts;
  }
}
