import { isMessageItself, repetitionsOf } from '../rules/held-items.js';
import { placeOf } from '../rules/item-views.js';
import { itemBody, itemNoLongerHeld, owedOf, releasedDelivery } from '../rules/release.js';
import type { NewDelivery } from '../rules/recording.js';
import type { NumberedTarget } from '../rules/registry-rows.js';
import { SentItems } from '../rules/sent-items.js';
import type { Base } from './base.js';
import type { Queries, Transaction } from './queries.js';
import { HELD_COLUMNS } from './held-items.js';
import type { HeldRow } from './held-items.js';
import { clearHeld, sentItemsAt } from './left-out-items.js';
import { addDeliveries } from './new-deliveries.js';
import { takeNumbers } from './numbers.js';
import type { Numbers } from './numbers.js';
import type { RegistryState } from './registry-cache.js';
import type { ReleasedWebhooks } from './released-webhooks.js';
import { WITH_WEBHOOK } from './sightings.js';

const HELD_AT = `SELECT ${HELD_COLUMNS} FROM unnest($1::bigint[], $2::int[]) AS p(webhook_id, position)
    JOIN gateway.sightings s ON s.webhook_id = p.webhook_id AND s.position = p.position
    ${WITH_WEBHOOK}
  WHERE s.held`;
const HELD_OF_MESSAGES = `SELECT ${HELD_COLUMNS} FROM gateway.sightings s ${WITH_WEBHOOK}
  WHERE s.message_key = ANY($1::uuid[]) AND s.held AND s.carrier = 'messages' ORDER BY s.webhook_id, s.position`;

interface Known {
  readonly registry: RegistryState;
  /** Held items, oldest first, by message key. */
  readonly ofMessage: ReadonlyMap<string, readonly HeldRow[]>;
  readonly sent: ReadonlyMap<number, SentItems>;
  readonly numbers: Numbers;
  readonly webhooks: ReleasedWebhooks;
  readonly now: number;
}

/**
 * Releases of held items in one transaction, which holds the locks of their channels: each sees what the earlier ones have
 * released. Everything is read before and written after.
 */
export class ReleaseBatch {
  readonly #tx: Transaction;
  readonly #known: Known;
  /** By `placeOf`. */
  readonly #held: Map<string, HeldRow>;
  readonly #cleared: HeldRow[] = [];
  readonly #added: NewDelivery[] = [];
  #bytesWritten = 0;

  private constructor(tx: Transaction, held: Map<string, HeldRow>, known: Known) {
    this.#tx = tx;
    this.#held = held;
    this.#known = known;
  }

  /** Reads what is known of these items under the locks. @param rows as they were read before */
  static async read(
    { registry: cache, now: clock, idDays }: Base,
    tx: Transaction,
    rows: readonly HeldRow[],
    webhooks: ReleasedWebhooks,
  ): Promise<ReleaseBatch> {
    const keys = new Set(rows.flatMap((row) => (isMessageItself(row) ? (row.message_key ?? []) : [])));
    const [registry, themselves, ofMessages] = await Promise.all([
      cache.in(tx),
      heldAt(tx, rows),
      heldOf(tx, [...keys]),
    ]);
    const held = new Map([...themselves, ...ofMessages].map((row) => [placeOf(row), row]));
    const now = clock();
    const [sent, numbers] = await Promise.all([
      sentItemsAt(tx, [...held.values()]),
      takeNumbers(tx, rows.length * Math.max(1, registry.targets.size), idDays.timeAt(now)),
    ]);
    return new ReleaseBatch(tx, held, { registry, ofMessage: byMessage(ofMessages), sent, numbers, webhooks, now });
  }

  get registry(): RegistryState {
    return this.#known.registry;
  }

  isHeld(row: HeldRow): boolean {
    return this.#held.has(placeOf(row));
  }

  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** Releases the newest repetition of a message, any other item by itself. See `release`. */
  async releaseNewest(row: HeldRow, chosen: readonly NumberedTarget[] | null): Promise<number> {
    return await this.release(this.#repetitionsOf(row).at(-1) ?? row, chosen);
  }

  /**
   * Returns how many deliveries were made. @param chosen null: all targets that subscribe
   * @throws GatewayError GW_NOT_HELD
   */
  async release(row: HeldRow, chosen: readonly NumberedTarget[] | null): Promise<number> {
    if (!this.isHeld(row)) throw itemNoLongerHeld();
    const sent = this.#known.sent.get(row.webhook_id) ?? new SentItems();
    const { unsent, isComplete } = owedOf(row, { targets: this.registry.targets.values(), chosen, sent });
    await this.#send(unsent, row);
    for (const { number } of unsent) sent.add(number, [row.position]);
    // The repetitions of a message are released with it: otherwise the next release would send it again.
    if (isComplete) for (const each of this.#repetitionsOf(row)) this.#clear(each);
    return unsent.length;
  }

  /** Writes what was released. Returns the ids of the new deliveries. */
  async write(): Promise<number[]> {
    const { registry, numbers, now } = this.#known;
    const [ids] = await Promise.all([
      addDeliveries(this.#tx, registry, this.#added, numbers, now),
      clearHeld(this.#tx, this.#cleared),
    ]);
    return ids;
  }

  #repetitionsOf(row: HeldRow): readonly HeldRow[] {
    const held = () => this.#known.ofMessage.get(row.message_key ?? '') ?? [];
    return repetitionsOf(row, held).filter((each) => this.isHeld(each));
  }

  #clear(row: HeldRow): void {
    this.#held.delete(placeOf(row));
    this.#cleared.push(row);
  }

  async #send(targets: readonly NumberedTarget[], row: HeldRow): Promise<void> {
    const webhook = await this.#known.webhooks.get(this.#tx, row.webhook_id);
    const body = itemBody(webhook, row.position);
    this.#bytesWritten += (body?.length ?? 0) * targets.length;
    for (const target of targets) this.#added.push(releasedDelivery(row, webhook, body, target));
  }
}

/** The held items at these places. */
async function heldAt(queries: Queries, rows: readonly HeldRow[]): Promise<HeldRow[]> {
  return await queries.all<HeldRow>(
    HELD_AT,
    rows.map(({ webhook_id: id }) => id),
    rows.map(({ position }) => position),
  );
}

async function heldOf(queries: Queries, keys: readonly string[]): Promise<HeldRow[]> {
  return keys.length === 0 ? [] : await queries.all<HeldRow>(HELD_OF_MESSAGES, keys);
}

/** Held items by message key, in the order given. */
export function byMessage<Row extends HeldRow>(rows: readonly Row[]): ReadonlyMap<string, readonly Row[]> {
  const found = new Map<string, Row[]>();
  for (const row of rows) {
    const key = row.message_key ?? '';
    const others = found.get(key);
    if (others) others.push(row);
    else found.set(key, [row]);
  }
  return found;
}
