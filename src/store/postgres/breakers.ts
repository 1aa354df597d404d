import { breakerRowOf, neverStored, storedBreakerOf } from '../rules/breakers.js';
import type { NamedBreakerRow } from '../rules/breakers.js';
import type { Base } from './base.js';
import type { Database } from './database.js';
import type { Transaction } from './queries.js';
import { rounded } from './values.js';
import type { BreakerChange, KeptBreaker, KeptBreakers, StoredBreaker } from '../breakers.js';

const SELECT = `SELECT t.id AS target_id, b.state, b.consecutive_failures, b.times_opened, b.opened_at, b.next_probe_at, b.version,
    b.probe_until
  FROM gateway.breakers b JOIN gateway.targets t ON t.number = b.target`;

/**
 * A single statement, so that of two replicas that change a breaker at once, one wins. FOR SHARE waits for a concurrent
 * removal of the target. `$2`: the version before; `$9`: the time if it takes the probe, else NULL.
 */
const CHANGE = `INSERT INTO gateway.breakers AS b (target, version, state, consecutive_failures, times_opened, opened_at, next_probe_at,
    probe_until)
  SELECT t.number, $2::bigint + 1, $3::text, $4::int, $5::int, $6::bigint, $7::bigint, $8::bigint FROM gateway.targets t
  WHERE t.id = $1 AND t.removed_at IS NULL
    AND ($2 = 0 OR EXISTS (SELECT FROM gateway.breakers known WHERE known.target = t.number)) FOR SHARE
  ON CONFLICT (target) DO UPDATE SET version = excluded.version, state = excluded.state,
    consecutive_failures = excluded.consecutive_failures, times_opened = excluded.times_opened, opened_at = excluded.opened_at,
    next_probe_at = excluded.next_probe_at, probe_until = excluded.probe_until
  WHERE b.version = $2 AND ($9::bigint IS NULL OR b.probe_until IS NULL OR b.probe_until <= $9)
  RETURNING version, probe_until`;

/** The circuit breakers, which all replicas share by compare-and-set of their versions. */
export class PostgresBreakers implements KeptBreakers {
  readonly #db: Database;
  readonly #now: () => number;
  #list: { readonly rows: string; readonly stored: readonly StoredBreaker[] } | null = null;

  constructor({ db, now }: Pick<Base, 'db' | 'now'>) {
    this.#db = db;
    this.#now = now;
  }

  /** Reads them each time, because other replicas change them. There are at most as many as targets. */
  async all(): Promise<readonly StoredBreaker[]> {
    const read = await this.#db.all<NamedBreakerRow>(`${SELECT} ORDER BY b.target`);
    const rows = JSON.stringify(read);
    if (this.#list?.rows !== rows) this.#list = { rows, stored: read.map(storedBreakerOf) };
    return this.#list.stored;
  }

  async change(targetId: string, beforeVersion: number, after: KeptBreaker | null): Promise<BreakerChange> {
    return await this.#change(targetId, beforeVersion, after, null);
  }

  async takeProbe(targetId: string, beforeVersion: number, open: KeptBreaker, leaseMs: number): Promise<BreakerChange> {
    return await this.#change(targetId, beforeVersion, open, leaseMs);
  }

  /** @param probeMs for how long the probe is leased; null: it is not taken */
  async #change(
    targetId: string,
    beforeVersion: number,
    after: KeptBreaker | null,
    probeMs: number | null,
  ): Promise<BreakerChange> {
    const now = this.#now();
    const probeUntil = probeMs === null ? null : now + probeMs;
    const row = breakerRowOf(0, after, beforeVersion, probeUntil);
    const changed = await this.#db.one<{ version: number; probe_until: number | null }>(
      CHANGE,
      ...[targetId, beforeVersion, row.state, row.consecutive_failures, row.times_opened],
      ...[row.opened_at, row.next_probe_at, probeUntil].map(rounded),
      probeMs === null ? null : now,
    );
    if (changed) {
      const stored = { ...row, version: changed.version, probe_until: changed.probe_until, target_id: targetId };
      return { isMade: true, stored: storedBreakerOf(stored) };
    }
    const before = await this.#db.one<NamedBreakerRow>(`${SELECT} WHERE t.id = $1`, targetId);
    if (before) return { isMade: false, stored: storedBreakerOf(before) };
    const target = await this.#db.one('SELECT id FROM gateway.targets WHERE id = $1 AND removed_at IS NULL', targetId);
    return { isMade: target === undefined, stored: neverStored(targetId) };
  }
}

/** For use in the transaction that removes the target. @param target its number */
export async function forgetBreaker(tx: Transaction, target: number): Promise<void> {
  await tx.run('DELETE FROM gateway.breakers WHERE target = $1', target);
}
