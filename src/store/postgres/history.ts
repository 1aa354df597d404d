import { carriedAt, leastIdSince } from './carried-ids.js';
import { inSlices } from '../../event-loop.js';
import { decodeRecordedInSlices } from '../../intake/decode.js';
import type { WebhookHttpMethod } from '../../model.js';
import type { History, HistoryReading, HistoryRequest, PastDelivery, PastItem, PastWebhook } from '../history.js';
import { encodeNumber } from '../rules/ids.js';
import { placeOf } from '../rules/item-views.js';
import { dayOfId, endOfRecordedWith, firstIdOf } from './numbers.js';
import { needsEvidence, pastItem } from '../rules/past-items.js';
import type { Base } from './base.js';
import type { EvidenceViews } from './evidence.js';
import type { SightingRow } from './sightings.js';

interface WebhookRow {
  readonly id: number;
  readonly channel: string;
  readonly method: WebhookHttpMethod;
  readonly suffix: string;
  readonly event: string;
  readonly received_at: number;
  readonly audit: string | null;
  readonly bytes: number;
}

type ItemRow = Omit<SightingRow, 'channel' | 'event' | 'received_at' | 'audit'>;

interface DeliveryRow {
  readonly webhook_id: number;
  readonly target: number;
  readonly positions: number[] | null;
  readonly settled_at: number | null;
}

/** Webhooks of one page: some milliseconds to decode. */
const WEBHOOKS_PER_PAGE = 50;
const BYTES_PER_PAGE = 256 * 1024;
/** Webhooks of all channels that one statement looks at to find those of one. */
const LOOKED_AT = 1000;

const NEWEST = 'SELECT max(w.id) AS id FROM gateway.webhooks w';
/** The oldest webhook that is read, and the one before it. */
const START = `SELECT w.id, w.received_at FROM gateway.webhooks w
  WHERE w.id >= $1 AND w.id <= $2 AND w.received_at >= $3 ORDER BY w.id DESC LIMIT 2 OFFSET $4`;
/** `octet_length` does not read the body. */
const WEBHOOKS = `SELECT w.id, w.channel, w.method, w.suffix, w.event, w.received_at, w.audit, octet_length(w.body) AS bytes
  FROM gateway.webhooks w WHERE w.id > $1 AND w.id <= $2 AND w.received_at >= $3 ORDER BY w.id LIMIT $4`;
const BODIES = `SELECT w.id, w.body FROM unnest($1::bigint[]) AS k(id) JOIN gateway.webhooks w ON w.id = k.id`;
const ITEMS = `SELECT s.webhook_id, s.position, s.message_key, s.message_id, s.carrier, s.verdict, s.rule, s.held
  FROM unnest($1::bigint[]) AS k(id) JOIN gateway.sightings s ON s.webhook_id = k.id ORDER BY s.webhook_id, s.position`;
/** Deliveries that were recorded with their webhooks have ids of the same day, so that no other day is looked at. */
const DELIVERIES = `SELECT d.webhook_id, d.target, d.positions, d.settled_at FROM gateway.deliveries d
  WHERE d.webhook_id = ANY($1::bigint[]) AND d.id >= $2 AND d.id < $3 AND NOT d.released ORDER BY d.webhook_id, d.id`;

/** What is read of the webhooks between two ids. */
interface Range {
  readonly since: number;
  readonly end: number;
  readonly channel: string | undefined;
  /** The ids of the targets that were not removed, by their number. */
  readonly targetIds: ReadonlyMap<number, string>;
}

/** Recorded webhooks as previews read them, a page at a time; reads only. */
export class PostgresHistory implements History {
  readonly #base: Base;
  readonly #evidence: EvidenceViews;

  constructor(base: Base, evidence: EvidenceViews) {
    this.#base = base;
    this.#evidence = evidence;
  }

