import { GatewayError } from '../../errors.js';
import { decode } from '../../intake/decode.js';
import { cutter } from '../../intake/route.js';
import type { WebhookHttpMethod } from '../../model.js';
import { parseItemId } from '../rules/ids.js';
import { messageKey } from '../rules/keys.js';
import {
  itemBody,
  itemNoLongerHeld,
  itemNotHeld,
  noSuchItem,
  nothingHeld,
  releasedDelivery,
  releasedOfMessage,
} from '../rules/release.js';
import type { DecodedWebhook } from '../rules/release.js';
import type { Db } from './database.js';
import { HELD_COLUMNS } from './held-items.js';
import type { HeldRow, HeldItems } from './held-items.js';
import type { DeliveryTables } from './delivery-tables.js';
import type { NumberedTarget } from '../rules/registry-rows.js';
import type { RegistryTables } from './registry-tables.js';
import type { RememberedIds } from './remembered-ids.js';
import { FIRST_PLACE, INDEXED_BY_MESSAGE, IS_INDEXED_BY_MESSAGE } from './sightings.js';
import { noSuchWebhook } from './webhook-views.js';

interface WebhookRow {
  method: WebhookHttpMethod;
  suffix: string;
  body: Buffer;
}

/** A decoded webhook, cached for its next item. */
interface CachedWebhook extends DecodedWebhook {
  readonly webhookId: number;
}

/**
 * Sends held items to the targets from which they were withheld, once to each, however old their messages are. A target
 * that received an earlier sighting of the message receives it again. For use inside a transaction.
 */
export class ItemRelease {
  readonly #db: Db;
  readonly #registry: RegistryTables;
  readonly #deliveries: DeliveryTables;
  readonly #held: HeldItems;
  readonly #item;
  readonly #ids: RememberedIds;
  readonly #isStored;
  readonly #isFirstStored;
  readonly #webhook;
  readonly #clearHeld;
  #decoded: CachedWebhook | null = null;
  #bytesRead = 0;
  #bytesWritten = 0;

