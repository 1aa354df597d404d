import { decodeCursor, encodeCursor } from '../rules/ids.js';
import { leastIdSince } from './numbering.js';
import { webhookSummary } from '../rules/webhook-views.js';
import type { VerdictCount, WebhookFactsRow } from '../rules/webhook-views.js';
import type { Db } from './database.js';
import { ABOVE_ALL_IDS, allOf, webhookConditions } from './filters.js';
import { paged } from '../rules/paging.js';
import { ROWS_PER_SLICE, yieldToCommits } from './slices.js';
import type { RecordedFilter } from '../filters.js';
import type { WebhookSummary } from '../items.js';
import type { Page, PageRequest } from '../paging.js';

interface SummaryRow extends WebhookFactsRow {
  bytes: number;
}

/** Lists of stored webhooks without their bodies; reads only. */
export class WebhookLists {
  readonly #db: Db;
  readonly #startOfSlice;
  readonly #verdicts;

  constructor(db: Db) {
    this.#db = db;
    this.#startOfSlice = db
      .prepare<[number, number], number>(
        `SELECT id FROM webhooks WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1 OFFSET ${ROWS_PER_SLICE - 1}`,
      )
      .pluck();
    this.#verdicts = db.prepare<[number], VerdictCount>(
      'SELECT verdict, count(*) AS count, sum(held) AS held FROM sightings WHERE webhook_id = ? GROUP BY verdict',
    );
  }

  /** Newest first. */
  async webhooks(filter: RecordedFilter, { limit, cursor }: PageRequest): Promise<Page<WebhookSummary>> {
    const [before = ABOVE_ALL_IDS] = cursor === null ? [] : decodeCursor(cursor, 1);
    const rows = await this.#newestFirst(filter, before, limit + 1);
    const { data, nextCursor } = paged(
      rows,
      limit,
      (row) => row,
      (row) => encodeCursor(row.id),
    );
    return { data: await this.#summaries(data), nextCursor };
  }

  /** Reads in slices, because the filter may match few of millions of webhooks. */
  async #newestFirst(filter: RecordedFilter, end: number, limit: number): Promise<SummaryRow[]> {
    const least = filter.since === undefined ? 0 : leastIdSince(filter.since);
    const rows: SummaryRow[] = [];
    for (let before = end; ;) {
      const start = this.#startOfSlice.get(least, before);
      rows.push(...this.#rowsOfSlice(filter, start ?? least, before, limit - rows.length));
      if (start === undefined || rows.length >= limit) return rows;
      before = start;
      await yieldToCommits();
    }
  }

  #rowsOfSlice(filter: RecordedFilter, from: number, before: number, limit: number): SummaryRow[] {
    const { where, values } = allOf([['w.id >= ? AND w.id < ?', from, before], ...webhookConditions(filter)]);
    return this.#db
      .prepare<unknown[], SummaryRow>(
        `SELECT w.id, w.channel, w.method, w.suffix, w.content_type, w.event, w.received_at, length(w.body) AS bytes, w.audit
         FROM webhooks w WHERE ${where} ORDER BY w.id DESC LIMIT ?`,
      )
      .all(...values, limit);
  }

  /** Counts the items of one webhook at a time: it may have thousands. */
  async #summaries(rows: readonly SummaryRow[]): Promise<WebhookSummary[]> {
    const found: WebhookSummary[] = [];
    let counted = 0;
    for (const row of rows) {
      const summary = webhookSummary(row, this.#verdicts.all(row.id));
      found.push(summary);
      counted += summary.items;
      if (counted < ROWS_PER_SLICE) continue;
      counted = 0;
      await yieldToCommits();
    }
    return found;
  }
}
