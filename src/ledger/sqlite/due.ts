import type { ClaimWant } from '../ledger.js';
import type { Db } from './database.js';

interface DueDelivery {
  readonly id: number;
  /** Of its body, in bytes. */
  readonly length: number;
}

/**
 * What is due of a target, and who of it comes first: the one place of the rule that first attempts do not wait behind
 * retries, nor retries behind first attempts. Each kind has a partial index, so that a claim is one look into it however
 * much of either waits. (One index on `tries > 0` and the time would be bigger and no faster.)
 */
export class Due {
  readonly #first;
  readonly #again;

  constructor(db: Db) {
    this.#first = queriesOf(db, 'tries = 0');
    this.#again = queriesOf(db, 'tries > 0');
  }

  /** The ids that a claim gets. They stay due until they are leased. */
  pick(target: number, { limit, retries, bytes = Infinity }: ClaimWant, now: number): number[] {
    const { kept: keptPlaces, most } = retries ?? { kept: 0, most: limit };
    const again = this.#again.due.all(target, now, Math.min(limit, most));
    const kept = again.slice(0, keptPlaces);
    const first = this.#first.due.all(target, now, limit - kept.length);
    const others = again.slice(kept.length, limit - first.length);
    return fitting([...kept, ...first, ...others], bytes);
  }

  /** When the next one falls due, retries left out where the claim got as many of them as it may have; else Infinity. */
  nextAt(target: number, { limit, retries }: ClaimWant, retriesTaken: number): number {
    const isFullOfRetries = retries !== undefined && retries.most < limit && retriesTaken >= retries.most;
    const times = [this.#first.next.get(target), isFullOfRetries ? undefined : this.#again.next.get(target)];
    return Math.min(...times.map((time) => time ?? Infinity));
  }
}

/** Only lengths are read, not the bodies: of these as many as there is memory for, in `fitting`. */
function queriesOf(db: Db, kind: 'tries = 0' | 'tries > 0') {
  // I6: blocked = 0 is what lets only the first of a lane through.
  const waiting = `target = ? AND status = 'pending' AND blocked = 0 AND ${kind}`;
  return {
    due: db.prepare<[number, number, number], DueDelivery>(
      `SELECT d.id, coalesce(length(d.body), length(w.body)) AS length
       FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id
       WHERE ${waiting} AND due_at <= ? ORDER BY due_at, d.id LIMIT ?`,
    ),
    next: db
      .prepare<[number], number>(`SELECT due_at FROM deliveries WHERE ${waiting} ORDER BY due_at LIMIT 1`)
      .pluck(),
  };
}

/** Up to and with the one that makes `bytes` full. */
function fitting(due: readonly DueDelivery[], bytes: number): number[] {
  let left = bytes;
  return due
    .filter(({ length }) => {
      const fits = left > 0;
      left -= length;
      return fits;
    })
    .map(({ id }) => id);
}
