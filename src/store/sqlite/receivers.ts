import { isLeftOut } from '../rules/held-items.js';
import { SentItems } from '../rules/sent-items.js';
import type { Db } from './database.js';
import { WebhookDeliveries } from './webhook-deliveries.js';

interface DeliveryRow {
  readonly id: number;
  readonly target: number;
  readonly status: string;
  readonly positions: string | null;
}

/** The deliveries of one webhook that were read so far. */
class ReadDeliveries extends SentItems {
  /** The newest of them; 0: none. */
  newestId = 0;

  constructor(readonly webhookId: number) {
    super();
  }

  read({ id, target, status, positions }: DeliveryRow): void {
    this.newestId = id;
    if (!isLeftOut(status)) this.add(target, positions === null ? null : (JSON.parse(positions) as number[]));
  }
}

/**
 * Which targets have a delivery of an item. A split webhook has thousands of deliveries, and bulk work asks about each of
 * its thousands of items. So the deliveries of one webhook are cached, and only newer ones are read again.
 */
export class Receivers {
  readonly #deliveries;
  #read = new ReadDeliveries(-1);

  constructor(db: Db) {
    this.#deliveries = new WebhookDeliveries<DeliveryRow>(db, 'd.target, d.status, d.positions');
  }

  /** A delivery was left out, or is no longer. */
  forget(): void {
    this.#read = new ReadDeliveries(-1);
  }

  of(webhookId: number): SentItems {
    if (this.#read.webhookId !== webhookId) this.#read = new ReadDeliveries(webhookId);
    const rows = this.#deliveries.after(webhookId, this.#read.newestId - 1);
    if (this.#read.newestId > 0 && rows[0]?.id !== this.#read.newestId) return this.#readAgain(webhookId);
    for (const row of rows) this.#read.read(row);
    return this.#read;
  }

  /** The newest cached delivery is gone: its transaction was rolled back, or it was pruned. */
  #readAgain(webhookId: number): SentItems {
    this.#read = new ReadDeliveries(webhookId);
    for (const row of this.#deliveries.after(webhookId, 0)) this.#read.read(row);
    return this.#read;
  }
}
