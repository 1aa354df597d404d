import { isLeftOut } from '../rules/held-items.js';
import { attemptsAfter, historyAfter, scheduleAfterFailure } from '../rules/attempts.js';
import { parseDeliveryId } from '../rules/ids.js';
import { Batches } from './batches.js';
import type { Outcome } from './batches.js';
import type { Database } from './database.js';
import type { Base } from './base.js';
import type { Leases } from './leases.js';
import { holdItemsOf } from './left-out-items.js';
import { Unanswered } from './unanswered.js';
import type { Settled } from './unanswered.js';
import type { Settlement } from '../outbox.js';

/** Settlements in one transaction. */
const MOST_PER_BATCH = 256;

/** I5: only the holder of the lease's token changes the row. A manual retry may have been requested since the claim. */
const RETURN = `UPDATE gateway.queue q SET lease = NULL, leased_until = 0,
    due_at = CASE WHEN s.was_attempted AND q.asked THEN $11 ELSE coalesce(s.due_at, q.due_at) END,
    resume_at = CASE WHEN NOT s.was_attempted THEN q.resume_at WHEN q.asked THEN s.resume_at END,
    asked = q.asked AND NOT s.was_attempted,
    tries = s.tries, attempts = s.attempts, streak = s.streak, last_error = s.last_error, log = coalesce(s.log, q.log)
  FROM unnest($1::bigint[], $2::bigint[], $3::boolean[], $4::bigint[], $5::bigint[], $6::int[], $7::int[], $8::text[], $9::text[], $10::text[])
    AS s(id, lease, was_attempted, due_at, resume_at, tries, attempts, streak, last_error, log)
  WHERE q.id = s.id AND q.lease = s.lease RETURNING q.id`;

/**
 * Moves deliveries to the history and out of their lanes (I6). The next one of each lane moves up; one that is next in several
 * lanes is counted down once for each.
 */
const END = `WITH s AS (
    SELECT e.id, e.lease, e.status, e.cause, e.tries, e.attempts, e.last_error, e.log, e.settled_at
    FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::int[], $6::int[], $7::text[], $8::text[], $9::bigint[])
      AS e(id, lease, status, cause, tries, attempts, last_error, log, settled_at)
  ), gone AS (
    DELETE FROM gateway.queue q USING s WHERE q.id = s.id AND q.lease = s.lease
    RETURNING q.id, q.webhook_id, q.seq, q.created_at, q.newest_message_at, q.target, s.attempts, s.tries, q.released, s.status, s.cause,
      q.channel, q.lanes, q.verdicts, q.positions, s.last_error, s.log, s.settled_at, q.body
  ), ended AS (
    INSERT INTO gateway.history (id, webhook_id, created_at, settled_at, newest_message_at, target, attempts, tries, released, status,
      cause, channel, lanes, verdicts, positions, last_error, log, body)
    SELECT g.id, g.webhook_id, g.created_at, g.settled_at, g.newest_message_at, g.target, g.attempts, g.tries, g.released, g.status,
      g.cause, g.channel, g.lanes, g.verdicts, g.positions, g.last_error, g.log, g.body FROM gone g
  ), left_lanes AS (
    DELETE FROM gateway.lanes l USING (SELECT g.target, g.seq, unnest(g.lanes) AS lane FROM gone g) p
    WHERE l.target = p.target AND l.lane = p.lane AND l.seq = p.seq RETURNING l.target, l.lane, l.seq
  ), next AS (
    SELECT n.delivery_id AS id, count(*)::int AS lanes FROM left_lanes p CROSS JOIN LATERAL (
      SELECT l.delivery_id FROM gateway.lanes l
      WHERE l.target = p.target AND l.lane = p.lane AND l.seq > p.seq ORDER BY l.seq LIMIT 1
    ) n GROUP BY n.delivery_id
  ), moved_up AS (
    UPDATE gateway.queue q SET blocked = q.blocked - n.lanes FROM next n WHERE q.id = n.id
  )
  SELECT g.id FROM gone g`;

type Write = (settled: readonly Settled[]) => Promise<ReadonlySet<number>>;

/**
 * The settlements of a replica share transactions. Deliveries that end need the locks of their channels, because the next ones
 * of their lanes move up. Deliveries that stay pending need none, and do not wait for those that do.
 */
export class Settlements {
  readonly #db: Database;
  readonly #now: () => number;
  readonly #leases: Leases;
  readonly #unanswered = new Unanswered();
  readonly #ends: Batches<Settlement, boolean>;
  readonly #returns: Batches<Settlement, boolean>;

  constructor({ db, now }: Base, leases: Leases) {
    this.#db = db;
    this.#now = now;
    this.#leases = leases;
    const options = { largest: MOST_PER_BATCH };
    this.#ends = new Batches(async (batch) => await this.#settle(batch, this.#end), options);
    this.#returns = new Batches(async (batch) => await this.#settle(batch, this.#return), options);
  }

