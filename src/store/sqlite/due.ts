import type { Db } from './database.js';
import type { ClaimWant } from '../outbox.js';

/** A due delivery with what of its webhook an attempt needs. */
export interface DueRow {
  readonly id: number;
  readonly channel: string;
  readonly tries: number;
  readonly verdicts: string;
  readonly newest_message_at: number | null;
  readonly resume_at: number | null;
  readonly streak: string | null;
  readonly event: string;
  readonly method: string;
  readonly suffix: string;
  readonly content_type: string | null;
  readonly via: string | null;
  /** Of its body, in bytes. */
  readonly length: number;
  /** Null where it is large: read by itself, once it is sure that there is memory for it. */
  readonly body: Buffer | null;
}

/** So long a body may be to come with its row: read apart, the usual short ones would cost a query for each delivery. */
const SHORT_BODY_BYTES = 16 * 1024;

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

  /** What a claim gets. It stays due until it is leased. */
  pick(target: number, { limit, retries, bytes = Infinity }: ClaimWant, now: number): DueRow[] {
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

function queriesOf(db: Db, kind: 'tries = 0' | 'tries > 0') {
  // I6: blocked = 0 is what lets only the first of a lane through.
  const waiting = `target = ? AND status = 'pending' AND blocked = 0 AND ${kind}`;
  return {
    due: db.prepare<[number, number, number], DueRow>(
      `SELECT d.id, d.channel, d.tries, d.verdicts, d.newest_message_at, d.resume_at, d.streak, w.event, w.method,
         w.suffix, w.content_type, w.via, coalesce(length(d.body), length(w.body)) AS length,
         CASE WHEN coalesce(length(d.body), length(w.body)) <= ${SHORT_BODY_BYTES} THEN coalesce(d.body, w.body) END AS body
       FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id
       WHERE ${waiting} AND due_at <= ? ORDER BY due_at, d.id LIMIT ?`,
    ),
    next: db
      .prepare<[number], number>(`SELECT due_at FROM deliveries WHERE ${waiting} ORDER BY due_at LIMIT 1`)
      .pluck(),
  };
}

/** Up to and with the one that makes `bytes` full. */
function fitting(due: readonly DueRow[], bytes: number): DueRow[] {
  let left = bytes;
  return due.filter(({ length }) => {
    const fits = left > 0;
    left -= length;
    return fits;
  });
}
