import type { Db } from './database.js';
import { WebhookDeliveries } from './webhook-deliveries.js';
import { ROWS_PER_STEP } from './sweep-step.js';
import type { Limits, SweepStep } from './sweep-step.js';

/** Removing a row costs about as much as removing this many bytes of a body, which are pages of their own. */
const BYTES_PER_ROW = 16 * 1024;

/** Exported for the test of its query plan: it must read no more than one step of old payloads. */
export const OLD_WEBHOOKS = `
  SELECT id, length(body) AS bytes FROM webhooks WHERE id > @after AND id < @belowId ORDER BY id LIMIT ${ROWS_PER_STEP}`;

interface SizedRow {
  readonly id: number;
  readonly bytes: number;
}

interface PrunedRow extends SizedRow {
  readonly isPending: number;
  readonly settledAt: number | null;
}

/** Counts what a step has done. A single row may exceed it, since it cannot be divided. */
class Budget {
  #left = ROWS_PER_STEP;

  get isUsedUp(): boolean {
    return this.#left <= 0;
  }

  spend(rows: number, bytes = 0): void {
    this.#left -= rows + Math.floor(bytes / BYTES_PER_ROW);
  }
}

/**
 * Removes old payloads whose deliveries were all settled as long ago, with their verdicts (I4). A webhook may have ten
 * thousand deliveries and as many items: they are checked in slices, then removed in slices. What can be sent goes last: the
 * verdicts, the deliveries, the webhook. So a release or a retry between two slices finds everything that it needs, or
 * nothing.
 */
export class PayloadPruning {
  /** The first step. */
  readonly start: SweepStep;
  readonly #oldWebhooks;
  readonly #deliveries;
  readonly #removeSightings;
  readonly #removeDelivery;
  readonly #removeWebhook;

  constructor(db: Db) {
    this.start = this.#checkAfter(0, 0);
    this.#oldWebhooks = db.prepare<{ after: number; belowId: number }, SizedRow>(OLD_WEBHOOKS);
    this.#deliveries = new WebhookDeliveries<PrunedRow>(
      db,
      `coalesce(length(d.body), 0) AS bytes, d.status = 'pending' AS isPending, d.settled_at AS settledAt`,
    );
    this.#removeSightings = db.prepare<{ webhook: number; limit: number }>(
      `DELETE FROM sightings WHERE webhook_id = @webhook AND position IN (
         SELECT position FROM sightings WHERE webhook_id = @webhook ORDER BY position LIMIT @limit)`,
    );
    // I4: a delivery that a person has made pending since it was checked stays, with its webhook.
    this.#removeDelivery = db.prepare<[number, number]>(
      "DELETE FROM deliveries WHERE id = ? AND status <> 'pending' AND settled_at < ?",
    );
    this.#removeWebhook = db.prepare<[number]>('DELETE FROM webhooks WHERE id = ?');
  }

  /** Checks the webhooks after `after`; of the next one, the deliveries up to `checked` are known to be old. */
  #checkAfter(after: number, checked: number): SweepStep {
    return (limits) => {
      const budget = new Budget();
      const webhooks = this.#oldWebhooks.all({ after, belowId: limits.belowId });
      let [done, from] = [after, checked];
      for (const webhook of webhooks) {
        if (budget.isUsedUp) return this.#checkAfter(done, from);
        budget.spend(1);
        const next = this.#check(webhook.id, from, limits, budget);
        if (typeof next === 'number') return this.#checkAfter(done, next);
        if (next === 'old' && !this.#remove(webhook, limits, budget)) return this.#removing(done, webhook);
        [done, from] = [webhook.id, 0];
      }
      return webhooks.length === ROWS_PER_STEP ? this.#checkAfter(done, 0) : null;
    };
  }

  /** Continues to remove a webhook that was checked. */
  #removing(after: number, webhook: SizedRow): SweepStep {
    return (limits) =>
      this.#remove(webhook, limits, new Budget()) ? this.#checkAfter(webhook.id, 0) : this.#removing(after, webhook);
  }

  /** Whether all deliveries after `from` are old; a number: the last one that was checked when the budget was used up. */
  #check(webhook: number, from: number, { payload }: Limits, budget: Budget): 'old' | 'kept' | number {
    const deliveries = this.#deliveries.after(webhook, from, ROWS_PER_STEP);
    const slice = within(deliveries, budget);
    const last = slice.at(-1)?.id;
    if (last === undefined) return 'old';
    if (slice.some(({ isPending, settledAt }) => isPending === 1 || (settledAt ?? 0) >= payload)) return 'kept';
    return slice.length < ROWS_PER_STEP && slice.length === deliveries.length ? 'old' : last;
  }

  /** Removes what the budget allows. Returns whether everything that can go is gone. */
  #remove({ id, bytes }: SizedRow, { payload }: Limits, budget: Budget): boolean {
    const { changes } = this.#removeSightings.run({ webhook: id, limit: ROWS_PER_STEP });
    budget.spend(changes);
    if (changes === ROWS_PER_STEP) return false;
    const deliveries = this.#deliveries.after(id, 0, ROWS_PER_STEP);
    const slice = within(deliveries, budget);
    const removed = slice.filter((delivery) => this.#removeDelivery.run(delivery.id, payload).changes > 0);
    const isLast = slice.length < ROWS_PER_STEP && slice.length === deliveries.length;
    if (!isLast) return removed.length === 0; // nothing but deliveries that were retried meanwhile
    budget.spend(1, bytes);
    if (this.#deliveries.after(id, 0, 1).length === 0) this.#removeWebhook.run(id);
    return true;
  }
}

/** The first of the rows, until the budget is used up; one at least. */
function within<Row extends SizedRow>(rows: readonly Row[], budget: Budget): Row[] {
  const taken: Row[] = [];
  for (const row of rows) {
    if (taken.length > 0 && budget.isUsedUp) break;
    taken.push(row);
    budget.spend(1, row.bytes);
  }
  return taken;
}