  async read({ since, most, channel }: HistoryRequest): Promise<HistoryReading> {
    const { db, registry } = this.#base;
    const [newest, { targets }] = await Promise.all([db.one<{ id: number | null }>(NEWEST), registry.current()]);
    const end = newest?.id ?? 0;
    const least = leastIdSince(since, await carriedAt(db));
    const [first, earlier] = await db.all<{ id: number; received_at: number }>(START, least, end, since, most - 1);
    const start = first && earlier ? first : null;
    const targetIds = new Map([...targets.values()].map(({ number, target }) => [number, target.id]));
    const range = { since, end, channel, targetIds };
    let after = (start?.id ?? least) - 1;
    return {
      since: start?.received_at ?? since,
      isComplete: start === null,
      next: async () => {
        const page = await this.#page(after, range);
        after = page.last;
        return page.webhooks;
      },
    };
  }

  async #page(after: number, range: Range): Promise<{ webhooks: PastWebhook[] | null; last: number }> {
    const { since, end, channel } = range;
    const lookedAt = channel === undefined ? WEBHOOKS_PER_PAGE : LOOKED_AT;
    const rows = await this.#base.db.all<WebhookRow>(WEBHOOKS, after, end, since, lookedAt);
    const wanted: WebhookRow[] = [];
    let last = after;
    let bytes = 0;
    for (const row of rows) {
      if (bytes >= BYTES_PER_PAGE || wanted.length >= WEBHOOKS_PER_PAGE) break;
      last = row.id;
      if ((channel !== undefined && row.channel !== channel) || row.audit !== null) continue;
      bytes += row.bytes;
      wanted.push(row);
    }
    return { webhooks: rows.length === 0 ? null : await this.#webhooks(wanted, range), last };
  }

  async #webhooks(rows: readonly WebhookRow[], { targetIds }: Range): Promise<PastWebhook[]> {
    if (rows.length === 0) return [];
    const { db } = this.#base;
    const ids = rows.map(({ id }) => id); // in ascending order
    const [from = 0, to = from] = [ids[0], ids.at(-1)];
    const [bodies, items, deliveries] = await Promise.all([
      db.all<{ id: number; body: Buffer }>(BODIES, ids),
      this.#items(rows),
      db.all<DeliveryRow>(DELIVERIES, ids, firstIdOf(dayOfId(from)), endOfRecordedWith(to)),
    ]);
    const bodyOf = new Map(bodies.map(({ id, body }) => [id, body]));
    const deliveriesOf = new Map<number, DeliveryRow[]>(ids.map((id) => [id, []]));
    for (const delivery of deliveries) deliveriesOf.get(delivery.webhook_id)?.push(delivery);
    const found: PastWebhook[] = [];
    for (const row of rows) {
      const body = bodyOf.get(row.id);
      const document = body && (await inSlices(decodeRecordedInSlices(body, row)));
      const ofWebhook = items.get(row.id) ?? [];
      // It was pruned since, or an earlier version split it differently.
      if (document?.items.length !== ofWebhook.length) continue;
      found.push({
        ...{ id: encodeNumber(row.id), channel: row.channel, receivedAt: row.received_at, document, items: ofWebhook },
        deliveries: pastDeliveries(deliveriesOf.get(row.id) ?? [], targetIds),
      });
    }
    return found;
  }

  /** By webhook. */
  async #items(webhooks: readonly WebhookRow[]): Promise<ReadonlyMap<number, PastItem[]>> {
    const facts = new Map(webhooks.map((row) => [row.id, row]));
    const rows = await this.#base.db.all<ItemRow>(ITEMS, [...facts.keys()]);
    const telling = rows.flatMap((row) => {
      const webhook = needsEvidence(row.rule) ? facts.get(row.webhook_id) : undefined;
      if (!webhook) return [];
      const { channel, event, received_at, audit } = webhook;
      return [{ ...row, channel, event, received_at, audit }];
    });
    const views = await this.#evidence.items(telling);
    const evidence = new Map(telling.map((row, at) => [placeOf(row), views[at] ?? null]));
    const items = new Map<number, PastItem[]>(webhooks.map(({ id }) => [id, []]));
    for (const row of rows) items.get(row.webhook_id)?.push(pastItem(row, evidence.get(placeOf(row)) ?? null));
    return items;
  }
}

function pastDeliveries(rows: readonly DeliveryRow[], targetIds: ReadonlyMap<number, string>): PastDelivery[] {
  return rows.flatMap(({ target, positions, settled_at: settledAt }) => {
    const targetId = targetIds.get(target);
    return targetId === undefined ? [] : [{ targetId, positions, settledAt }];
  });
}
