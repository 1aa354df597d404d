import type { Queries } from './queries.js';

/** Steps from a delivery to the one at the front; each leads to an earlier delivery. */
const MAX_HOPS = 10;

/** Follows what is ahead of each delivery in one of its lanes: a webhook with several chats is in several. */
const FRONTS = `WITH RECURSIVE hop AS (
    SELECT q.id AS origin, q.id, 0 AS hops FROM gateway.queue q WHERE q.id = ANY($1::bigint[]) AND q.blocked > 0
    UNION ALL
    SELECT h.origin, ahead.delivery_id, h.hops + 1 FROM hop h
      JOIN gateway.queue q ON q.id = h.id AND q.blocked > 0
      CROSS JOIN LATERAL (
        SELECT first.delivery_id FROM unnest(q.lanes) AS k(lane)
          CROSS JOIN LATERAL (
            SELECT l.delivery_id FROM gateway.lanes l
            WHERE l.target = q.target AND l.lane = k.lane AND l.seq < q.seq ORDER BY l.seq LIMIT 1
          ) first LIMIT 1
      ) ahead
    WHERE h.hops < ${MAX_HOPS}
  )
  SELECT DISTINCT ON (origin) origin, id FROM hop WHERE hops > 0 ORDER BY origin, hops DESC`;

/** What pending deliveries wait for in their lanes (I6): by id, the delivery at the front. Those that do not wait are left out. */
export async function frontsOf(queries: Queries, ids: readonly number[]): Promise<ReadonlyMap<number, number>> {
  if (ids.length === 0) return new Map();
  const rows = await queries.all<{ origin: number; id: number }>(FRONTS, ids);
  return new Map(rows.map(({ origin, id }) => [origin, id]));
}
