import type { Db } from './database.js';
import { RANKS_FROM } from '../rules/pace.js';
import { firstEndOf } from './leases.js';
import type { Lease, Leases } from './leases.js';
import type { ClaimWant } from '../outbox.js';

/** A due delivery, with the columns of its webhook that an attempt needs. */
export interface DueRow {
  readonly id: number;
  readonly channel: string;
  readonly chats: Buffer;
  readonly seq: number;
  readonly attempts: number;
  readonly tries: number;
  readonly verdicts: string;
  readonly newest_message_at: number | null;
  readonly created_at: number;
  /** Or its rank: see rules/pace.ts. */
  readonly due_at: number;
  readonly resume_at: number | null;
  readonly asked: number;
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
 * `tries > 0` and the time would be larger and no faster.) A claimed delivery stays in its index: what is leased is passed
 * over, at most as many entries as the target has leases. Reads only.
 */
export class DueDeliveries {
  readonly #leases: Leases;
  readonly #ranked: ReadonlySet<number>;
  readonly #firstAttempts;
  readonly #retries;
  readonly #dueAt;
  readonly #row;

  /** @param ranked the targets that may have ranked deliveries, by number */
  constructor(db: Db, leases: Leases, ranked: ReadonlySet<number> = new Set()) {
    this.#leases = leases;
    this.#ranked = ranked;
    this.#firstAttempts = queriesOf(db, 'tries = 0');
    this.#retries = queriesOf(db, 'tries > 0');
    this.#dueAt = db.prepare<[number], number>('SELECT due_at FROM deliveries WHERE id = ?').pluck();
    this.#row = db.prepare<[number], DueRow>(
      `SELECT d.id, d.channel, d.chats, d.seq, d.attempts, d.tries, d.verdicts, d.newest_message_at, d.created_at, d.due_at, d.resume_at,
         d.asked, d.streak, w.event, w.method, w.suffix, w.content_type, w.via,
         coalesce(length(d.body), length(w.body)) AS length,
         CASE WHEN coalesce(length(d.body), length(w.body)) <= ${SHORT_BODY_BYTES} THEN coalesce(d.body, w.body) END AS body
       FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE d.id = ?`,
    );
  }

  /** The deliveries that a claim gets. They stay due until they are leased. */
  pick(target: number, want: ClaimWant, now: number): DueRow[] {
    const rows = this.#pickDue(target, want, now);
    return this.#ranked.has(target) ? [...rows, ...this.#pickRanked(target, want, rows, now)] : rows;
  }

  #pickDue(target: number, { limit, retries, bytes = Infinity }: ClaimWant, now: number): DueRow[] {
    const { kept: reserved, most: maxRetries } = retries ?? { kept: 0, most: limit };
    const dueRetries = this.#dueIds(this.#retries, target, now, Math.min(limit, maxRetries));
    const reservedRetries = dueRetries.slice(0, reserved);
    const firstAttempts = this.#dueFirstAttempts(target, now, limit - reservedRetries.length);
    const otherRetries = dueRetries.slice(reservedRetries.length, limit - firstAttempts.length);
    return this.#rowsWithin(bytes, [...reservedRetries, ...firstAttempts, ...otherRetries]);
  }

  /** What is left of the claim goes to the backlog, as far as its pace allows, in the order of its ranks. */
  #pickRanked(target: number, want: ClaimWant, picked: readonly DueRow[], now: number): DueRow[] {
    const { limit, retries, bytes = Infinity, backlog = Infinity } = want;
    const most = Math.min(limit - picked.length, backlog);
    const left = picked.reduce((sum, { length }) => sum - length, bytes);
    if (most <= 0 || left <= 0) return [];
    const mostRetries = (retries?.most ?? limit) - picked.filter(({ tries }) => tries > 0).length;
    const found = [
      ...this.#rankedOf(this.#firstAttempts, target, now, most),
      ...this.#rankedOf(this.#retries, target, now, Math.min(most, mostRetries)),
    ];
    const inOrder = found.sort((one, other) => one.due_at - other.due_at || one.id - other.id);
    return this.#rowsWithin(
      left,
      inOrder.slice(0, most).map(({ id }) => id),
    );
  }

  #rankedOf({ ranked }: Queries, target: number, now: number, limit: number): Ranked[] {
    if (limit <= 0) return [];
    const rows = ranked.all(target, limit + this.#leases.of(target).claimed.size);
    return rows.filter(({ id }) => !this.#leases.isHeld(id, now)).slice(0, limit);
  }

  /** Whether a target has ranked deliveries, leased or not. */
  hasRanked(target: number): boolean {
    return [this.#firstAttempts, this.#retries].some(({ ranked }) => ranked.get(target, 1) !== undefined);
  }

  /** The ids of due deliveries that are not leased. */
  idsToSort(target: number, limit: number, now: number): number[] {
    return [
      ...this.#dueIds(this.#firstAttempts, target, now, limit),
      ...this.#dueIds(this.#retries, target, now, limit),
    ];
  }

  /**
   * When the first waiting delivery of each target is due, by the target's number; targets without one are left out. One
   * index lookup of 0.7 µs leads from each target to the next, so that a thousand targets with waiting deliveries take 1.4
   * ms and a thousand without take none. (A claim that asked each target took 94 ms. An index on the due time alone could
   * not pass over the backlog of a target that is paused.)
   */
  firstByTarget(now: number): ReadonlyMap<number, number> {
    const first = new Map<number, number>();
    const note = (target: number, dueAt: number): void => {
      if (dueAt < (first.get(target) ?? Infinity)) first.set(target, dueAt);
    };
    for (const queries of [this.#firstAttempts, this.#retries]) {
      for (let found = queries.nextTarget.get(0); found; found = queries.nextTarget.get(found.target)) {
        const { target, dueAt } = found;
        note(target, this.#leases.of(target).claimed.size === 0 ? dueAt : this.#firstFree(queries, target, now));
      }
    }
    for (const target of this.#leases.targets()) {
      const { claimed, born } = this.#leases.of(target);
      note(target, Math.min(firstEndOf(claimed.values()), firstEndOf(born.values())));
    }
    return first;
  }

  /** When the next delivery is due; Infinity: none waits. Ignores retries once the claim has its maximum of them. */
  nextAt(target: number, { limit, retries }: ClaimWant, retriesTaken: number, now: number): number {
    const isFullOfRetries = retries !== undefined && retries.most < limit && retriesTaken >= retries.most;
    const { claimed, born } = this.#leases.of(target);
    const counted = isFullOfRetries ? [...claimed.values()].filter(({ tries }) => tries === 0) : claimed.values();
    return Math.min(
      this.#firstFree(this.#firstAttempts, target, now),
      isFullOfRetries ? Infinity : this.#firstFree(this.#retries, target, now),
      firstEndOf(counted),
      firstEndOf(born.values()),
    );
  }

  /** With the expired leases of deliveries that were leased as they were recorded: those are in no index of due deliveries. */
  #dueFirstAttempts(target: number, now: number, limit: number): number[] {
    const abandoned: Lease[] = [];
    for (const lease of this.#leases.of(target).born.values()) if (lease.until <= now) abandoned.push(lease);
    const ids = abandoned.map(({ id }) => id).slice(0, limit);
    return [...ids, ...this.#dueIds(this.#firstAttempts, target, now, limit - ids.length)];
  }

  #dueIds({ due }: Queries, target: number, now: number, limit: number): number[] {
    if (limit <= 0) return [];
    const passedOver = this.#leases.of(target).claimed.size;
    const ids = due.all(target, now, limit + passedOver);
    if (passedOver === 0) return ids;
    return ids.filter((id) => !this.#leases.isHeld(id, now)).slice(0, limit);
  }

  /** When the first delivery that is not leased is due; Infinity: none waits. */
  #firstFree({ waiting }: Queries, target: number, now: number): number {
    const passedOver = this.#leases.of(target).claimed.size;
    const free = waiting.all(target, 1 + passedOver).find((id) => !this.#leases.isHeld(id, now));
    return (free === undefined ? undefined : this.#dueAt.get(free)) ?? Infinity;
  }

  /** The first deliveries whose bodies fit into `bytes`, including the one that exceeds it. */
  #rowsWithin(bytes: number, ids: readonly number[]): DueRow[] {
    const rows: DueRow[] = [];
    let left = bytes;
    for (const id of ids) {
      const row = left > 0 ? this.#row.get(id) : undefined;
      if (!row) break;
      left -= row.length;
      rows.push(row);
    }
    return rows;
  }
}

interface Ranked {
  readonly id: number;
  readonly due_at: number;
}

type Queries = ReturnType<typeof queriesOf>;

function queriesOf(db: Db, kind: 'tries = 0' | 'tries > 0') {
  // I6: blocked = 0 lets only the delivery at the front of its lanes through.
  const anyTarget = `status = 'pending' AND blocked = 0 AND ${kind}`;
  const ofTarget = `target = ? AND ${anyTarget}`;
  return {
    nextTarget: db.prepare<[number], { target: number; dueAt: number }>(
      `SELECT target, due_at AS dueAt FROM deliveries WHERE target > ? AND ${anyTarget} ORDER BY target, due_at LIMIT 1`,
    ),
    due: db
      .prepare<[number, number, number], number>(
        `SELECT id FROM deliveries WHERE ${ofTarget} AND due_at <= ? ORDER BY due_at, id LIMIT ?`,
      )
      .pluck(),
    ranked: db.prepare<[number, number], Ranked>(
      `SELECT id, due_at FROM deliveries WHERE ${ofTarget} AND due_at >= ${RANKS_FROM} ORDER BY due_at, id LIMIT ?`,
    ),
    // Ids only: a row with the time as well takes four times as long, and a target may have hundreds of leases.
    waiting: db
      .prepare<[number, number], number>(`SELECT id FROM deliveries WHERE ${ofTarget} ORDER BY due_at, id LIMIT ?`)
      .pluck(),
  };
}
