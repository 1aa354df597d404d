import { inSlices } from '../../event-loop.js';
import { decodeRecordedInSlices } from '../../intake/decode.js';
import type { WebhookHttpMethod } from '../../model.js';
import { encodeNumber } from '../rules/ids.js';
import { leastIdSince, timeOfId } from './numbering.js';
import { needsEvidence, pastItem } from '../rules/past-items.js';
import type { Db } from './database.js';
import type { EvidenceViews } from './evidence.js';
import { read } from './reads.js';
import type { RegistryTables } from './registry-tables.js';
import type { SightingRow } from './sightings.js';
import { ROWS_PER_SLICE, yieldToCommits } from './slices.js';
import { WebhookDeliveries } from './webhook-deliveries.js';
import type { HistoryReading, PastDelivery, PastItem, PastWebhook, HistoryRequest, History } from '../history.js';

interface WebhookRow {
  id: number;
  channel: string;
  method: WebhookHttpMethod;
  suffix: string;
  event: string;
  received_at: number;
  audit: string | null;
}

type ItemRow = Omit<SightingRow, 'channel' | 'event' | 'received_at' | 'audit'>;

interface DeliveryRow {
  target: number;
  positions: string | null;
  settledAt: number | null;
}

/** The ids of the targets that were not removed, by their number. */
type TargetIds = ReadonlyMap<number, string>;

/** Webhooks of one page: some milliseconds to read and decode. */
const WEBHOOKS_PER_PAGE = 50;
const BYTES_PER_PAGE = 256 * 1024;
const ROWS_PER_READ = 250;

export class SqliteHistory implements History {
  readonly #registry: RegistryTables;
  readonly #evidence: EvidenceViews;
  readonly #startOfSlice;
  readonly #newest;
  readonly #webhooks;
  readonly #body;
  readonly #items;
  readonly #deliveries;

  constructor(db: Db, registry: RegistryTables, evidence: EvidenceViews) {
    this.#registry = registry;
    this.#evidence = evidence;
    this.#startOfSlice = db
      .prepare<[number, number, number], number>(
        'SELECT id FROM webhooks WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1 OFFSET ?',
      )
      .pluck();
    this.#newest = db.prepare<[], number | null>('SELECT max(id) FROM webhooks').pluck();
    this.#webhooks = db.prepare<[number, number], WebhookRow>(
      `SELECT id, channel, method, suffix, event, received_at, audit FROM webhooks WHERE id > ? AND id <= ?
       ORDER BY id LIMIT ${WEBHOOKS_PER_PAGE}`,
    );
    this.#body = db.prepare<[number], Buffer>('SELECT body FROM webhooks WHERE id = ?').pluck();
    this.#items = db.prepare<[number, number], ItemRow>(
      `SELECT webhook_id, position, message_key, message_id, carrier, verdict, rule, held FROM sightings
       WHERE webhook_id = ? AND position > ? ORDER BY position LIMIT ${ROWS_PER_READ}`,
    );
    this.#deliveries = new WebhookDeliveries<DeliveryRow>(db, 'd.target, d.positions, d.settled_at AS settledAt');
  }

  async read({ since, most, channel }: HistoryRequest): Promise<HistoryReading> {
    return await read(async () => {
      const end = this.#newest.get() ?? 0;
      const least = Math.max(0, leastIdSince(since));
      const start = await this.#startOf(least, end, most);
      const isComplete = start === null;
      const targetIds = new Map(
        [...this.#registry.targets().values()].map(({ number, target }) => [number, target.id]),
      );
      let after = (start ?? least) - 1;
      const next = async (): Promise<readonly PastWebhook[] | null> => {
        const page = await this.#page(after, end, channel, targetIds);
        after = page.last;
        return page.isOver ? null : page.webhooks;
      };
      return { since: start === null ? since : timeOfId(start), isComplete, next: async () => await read(next) };
    });
  }

  /** The first of the newest `most` webhooks; null: there are no more than that. */
  async #startOf(least: number, end: number, most: number): Promise<number | null> {
    let before = end + 1;
    for (let left = most; left > 0; left -= ROWS_PER_SLICE) {
      const start = this.#startOfSlice.get(least, before, Math.min(left, ROWS_PER_SLICE) - 1);
      if (start === undefined) return null;
      before = start;
      await yieldToCommits();
    }
    return this.#startOfSlice.get(least, before, 0) === undefined ? null : before;
  }

  async #page(after: number, end: number, channel: string | undefined, targetIds: TargetIds) {
    const rows = this.#webhooks.all(after, end);
    const webhooks: PastWebhook[] = [];
    let last = after;
    for (let at = 0, bytes = 0; at < rows.length && bytes < BYTES_PER_PAGE; at += 1) {
      const row = rows[at];
      if (!row) break;
      last = row.id;
      if ((channel !== undefined && row.channel !== channel) || row.audit !== null) continue;
      const body = this.#body.get(row.id);
      const webhook = body && (await this.#webhook(row, body, targetIds));
      bytes += body?.length ?? 0;
      if (webhook) webhooks.push(webhook);
    }
    await yieldToCommits();
    return { webhooks, last, isOver: rows.length === 0 };
  }

  /** Null: it was pruned meanwhile, or an earlier version split it in another way. */
  async #webhook(row: WebhookRow, body: Buffer, targetIds: TargetIds): Promise<PastWebhook | null> {
    const document = await inSlices(decodeRecordedInSlices(body, row));
    const items = await this.#itemsOf(row);
    if (items.length !== document.items.length) return null;
    return {
      ...{ id: encodeNumber(row.id), channel: row.channel, receivedAt: row.received_at, document, items },
      deliveries: await this.#deliveriesOf(row.id, targetIds),
    };
  }

  async #itemsOf(row: WebhookRow): Promise<PastItem[]> {
    const found: PastItem[] = [];
    for (;;) {
      const rows = this.#items.all(row.id, found.length - 1);
      for (const item of rows) found.push(this.#item({ ...row, ...item }));
      if (rows.length < ROWS_PER_READ) return found;
      await yieldToCommits();
    }
  }

  #item(row: SightingRow): PastItem {
    return pastItem(row, needsEvidence(row.rule) ? this.#evidence.item(row) : null);
  }

  async #deliveriesOf(webhook: number, targetIds: TargetIds): Promise<PastDelivery[]> {
    const found: PastDelivery[] = [];
    for (let after = webhook; ;) {
      const rows = this.#deliveries.after(webhook, after, ROWS_PER_READ);
      for (const row of rows) {
        const targetId = row.wasReleased === 1 ? undefined : targetIds.get(row.target);
        const positions = row.positions === null ? null : (JSON.parse(row.positions) as number[]);
        if (targetId !== undefined) found.push({ targetId, positions, settledAt: row.settledAt });
      }
      const last = rows.at(-1);
      if (!last || rows.length < ROWS_PER_READ) return found;
      after = last.id;
      await yieldToCommits();
    }
  }
}
