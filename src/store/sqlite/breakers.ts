import type { Breaker } from '../../model.js';
import type { Db } from './database.js';
import type { SqliteRegistry } from './registry.js';
import type { KeptBreaker } from '../breakers.js';

interface BreakerRow {
  target: number;
  state: Breaker['state'];
  consecutive_failures: number;
  times_opened: number;
  opened_at: number | null;
  next_probe_at: number | null;
}

/** Circuit breakers of targets that are not well. `keep` and `remove` are for use inside a transaction. */
export class SqliteBreakers {
  readonly #registry: SqliteRegistry;
  readonly #all;
  readonly #keep;
  readonly #remove;

  constructor(db: Db, registry: SqliteRegistry) {
    this.#registry = registry;
    this.#all = db.prepare<[], BreakerRow & { target_id: string }>(
      'SELECT b.*, t.id AS target_id FROM breakers b JOIN targets t ON t.number = b.target ORDER BY b.target',
    );
    this.#keep = db.prepare<[BreakerRow]>(
      `INSERT INTO breakers (target, state, consecutive_failures, times_opened, opened_at, next_probe_at)
       VALUES (@target, @state, @consecutive_failures, @times_opened, @opened_at, @next_probe_at)
       ON CONFLICT (target) DO UPDATE SET state = excluded.state, consecutive_failures = excluded.consecutive_failures,
         times_opened = excluded.times_opened, opened_at = excluded.opened_at, next_probe_at = excluded.next_probe_at`,
    );
    this.#remove = db.prepare<[number]>('DELETE FROM breakers WHERE target = ?');
  }

  all(): (KeptBreaker & { targetId: string })[] {
    return this.#all.all().map((row) => ({
      targetId: row.target_id,
      state: row.state,
      consecutiveFailures: row.consecutive_failures,
      timesOpened: row.times_opened,
      openedAt: row.opened_at,
      nextProbeAt: row.next_probe_at,
    }));
  }

  keep(targetId: string, breaker: KeptBreaker | null): void {
    const target = this.#registry.targets().get(targetId)?.number;
    if (target === undefined) return;
    if (breaker === null) {
      this.remove(target);
      return;
    }
    this.#keep.run({
      target,
      state: breaker.state,
      consecutive_failures: breaker.consecutiveFailures,
      times_opened: breaker.timesOpened,
      opened_at: breaker.openedAt,
      next_probe_at: breaker.nextProbeAt,
    });
  }

  remove(target: number): void {
    this.#remove.run(target);
  }
}
