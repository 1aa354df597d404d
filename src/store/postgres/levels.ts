import type { Histogram } from '../../histogram.js';
import type { HeldCount, Levels, ResyncMessageCount } from '../levels.js';
import type { Verdict } from '../../model.js';
import type { Base } from './base.js';
import { WITH_WEBHOOK } from './sightings.js';

interface HeldSlice {
  readonly channel: string;
  readonly verdict: Verdict;
  readonly count: number;
  /** The place of the last item of the slice, in each of its rows. */
  readonly webhook_id: number;
  readonly position: number;
  readonly size: number;
}

/** Held items that one statement counts: some ten milliseconds of the server's. */
const HELD_PER_SLICE = 20_000;
const MOST_PER_CHANNEL = 10_000;

const HELD = `WITH slice AS MATERIALIZED (
    SELECT s.webhook_id, s.position, s.verdict FROM gateway.sightings s
    WHERE s.held AND s.webhook_id >= $1 AND (s.webhook_id, s.position) > ($1, $2::int)
    ORDER BY s.webhook_id, s.position LIMIT ${HELD_PER_SLICE}
  ), last AS (
    SELECT l.webhook_id, l.position, (SELECT count(*) FROM slice) AS size FROM slice l ORDER BY l.webhook_id DESC, l.position DESC LIMIT 1
  )
  SELECT w.channel, s.verdict, count(*) AS count, l.webhook_id, l.position, l.size
  FROM slice s ${WITH_WEBHOOK} CROSS JOIN last l
  GROUP BY w.channel, s.verdict, l.webhook_id, l.position, l.size`;
const RESYNC_MESSAGES = `SELECT c.name AS channel, m.status, count(*) AS count
  FROM gateway.channels c CROSS JOIN LATERAL (
    SELECT r.status FROM gateway.resync_messages r
    WHERE r.channel = c.name AND r.status IN ('queued', 'requesting', 'waiting') LIMIT ${MOST_PER_CHANNEL}
  ) m GROUP BY c.name, m.status ORDER BY c.name, m.status`;

/** Counts for monitoring, in slices. */
export class PostgresLevels implements Levels {
  readonly schemaVersion: number;
  readonly commits: Pick<Histogram, 'counts' | 'sumMs'>;
  readonly #base: Base;

  private constructor(base: Base, schemaVersion: number) {
    this.#base = base;
    this.schemaVersion = schemaVersion;
    this.commits = base.db.commits;
  }

  static async open(base: Base): Promise<PostgresLevels> {
    const schema = await base.db.one<{ version: number }>('SELECT version FROM gateway.schema');
    return new PostgresLevels(base, schema?.version ?? 0);
  }

  async heldItems(): Promise<readonly HeldCount[]> {
    const counts = new Map<string, HeldCount>();
    let after = { webhook_id: 0, position: 0 };
    for (;;) {
      const rows = await this.#base.db.all<HeldSlice>(HELD, after.webhook_id, after.position);
      for (const { channel, verdict, count } of rows) {
        const key = JSON.stringify([channel, verdict]);
        counts.set(key, { channel, verdict, count: (counts.get(key)?.count ?? 0) + count });
      }
      const [last] = rows;
      if (!last || last.size < HELD_PER_SLICE) return [...counts.values()];
      after = last;
    }
  }

  async resyncMessages(): Promise<readonly ResyncMessageCount[]> {
    return await this.#base.db.all<ResyncMessageCount>(RESYNC_MESSAGES);
  }
}
