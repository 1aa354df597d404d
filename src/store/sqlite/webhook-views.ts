import type { GatewayError } from '../../errors.js';
import { decode } from '../../intake/decode.js';
import { finish } from '../../slices.js';
import { parseWebhookId } from '../rules/ids.js';
import { leastId } from './numbering.js';
import {
  BEFORE_ALL_GATEWAYS,
  noSuchWebhook as noStoredWebhook,
  webhookFacts,
  withSpans,
} from '../rules/webhook-views.js';
import type { WebhookFactsRow } from '../rules/webhook-views.js';
import type { Db } from './database.js';
import type { LaneOrder } from './lane-order.js';
import type { Leases } from './leases.js';
import { yieldToCommits } from './slices.js';
import type { EvidenceViews } from './evidence.js';
import type { SightingRow } from './sightings.js';
import { DELIVERY_COLUMNS, DELIVERY_TABLES, deliveryView } from './delivery-views.js';
import type { DeliveryRow } from './delivery-views.js';
import { WebhookDeliveries } from './webhook-deliveries.js';
import type { WebhookDetail } from '../items.js';

interface WebhookRow extends WebhookFactsRow {
  body: Buffer;
}

/** Rows with their views: some milliseconds. */
const VIEWS_PER_SLICE = 250;

type StoredItem = Omit<SightingRow, 'channel' | 'event' | 'received_at' | 'audit'>;

/** No gateway has given out a lower number. */
const LEAST_WEBHOOK_ID = leastId(BEFORE_ALL_GATEWAYS);

/** One stored webhook with its items and deliveries; reads only. */
export class WebhookViews {
  readonly #db: Db;
  readonly #leases: Leases;
  readonly #webhook;
  readonly #items;
  readonly #deliveries;
  readonly #order: LaneOrder;
  readonly #evidence: EvidenceViews;

  constructor(db: Db, leases: Leases, order: LaneOrder, evidence: EvidenceViews) {
    this.#evidence = evidence;
    this.#db = db;
    this.#leases = leases;
    this.#order = order;
    this.#webhook = db.prepare<[number], WebhookRow>('SELECT * FROM webhooks WHERE id = ?');
    // Without the webhook, whose last columns are behind its body: SQLite would follow that for each item.
    this.#items = db.prepare<[number, number], StoredItem>(
      `SELECT webhook_id, position, message_key, message_id, carrier, verdict, rule, held FROM sightings
       WHERE webhook_id = ? AND position > ? ORDER BY position LIMIT ${VIEWS_PER_SLICE}`,
    );
    this.#deliveries = new WebhookDeliveries<DeliveryRow>(db, DELIVERY_COLUMNS, DELIVERY_TABLES);
  }

  /** @throws GatewayError GW_NOT_FOUND, GW_PAYLOAD_GONE */
  async webhook(id: string, now: number): Promise<WebhookDetail> {
    const row = this.#webhook.get(parseWebhookId(id) ?? 0);
    if (!row) throw noSuchWebhook(this.#db, parseWebhookId(id) ?? 0, `webhook "${id}"`, now);
    const { channel, event, received_at, audit } = row;
    const items = await viewsOf(
      (after) => this.#items.all(row.id, after),
      ({ position }) => position,
      (item) => this.#evidence.item({ ...item, channel, event, received_at, audit }),
    );
    await yieldToCommits();
    const decoded = decode(row.body, row).items;
    await yieldToCommits();
    const deliveries = await viewsOf(
      (after) => this.#deliveries.after(row.id, after, VIEWS_PER_SLICE),
      (delivery) => delivery.id,
      (delivery) => deliveryView(delivery, this.#leases, finish(this.#order.frontOf(delivery))),
    );
    return {
      ...webhookFacts(row),
      body: row.body,
      items: withSpans(items, decoded),
      deliveries,
    };
  }
}

/** Reads rows in slices: a webhook may have thousands of items, and a split gives each item a delivery for each target. */
async function viewsOf<Row, View>(
  rowsAfter: (after: number) => Row[],
  placeOf: (row: Row) => number,
  viewOf: (row: Row) => View,
): Promise<View[]> {
  const found: View[] = [];
  for (let after = -1; ;) {
    const rows = rowsAfter(after);
    found.push(...rows.map(viewOf));
    const last = rows.at(-1);
    if (last === undefined || rows.length < VIEWS_PER_SLICE) return found;
    after = placeOf(last);
    await yieldToCommits();
  }
}

/** The error for a webhook that is not stored: GW_PAYLOAD_GONE or GW_NOT_FOUND. */
export function noSuchWebhook(db: Db, number: number, subject: string, now: number): GatewayError {
  const oldest = db.prepare<[], number | null>('SELECT min(id) FROM webhooks').pluck().get() ?? leastId(now);
  return noStoredWebhook(number, { least: LEAST_WEBHOOK_ID, oldest }, subject);
}
