import type { ItemDetail, ItemFilter, MessageFilter, MessageView } from '../items.js';
import type { Page, PageRequest } from '../paging.js';
import { decodeCursor, encodeCursor } from '../rules/ids.js';
import type { ItemPlace } from '../rules/ids.js';
import { messageKeysOf, rareVerdictOf } from '../rules/item-filters.js';
import { newestUnique } from '../rules/item-views.js';
import { paged } from '../rules/paging.js';
import type { Base } from './base.js';
import type { EvidenceViews } from './evidence.js';
import { allOf, Params, leastIdSinceSql } from './filters.js';
import { uuidOf } from './keys.js';
import { endOfIds } from './numbers.js';
import { asInteger } from './values.js';
import {
  before,
  itemConditions,
  NEWEST_FIRST,
  SIGHTING_COLUMNS,
  SIGHTING_TABLES,
  sightingsOf,
  WITH_WEBHOOK,
} from './sightings.js';
import type { SightingRow } from './sightings.js';

/** Items that the first statement of a list looks at; each further one looks at four times as many, up to the most. */
const FIRST_SLICE = 1000;
const LARGEST_SLICE = 64_000;
/** Ids of a resync that one statement looks up. */
const IDS_PER_SLICE = 1000;

const ITEMS_AT = `SELECT ${SIGHTING_COLUMNS} FROM unnest($1::bigint[], $2::int[]) WITH ORDINALITY AS p(webhook_id, position, at)
    JOIN gateway.sightings s ON s.webhook_id = p.webhook_id AND s.position = p.position
    ${WITH_WEBHOOK} ORDER BY p.at`;
const IDS_OF_RESYNC = `SELECT DISTINCT m.key FROM gateway.resyncs r JOIN gateway.resync_messages m ON m.resync = r.number
  WHERE r.id = $1`;

/**
 * Lists of items; reads only. A filter may match few of millions of items, so a list is read in slices of an index: no
 * statement takes long. A filter by message id or by resync is read key by key.
 */
export class ItemViews {
  readonly #base: Base;
  readonly #evidence: EvidenceViews;

  constructor(base: Base, evidence: EvidenceViews) {
    this.#base = base;
    this.#evidence = evidence;
  }

  async items(filter: ItemFilter, page: PageRequest): Promise<Page<ItemDetail>> {
    const { data, nextCursor } = await this.#page(filter, page);
    return { data: await this.#evidence.items(data), nextCursor };
  }

  async messages(filter: MessageFilter, page: PageRequest): Promise<Page<MessageView>> {
    const { data, nextCursor } = await this.#page({ ...filter, messagesOnly: true }, page);
    return { data: await this.#evidence.messages(data), nextCursor };
  }

  /** The items at these places, in this order. */
  async itemsAt(places: readonly ItemPlace[]): Promise<ItemDetail[]> {
    const rows = await this.#base.db.all<SightingRow>(
      ITEMS_AT,
      places.map(({ webhookId }) => webhookId),
      places.map(({ position }) => position),
    );
    return await this.#evidence.items(rows);
  }

  async #page(filter: ItemFilter, { limit, cursor }: PageRequest): Promise<Page<SightingRow>> {
    const end = endOf(filter, cursor);
    const { channels } = await this.#base.registry.current();
    const keys = messageKeysOf(filter, () => channels.keys())?.map(uuidOf) ?? null;
    const rows =
      keys !== null
        ? await this.#ofKeys(keys, filter, end, limit + 1)
        : filter.resync !== undefined
          ? await this.#ofResync(filter.resync, { ...filter, resync: undefined }, end, limit + 1)
          : await this.#newestFirst(filter, end, limit + 1);
    return paged(
      rows,
      limit,
      (row) => row,
      (row) => encodeCursor(row.webhook_id, row.position),
    );
  }

