import { GatewayError } from '../../errors.js';
import type { Attempt, DeliveryStatus, Streak, Target, Verdict } from '../../model.js';
import { finish } from '../../slices.js';
import type { Sliced } from '../../slices.js';
import { appendAttempt, scheduleAfterFailure } from '../rules/attempts.js';
import { parseEventName } from '../rules/event-names.js';
import { deliveryId, parseDeliveryId } from '../rules/ids.js';
import type { Ids } from '../rules/ids.js';
import { KEY_BYTES } from '../rules/keys.js';
import type { Db } from './database.js';
import { DueDeliveries } from './due-deliveries.js';
import type { DueRow } from './due-deliveries.js';
import { Lanes } from './lanes.js';
import { MetaTable } from './meta.js';
import type { RegistryTables } from './registry-tables.js';
import { WRITES_PER_SLICE } from './slices.js';
import type { TargetCounts } from './target-counts.js';
import type { ClaimWant, Claimed, Delivery, Due, Settlement } from '../outbox.js';

/** A delivery to insert, made by a recorded webhook or by a release. */
export interface NewDelivery {
  readonly webhookId: number;
  readonly target: number;
  readonly channel: string;
  /** The concatenated keys of its lanes (I6), without repetitions. */
  readonly lanes: Buffer;
  readonly verdicts: readonly Verdict[];
  /** The items of the webhook that it carries; null: all of them. */
  readonly positions: readonly number[] | null;
  /** Null: the body of the webhook. */
  readonly body: Buffer | null;
  /** Unix seconds; null: it never expires by age. */
  readonly newestMessageAt: number | null;
  /** A manual release made it. */
  readonly released?: true;
}

const LANE_BYTES_PER_SLICE = WRITES_PER_SLICE * KEY_BYTES;

interface LeasedRow {
  id: number;
  target: number;
  chats: Buffer;
  seq: number;
  log: string;
  last_error: string | null;
  resume_at: number | null;
  asked: number;
  streak: string | null;
}

/** A step of a removal ends with the delivery that exceeds this: a webhook may have thousands of chats. */
const MAX_LANES_PER_STEP = 1000;

/** Where the store keeps the greatest place that a retry has given to a delivery. */
export const GREATEST_SEQ = 'greatest_seq';

/** A settled delivery to send again. */
export interface SettledRow {
  readonly id: number;
  readonly target: number;
  readonly chats: Buffer;
}

/**
 * Deliveries from insertion to settlement: pending → delivered, dead or expired; a settled one can become pending again.
 * Every method is for use inside a transaction.
 */
export class DeliveryTables {
  readonly #db: Db;
  readonly #ids: Ids;
  readonly #registry: RegistryTables;
  readonly #lanes: Lanes;
  readonly #counts: TargetCounts;
  readonly #insert;
  readonly #due: DueDeliveries;
  readonly #longBody;
  readonly #lease;
  readonly #leasedBy;
  readonly #keepPending;
  readonly #finish;
  readonly #requeue;
  readonly #bringForward;
  readonly #requestRetry;
  readonly #meta: MetaTable;
  readonly #oldestPending;
  readonly #endOfRemoved;

