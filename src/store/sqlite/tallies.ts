import type { Db } from './database.js';
import type { SqliteRegistry } from './registry.js';
import { HOUR_MS } from '../../durations.js';
import type { TargetLoad } from '../outbox.js';

interface EndedRow {
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

/** The hour that runs and the 24 before it: all of the last day, and up to an hour more. */
const HOURS_BEFORE = 24;

/**
 * How much waits for each target, and how much of it ended as dead lately. Kept in the transaction that changes it: one
 * small row for each delivery added or settled, so that a look never counts. All but `loadOf` is for use inside one.
 */
export class Tallies {
  readonly #registry: SqliteRegistry;
  readonly #change;
  readonly #pending;
  readonly #oldest;
  readonly #lastError;
  readonly #eventOf;
  readonly #ended;
  readonly #died;
  readonly #revived;
  readonly #dropOld;
  readonly #dead;
  readonly #forget;

  constructor(db: Db, registry: SqliteRegistry) {
    this.#registry = registry;
    this.#change = db.prepare<[number, number]>(
      'INSERT INTO target_counts (target, pending) VALUES (?, ?) ON CONFLICT (target) DO UPDATE SET pending = pending + excluded.pending',
    );
    this.#pending = db.prepare<[number], number>('SELECT pending FROM target_counts WHERE target = ?').pluck();
    this.#oldest = db
      .prepare<[number], number>(
        "SELECT created_at FROM deliveries WHERE target = ? AND status = 'pending' ORDER BY id LIMIT 1",
      )
      .pluck();
    // Of those that may be tried, for what waits behind another one has met no error.
    this.#lastError = db
      .prepare<[number], string | null>(
        `SELECT last_error FROM deliveries WHERE target = ? AND status = 'pending' AND blocked = 0 AND tries > 0
         ORDER BY due_at LIMIT 1`,
      )
      .pluck();
    this.#eventOf = db
      .prepare<[number], string>(
        'SELECT event FROM webhooks WHERE id = (SELECT webhook_id FROM deliveries WHERE id = ?)',
      )
      .pluck();
    this.#ended = db.prepare<[number], EndedRow>(
      `SELECT d.status, d.settled_at, d.cause, w.event FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE d.id = ?`,
    );
    this.#died = db.prepare<[number, number, string, string]>(
      `INSERT INTO dead_counts (target, hour, cause, event, count) VALUES (?, ?, ?, ?, 1)
       ON CONFLICT (target, hour, cause, event) DO UPDATE SET count = count + 1`,
    );
    this.#revived = db.prepare<[number, number, string, string]>(
      'UPDATE dead_counts SET count = count - 1 WHERE target = ? AND hour = ? AND cause = ? AND event = ? AND count > 0',
    );
    this.#dropOld = db.prepare<[number, number]>('DELETE FROM dead_counts WHERE target = ? AND hour < ?');
    this.#dead = db.prepare<[number, number], DeadRow>(
      `SELECT cause, event, sum(count) AS count FROM dead_counts WHERE target = ? AND hour >= ?
       GROUP BY cause, event HAVING sum(count) > 0 ORDER BY cause, event`,
    );
    this.#forget = ['target_counts', 'dead_counts'].map((table) =>
      db.prepare<[number]>(`DELETE FROM ${table} WHERE target = ?`),
    );
  }

  added(target: number): void {
    this.#change.run(target, 1);
  }

  /** A pending delivery was settled for good. */
  settled(target: number): void {
    this.#change.run(target, -1);
  }

  /** It ended as dead: because of `cause`, where that is known. */
  died(id: number, target: number, cause: string | undefined, now: number): void {
    this.#dropOld.run(target, hourOf(now) - HOURS_BEFORE - 1);
    this.#died.run(target, hourOf(now), cause ?? '', this.#eventOf.get(id) ?? '');
  }

  /** A settled delivery is about to become pending again: it is no longer dead. */
  revives(id: number, target: number): void {
    const row = this.#ended.get(id);
    if (row?.status === 'dead') this.#revived.run(target, hourOf(row.settled_at), row.cause ?? '', row.event);
    this.added(target);
  }

  forget(target: number): void {
    for (const statement of this.#forget) statement.run(target);
  }

  loadOf(targetId: string, now: number): TargetLoad {
    const number = this.#registry.targets().get(targetId)?.number ?? 0;
    const dead = this.#dead.all(number, hourOf(now) - HOURS_BEFORE);
    const other = dead.filter(({ cause }) => cause !== 'no_handler');
    return {
      pending: this.#pending.get(number) ?? 0,
      oldestPendingAt: this.#oldest.get(number) ?? null,
      lastError: this.#lastError.get(number) ?? null,
      deadLastDay: other.reduce((sum, { count }) => sum + count, 0),
      unhandledLastDay: dead.flatMap(({ cause, event, count }) => (cause === 'no_handler' ? [{ event, count }] : [])),
    };
  }
}

function hourOf(ms: number): number {
  return Math.floor(ms / HOUR_MS);
}
