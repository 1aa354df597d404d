import { GatewayError } from '../../errors.js';
import type { Attempt, DeliveryStatus, EventMethod, EventName, Streak, Target, Verdict } from '../../model.js';
import { deliveryId, parseDeliveryId } from '../rules/ids.js';
import type { Ids } from '../rules/ids.js';
import type { Db } from './database.js';
import { Due } from './due.js';
import type { DueRow } from './due.js';
import { Lanes } from './lanes.js';
import type { SqliteRegistry } from './registry.js';
import type { Tallies } from './tallies.js';
import type { ClaimWant, Claimed, Delivery, Settlement } from '../outbox.js';

/** A delivery to be made, as `record` and `release` know it. */
export interface NewDelivery {
  readonly webhookId: number;
  readonly target: number;
  readonly channel: string;
  /** Keys of the chats it concerns, one after the other, none twice. */
  readonly chats: Buffer;
  readonly verdicts: readonly Verdict[];
  /** Which items; null: the webhook whole. */
  readonly positions: readonly number[] | null;
  readonly body: Buffer | null;
  readonly newestMessageAt: number | null;
  /** A person's release makes it. */
  readonly released?: true;
}

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

/** A settled delivery that is to be sent again. */
export interface SettledRow {
  readonly id: number;
  readonly target: number;
  readonly chats: Buffer;
}

/** The newest attempts that are kept of a delivery; a person's retries could make them endless. */
const LOG_LENGTH = 50;
/** Only of the newest attempts, for the log is written anew after each one. */
const RESPONSES_KEPT = 3;

/** Deliveries from recording to settlement. All methods are for use inside a transaction. */
export class SqliteOutbox {
  readonly #db: Db;
  readonly #ids: Ids;
  readonly #registry: SqliteRegistry;
  readonly #lanes: Lanes;
  readonly #tallies: Tallies;
  readonly #insert;
  readonly #due: Due;
  readonly #body;
  readonly #lease;
  readonly #leased;
  readonly #again;
  readonly #settle;
  readonly #requeue;
  readonly #bringForward;
  readonly #requestRetry;

