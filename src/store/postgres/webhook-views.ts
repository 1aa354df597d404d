import { carriedAt, leastIdSince } from './carried-ids.js';
import type { GatewayError } from '../../errors.js';
import { inSlices } from '../../event-loop.js';
import { decodeRecordedInSlices } from '../../intake/decode.js';
import type { RecordedFilter } from '../filters.js';
import type { WebhookDetail, WebhookSummary } from '../items.js';
import type { Page, PageRequest } from '../paging.js';
import { decodeCursor, encodeCursor, parseWebhookId } from '../rules/ids.js';
import { paged } from '../rules/paging.js';
import {
  BEFORE_ALL_GATEWAYS,
  noSuchWebhook as noStoredWebhook,
  webhookFacts,
  webhookSummary,
  withSpans,
} from '../rules/webhook-views.js';
import type { VerdictCount, WebhookFactsRow } from '../rules/webhook-views.js';
import type { Base } from './base.js';
import type { Queries } from './queries.js';
import { DELIVERY_COLUMNS, DELIVERY_TABLES } from './delivery-views.js';
import type { DeliveryRow, PostgresDeliveryViews } from './delivery-views.js';
import type { EvidenceViews } from './evidence.js';
import { allOf, Params } from './filters.js';
import { endOfIds, leastId } from './numbers.js';
import { webhookConditions } from './sightings.js';
import type { SightingRow } from './sightings.js';

/** Webhooks that the first statement of a list looks at; each further one looks at four times as many, up to the most. */
const FIRST_SLICE = 1000;
const LARGEST_SLICE = 64_000;

const FACTS = 'w.id, w.channel, w.method, w.suffix, w.content_type, w.event, w.received_at, w.audit';
const WEBHOOK = `SELECT ${FACTS}, w.body FROM gateway.webhooks w WHERE w.id = $1`;
const ITEMS = `SELECT s.webhook_id, s.position, s.message_key, s.message_id, s.carrier, s.verdict, s.rule, s.held
  FROM gateway.sightings s WHERE s.webhook_id = $1 ORDER BY s.position`;
const DELIVERIES = `SELECT ${DELIVERY_COLUMNS} FROM ${DELIVERY_TABLES} WHERE d.webhook_id = $1 ORDER BY d.id`;
const VERDICTS = `SELECT k.id, s.verdict, count(*) AS count, count(*) FILTER (WHERE s.held) AS held
  FROM unnest($1::bigint[]) AS k(id) JOIN gateway.sightings s ON s.webhook_id = k.id GROUP BY k.id, s.verdict`;

type StoredItem = Omit<SightingRow, 'channel' | 'event' | 'received_at' | 'audit'>;
type SummaryRow = WebhookFactsRow & { readonly bytes: number };

export interface WebhookViewParts {
  readonly evidence: EvidenceViews;
  readonly deliveries: PostgresDeliveryViews;
}

/** Stored webhooks; reads only. */
export class WebhookViews {
  readonly #base: Base;
  readonly #parts: WebhookViewParts;

  constructor(base: Base, parts: WebhookViewParts) {
    this.#base = base;
    this.#parts = parts;
  }

  /** @throws GatewayError GW_NOT_FOUND, GW_PAYLOAD_GONE */
  async webhook(publicId: string): Promise<WebhookDetail> {
    const { db, now } = this.#base;
    const id = parseWebhookId(publicId) ?? 0;
    const row = await db.one<WebhookFactsRow & { readonly body: Buffer }>(WEBHOOK, id);
    if (!row) throw await noSuchWebhook(db, id, `webhook "${publicId}"`, now());
    const { channel, event, received_at, audit, body } = row;
    const [stored, deliveries] = await Promise.all([
      db.all<StoredItem>(ITEMS, id),
      db.all<DeliveryRow>(DELIVERIES, id),
    ]);
    const items = await this.#parts.evidence.items(
      stored.map((item) => ({ ...item, channel, event, received_at, audit })),
    );
    const { items: decoded } = await inSlices(decodeRecordedInSlices(body, row));
    return {
      ...webhookFacts(row),
      body,
      items: withSpans(items, decoded),
      deliveries: await this.#parts.deliveries.viewsOf(deliveries),
    };
  }

  /** Newest first, in slices, because the filter may match few of millions of webhooks. */
  async list(filter: RecordedFilter, { limit, cursor }: PageRequest): Promise<Page<WebhookSummary>> {
    const { since, until } = filter;
    const least = since === undefined ? 0 : leastIdSince(since, await carriedAt(this.#base.db));
    const [before = Number.MAX_SAFE_INTEGER] = cursor === null ? [] : decodeCursor(cursor, 1);
    const rows: SummaryRow[] = [];
    let end: number | null = until === undefined ? before : Math.min(before, endOfIds(until));
    for (let size = FIRST_SLICE; end !== null && rows.length <= limit; size = Math.min(size * 4, LARGEST_SLICE)) {
      const start = await this.#startOfSlice(least, end, size);
      rows.push(...(await this.#rowsOfSlice(filter, start ?? least, end, limit + 1 - rows.length)));
      end = start;
    }
    const { data, nextCursor } = paged(
      rows,
      limit,
      (row) => row,
      (row) => encodeCursor(row.id),
    );
    return { data: await this.#summaries(data), nextCursor };
  }

  /** The first id of the slice that ends below `end`; null: the rows that are left fit into one slice. */
  async #startOfSlice(least: number, end: number, size: number): Promise<number | null> {
    const row = await this.#base.db.one<{ id: number }>(
      `SELECT w.id FROM gateway.webhooks w WHERE w.id >= $1 AND w.id < $2 ORDER BY w.id DESC LIMIT 1 OFFSET ${size - 1}`,
      least,
      end,
    );
    return row?.id ?? null;
  }

  async #rowsOfSlice(filter: RecordedFilter, start: number, end: number, limit: number): Promise<SummaryRow[]> {
    const params = new Params();
    const slice = [`w.id >= ${params.add(start)}`, `w.id < ${params.add(end)}`];
    return await this.#base.db.all<SummaryRow>(
      `SELECT ${FACTS}, octet_length(w.body) AS bytes FROM gateway.webhooks w
       WHERE ${allOf([...slice, ...webhookConditions(filter, params)])} ORDER BY w.id DESC LIMIT ${params.add(limit)}`,
      ...params.values,
    );
  }

  async #summaries(rows: readonly SummaryRow[]): Promise<WebhookSummary[]> {
    if (rows.length === 0) return [];
    const counts = new Map<number, VerdictCount[]>(rows.map(({ id }) => [id, []]));
    const found = await this.#base.db.all<VerdictCount & { readonly id: number }>(
      VERDICTS,
      rows.map(({ id }) => id),
    );
    for (const { id, ...count } of found) counts.get(id)?.push(count);
    return rows.map((row) => webhookSummary(row, counts.get(row.id) ?? []));
  }
}

/** The error for a webhook that is not stored: GW_PAYLOAD_GONE or GW_NOT_FOUND. */
export async function noSuchWebhook(db: Queries, id: number, subject: string, now: number): Promise<GatewayError> {
  const row = await db.one<{ oldest: number | null }>('SELECT min(w.id) AS oldest FROM gateway.webhooks w');
  const least = leastIdSince(BEFORE_ALL_GATEWAYS, await carriedAt(db));
  return noStoredWebhook(id, { least, oldest: row?.oldest ?? leastId(now) }, subject);
}
