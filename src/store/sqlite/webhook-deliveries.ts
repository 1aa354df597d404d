import type { Db } from './database.js';

/** The columns that tell to which webhook a delivery belongs, and whether a release made it. */
interface Origin {
  readonly id: number;
  readonly ofWebhook: number;
  readonly wasReleased: number;
}

/**
 * The deliveries of a webhook in the order of their ids. Those that were recorded with it need no index: no other delivery has
 * an id between theirs and that of the webhook, so a read ends at the first row of another webhook. Those that a release made
 * later have an index. (An index of all deliveries by webhook cost each delivery one more entry.) Reads only.
 */
export class WebhookDeliveries<Row extends object> {
  readonly #recorded;
  readonly #released;

  /** @param columns of `deliveries d` in `tables` */
  constructor(db: Db, columns: string, tables = 'deliveries d') {
    const select = `SELECT ${columns}, d.id, d.webhook_id AS ofWebhook, d.released AS wasReleased FROM ${tables}`;
    this.#recorded = db.prepare<[number], Row & Origin>(`${select} WHERE d.id > ? ORDER BY d.id`);
    this.#released = db.prepare<[number, number, number], Row & Origin>(
      `${select} WHERE d.webhook_id = ? AND d.released = 1 AND d.id > ? ORDER BY d.id LIMIT ?`,
    );
  }

  /** At most `limit` rows with ids greater than `after`. */
  after(webhook: number, after: number, limit = Number.MAX_SAFE_INTEGER): (Row & Origin)[] {
    const rows: (Row & Origin)[] = [];
    if (limit <= 0) return rows;
    for (const row of this.#recorded.iterate(Math.max(webhook, after))) {
      if (row.ofWebhook !== webhook || row.wasReleased === 1) break;
      rows.push(row);
      if (rows.length === limit) return rows;
    }
    return [...rows, ...this.#released.all(webhook, after, limit - rows.length)];
  }
}
