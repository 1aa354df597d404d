import { RANKS_FROM } from '../rules/pace.js';
import type { Transaction } from './queries.js';
import { Bodies } from './bodies.js';
import { uuidsIn } from './keys.js';
import type { Numbers } from './numbers.js';
import type { RegistryState } from './registry-cache.js';
import type { NewDelivery } from '../rules/recording.js';

/**
 * Parts of a WITH that put deliveries at the end of their lanes (I6): `joined` inserts the rows, `blocking` counts for each
 * delivery the lanes in which it waits. They read `joining (id, target, seq, lanes)`. All parts of a WITH see the state before
 * it, so what precedes a delivery among those of this statement is counted by itself.
 */
export const JOIN_LANES = `places AS (
    SELECT j.id, j.target, j.seq, k.lane, row_number() OVER (PARTITION BY j.target, k.lane ORDER BY j.seq) > 1 AS is_behind
    FROM joining j CROSS JOIN LATERAL unnest(j.lanes) AS k(lane)
  ), blocking AS (
    SELECT p.id, count(*) FILTER (WHERE p.is_behind
      OR EXISTS (SELECT 1 FROM gateway.lanes l WHERE l.target = p.target AND l.lane = p.lane))::int AS blocked
    FROM places p GROUP BY p.id
  ), joined AS (
    INSERT INTO gateway.lanes (target, lane, seq, delivery_id) SELECT p.target, p.lane, p.seq, p.id FROM places p
  )`;

const ADD = `WITH new AS (
    SELECT n.id, n.webhook_id, n.seq, n.target, n.channel, n.lanes::uuid[] AS lanes, n.verdicts, n.positions::int[] AS positions,
      CASE WHEN n.length IS NOT NULL THEN substring($12::bytea FROM n.start FOR n.length) END AS body, n.newest_message_at, n.released
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::int[], $5::text[], $6::text[], $7::text[], $8::text[], $9::int[],
      $10::int[], $11::float8[], $13::boolean[])
      AS n(id, webhook_id, seq, target, channel, lanes, verdicts, positions, start, length, newest_message_at, released)
  ), joining AS (SELECT n.id, n.target, n.seq, n.lanes FROM new n), ${JOIN_LANES}
  INSERT INTO gateway.queue (id, webhook_id, seq, due_at, created_at, target, blocked, attempts, tries, channel, lanes, verdicts,
    positions, body, newest_message_at, released)
  SELECT n.id, n.webhook_id, n.seq, $14::bigint, $14::bigint, n.target, coalesce(b.blocked, 0), 0, 0, n.channel, n.lanes, n.verdicts,
    n.positions, n.body, n.newest_message_at, n.released
  FROM new n LEFT JOIN blocking b ON b.id = n.id`;

const MAKE_FRONTS_DUE = `UPDATE gateway.queue q SET due_at = $3 WHERE q.due_at >= ${RANKS_FROM} AND q.id = ANY(ARRAY(
    SELECT (SELECT l.delivery_id FROM gateway.lanes l WHERE l.target = n.target AND l.lane = n.lane ORDER BY l.seq LIMIT 1)
    FROM unnest($1::int[], $2::uuid[]) AS n(target, lane)))`;

/**
 * Inserts deliveries that are due now, at the end of their lanes (I6), in the order given. Returns their ids. For use in a
 * transaction that holds the locks of their channels.
 */
export async function addDeliveries(
  tx: Transaction,
  registry: RegistryState,
  added: readonly NewDelivery[],
  numbers: Numbers,
  now: number,
): Promise<number[]> {
  if (added.length === 0) return [];
  const seqs = added.map(() => numbers.next());
  const ids = seqs.map((seq) => numbers.idOf(seq));
  const bodies = joinedBodies(added);
  const ranked = rankAgain(tx, registry, added, now);
  const inserted = tx.run(
    ADD,
    ids,
    added.map(({ webhookId }) => webhookId),
    seqs,
    added.map(({ target }) => target),
    added.map(({ channel }) => channel),
    added.map(({ lanes }) => arrayLiteral(uuidsIn(lanes))),
    added.map(({ verdicts }) => verdicts.join()),
    added.map(({ positions }) => positions && arrayLiteral(positions)),
    bodies.starts,
    bodies.lengths,
    added.map(({ newestMessageAt }) => newestMessageAt),
    bodies.bytes,
    added.map(({ released }) => released === true),
    now,
  );
  await Promise.all([ranked, inserted]);
  return ids;
}

/**
 * Before deliveries are added: the first ones of their lanes become due, if they wait for the pace of their target. Their chats
 * have something new (rules/pace.ts).
 */
export async function rankAgain(
  tx: Transaction,
  registry: RegistryState,
  added: readonly Pick<NewDelivery, 'target' | 'lanes'>[],
  now: number,
): Promise<void> {
  const paced = new Set<number>();
  for (const { number, target } of registry.targets.values())
    if (target.backlogRatePerMinute !== null) paced.add(number);
  const lanes = added
    .filter(({ target }) => paced.has(target))
    .flatMap((each) => uuidsIn(each.lanes).map((lane) => ({ target: each.target, lane })));
  if (lanes.length === 0) return;
  await tx.run(
    MAKE_FRONTS_DUE,
    lanes.map(({ target }) => target),
    lanes.map(({ lane }) => lane),
    now,
  );
}

/** Where each body begins in all of them, counted from 1; nulls: the body of the webhook. */
function joinedBodies(added: readonly NewDelivery[]) {
  const bodies = new Bodies();
  const starts = added.map(({ body }) => body && bodies.add(body));
  return { starts, lengths: added.map(({ body }) => body?.length ?? null), bytes: bodies.all() };
}

/** An array as text, because an array of arrays must have rows of one length. */
function arrayLiteral(values: readonly (string | number)[]): string {
  return `{${values.join()}}`;
}
