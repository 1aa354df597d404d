import { wasSentSince } from '../rules/bulk-work.js';
import type { Db } from './database.js';
import { HELD_COLUMNS, messageItself } from './held-items.js';
import type { HeldItems, HeldRow } from './held-items.js';
import { INDEXED_BY_MESSAGE, IS_INDEXED_BY_MESSAGE } from './sightings.js';

interface Place {
  readonly webhook: number;
  /** JSON; null: all items of the webhook. */
  readonly positions: string | null;
  /** One per item. */
  readonly verdicts: string;
}

/**
 * Holds the items of deliveries that the settings of their target left out: they count as not sent, and can be released. For
 * use inside a transaction.
 */
export class LeftOutItems {
  readonly #held: HeldItems;
  readonly #place;
  readonly #holdAll;
  readonly #holdOne;
  readonly #heldOf;
  readonly #clearHeld;
  readonly #copyReleased;

  constructor(db: Db, held: HeldItems) {
    this.#held = held;
    this.#place = db.prepare<[number], Place>(
      'SELECT webhook_id AS webhook, positions, verdicts FROM deliveries WHERE id = ?',
    );
    this.#holdAll = db.prepare<[number]>('UPDATE sightings SET held = 1 WHERE webhook_id = ?');
    this.#holdOne = db.prepare<[number, number]>('UPDATE sightings SET held = 1 WHERE webhook_id = ? AND position = ?');
    this.#heldOf = db.prepare<[number], HeldRow>(
      `SELECT ${HELD_COLUMNS} FROM sightings s JOIN webhooks w ON w.id = s.webhook_id WHERE s.webhook_id = ? AND s.held = 1`,
    );
    this.#clearHeld = db.prepare<[number, number]>(
      'UPDATE sightings SET held = 0 WHERE webhook_id = ? AND position = ?',
    );
    // A newer copy of a message is never judged by rule 10, so the index has it.
    this.#copyReleased = db
      .prepare<{ webhook: number; position: number; target: number; after: number }, number>(
        `SELECT 1 FROM sightings left_out CROSS JOIN ${INDEXED_BY_MESSAGE} ON s.message_key = left_out.message_key
           CROSS JOIN deliveries d INDEXED BY deliveries_released ON d.webhook_id = s.webhook_id
         WHERE left_out.webhook_id = @webhook AND left_out.position = @position AND ${messageItself('left_out')}
           AND ${IS_INDEXED_BY_MESSAGE} AND ${messageItself('s')}
           AND d.released = 1 AND d.id > @after AND d.target = @target AND d.positions = '[' || s.position || ']' LIMIT 1`,
      )
      .pluck();
  }

  /** This delivery was left out. */
  hold(deliveryId: number): void {
    this.#held.changed();
    const place = this.#place.get(deliveryId);
    if (!place) return;
    if (place.positions === null) this.#holdAll.run(place.webhook);
    else for (const position of positionsIn(place.positions)) this.#holdOne.run(place.webhook, position);
  }

  /**
   * Whether everything in a delivery that was left out has been released to its target since: the item itself, or a newer copy
   * of its message, because a release sends the newest one.
   */
  wasReleased(deliveryId: number, target: number): boolean {
    const place = this.#place.get(deliveryId);
    if (!place) return false;
    const { webhook, positions, verdicts } = place;
    const after = deliveryId;
    return wasSentSince(
      { positions: positions === null ? null : positionsIn(positions), verdicts },
      (position) =>
        this.#held.hasDelivery(target, webhook, position) ||
        this.#copyReleased.get({ webhook, position, target, after }) !== undefined,
    );
  }

  /** A delivery that had been left out is pending again: its items are held only if another target lacks them. */
  sentAgain(deliveryId: number): void {
    this.#held.changed();
    const place = this.#place.get(deliveryId);
    if (!place) return;
    const sent = place.positions === null ? null : new Set(positionsIn(place.positions));
    for (const row of this.#heldOf.all(place.webhook)) {
      const isSent = sent === null || sent.has(row.position);
      if (isSent && this.#held.withoutDelivery(this.#held.subscribers(row), row).length === 0)
        this.#clearHeld.run(row.webhook_id, row.position);
    }
  }
}

function positionsIn(json: string): number[] {
  return JSON.parse(json) as number[];
}