  constructor(db: Db, registry: RegistryTables, deliveries: DeliveryTables, held: HeldItems, ids: RememberedIds) {
    this.#db = db;
    this.#registry = registry;
    this.#deliveries = deliveries;
    this.#held = held;
    this.#item = db.prepare<[number, number], HeldRow>(
      `SELECT ${HELD_COLUMNS} FROM sightings s JOIN webhooks w ON w.id = s.webhook_id
       WHERE s.webhook_id = ? AND s.position = ?`,
    );
    this.#ids = ids;
    this.#isStored = db
      .prepare<[Buffer]>(
        `SELECT 1 FROM ${INDEXED_BY_MESSAGE} WHERE s.message_key = ? AND ${IS_INDEXED_BY_MESSAGE} AND s.carrier = 'messages' LIMIT 1`,
      )
      .pluck();
    this.#isFirstStored = db
      .prepare<[number | null, number | null]>(`SELECT 1 FROM sightings s WHERE ${FIRST_PLACE}`)
      .pluck();
    this.#webhook = db.prepare<[number], WebhookRow>('SELECT method, suffix, body FROM webhooks WHERE id = ?');
    this.#clearHeld = db.prepare('UPDATE sightings SET held = 0 WHERE webhook_id = ? AND position = ?');
  }

  /** Returns the ids of the new deliveries. @throws GatewayError GW_NOT_FOUND, GW_NOT_HELD, GW_PAYLOAD_GONE */
  releaseItem(id: string, targetIds: readonly string[] | null, now: number): number[] {
    const place = parseItemId(id);
    if (place === null) throw noSuchItem(id);
    const row = this.#item.get(place.webhookId, place.position);
    if (!row) {
      if (this.#webhook.get(place.webhookId)) throw noSuchItem(id);
      throw noSuchWebhook(this.#db, place.webhookId, `item "${id}"`, now);
    }
    if (row.held === 0) throw itemNotHeld();
    return this.#releaseOne(this.#requireTargets(targetIds), row, now);
  }

  /**
   * Releases the newest held sighting of a message; without one, the newest of its votes or placeholders.
   * @throws GatewayError GW_NOT_FOUND, GW_NOT_HELD, GW_PAYLOAD_GONE
   */
  releaseMessage(channel: string, messageId: string, targetIds: readonly string[] | null, now: number): number[] {
    const key = messageKey(channel, messageId);
    const held = this.#held.heldOfMessage(key);
    const row = releasedOfMessage(held);
    if (!row) throw this.#nothingHeld(key);
    return this.#releaseOne(this.#requireTargets(targetIds), row, now);
  }

  /**
   * Releases a row of bulk work: the newest repetition of a message, any other item by itself. Removed targets are skipped.
   * Returns the ids of the new deliveries. @throws GatewayError GW_NOT_HELD
   */
  releaseRow({ webhook_id, position }: HeldRow, targetIds: readonly string[] | undefined, now: number): number[] {
    const row = this.#item.get(webhook_id, position);
    if (row?.held !== 1) throw itemNoLongerHeld();
    return this.#releaseTo(this.#held.existing(targetIds), this.#held.repetitionsOf(row).at(-1) ?? row, now);
  }

  /**
   * Releases rows until `maxBytes` of webhooks were read or of bodies written, at least the first row. A webhook is decoded
   * once for consecutive rows, and no webhook stays in memory afterwards.
   */
  releaseWithin<T>(maxBytes: number, rows: readonly HeldRow[], release: (row: HeldRow) => T): T[] {
    const made: T[] = [];
    this.#bytesRead = 0;
    this.#bytesWritten = 0;
    try {
      for (const row of rows) {
        const isDecoded = this.#decoded?.webhookId === row.webhook_id;
        if (this.#bytesWritten >= maxBytes || (this.#bytesRead >= maxBytes && !isDecoded)) break;
        made.push(release(row));
      }
      return made;
    } finally {
      this.#decoded = null;
    }
  }

  /** @throws GatewayError GW_NOT_FOUND */
  #requireTargets(targetIds: readonly string[] | null): NumberedTarget[] | null {
    return targetIds && [...new Set(targetIds)].map((id) => this.#registry.requireTarget(id));
  }

  #releaseOne(chosen: readonly NumberedTarget[] | null, row: HeldRow, now: number): number[] {
    return this.releaseWithin(1, [row], (only) => this.#releaseTo(chosen, only, now)).flat();
  }

  /** @param chosen null: all targets that subscribe */
  #releaseTo(chosen: readonly NumberedTarget[] | null, row: HeldRow, now: number): number[] {
    const { unsent, isComplete } = this.#held.owed(row, chosen);
    const made = this.#send(unsent, row, now);
    // The repetitions of a message are released with it: otherwise the next release would send it again.
    if (isComplete)
      for (const each of this.#held.repetitionsOf(row)) this.#clearHeld.run(each.webhook_id, each.position);
    return made;
  }

  #nothingHeld(key: Buffer): GatewayError {
    const known = this.#ids.find(key);
    const isFirstStored = known && this.#isFirstStored.get(known.webhookId, known.position) !== undefined;
    return nothingHeld({
      isStored: isFirstStored === true || this.#isStored.get(key) !== undefined,
      wasSeen: (known?.firstSeenAt ?? null) !== null,
    });
  }

  #send(targets: readonly NumberedTarget[], row: HeldRow, now: number): number[] {
    const webhook = this.#decode(row.webhook_id);
    const body = itemBody(webhook, row.position);
    this.#bytesWritten += (body?.length ?? 0) * targets.length;
    return targets.map((target) => this.#deliveries.add(releasedDelivery(row, webhook, body, target), now));
  }

  #decode(webhookId: number): CachedWebhook {
    if (this.#decoded?.webhookId === webhookId) return this.#decoded;
    const webhook = this.#webhook.get(webhookId);
    if (!webhook) throw new GatewayError('GW_INTERNAL', `Webhook ${webhookId} is missing.`);
    const document = decode(webhook.body, webhook);
    this.#bytesRead += webhook.body.length;
    this.#decoded = { webhookId, document, cut: cutter(document).cut };
    return this.#decoded;
  }
}
