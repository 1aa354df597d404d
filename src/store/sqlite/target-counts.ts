import type { Db } from './database.js';
import { DeliveryMemory } from './delivery-memory.js';
import type { Leases } from './leases.js';
import type { TransactionMemory } from './transaction-memory.js';
import type { RegistryTables } from './registry-tables.js';
import { utcHour } from '../rules/days.js';
import type { TargetLoad } from '../outbox.js';

interface SettledDeliveryRow {
  status: string;
  settled_at: number;
  cause: string | null;
  event: string;
}

interface DeadRow {
  cause: string;
  event: string;
  count: number;
}

/** Full hours before the current one: together they cover the last day and up to an hour more. */
const HOURS_BEFORE = 24;

/**
 * How many deliveries are pending for each target, and how many ended as dead in the last day. Each change of a delivery
 * updates its counts in the same transaction, so that `loadOf` never counts rows. Changes of the pending counts are collected
 * in memory and written once before the commit: a write for each delivery cost 2 µs. All methods but the reads are for use
 * inside a transaction.
 */
export class TargetCounts {
  readonly #registry: RegistryTables;
  readonly #leases: Leases;
  readonly #memory: TransactionMemory;
  /** By target, what this transaction has added to its pending count and not yet written. */
  readonly #added = new Map<number, number>();
  readonly #addPending;
  readonly #pending;
  readonly #oldestPendingAt;
  readonly #lastError;
  readonly #eventOfDelivery;
  readonly #settledDelivery;
  readonly #countDead;
  readonly #uncountDead;
  readonly #dropOld;
  readonly #deadByCause;
  readonly #removeRows;

  /** @param transaction the memory of this connection's transactions, where it is not the first connection */
  constructor(db: Db, registry: RegistryTables, memory = new DeliveryMemory(), transaction = memory.transaction) {
    this.#registry = registry;
    this.#leases = memory.leases;
    this.#memory = transaction;
    transaction.addWriter(() => this.#write());
    this.#addPending = db.prepare<[number, number]>(
      'INSERT INTO target_counts (target, pending) VALUES (?, ?) ON CONFLICT (target) DO UPDATE SET pending = pending + excluded.pending',
    );
    this.#pending = db.prepare<[number], number>('SELECT pending FROM target_counts WHERE target = ?').pluck();
    this.#oldestPendingAt = db
      .prepare<[number], number>(
        "SELECT created_at FROM deliveries WHERE target = ? AND status = 'pending' AND blocked >= 0 ORDER BY id LIMIT 1",
      )
      .pluck();
    // Only of deliveries at the front of their lanes: one that waits behind another was not tried.
    this.#lastError = db
      .prepare<[number], string | null>(
        `SELECT last_error FROM deliveries WHERE target = ? AND status = 'pending' AND blocked = 0 AND tries > 0
         ORDER BY due_at LIMIT 1`,
      )
      .pluck();
    this.#eventOfDelivery = db
      .prepare<[number], string>(
        'SELECT event FROM webhooks WHERE id = (SELECT webhook_id FROM deliveries WHERE id = ?)',
      )
      .pluck();
    this.#settledDelivery = db.prepare<[number], SettledDeliveryRow>(
      `SELECT d.status, d.settled_at, d.cause, w.event FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE d.id = ?`,
    );
    this.#countDead = db.prepare<[number, number, string, string]>(
      `INSERT INTO dead_counts (target, hour, cause, event, count) VALUES (?, ?, ?, ?, 1)
       ON CONFLICT (target, hour, cause, event) DO UPDATE SET count = count + 1`,
    );
    this.#uncountDead = db.prepare<[number, number, string, string]>(
      'UPDATE dead_counts SET count = count - 1 WHERE target = ? AND hour = ? AND cause = ? AND event = ? AND count > 0',
    );
    this.#dropOld = db.prepare<[number, number]>('DELETE FROM dead_counts WHERE target = ? AND hour < ?');
    this.#deadByCause = db.prepare<[number, number], DeadRow>(
      `SELECT cause, event, sum(count) AS count FROM dead_counts WHERE target = ? AND hour >= ?
       GROUP BY cause, event HAVING sum(count) > 0 ORDER BY cause, event`,
    );
    this.#removeRows = ['target_counts', 'dead_counts'].map((table) =>
      db.prepare<[number]>(`DELETE FROM ${table} WHERE target = ?`),
    );
  }

  added(target: number): void {
    this.#add(target, 1);
  }

  /** A pending delivery was settled. */
  settled(target: number): void {
    this.#add(target, -1);
  }

  /** This many pending deliveries of a removed target ended. */
  ended(target: number, count: number): void {
    this.#add(target, -count);
  }

  /** A delivery ended as dead, for `cause` where one is known. */
  endedDead(id: number, target: number, cause: string | undefined, now: number): void {
    this.#dropOld.run(target, utcHour(now) - HOURS_BEFORE - 1);
    this.#countDead.run(target, utcHour(now), cause ?? '', this.#eventOfDelivery.get(id) ?? '');
  }

  /** A settled delivery is about to become pending again, so it no longer counts as dead. */
  requeued(id: number, target: number): void {
    const row = this.#settledDelivery.get(id);
    if (row?.status === 'dead') this.#uncountDead.run(target, utcHour(row.settled_at), row.cause ?? '', row.event);
    this.added(target);
  }

  /** Removes the counts of a target that was removed. */
  remove(target: number): void {
    this.#add(target, -(this.#added.get(target) ?? 0));
    for (const statement of this.#removeRows) statement.run(target);
  }

  #add(target: number, count: number): void {
    if (count === 0) return;
    const before = this.#added.get(target) ?? 0;
    this.#added.set(target, before + count);
    this.#memory.changed(() => this.#added.set(target, before));
  }

  #write(): void {
    for (const [target, count] of this.#added) if (count !== 0) this.#addPending.run(target, count);
    this.#added.clear(); // if the commit fails, undoing the changes ends at zero as well
  }

  /** A read, outside transactions. */
  pendingOf(target: number): number {
    return this.#pending.get(target) ?? 0;
  }

  /** The times of deliveries that were leased as they were recorded come from memory: `#oldestPendingAt` leaves those out. */
  #oldestOf(target: number): number | null {
    const times = [...this.#leases.of(target).born.values()].map(({ createdAt }) => createdAt);
    const waiting = this.#oldestPendingAt.get(target);
    if (waiting !== undefined) times.push(waiting);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** A read: see `Outbox.loadOf`. */
  loadOf(targetId: string, now: number): TargetLoad {
    const number = this.#registry.targets().get(targetId)?.number ?? 0;
    const dead = this.#deadByCause.all(number, utcHour(now) - HOURS_BEFORE);
    const other = dead.filter(({ cause }) => cause !== 'no_handler');
    return {
      pending: this.pendingOf(number),
      oldestPendingAt: this.#oldestOf(number),
      lastError: this.#lastError.get(number) ?? null,
      deadLastDay: other.reduce((sum, { count }) => sum + count, 0),
      unhandledLastDay: dead.flatMap(({ cause, event, count }) => (cause === 'no_handler' ? [{ event, count }] : [])),
    };
  }
}
