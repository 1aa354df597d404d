import type { Queries } from './queries.js';

/** A leased delivery, with what its settlement needs. While it is leased, nothing but a manual retry changes its row. */
export interface Lease {
  readonly id: number;
  /** The token (I5). */
  readonly token: number;
  readonly until: number;
  readonly channel: string;
  readonly createdAt: number;
  readonly attempts: number;
  readonly tries: number;
  readonly resumeAt: number | null;
  /** JSON of a `Streak`; null: none. */
  readonly streak: string | null;
  readonly lastError: string | null;
  /** JSON. */
  readonly log: string;
}

export interface LeaseRow {
  readonly id: number;
  readonly channel: string;
  readonly created_at: number;
  readonly attempts: number;
  readonly tries: number;
  readonly resume_at: number | null;
  readonly streak: string | null;
  readonly last_error: string | null;
  readonly log: string;
}

/** The columns of a `LeaseRow`, of `gateway.queue q`. */
export const LEASE_COLUMNS =
  'q.id, q.channel, q.created_at, q.attempts, q.tries, q.resume_at, q.streak, q.last_error, q.log';

const LEASES = `SELECT ${LEASE_COLUMNS}, q.lease, q.leased_until
  FROM gateway.queue q JOIN unnest($1::bigint[], $2::bigint[]) AS s(id, lease) ON q.id = s.id AND q.lease = s.lease`;

/** Leases of a crashed loop are forgotten once there are this many. */
const MOST_KEPT = 20_000;

/** The leases that this replica has taken, so that a settlement need not read them. The table decides who holds one. */
export class Leases {
  readonly #byId = new Map<number, Lease>();

  add(lease: Lease, now: number): void {
    this.#byId.set(lease.id, lease);
    if (this.#byId.size > MOST_KEPT) this.#forgetExpired(now);
  }

  forget(id: number): void {
    this.#byId.delete(id);
  }

  /** From now on, settlements read their leases. */
  forgetAll(): void {
    this.#byId.clear();
  }

  /** The leases with these tokens, by id of their delivery. Reads those that another replica has taken. */
  async of(queries: Queries, wanted: readonly { id: number; lease: number }[]): Promise<ReadonlyMap<number, Lease>> {
    const found = new Map<number, Lease>();
    for (const { id, lease } of wanted) {
      const kept = this.#byId.get(id);
      if (kept?.token === lease) found.set(id, kept);
    }
    const unknown = wanted.filter(({ id }) => !found.has(id));
    if (unknown.length === 0) return found;
    const rows = await queries.all<LeaseRow & { lease: number; leased_until: number }>(
      LEASES,
      unknown.map(({ id }) => id),
      unknown.map(({ lease }) => lease),
    );
    for (const row of rows) found.set(row.id, leaseOf(row, row.lease, row.leased_until));
    return found;
  }

  #forgetExpired(now: number): void {
    for (const [id, { until }] of this.#byId) if (until < now) this.#byId.delete(id);
  }
}

/** The lease of a row that was just claimed, or read. @param until Unix milliseconds */
export function leaseOf(row: LeaseRow, token: number, until: number): Lease {
  return {
    id: row.id,
    token,
    until,
    channel: row.channel,
    createdAt: row.created_at,
    attempts: row.attempts,
    tries: row.tries,
    resumeAt: row.resume_at,
    streak: row.streak,
    lastError: row.last_error,
    log: row.log,
  };
}
