import { GatewayError } from '../../errors.js';
import type { Attempt, DeliveryStatus, EventMethod, EventName, Verdict } from '../../model.js';
import { deliveryId, parseDeliveryId } from '../ids.js';
import type { Ids } from '../ids.js';
import type { Claimed, ClaimWant, Delivery, RetryFilter, Settlement } from '../ledger.js';
import type { Db } from './database.js';
import { Lanes } from './lanes.js';
import type { NumberedTarget, SqliteRegistry } from './registry.js';

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
}

interface DueRow {
  id: number;
  webhook_id: number;
  channel: string;
  tries: number;
  verdicts: string;
  own_body: Buffer | null;
  newest_message_at: number | null;
  event: string;
  method: string;
  suffix: string;
  content_type: string | null;
  body: Buffer;
}

interface LeasedRow {
  target: number;
  chats: Buffer;
  seq: number;
  log: string;
}

/** The newest attempts that are kept of a delivery; a person's retries could make them endless. */
const LOG_LENGTH = 50;
/** Only of the newest attempts, for the log is written anew after each one. */
const RESPONSES_KEPT = 3;
const REQUEUED_PER_COMMIT = 500;

/** Deliveries from recording to settlement. All methods are for use inside a transaction. */
export class SqliteOutbox {
  readonly #db: Db;
  readonly #ids: Ids;
  readonly #registry: SqliteRegistry;
  readonly #lanes: Lanes;
  readonly #insert;
  readonly #due;
  readonly #nextDue;
  readonly #lease;
  readonly #leased;
  readonly #again;
  readonly #settle;
  readonly #requeue;

