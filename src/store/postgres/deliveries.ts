import { GatewayError } from '../../errors.js';
import type { DeliveryStatus } from '../../model.js';
import { isLeftOut } from '../rules/held-items.js';
import { parseDeliveryId } from '../rules/ids.js';
import { RANKS_FROM } from '../rules/pace.js';
import type { Database } from './database.js';
import type { Transaction } from './queries.js';
import type { Base } from './base.js';
import { releaseSentItemsOf } from './left-out-items.js';
import { JOIN_LANES } from './new-deliveries.js';
import { takeNumbers } from './numbers.js';
import type { Numbers } from './numbers.js';
import type { RegistryCache, RegistryState } from './registry-cache.js';

interface RequeuedRow {
  readonly webhook_id: number;
  readonly target: number;
  readonly positions: number[] | null;
  readonly status: DeliveryStatus;
}

/** A step of a removal ends with the delivery that exceeds this: a webhook may have thousands of chats. */
const MAX_LANES_PER_STEP = 1000;

/** A retry of a delivery that expired or was left out sends it however old its message is. */
const REQUEUE = `WITH again AS (
    SELECT a.id, a.seq FROM unnest($1::bigint[], $2::bigint[]) AS a(id, seq)
  ), gone AS (
    DELETE FROM gateway.history h USING again a WHERE h.id = a.id
    RETURNING h.id, h.webhook_id, a.seq, h.created_at, h.newest_message_at, h.target, h.attempts, h.released, h.status, h.channel,
      h.lanes, h.verdicts, h.positions, h.last_error, h.log, h.body
  ), joining AS (SELECT g.id, g.target, g.seq, g.lanes FROM gone g), ${JOIN_LANES}, pending AS (
    INSERT INTO gateway.queue (id, webhook_id, seq, due_at, created_at, newest_message_at, target, blocked, attempts, tries,
      released, channel, lanes, verdicts, positions, last_error, log, body)
    SELECT g.id, g.webhook_id, g.seq, $3::bigint, g.created_at,
      CASE WHEN g.status IN ('delivered', 'dead') THEN g.newest_message_at END, g.target, coalesce(b.blocked, 0), g.attempts, 0,
      g.released, g.channel, g.lanes, g.verdicts, g.positions, g.last_error, g.log, g.body
    FROM gone g LEFT JOIN blocking b ON b.id = g.id
  )
  SELECT g.webhook_id, g.target, g.positions, g.status FROM gone g`;

/**
 * I5: a leased delivery keeps its lease, and gets one more attempt after the one that is in flight. A rank is no time at which
 * the schedule could continue: after this attempt it begins anew.
 */
const BRING_FORWARD = `UPDATE gateway.queue q SET
    asked = q.asked OR q.leased_until > $2,
    resume_at = CASE WHEN q.leased_until > $2 OR q.due_at <= $2 THEN q.resume_at 
      ELSE coalesce(q.resume_at, CASE WHEN q.due_at < ${RANKS_FROM} THEN q.due_at ELSE $2 END) END,
    due_at = CASE WHEN q.leased_until > $2 THEN q.due_at ELSE least(q.due_at, $2) END
  WHERE q.id = $1`;

