import type { Queries } from './queries.js';
import type { Lease } from './leases.js';
import type { Settlement } from '../outbox.js';

/** A settlement with the lease that it ends. */
export interface Settled {
  readonly settlement: Settlement;
  readonly lease: Lease;
  /** When it was first tried. */
  readonly at: number;
}

/** Finds a settlement by its attempt in the log, even after later retries; without an attempt, by the time of its end. */
const SAVED = `SELECT d.id FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[]) AS s(id, status, settled_at, attempt)
  JOIN gateway.deliveries d ON d.id = s.id
  WHERE d.id = ANY($1::bigint[])
    AND CASE WHEN s.attempt IS NULL THEN d.status = s.status AND d.settled_at = s.settled_at ELSE strpos(d.log, s.attempt) > 0 END`;

/**
 * Settlements that failed although the database may have committed them, because the answer was lost. Then their lease is no
 * longer in the table, and a repetition checks whether it was saved. All others cost nothing.
 */
export class Unanswered {
  readonly #byId = new Map<number, Settled>();

  note(settled: readonly Settled[], now: number): void {
    for (const [id, { lease }] of this.#byId) if (lease.until < now) this.#byId.delete(id); // never repeated
    for (const each of settled) this.#byId.set(each.lease.id, each);
  }

  /** The one with this token, if its answer was lost. */
  of({ id, lease }: { readonly id: number; readonly lease: number }): Settled | undefined {
    const found = this.#byId.get(id);
    return found?.lease.token === lease ? found : undefined;
  }

  forget(id: number): void {
    this.#byId.delete(id);
  }

  /** Which of these changed nothing now because an earlier try has saved them, by id of their delivery. */
  async saved(queries: Queries, unchanged: readonly Settled[]): Promise<readonly number[]> {
    const repeated = unchanged.filter(({ lease }) => this.of({ id: lease.id, lease: lease.token }));
    if (repeated.length === 0) return [];
    const rows = await queries.all<{ id: number }>(
      SAVED,
      repeated.map(({ lease }) => lease.id),
      repeated.map(({ settlement }) => settlement.status),
      repeated.map(({ at }) => at),
      repeated.map(({ settlement: { attempt } }) => attempt && JSON.stringify(attempt)),
    );
    return rows.map(({ id }) => id);
  }
}
