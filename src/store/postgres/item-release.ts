import type { GatewayError } from '../../errors.js';
import { deliveryId, parseItemId } from '../rules/ids.js';
import type { ItemPlace } from '../rules/ids.js';
import { messageKey } from '../rules/keys.js';
import { itemNotHeld, noSuchItem, nothingHeld, releasedOfMessage } from '../rules/release.js';
import type { Base } from './base.js';
import type { Queries, Transaction } from './queries.js';
import { HELD_COLUMNS, HELD_OF_MESSAGE } from './held-items.js';
import type { HeldRow } from './held-items.js';
import { uuidOf } from './keys.js';
import type { HeldRelease } from './outbox.js';
import type { RegistryState } from './registry-cache.js';
import { ReleaseBatch } from './release-batch.js';
import { ReleasedWebhooks } from './released-webhooks.js';
import { noSuchWebhook } from './webhook-views.js';
import { WITH_WEBHOOK } from './sightings.js';

const ITEM = `SELECT ${HELD_COLUMNS} FROM gateway.sightings s ${WITH_WEBHOOK}
  WHERE s.webhook_id = $1 AND s.position = $2`;

/** The index by message leaves out items of rule 10, to which the ledger points. */
const KNOWN = `SELECT
    EXISTS (SELECT FROM gateway.sightings s WHERE s.message_key = $1::uuid AND s.rule <> 10 AND s.carrier = 'messages')
    OR EXISTS (SELECT FROM gateway.ledger l
      JOIN gateway.sightings s ON s.webhook_id = l.webhook_id AND s.position = l.position AND s.rule = 10 WHERE l.key = $1)
      AS "isStored",
    EXISTS (SELECT FROM gateway.ledger l WHERE l.key = $1 AND l.first_seen_at IS NOT NULL) AS "wasSeen"`;

/**
 * Sends held items to the targets from which they were withheld, once to each, however old their messages are. A target
 * that received an earlier sighting of the message receives it again.
 */
export class ItemRelease implements HeldRelease {
  readonly #base: Base;

  constructor(base: Base) {
    this.#base = base;
  }

  /** See `Outbox.releaseItem`. */
  async releaseItem(id: string, targetIds: readonly string[] | null): Promise<readonly string[]> {
    const { db } = this.#base;
    const place = parseItemId(id);
    if (place === null) throw noSuchItem(id);
    const row = await db.one<HeldRow>(ITEM, place.webhookId, place.position);
    if (!row) throw await this.#noItemAt(place, id);
    if (!row.held) throw itemNotHeld();
    const webhooks = new ReleasedWebhooks();
    await webhooks.load(db, [row.webhook_id], 1);
    return await db.transaction(async (tx) => {
      await tx.lockChannels([row.channel]);
      return await this.#releaseOne(tx, row, targetIds, webhooks);
    });
  }

  /** See `Outbox.release`. */
  async release(channel: string, messageId: string, targetIds: readonly string[] | null): Promise<readonly string[]> {
    const { db } = this.#base;
    const key = uuidOf(messageKey(channel, messageId));
    const webhooks = new ReleasedWebhooks();
    await webhooks.load(db, [(await releasedUnder(db, key)).webhook_id], 1);
    return await db.transaction(async (tx) => {
      await tx.lockChannels([channel]);
      return await this.#releaseOne(tx, await releasedUnder(tx, key), targetIds, webhooks);
    });
  }

  async #releaseOne(
    tx: Transaction,
    row: HeldRow,
    targetIds: readonly string[] | null,
    webhooks: ReleasedWebhooks,
  ): Promise<string[]> {
    const batch = await ReleaseBatch.read(this.#base, tx, [row], webhooks);
    if (!batch.isHeld(row)) throw itemNotHeld();
    await batch.release(row, targetIds && requireTargets(batch.registry, targetIds));
    return (await batch.write()).map(deliveryId);
  }

  async #noItemAt({ webhookId }: ItemPlace, id: string): Promise<GatewayError> {
    const { db, now } = this.#base;
    const webhook = await db.one('SELECT w.id FROM gateway.webhooks w WHERE w.id = $1', webhookId);
    return webhook ? noSuchItem(id) : await noSuchWebhook(db, webhookId, `item "${id}"`, now());
  }
}

/** The item that a release of this message sends. @throws GatewayError GW_NOT_FOUND, GW_NOT_HELD, GW_PAYLOAD_GONE */
async function releasedUnder(queries: Queries, key: string): Promise<HeldRow> {
  const row = releasedOfMessage(await queries.all<HeldRow>(HELD_OF_MESSAGE, key));
  if (row) return row;
  const known = await queries.one<{ isStored: boolean; wasSeen: boolean }>(KNOWN, key);
  throw nothingHeld(known ?? { isStored: false, wasSeen: false });
}

/** @throws GatewayError GW_NOT_FOUND */
function requireTargets(registry: RegistryState, ids: readonly string[]) {
  return [...new Set(ids)].map((id) => registry.requireTarget(id));
}
