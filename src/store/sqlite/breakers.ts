import type { Effects } from '../../effects.js';
import type { Db } from './database.js';
import type { GroupCommit } from './group-commit.js';
import { breakerRowOf, neverStored, storedBreakerOf } from '../rules/breakers.js';
import type { BreakerRow, NamedBreakerRow } from '../rules/breakers.js';
import { read } from './reads.js';
import type { RegistryTables } from './registry-tables.js';
import type { BreakerChange, KeptBreaker, KeptBreakers, StoredBreaker } from '../breakers.js';

const COLUMNS = `b.*, t.id AS target_id FROM breakers b JOIN targets t ON t.number = b.target`;

export class SqliteBreakers implements KeptBreakers {
  readonly #commit: GroupCommit;
  readonly #registry: RegistryTables;
  readonly #now: Effects['now'];
  readonly #all;
  readonly #one;
  readonly #upsert;
  readonly #endProbes;
  readonly #delete;
  /** What `all` last read; null: it may have changed since. */
  #list: readonly StoredBreaker[] | null = null;

  constructor(db: Db, registry: RegistryTables, commit: GroupCommit, now: Effects['now']) {
    this.#commit = commit;
    this.#registry = registry;
    this.#now = now;
    this.#all = db.prepare<[], NamedBreakerRow>(`SELECT ${COLUMNS} ORDER BY b.target`);
    this.#one = db.prepare<[number], NamedBreakerRow>(`SELECT ${COLUMNS} WHERE b.target = ?`);
    this.#upsert = db.prepare<[BreakerRow]>(
      `INSERT INTO breakers (target, state, consecutive_failures, times_opened, opened_at, next_probe_at, version, probe_until)
       VALUES (@target, @state, @consecutive_failures, @times_opened, @opened_at, @next_probe_at, @version, @probe_until)
       ON CONFLICT (target) DO UPDATE SET state = excluded.state, consecutive_failures = excluded.consecutive_failures,
         times_opened = excluded.times_opened, opened_at = excluded.opened_at, next_probe_at = excluded.next_probe_at,
         version = excluded.version, probe_until = excluded.probe_until`,
    );
    this.#endProbes = db.prepare('UPDATE breakers SET probe_until = NULL WHERE probe_until IS NOT NULL');
    this.#delete = db.prepare<[number]>('DELETE FROM breakers WHERE target = ?');
  }

  /** For the start: one process owns the file, so the probes that it holds ended with the process before this one. */
  endProbes(): void {
    this.#endProbes.run();
  }

  async all(): Promise<readonly StoredBreaker[]> {
    return await read(() => (this.#list ??= this.#all.all().map(storedBreakerOf)));
  }

  async change(targetId: string, beforeVersion: number, after: KeptBreaker | null): Promise<BreakerChange> {
    return await this.#changeOne(targetId, (target, { version }) => {
      if (version !== beforeVersion) return false;
      this.#upsert.run(breakerRowOf(target, after, version + 1, null));
      return true;
    });
  }

  async takeProbe(targetId: string, beforeVersion: number, open: KeptBreaker, leaseMs: number): Promise<BreakerChange> {
    return await this.#changeOne(targetId, (target, { version, probeUntil }) => {
      const now = this.#now();
      if (version !== beforeVersion || (probeUntil !== null && probeUntil > now)) return false;
      this.#upsert.run(breakerRowOf(target, open, version + 1, now + leaseMs));
      return true;
    });
  }

  async #changeOne(
    targetId: string,
    change: (target: number, before: StoredBreaker) => boolean,
  ): Promise<BreakerChange> {
    return await this.#commit.run(() => {
      const target = this.#registry.targets().get(targetId)?.number;
      if (target === undefined) return { isMade: true, stored: neverStored(targetId) };
      const isMade = change(target, this.#storedOf(target, targetId));
      if (isMade) this.#list = null;
      return { isMade, stored: this.#storedOf(target, targetId) };
    });
  }

  #storedOf(target: number, targetId: string): StoredBreaker {
    const row = this.#one.get(target);
    return row ? storedBreakerOf(row) : neverStored(targetId);
  }

  /** For use inside a transaction. */
  remove(target: number): void {
    this.#delete.run(target);
    this.#list = null;
  }
}