  constructor(db: Db, ids: Ids, registry: SqliteRegistry, tallies: Tallies) {
    this.#db = db;
    this.#ids = ids;
    this.#registry = registry;
    this.#lanes = new Lanes(db);
    this.#tallies = tallies;
    this.#insert = db.prepare(
      `INSERT INTO deliveries (id, webhook_id, target, channel, status, seq, chats, blocked, due_at, attempts, tries, verdicts,
         positions, body, newest_message_at, created_at, released, log)
       VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, '[]')`,
    );
    this.#due = new Due(db);
    this.#body = db
      .prepare<[number], Buffer>(
        'SELECT coalesce(d.body, w.body) FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE d.id = ?',
      )
      .pluck();
    this.#lease = db.prepare('UPDATE deliveries SET lease = ?, due_at = ? WHERE id = ?');
    // I5: only the holder of the lease settles.
    this.#leased = db.prepare<[number, number], LeasedRow>(
      `SELECT id, target, chats, seq, log, last_error, resume_at, asked, streak FROM deliveries WHERE id = ? AND lease = ? AND status = 'pending'`,
    );
    this.#again = db.prepare(
      `UPDATE deliveries SET lease = NULL, due_at = ?, resume_at = ?, asked = ?, tries = tries + ?, attempts = attempts + ?,
         log = ?, last_error = ?, streak = ? WHERE id = ?`,
    );
    this.#settle = db.prepare(
      `UPDATE deliveries SET lease = NULL, resume_at = NULL, asked = 0, streak = NULL, status = ?, cause = ?, settled_at = ?, tries = tries + ?,
         attempts = attempts + ?, log = ?, last_error = ? WHERE id = ?`,
    );
    // Who asks for an expired one wants it sent although it is old.
    this.#requeue = db.prepare(
      `UPDATE deliveries SET status = 'pending', cause = NULL, settled_at = NULL, tries = 0, seq = ?, blocked = ?, due_at = ?,
         newest_message_at = CASE status WHEN 'expired' THEN NULL ELSE newest_message_at END WHERE id = ?`,
    );
    // I5: what is leased keeps its lease.
    this.#bringForward = db.prepare<{ id: number; now: number }>(
      `UPDATE deliveries SET resume_at = coalesce(resume_at, due_at), due_at = @now
       WHERE id = @id AND lease IS NULL AND due_at > @now`,
    );
    this.#requestRetry = db.prepare<{ id: number }>(
      'UPDATE deliveries SET asked = 1 WHERE id = @id AND lease IS NOT NULL',
    );
  }

  add(delivery: NewDelivery, now: number): number {
    const id = this.#ids.next(now);
    const blocked = this.#lanes.join(delivery.target, delivery.chats, id, id);
    this.#insert.run(
      id,
      delivery.webhookId,
      delivery.target,
      delivery.channel,
      id,
      delivery.chats,
      blocked,
      now,
      delivery.verdicts.join(),
      delivery.positions && JSON.stringify(delivery.positions),
      delivery.body,
      delivery.newestMessageAt,
      now,
      delivery.released === true ? 1 : 0,
    );
    this.#tallies.added(delivery.target);
    return id;
  }

  claim(wanted: readonly ClaimWant[], now: number, leaseMs: number): Claimed {
    const deliveries: Delivery[] = [];
    let nextDueAt = Infinity;
    for (const want of wanted) {
      const found = this.#registry.targets().get(want.targetId);
      if (!found) continue;
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
    const body = row.body ?? this.#body.get(row.id);
    if (!body) throw new GatewayError('GW_INTERNAL', `The webhook of delivery ${row.id} is missing.`);
    return {
      id: deliveryId(row.id),
      lease,
      target,
      channel: row.channel,
      event: eventNamed(row.event),
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

  settle({ id, lease, status, dueAt, attempt, reason, cause, streak }: Settlement, now: number): boolean {
    const row = this.#leased.get(parseDeliveryId(id) ?? 0, lease);
    if (!row) return false;
    const made = attempt ? 1 : 0;
    const tried = attempt && row.resume_at === null ? 1 : 0;
    const log = attempt ? appended(row.log, attempt) : row.log;
    const error = reason ?? (attempt ? attempt.error : row.last_error);
    if (status === 'pending') {
      const next = attempt ? afterAttempt(row, dueAt ?? now, now) : { ...row, dueAt: dueAt ?? now };
      const kept = streak === undefined ? row.streak : streak && JSON.stringify(streak);
      this.#again.run(next.dueAt, next.resume_at, next.asked, tried, made, log, error, kept, row.id);
    } else {
      this.#settle.run(status, cause ?? null, now, tried, made, log, error, row.id);
      this.#lanes.leave(row.target, row.chats, row.seq);
      this.#tallies.settled(row.target);
      if (status === 'dead') this.#tallies.died(row.id, row.target, cause, now);
    }
    return true;
  }

  /** Leases of a process that is no more: with SQLite there is only one, and it is just starting. */
  dropLeases(now: number): void {
    this.#db
      .prepare("UPDATE deliveries SET lease = NULL, due_at = ? WHERE status = 'pending' AND lease IS NOT NULL")
      .run(now);
  }

  /** @throws GatewayError GW_NOT_FOUND, GW_CONFLICT */
  retry(publicId: string, now: number): number {
    const id = parseDeliveryId(publicId);
    const row = this.#db
      .prepare<[number | null], SettledRow & { status: DeliveryStatus }>(
        'SELECT id, target, chats, status FROM deliveries WHERE id = ?',
      )
      .get(id);
    if (!row)
      throw new GatewayError('GW_NOT_FOUND', `There is no delivery "${publicId}"; its payload may have been pruned.`);
    if (![...this.#registry.targets().values()].some(({ number }) => number === row.target)) {
      throw new GatewayError('GW_CONFLICT', 'The target of this delivery was removed.');
    }
    if (row.status === 'pending') {
      this.#bringForward.run({ id: row.id, now });
      this.#requestRetry.run({ id: row.id });
    } else {
      this.sendAgain(row, now);
    }
    return row.id;
  }

  /** At the end of its lanes: an old delivery does not overtake what waits there. */
  sendAgain({ id, target, chats }: SettledRow, now: number): void {
    const seq = this.#ids.next(now);
    this.#tallies.revives(id, target);
    this.#requeue.run(seq, this.#lanes.join(target, chats, seq, id), now, id);
  }

  deadLetterPending(target: number, now: number): void {
    this.#db
      .prepare(
        `UPDATE deliveries SET status = 'dead', settled_at = ?, lease = NULL, last_error = 'The target was removed.'
         WHERE target = ? AND status = 'pending'`,
      )
      .run(now, target);
    this.#lanes.clear(target);
    this.#tallies.forget(target);
  }
}

/**
 * When a pending delivery is due after an attempt that failed. `automaticAt` is when the schedule wants it next; after an
 * attempt beside the schedule that is when it wanted it before. Who asked meanwhile gets one attempt more, at once.
 */
function afterAttempt(
  { resume_at, asked }: LeasedRow,
  automaticAt: number,
  now: number,
): { dueAt: number; resume_at: number | null; asked: 0 } {
  const scheduledAt = resume_at !== null && resume_at > now ? resume_at : automaticAt;
  return asked === 1
    ? { dueAt: now, resume_at: scheduledAt, asked: 0 }
    : { dueAt: scheduledAt, resume_at: null, asked: 0 };
}

function appended(log: string, attempt: Attempt): string {
  const attempts = [...(JSON.parse(log) as Attempt[]), attempt].slice(-LOG_LENGTH);
  const older = attempts.slice(0, -RESPONSES_KEPT).map(({ startedAt, durationMs, status, error }) => ({
    startedAt,
    durationMs,
    status,
    error,
  }));
  return JSON.stringify([...older, ...attempts.slice(-RESPONSES_KEPT)]);
}

export function eventNamed(name: string): EventName {
  const dot = name.lastIndexOf('.');
  return { type: name.slice(0, dot), method: name.slice(dot + 1) as EventMethod };
}