  async #newestFirst(filter: ItemFilter, from: ItemPlace, limit: number): Promise<SightingRow[]> {
    const rows: SightingRow[] = [];
    for (let [end, size] = [from, FIRST_SLICE]; ; size = Math.min(size * 4, LARGEST_SLICE)) {
      const start = await this.#startOfSlice(filter, end, size);
      rows.push(...(await this.#rowsOfSlice(filter, start, end, limit - rows.length)));
      if (start === null || rows.length >= limit) return rows;
      end = start;
    }
  }

  /** The first place of the slice that ends below `end`; null: the rows that are left fit into one slice. */
  async #startOfSlice(filter: ItemFilter, end: ItemPlace, size: number): Promise<ItemPlace | null> {
    const params = new Params();
    const where = allOf([...sourceOf(filter, params), ...before(end, params)]);
    const row = await this.#base.db.one<ItemPlace>(
      `SELECT s.webhook_id AS "webhookId", s.position FROM gateway.sightings s WHERE ${where} ${NEWEST_FIRST}
       LIMIT 1 OFFSET ${size - 1}`,
      ...params.values,
    );
    return row ?? null;
  }

  async #rowsOfSlice(
    filter: ItemFilter,
    start: ItemPlace | null,
    end: ItemPlace,
    limit: number,
  ): Promise<SightingRow[]> {
    const params = new Params();
    const conditions = [...sourceOf(filter, params), ...before(end, params)];
    if (start) {
      const id = params.add(start.webhookId);
      conditions.push(`s.webhook_id >= ${id}`);
      conditions.push(`(s.webhook_id, s.position) >= (${id}, ${params.add(start.position)})`);
    }
    conditions.push(...itemConditions(filter, params));
    return await this.#base.db.all<SightingRow>(
      `SELECT ${SIGHTING_COLUMNS} FROM ${SIGHTING_TABLES} WHERE ${allOf(conditions)} ${NEWEST_FIRST} LIMIT ${params.add(limit)}`,
      ...params.values,
    );
  }

  async #ofKeys(keys: readonly string[], filter: ItemFilter, end: ItemPlace, limit: number): Promise<SightingRow[]> {
    const params = new Params();
    const conditions = [...itemConditions(filter, params), ...before(end, params)];
    return await sightingsOf(this.#base.db, { keys, conditions, limit }, params);
  }

  async #ofResync(id: string, filter: ItemFilter, end: ItemPlace, limit: number): Promise<SightingRow[]> {
    const keys = (await this.#base.db.all<{ key: string }>(IDS_OF_RESYNC, id)).map(({ key }) => key);
    let found: SightingRow[] = [];
    for (let from = 0; from < keys.length; from += IDS_PER_SLICE) {
      const some = await this.#ofKeys(keys.slice(from, from + IDS_PER_SLICE), filter, end, limit);
      found = newestUnique([...found, ...some], limit);
    }
    return found;
  }
}

/**
 * The conditions on `gateway.sightings s` of the smallest index that contains every item that the filter matches. Those of
 * partial indexes are repeated literally, or the planner would not know that it may use them.
 */
function sourceOf(filter: ItemFilter, params: Params): string[] {
  const conditions = filter.since === undefined ? [] : [`s.webhook_id >= ${leastIdSinceSql(filter.since, params)}`];
  const verdict = rareVerdictOf(filter);
  if (verdict !== null) {
    return [...conditions, `s.verdict = ${params.add(verdict)}`, "s.verdict <> 'new' AND s.verdict <> 'event'"];
  }
  return filter.held === true ? [...conditions, 's.held'] : conditions;
}

/** All items that the filter matches behind the cursor have lower places. */
function endOf({ until }: ItemFilter, cursor: string | null): ItemPlace {
  const [webhookId = Number.MAX_SAFE_INTEGER, position = 0] = cursor === null ? [] : decodeCursor(cursor, 2);
  const end = until === undefined ? Number.MAX_SAFE_INTEGER : endOfIds(until);
  return end < webhookId ? { webhookId: end, position: 0 } : { webhookId, position: asInteger(position) };
}