  /** See `Outbox.settle`. */
  async settle(settlement: Settlement): Promise<boolean> {
    return await (settlement.status === 'pending' ? this.#returns : this.#ends).add(settlement);
  }

  /** Resolves when no settlement is pending. */
  async idle(): Promise<void> {
    await Promise.all([this.#ends.idle(), this.#returns.idle()]);
  }

  async #settle(batch: readonly Settlement[], write: Write): Promise<Outcome<boolean>[]> {
    const wanted = batch.map(({ id, lease }) => ({ id: parseDeliveryId(id) ?? 0, lease }));
    const leases = await this.#leases.of(this.#db, wanted);
    const now = this.#now();
    // Of two settlements with one lease the first counts.
    const settled = new Map<number, Settled>();
    for (const [at, settlement] of batch.entries()) {
      const { id = 0, lease: token = 0 } = wanted[at] ?? {};
      const earlier = this.#unanswered.of({ id, lease: token });
      const lease = earlier?.lease ?? leases.get(id);
      if (lease?.token !== settlement.lease || settled.has(id)) continue;
      settled.set(id, { settlement, lease, at: earlier?.at ?? now });
    }
    const done = settled.size === 0 ? new Set<number>() : await this.#written([...settled.values()], write);
    for (const id of settled.keys()) {
      this.#leases.forget(id);
      this.#unanswered.forget(id);
    }
    return batch.map((settlement, at) => {
      const id = wanted[at]?.id ?? 0;
      return { result: done.has(id) && settled.get(id)?.settlement === settlement };
    });
  }

  /** Which of them are saved, by id of their delivery. */
  async #written(settled: readonly Settled[], write: Write): Promise<ReadonlySet<number>> {
    const done = await write(settled).catch((error: unknown) => {
      this.#unanswered.note(settled, this.#now());
      throw error;
    });
    const unchanged = settled.filter(({ lease }) => !done.has(lease.id));
    return new Set([...done, ...(await this.#unanswered.saved(this.#db, unchanged))]);
  }

  readonly #end = async (settled: readonly Settled[]): Promise<ReadonlySet<number>> => {
    const leftOut = settled.flatMap(({ settlement, lease }) => (isLeftOut(settlement.status) ? [lease.id] : []));
    const after = settled.map(({ settlement, lease }) => ({
      ...attemptsAfter(lease, settlement.attempt),
      ...historyAfter(lease, settlement),
    }));
    return await this.#db.transaction(async (tx) => {
      const locked = tx.lockChannels(settled.map(({ lease }) => lease.channel));
      const ended = tx.all<{ id: number }>(
        END,
        settled.map(({ lease }) => lease.id),
        settled.map(({ lease }) => lease.token),
        settled.map(({ settlement }) => settlement.status),
        settled.map(({ settlement }) => settlement.cause ?? null),
        after.map(({ tries }) => tries),
        after.map(({ attempts }) => attempts),
        after.map(({ lastError }) => lastError),
        after.map(({ log }) => log),
        settled.map(({ at }) => at),
      );
      const held = leftOut.length > 0 ? holdItemsOf(tx, leftOut) : undefined;
      const [rows] = await Promise.all([ended, locked, held, tx.commitWith('SELECT 1')]);
      return new Set(rows.map(({ id }) => id));
    });
  };

  readonly #return = async (settled: readonly Settled[]): Promise<ReadonlySet<number>> => {
    const now = this.#now();
    const after = settled.map((each) => afterReturn(each, now));
    const rows = await this.#db.all<{ id: number }>(
      RETURN,
      settled.map(({ lease }) => lease.id),
      settled.map(({ lease }) => lease.token),
      settled.map(({ settlement }) => settlement.attempt !== null),
      after.map(({ dueAt }) => dueAt),
      after.map(({ resumeAt }) => resumeAt),
      after.map(({ tries }) => tries),
      after.map(({ attempts }) => attempts),
      after.map(({ streak }) => streak),
      after.map(({ lastError }) => lastError),
      after.map(({ log }) => log),
      now,
    );
    return new Set(rows.map(({ id }) => id));
  };
}

/** What a returned delivery becomes. `resumeAt` counts only if a manual retry was requested since the claim; nulls: unchanged. */
function afterReturn({ settlement, lease }: Settled, now: number) {
  const { attempt, dueAt = null, streak } = settlement;
  const scheduledAt = dueAt ?? Math.min(lease.createdAt, now);
  const { lastError, log } = historyAfter(lease, settlement);
  return {
    ...attemptsAfter(lease, attempt),
    dueAt: attempt ? scheduleAfterFailure({ ...lease, isRetryRequested: false }, scheduledAt, now).dueAt : dueAt,
    resumeAt: attempt ? scheduleAfterFailure({ ...lease, isRetryRequested: true }, scheduledAt, now).resumeAt : null,
    streak: streak === undefined ? lease.streak : streak && JSON.stringify(streak),
    lastError,
    log: attempt && log,
  };
}