  constructor(db: Db, ids: Ids, registry: SqliteRegistry) {
    this.#db = db;
    this.#ids = ids;
    this.#registry = registry;
    this.#lanes = new Lanes(db);
    this.#insert = db.prepare(
      `INSERT INTO deliveries (id, webhook_id, target, channel, status, seq, chats, blocked, due_at, attempts, tries, verdicts,
         positions, body, newest_message_at, created_at, log)
       VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, '[]')`,
    );
    // I6: blocked = 0 is what lets only the first of a lane through.
    this.#due = db.prepare<[number, number, number], DueRow>(
      `SELECT d.id, d.webhook_id, d.channel, d.tries, d.verdicts, d.body AS own_body, d.newest_message_at,
         w.event, w.method, w.suffix, w.content_type, w.body
       FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id
       WHERE d.target = ? AND d.status = 'pending' AND d.blocked = 0 AND d.due_at <= ?
       ORDER BY d.due_at, d.id LIMIT ?`,
    );
    this.#nextDue = db
      .prepare<[number], number>(
        `SELECT due_at FROM deliveries WHERE target = ? AND status = 'pending' AND blocked = 0 ORDER BY due_at LIMIT 1`,
      )
      .pluck();
    this.#lease = db.prepare('UPDATE deliveries SET lease = ?, due_at = ? WHERE id = ?');
    // I5: only the holder of the lease settles.
    this.#leased = db.prepare<[number, number], LeasedRow>(
      `SELECT target, chats, seq, log FROM deliveries WHERE id = ? AND lease = ? AND status = 'pending'`,
    );
    this.#again = db.prepare(
      'UPDATE deliveries SET lease = NULL, due_at = ?, tries = tries + ?, attempts = attempts + ?, log = ?, last_error = ? WHERE id = ?',
    );
    this.#settle = db.prepare(
      'UPDATE deliveries SET lease = NULL, status = ?, settled_at = ?, tries = tries + ?, attempts = attempts + ?, log = ?, last_error = ? WHERE id = ?',
    );
    this.#requeue = db.prepare(
      `UPDATE deliveries SET status = 'pending', settled_at = NULL, tries = 0, seq = ?, blocked = ?, due_at = ? WHERE id = ?`,
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
    );
    return id;
  }

  claim(wanted: readonly ClaimWant[], now: number, leaseMs: number): Claimed {
    const deliveries: Delivery[] = [];
    let nextDueAt: number | null = null;
    for (const { targetId, limit } of wanted) {
      const target = this.#registry.targets().get(targetId);
      if (!target) continue;
      deliveries.push(...this.#claimOf(target, limit, now, leaseMs));
      const next = this.#nextDue.get(target.number);
      if (next !== undefined) nextDueAt = Math.min(next, nextDueAt ?? next);
    }
    return { deliveries, nextDueAt };
  }

  #claimOf({ number, target }: NumberedTarget, limit: number, now: number, leaseMs: number): Delivery[] {
    return this.#due.all(number, now, limit).map((row) => {
      const lease = this.#ids.next(now);
      this.#lease.run(lease, now + leaseMs, row.id);
      return {
        id: deliveryId(row.id),
        lease,
        target,
        channel: row.channel,
        event: eventNamed(row.event),
        method: row.method,
        suffix: row.suffix,
        contentType: row.content_type,
        body: row.own_body ?? row.body,
        verdicts: row.verdicts.split(',') as Verdict[],
        attempts: row.tries,
        newestMessageAt: row.newest_message_at,
      };
    });
  }

  settle({ id, lease, status, dueAt, attempt }: Settlement, now: number): boolean {
    const row = this.#leased.get(parseDeliveryId(id) ?? 0, lease);
    if (!row) return false;
    const number = parseDeliveryId(id);
    const made = attempt ? 1 : 0;
    const log = attempt ? appended(row.log, attempt) : row.log;
    const error = attempt?.error ?? null;
    if (status === 'pending') {
      this.#again.run(dueAt ?? now, made, made, log, error, number);
    } else {
      this.#settle.run(status, now, made, made, log, error, number);
      this.#lanes.leave(row.target, row.chats, row.seq);
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
      .prepare<[number | null], { id: number; target: number; chats: Buffer; status: DeliveryStatus }>(
        'SELECT id, target, chats, status FROM deliveries WHERE id = ?',
      )
      .get(id);
    if (!row)
      throw new GatewayError('GW_NOT_FOUND', `There is no delivery "${publicId}"; its payload may have been pruned.`);
    if (row.status === 'pending') {
      throw new GatewayError('GW_CONFLICT', 'This delivery is pending: it will be sent by itself.');
    }
    if (![...this.#registry.targets().values()].some(({ number }) => number === row.target)) {
      throw new GatewayError('GW_CONFLICT', 'The target of this delivery was removed.');
    }
    this.#sendAgain(row, now);
    return row.id;
  }

  /** At most so many as fit one commit, with ids above `after`, oldest first. */
  retrySome(filter: RetryFilter, after: number, now: number): { count: number; last: number | null } {
    const { where, values } = conditions(filter, this.#registry);
    const rows = this.#db
      .prepare<unknown[], { id: number; target: number; chats: Buffer }>(
        `SELECT id, target, chats FROM deliveries WHERE ${where} AND id > ? ORDER BY id LIMIT ${REQUEUED_PER_COMMIT}`,
      )
      .all(...values, after);
    for (const row of rows) this.#sendAgain(row, now);
    return { count: rows.length, last: rows.at(-1)?.id ?? null };
  }

  count(filter: RetryFilter): number {
    const { where, values } = conditions(filter, this.#registry);
    return (
      this.#db
        .prepare<unknown[], number>(`SELECT count(*) FROM deliveries WHERE ${where}`)
        .pluck()
        .get(...values) ?? 0
    );
  }

  /** At the end of its lanes: an old delivery does not overtake what waits there. */
  #sendAgain({ id, target, chats }: { id: number; target: number; chats: Buffer }, now: number): void {
    const seq = this.#ids.next(now);
    this.#requeue.run(seq, this.#lanes.join(target, chats, seq, id), now, id);
  }

  buryDeliveriesOf(target: number, now: number): void {
    this.#db
      .prepare(
        `UPDATE deliveries SET status = 'dead', settled_at = ?, lease = NULL, last_error = 'The target was removed.'
         WHERE target = ? AND status = 'pending'`,
      )
      .run(now, target);
    this.#lanes.clear(target);
  }
}

function conditions(filter: RetryFilter, registry: SqliteRegistry): { where: string; values: unknown[] } {
  const parts: [string, unknown][] = [['status = ?', filter.status]];
  if (filter.target !== undefined) parts.push(['target = ?', registry.mustHaveTarget(filter.target).number]);
  if (filter.channel !== undefined) parts.push(['channel = ?', filter.channel]);
  if (filter.since !== undefined) parts.push(['created_at >= ?', filter.since]);
  if (filter.until !== undefined) parts.push(['created_at < ?', filter.until]);
  const living = 'target IN (SELECT number FROM targets WHERE removed_at IS NULL)';
  return { where: [...parts.map(([sql]) => sql), living].join(' AND '), values: parts.map(([, value]) => value) };
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