  constructor(db: Db, ids: Ids, registry: RegistryTables, counts: TargetCounts) {
    this.#db = db;
    this.#ids = ids;
    this.#registry = registry;
    this.#lanes = new Lanes(db);
    this.#counts = counts;
    this.#insert = db.prepare(
      `INSERT INTO deliveries (id, webhook_id, target, channel, status, seq, chats, blocked, due_at, attempts, tries, verdicts,
         positions, body, newest_message_at, created_at, released, log)
       VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, '[]')`,
    );
    this.#due = new DueDeliveries(db);
    this.#longBody = db
      .prepare<[number], Buffer>(
        'SELECT coalesce(d.body, w.body) FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE d.id = ?',
      )
      .pluck();
    this.#lease = db.prepare('UPDATE deliveries SET lease = ?, due_at = ? WHERE id = ?');
    // I5: only the holder of the lease settles.
    this.#leasedBy = db.prepare<[number, number], LeasedRow>(
      `SELECT id, target, chats, seq, log, last_error, resume_at, asked, streak FROM deliveries WHERE id = ? AND lease = ? AND status = 'pending'`,
    );
    this.#keepPending = db.prepare(
      `UPDATE deliveries SET lease = NULL, due_at = ?, resume_at = ?, asked = ?, tries = tries + ?, attempts = attempts + ?,
         log = ?, last_error = ?, streak = ? WHERE id = ?`,
    );
    this.#finish = db.prepare(
      `UPDATE deliveries SET lease = NULL, resume_at = NULL, asked = 0, streak = NULL, status = ?, cause = ?, settled_at = ?, tries = tries + ?,
         attempts = attempts + ?, log = ?, last_error = ? WHERE id = ?`,
    );
    // A retry of an expired delivery sends it however old its message is.
    this.#requeue = db.prepare(
      `UPDATE deliveries SET status = 'pending', cause = NULL, settled_at = NULL, tries = 0, seq = ?, blocked = ?, due_at = ?,
         newest_message_at = CASE status WHEN 'expired' THEN NULL ELSE newest_message_at END WHERE id = ?`,
    );
    // I5: a leased delivery keeps its lease.
    this.#bringForward = db.prepare<{ id: number; now: number }>(
      `UPDATE deliveries SET resume_at = coalesce(resume_at, due_at), due_at = @now
       WHERE id = @id AND lease IS NULL AND due_at > @now`,
    );
    this.#requestRetry = db.prepare<{ id: number }>(
      'UPDATE deliveries SET asked = 1 WHERE id = @id AND lease IS NOT NULL',
    );
    this.#meta = new MetaTable(db);
    this.#oldestPending = db.prepare<[number, number], Pick<LeasedRow, 'id' | 'chats' | 'seq'>>(
      "SELECT id, chats, seq FROM deliveries WHERE target = ? AND status = 'pending' ORDER BY id LIMIT ?",
    );
    this.#endOfRemoved = db.prepare<[number, number]>(
      `UPDATE deliveries SET status = 'dead', settled_at = ?, lease = NULL, last_error = 'The target was removed.' WHERE id = ?`,
    );
  }

  /** Inserts a delivery that is due now, at the end of its lanes (I6). Returns its id. */
  add(delivery: NewDelivery, now: number): number {
    return finish(this.addInSlices(delivery, now));
  }

  /** The same in slices of its lanes: it may have thousands. */
  *addInSlices(delivery: NewDelivery, now: number): Sliced<number> {
    const id = this.#ids.next(now);
    let blocked = 0;
    for (let from = 0; from < delivery.lanes.length; from += LANE_BYTES_PER_SLICE) {
      if (from > 0) yield;
      const lanes = delivery.lanes.subarray(from, from + LANE_BYTES_PER_SLICE);
      blocked += this.#lanes.join(delivery.target, lanes, id, id);
    }
    this.#insert.run(
      id,
      delivery.webhookId,
      delivery.target,
      delivery.channel,
      id,
      delivery.lanes,
      blocked,
      now,
      delivery.verdicts.join(),
      delivery.positions && JSON.stringify(delivery.positions),
      delivery.body,
      delivery.newestMessageAt,
      now,
      delivery.released === true ? 1 : 0,
    );
    this.#counts.added(delivery.target);
    return id;
  }

  /** A read: see `Outbox.due`. */
  due(now: number): Due {
    const first = this.#due.firstByTarget();
    const targetIds = new Set<string>();
    let nextDueAt = Infinity;
    if (first.size > 0) {
      for (const [id, { number }] of this.#registry.targets()) {
        const dueAt = first.get(number) ?? Infinity;
        if (dueAt <= now) targetIds.add(id);
        else nextDueAt = Math.min(nextDueAt, dueAt);
      }
    }
    return { targetIds, nextDueAt: nextDueAt === Infinity ? null : nextDueAt };
  }

  /** Leases due deliveries: see `Outbox.claim`. */
  claim(wanted: readonly ClaimWant[], now: number, leaseMs: number): Claimed {
    const deliveries: Delivery[] = [];
    let nextDueAt = Infinity;
    for (const want of wanted) {
      const found = this.#registry.targets().get(want.targetId);
      if (!found) continue; // removed since the caller listed its targets
      const taken = this.#due
        .pick(found.number, want, now)
        .map((row) => this.#leaseOut(row, found.target, now, now + leaseMs));
      deliveries.push(...taken);
      const retries = taken.filter(({ attempts }) => attempts > 0).length;
      nextDueAt = Math.min(nextDueAt, this.#due.nextAt(found.number, want, retries));
    }
    return { deliveries, nextDueAt: nextDueAt === Infinity ? null : nextDueAt };
  }

  #leaseOut(row: DueRow, target: Target, now: number, until: number): Delivery {
    const lease = this.#ids.next(now);
    this.#lease.run(lease, until, row.id);
    const body = row.body ?? this.#longBody.get(row.id);
    if (!body) throw new GatewayError('GW_INTERNAL', `The webhook of delivery ${row.id} is missing.`);
    return {
      id: deliveryId(row.id),
      lease,
      leaseEndsAt: until,
      target,
      channel: row.channel,
      event: parseEventName(row.event),
      method: row.method,
      suffix: row.suffix,
      contentType: row.content_type,
      body,
      verdicts: row.verdicts.split(',') as Verdict[],
      attempts: row.tries,
      besideSchedule: row.resume_at !== null,
      streak: row.streak === null ? null : (JSON.parse(row.streak) as Streak),
      via: row.via,
      newestMessageAt: row.newest_message_at,
    };
  }

  /** Writes the outcome of an attempt. Returns false when the lease has passed to another claim (I5). */
  settle({ id, lease, status, dueAt, attempt, reason, cause, streak }: Settlement, now: number): boolean {
    const row = this.#leasedBy.get(parseDeliveryId(id) ?? 0, lease);
    if (!row) return false;
    const attemptsMade = attempt ? 1 : 0;
    const scheduledMade = attempt && row.resume_at === null ? 1 : 0;
    const log = attempt ? JSON.stringify(appendAttempt(JSON.parse(row.log) as Attempt[], attempt)) : row.log;
    const error = reason ?? (attempt ? attempt.error : row.last_error);
    if (status === 'pending') {
      const before = { dueAt: dueAt ?? now, resumeAt: row.resume_at, isRetryRequested: row.asked === 1 };
      const next = attempt ? scheduleAfterFailure(before, before.dueAt, now) : before;
      const nextStreak = streak === undefined ? row.streak : streak && JSON.stringify(streak);
      this.#keepPending.run(
        next.dueAt,
        next.resumeAt,
        Number(next.isRetryRequested),
        scheduledMade,
        attemptsMade,
        log,
        error,
        nextStreak,
        row.id,
      );
    } else {
      this.#finish.run(status, cause ?? null, now, scheduledMade, attemptsMade, log, error, row.id);
      this.#lanes.leave(row.target, row.chats, row.seq);
      this.#counts.settled(row.target);
      if (status === 'dead') this.#counts.endedDead(row.id, row.target, cause, now);
    }
    return true;
  }

  /** Ends the leases of the process before this one: with SQLite there is only one process at a time. */
  dropLeases(now: number): void {
    this.#db.prepare('UPDATE deliveries SET lease = NULL, due_at = ? WHERE lease IS NOT NULL').run(now);
  }

  /** Retries a delivery manually: see `Outbox.retry`. @throws GatewayError GW_NOT_FOUND, GW_CONFLICT */
  retry(publicId: string, now: number): void {
    const id = parseDeliveryId(publicId);
    const row = this.#db
      .prepare<[number | null], SettledRow & { status: DeliveryStatus }>(
        'SELECT id, target, chats, status FROM deliveries WHERE id = ?',
      )
      .get(id);
    if (!row) {
      throw new GatewayError('GW_NOT_FOUND', `There is no delivery "${publicId}"; its payload may have been pruned.`);
    }
    if (![...this.#registry.targets().values()].some(({ number }) => number === row.target)) {
      throw new GatewayError('GW_CONFLICT', 'The target of this delivery was removed, so it cannot be sent again.');
    }
    if (row.status === 'pending') {
      this.#bringForward.run({ id: row.id, now });
      this.#requestRetry.run({ id: row.id });
    } else {
      this.requeue(row, now);
    }
  }

  /** Makes a settled delivery pending at the end of its lanes (I6), so it overtakes nothing that waits there. */
  requeue({ id, target, chats }: SettledRow, now: number): void {
    const seq = this.#ids.next(now);
    this.#meta.set(GREATEST_SEQ, String(seq));
    this.#counts.requeued(id, target);
    this.#requeue.run(seq, this.#lanes.join(target, chats, seq, id), now, id);
  }

  /** Ends at most `limit` pending deliveries of a removed target as dead. Returns whether more may be left. */
  endSomeOfRemoved(target: number, limit: number, now: number): boolean {
    const rows = this.#oldestPending.all(target, limit);
    let ended = 0;
    let lanes = 0;
    for (const { id, chats, seq } of rows) {
      if (lanes >= MAX_LANES_PER_STEP) break;
      this.#endOfRemoved.run(now, id);
      this.#lanes.drop(target, chats, seq);
      ended += 1;
      lanes += chats.length / KEY_BYTES;
    }
    this.#counts.ended(target, ended);
    return ended === limit || ended < rows.length;
  }

  /** For a removed target without pending deliveries. */
  forgetCounts(target: number): void {
    this.#counts.remove(target);
  }
}
