import type { Breaker } from '../../model.js';
import type { Db } from './database.js';
import type { GroupCommit } from './group-commit.js';
import { read } from './reads.js';
import type { RegistryTables } from './registry-tables.js';
import type { KeptBreaker, KeptBreakers } from '../breakers.js';

interface BreakerRow {
  target: number;
  state: Breaker['state'];
  consecutive_failures: number;
  times_opened: number;
  opened_at: number | null;
  next_probe_at: number | null;
}

export class SqliteBreakers implements KeptBreakers {
  readonly #commit: GroupCommit;
  readonly #registry: RegistryTables;
  readonly #notClosed;
  readonly #upsert;
  readonly #delete;

  constructor(db: Db, registry: RegistryTables, commit: GroupCommit) {
    this.#commit = commit;
    this.#registry = registry;
    this.#notClosed = db.prepare<[], BreakerRow & { target_id: string }>(
      'SELECT b.*, t.id AS target_id FROM breakers b JOIN targets t ON t.number = b.target ORDER BY b.target',
    );
    this.#upsert = db.prepare<[BreakerRow]>(
      `INSERT INTO breakers (target, state, consecutive_failures, times_opened, opened_at, next_probe_at)
       VALUES (@target, @state, @consecutive_failures, @times_opened, @opened_at, @next_probe_at)
       ON CONFLICT (target) DO UPDATE SET state = excluded.state, consecutive_failures = excluded.consecutive_failures,
         times_opened = excluded.times_opened, opened_at = excluded.opened_at, next_probe_at = excluded.next_probe_at`,
    );
    this.#delete = db.prepare<[number]>('DELETE FROM breakers WHERE target = ?');
  }

  async notClosed(): Promise<(KeptBreaker & { targetId: string })[]> {
    return await read(() =>
      this.#notClosed.all().map((row) => ({
        targetId: row.target_id,
        state: row.state,
        consecutiveFailures: row.consecutive_failures,
        timesOpened: row.times_opened,
        openedAt: row.opened_at,
        nextProbeAt: row.next_probe_at,
      })),
    );
  }

  async keep(targetId: string, breaker: KeptBreaker | null): Promise<void> {
    await this.#commit.run(() => {
      const target = this.#registry.targets().get(targetId)?.number;
      if (target === undefined) return;
      if (breaker === null) this.remove(target);
      else this.#upsert.run(rowOf(target, breaker));
    });
  }

  /** For use inside a transaction. */
  remove(target: number): void {
    this.#delete.run(target);
  }
}

function rowOf(target: number, breaker: KeptBreaker): BreakerRow {
  return {
    target,
    state: breaker.state,
    consecutive_failures: breaker.consecutiveFailures,
    times_opened: breaker.timesOpened,
    opened_at: breaker.openedAt,
    next_probe_at: breaker.nextProbeAt,
  };
}
