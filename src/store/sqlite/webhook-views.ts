import { GatewayError } from '../../errors.js';
import { decode } from '../../intake/decode.js';
import type { WebhookHttpMethod } from '../../model.js';
import { encodeNumber, leastId, parseWebhookId } from '../rules/ids.js';
import type { Db } from './database.js';
import { itemView, SIGHTING_COLUMNS } from './sightings.js';
import type { SightingRow } from './sightings.js';
import { DELIVERY_COLUMNS, DELIVERY_TABLES, deliveryView } from './delivery-views.js';
import type { DeliveryRow } from './delivery-views.js';
import type { WebhookDetail } from '../items.js';

interface WebhookRow {
  id: number;
  channel: string;
  method: WebhookHttpMethod;
  suffix: string;
  content_type: string | null;
  event: string;
  received_at: number;
  audit: string | null;
  body: Buffer;
}

/** No gateway has given out a lower number. */
const LEAST_WEBHOOK_ID = leastId(Date.UTC(2020, 0));

/** One stored webhook with its items and deliveries; reads only. */
export class WebhookViews {
  readonly #db: Db;
  readonly #webhook;
  readonly #items;
  readonly #deliveries;

  constructor(db: Db) {
    this.#db = db;
    this.#webhook = db.prepare<[number], WebhookRow>('SELECT * FROM webhooks WHERE id = ?');
    this.#items = db.prepare<[number], SightingRow>(
      `SELECT ${SIGHTING_COLUMNS} FROM sightings s JOIN webhooks w ON w.id = s.webhook_id
       WHERE s.webhook_id = ? ORDER BY s.position`,
    );
    this.#deliveries = db.prepare<[number], DeliveryRow & { positions: string | null }>(
      `SELECT ${DELIVERY_COLUMNS}, d.positions FROM ${DELIVERY_TABLES} WHERE d.webhook_id = ? ORDER BY d.id`,
    );
  }

  /** @throws GatewayError GW_NOT_FOUND, GW_PAYLOAD_GONE */
  webhook(id: string, now: number): WebhookDetail {
    const row = this.#webhook.get(parseWebhookId(id) ?? 0);
    if (!row) throw noSuchWebhook(this.#db, parseWebhookId(id) ?? 0, `webhook "${id}"`, now);
    const items = this.#items.all(row.id);
    const decoded = decode(row.body, row).items;
    const isSameSplit = decoded.length === items.length;
    return {
      id: encodeNumber(row.id),
      channel: row.channel,
      method: row.method,
      suffix: row.suffix,
      contentType: row.content_type,
      event: row.event,
      receivedAt: row.received_at,
      auditId: row.audit,
      body: row.body,
      items: items.map((item) => ({
        ...itemView(item),
        span: (isSameSplit ? decoded[item.position]?.span : undefined) ?? null,
      })),
      deliveries: this.#deliveries.all(row.id).map(({ positions, ...delivery }) => ({
        ...deliveryView(delivery),
        positions: positions === null ? items.map(({ position }) => position) : (JSON.parse(positions) as number[]),
      })),
    };
  }
}

/** The error for a webhook that is not stored: GW_PAYLOAD_GONE when it is older than every stored one, else GW_NOT_FOUND. */
export function noSuchWebhook(db: Db, number: number, subject: string, now: number): GatewayError {
  const oldest = db.prepare<[], number | null>('SELECT min(id) FROM webhooks').pluck().get() ?? leastId(now);
  if (number >= LEAST_WEBHOOK_ID && number < oldest) {
    return new GatewayError(
      'GW_PAYLOAD_GONE',
      `The payload of ${subject} was pruned. RETENTION_DAYS sets how long payloads are kept.`,
    );
  }
  return new GatewayError('GW_NOT_FOUND', `There is no ${subject}; it may have been pruned.`);
}