/** The deliveries behind them do not move up, because the removed target gets none. */
const END_OF_REMOVED = `WITH oldest AS MATERIALIZED (
    SELECT q.id, coalesce(sum(cardinality(q.lanes)) OVER (ORDER BY q.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS lanes_before
    FROM (SELECT q.id, q.lanes FROM gateway.queue q WHERE q.target = $1 ORDER BY q.id LIMIT $2) q
  ), gone AS (
    DELETE FROM gateway.queue q
    WHERE q.id = ANY(ARRAY(SELECT o.id FROM oldest o WHERE o.lanes_before < ${MAX_LANES_PER_STEP}))
    RETURNING q.id, q.webhook_id, q.seq, q.created_at, q.newest_message_at, q.target, q.attempts, q.tries, q.released, q.channel,
      q.lanes, q.verdicts, q.positions, q.log, q.body
  ), ended AS (
    INSERT INTO gateway.history (id, webhook_id, created_at, settled_at, newest_message_at, target, attempts, tries, released, status,
      channel, lanes, verdicts, positions, last_error, log, body)
    SELECT g.id, g.webhook_id, g.created_at, $3::bigint, g.newest_message_at, g.target, g.attempts, g.tries, g.released, 'dead',
      g.channel, g.lanes, g.verdicts, g.positions, 'The target was removed.', g.log, g.body FROM gone g
  ), left_lanes AS (
    DELETE FROM gateway.lanes l USING (SELECT g.target, g.seq, unnest(g.lanes) AS lane FROM gone g) p
    WHERE l.target = p.target AND l.lane = p.lane AND l.seq = p.seq
  )
  SELECT (SELECT count(*) FROM gone)::int AS ended, (SELECT count(*) FROM oldest)::int AS found`;

/** Manual retries of deliveries, and their end when the target is removed. */
export class PostgresDeliveries {
  readonly #db: Database;
  readonly #registry: RegistryCache;
  readonly #now: () => number;

  constructor({ db, registry, now }: Base) {
    this.#db = db;
    this.#registry = registry;
    this.#now = now;
  }

  /** See `Outbox.retry`. @throws GatewayError GW_NOT_FOUND, GW_CONFLICT */
  async retry(publicId: string): Promise<void> {
    const id = parseDeliveryId(publicId) ?? 0;
    const found = await this.#db.one<{ channel: string }>(
      'SELECT d.channel FROM gateway.deliveries d WHERE d.id = $1',
      id,
    );
    if (!found) throw noSuchDelivery(publicId);
    await this.#db.transaction(async (tx) => {
      await tx.lockChannels([found.channel]);
      const now = this.#now();
      const [registry, row, numbers] = await Promise.all([
        this.#registry.in(tx),
        tx.one<{ target: number; status: DeliveryStatus }>(
          'SELECT d.target, d.status FROM gateway.deliveries d WHERE d.id = $1',
          id,
        ),
        takeNumbers(tx, 1, now),
      ]);
      if (!row) throw noSuchDelivery(publicId);
      if (!registry.targetNumbered(row.target)) {
        throw new GatewayError('GW_CONFLICT', 'The target of this delivery was removed, so it cannot be sent again.');
      }
      if (row.status === 'pending') await tx.run(BRING_FORWARD, id, now);
      else if ((await this.requeue(tx, registry, [id], numbers, now)) === 0) throw noSuchDelivery(publicId);
    });
  }

  /**
   * Makes settled deliveries pending at the end of their lanes (I6), in the order given, so they overtake nothing that waits
   * there. For use in a transaction that holds the locks of their channels. Returns how many of them were settled.
   */
  async requeue(
    tx: Transaction,
    registry: RegistryState,
    ids: readonly number[],
    numbers: Numbers,
    now: number,
  ): Promise<number> {
    const rows = await tx.all<RequeuedRow>(
      REQUEUE,
      ids,
      ids.map(() => numbers.next()),
      now,
    );
    const leftOut = rows.filter(({ status }) => isLeftOut(status));
    if (leftOut.length > 0) await releaseSentItemsOf(tx, registry, leftOut);
    return rows.length;
  }

  /**
   * Ends at most `limit` pending deliveries of a removed target as dead. Returns whether more may be left. For use in a
   * transaction that holds the lock of the registry, so that none of them is settled meanwhile.
   * @param target its number
   */
  async endSomeOfRemoved(tx: Transaction, target: number, limit: number, now: number): Promise<boolean> {
    const step = await tx.one<{ ended: number; found: number }>(END_OF_REMOVED, target, limit, now);
    return step !== undefined && (step.ended === limit || step.ended < step.found);
  }
}

function noSuchDelivery(publicId: string): GatewayError {
  return new GatewayError('GW_NOT_FOUND', `There is no delivery "${publicId}". It may have been pruned.`);
}
