import type { Db } from './database.js';
import type { ClaimWant } from '../outbox.js';

/** A due delivery, with the columns of its webhook that an attempt needs. */
export interface DueRow {
  readonly id: number;
  readonly channel: string;
  readonly tries: number;
  readonly verdicts: string;
  readonly newest_message_at: number | null;
  readonly resume_at: number | null;
  readonly streak: string | null;
  readonly event: string;
  readonly method: string;
  readonly suffix: string;
  readonly content_type: string | null;
  readonly via: string | null;
  /** Length of the body in bytes. */
  readonly length: number;
  /** Null for a large body: it is read by itself, once memory for it is reserved. */
  readonly body: Buffer | null;
}

/** Bodies up to this length are read with their row, which saves a query for each usual delivery. */
const SHORT_BODY_BYTES = 16 * 1024;

/**
 * The due deliveries of a target, and their order: first attempts do not wait behind retries, nor retries behind first
 * attempts. Each kind has a partial index, so that a claim is one index lookup however long the backlog is. (One index on
 * `tries > 0` and the time would be larger and no faster.)
 */
export class DueDeliveries {
  readonly #firstAttempts;
  readonly #retries;

  constructor(db: Db) {
    this.#firstAttempts = queriesOf(db, 'tries = 0');
    this.#retries = queriesOf(db, 'tries > 0');
  }

  /** The deliveries that a claim gets. They stay due until they are leased. */
  pick(target: number, { limit, retries, bytes = Infinity }: ClaimWant, now: number): DueRow[] {
    const { kept: reserved, most: maxRetries } = retries ?? { kept: 0, most: limit };
    const dueRetries = this.#retries.due.all(target, now, Math.min(limit, maxRetries));
    const reservedRetries = dueRetries.slice(0, reserved);
    const firstAttempts = this.#firstAttempts.due.all(target, now, limit - reservedRetries.length);
    const otherRetries = dueRetries.slice(reservedRetries.length, limit - firstAttempts.length);
    return withinBytes([...reservedRetries, ...firstAttempts, ...otherRetries], bytes);
  }

  /**
   * When the first waiting delivery of each target is due, by the target's number; targets without one are left out. One
   * index lookup of 0.7 µs leads from each target to the next, so that a thousand targets with waiting deliveries take 1.4
   * ms and a thousand without take none. (A claim that asked each target took 94 ms. An index on the due time alone could
   * not pass over the backlog of a target that is paused.)
   */
  firstByTarget(): ReadonlyMap<number, number> {
    const first = new Map<number, number>();
    for (const { nextTarget } of [this.#firstAttempts, this.#retries]) {
      for (let found = nextTarget.get(0); found; found = nextTarget.get(found.target))
        first.set(found.target, Math.min(found.dueAt, first.get(found.target) ?? Infinity));
    }
    return first;
  }

  /** When the next delivery is due; Infinity: none waits. Ignores retries once the claim has its maximum of them. */
  nextAt(target: number, { limit, retries }: ClaimWant, retriesTaken: number): number {
    const isFullOfRetries = retries !== undefined && retries.most < limit && retriesTaken >= retries.most;
    const times = [this.#firstAttempts.next.get(target), isFullOfRetries ? undefined : this.#retries.next.get(target)];
    return Math.min(...times.map((time) => time ?? Infinity));
  }
}

function queriesOf(db: Db, kind: 'tries = 0' | 'tries > 0') {
  // I6: blocked = 0 lets only the delivery at the front of its lanes through.
  const anyTarget = `status = 'pending' AND blocked = 0 AND ${kind}`;
  const waiting = `target = ? AND ${anyTarget}`;
  return {
    nextTarget: db.prepare<[number], { target: number; dueAt: number }>(
      `SELECT target, due_at AS dueAt FROM deliveries WHERE target > ? AND ${anyTarget} ORDER BY target, due_at LIMIT 1`,
    ),
    due: db.prepare<[number, number, number], DueRow>(
      `SELECT d.id, d.channel, d.tries, d.verdicts, d.newest_message_at, d.resume_at, d.streak, w.event, w.method,
         w.suffix, w.content_type, w.via, coalesce(length(d.body), length(w.body)) AS length,
         CASE WHEN coalesce(length(d.body), length(w.body)) <= ${SHORT_BODY_BYTES} THEN coalesce(d.body, w.body) END AS body
       FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id
       WHERE ${waiting} AND due_at <= ? ORDER BY due_at, d.id LIMIT ?`,
    ),
    next: db
      .prepare<[number], number>(`SELECT due_at FROM deliveries WHERE ${waiting} ORDER BY due_at LIMIT 1`)
      .pluck(),
  };
}

/** The first deliveries whose bodies fit into `bytes`, including the one that exceeds it. */
function withinBytes(due: readonly DueRow[], bytes: number): DueRow[] {
  let left = bytes;
  return due.filter(({ length }) => {
    const fits = left > 0;
    left -= length;
    return fits;
  });
}
