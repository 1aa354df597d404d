import { rareVerdictOf } from '../rules/item-filters.js';
import { newestUnique } from '../rules/item-views.js';
import { decodeCursor, encodeCursor } from '../rules/ids.js';
import { leastIdSince } from './numbering.js';
import type { ItemPlace } from '../rules/ids.js';
import type { Db } from './database.js';
import { allOf, ABOVE_ALL_IDS, itemConditions } from './filters.js';
import { ROWS_PER_SLICE, yieldToCommits } from './slices.js';
import type { EvidenceViews } from './evidence.js';
import type { Condition } from './filters.js';
import type { HeldItems } from './held-items.js';
import { paged } from '../rules/paging.js';
import type { RememberedIds } from './remembered-ids.js';
import { INDEXED_BY_MESSAGE, IS_INDEXED_BY_MESSAGE, SIGHTING_COLUMNS } from './sightings.js';
import type { SightingRow } from './sightings.js';
import type { ItemDetail, ItemFilter, MessageFilter, MessageView } from '../items.js';
import type { Page, PageRequest } from '../paging.js';

/** Ids of a resync that one query looks up. */
const IDS_PER_SLICE = 200;

const JOIN_WEBHOOK = 'CROSS JOIN webhooks w ON w.id = s.webhook_id';
/** The first sightings of messages, which the index by message leaves out: a JSON list of their places in the ledger. */
const FIRST_SIGHTINGS = `SELECT ${SIGHTING_COLUMNS} FROM json_each(?) p CROSS JOIN sightings s NOT INDEXED
  ON s.webhook_id = p.value ->> 0 AND s.position = p.value ->> 1 AND s.rule = 10 ${JOIN_WEBHOOK}`;
const IDS_OF_RESYNC = 'FROM resyncs r CROSS JOIN resync_messages m ON m.resync = r.number';
const INDEXED_OF_RESYNC = `SELECT ${SIGHTING_COLUMNS} ${IDS_OF_RESYNC}
  CROSS JOIN ${INDEXED_BY_MESSAGE} ON s.message_key = m.key AND ${IS_INDEXED_BY_MESSAGE} ${JOIN_WEBHOOK}`;

/** The rows that a list reads, newest first: an index holds them in the order of their places. */
interface Source {
  readonly from: string;
  readonly conditions: readonly Condition[];
}

export interface ItemViewParts {
  readonly held: HeldItems;
  readonly ids: RememberedIds;
  readonly evidence: EvidenceViews;
}

/**
 * Lists of items; reads only. A list is read in slices, because the filter may match few of millions of items; a filter
 * by message id or by resync is read key by key.
 */
export class ItemViews {
  readonly #db: Db;
  readonly #held: HeldItems;
  readonly #evidence: EvidenceViews;
  readonly #ids: RememberedIds;
  readonly #item;
  readonly #countIds;
  readonly #hasManySightings;
  readonly #keysOfSlice;

  constructor(db: Db, { held, ids, evidence }: ItemViewParts) {
    this.#db = db;
    this.#evidence = evidence;
    this.#held = held;
    this.#ids = ids;
    this.#item = db.prepare<[number, number], SightingRow>(
      `SELECT ${SIGHTING_COLUMNS} FROM sightings s JOIN webhooks w ON w.id = s.webhook_id
       WHERE s.webhook_id = ? AND s.position = ?`,
    );
    this.#countIds = db
      .prepare<[string, number, number], number>(
        `SELECT count(*) ${IDS_OF_RESYNC} WHERE r.id = ? AND m.position >= ? AND m.position < ?`,
      )
      .pluck();
    this.#hasManySightings = db
      .prepare<[string, number, number], number>(
        `SELECT 1 ${IDS_OF_RESYNC} CROSS JOIN ${INDEXED_BY_MESSAGE} ON s.message_key = m.key AND ${IS_INDEXED_BY_MESSAGE}
         WHERE r.id = ? AND m.position >= ? AND m.position < ? LIMIT 1 OFFSET ${ROWS_PER_SLICE}`,
      )
      .pluck();
    this.#keysOfSlice = db
      .prepare<[string, number, number], Buffer>(
        `SELECT DISTINCT m.key ${IDS_OF_RESYNC} WHERE r.id = ? AND m.position >= ? AND m.position < ?`,
      )
      .pluck();
  }

  async items(filter: ItemFilter, page: PageRequest): Promise<Page<ItemDetail>> {
    return await this.#page(filter, page, (row) => this.#evidence.item(row));
  }

  async messages(filter: MessageFilter, page: PageRequest): Promise<Page<MessageView>> {
    return await this.#page({ ...filter, messagesOnly: true }, page, (row) => this.#evidence.message(row));
  }

  item({ webhookId, position }: ItemPlace): ItemDetail | null {
    const row = this.#item.get(webhookId, position);
    return row ? this.#evidence.item(row) : null;
  }

  async #page<View>(filter: ItemFilter, { limit, cursor }: PageRequest, view: (row: SightingRow) => View) {
    const [webhookId = ABOVE_ALL_IDS, position = 0] = cursor === null ? [] : decodeCursor(cursor, 2);
    const before = { webhookId, position };
    const keys = this.#held.messageKeys(filter);
    const rows =
      keys !== null
        ? await this.#ofMessages(keys, filter, before, limit + 1)
        : filter.resync !== undefined
          ? await this.#ofResync(filter.resync, { ...filter, resync: undefined }, before, limit + 1)
          : await this.#newestFirst(sourceOf(filter), filter, before, limit + 1);
    return paged(rows, limit, view, (row) => encodeCursor(row.webhook_id, row.position));
  }

  async #newestFirst(source: Source, filter: ItemFilter, from: ItemPlace, limit: number): Promise<SightingRow[]> {
    const rows: SightingRow[] = [];
    let before = from;
    for (;;) {
      const start = this.#startOfSlice(source, filter, before);
      rows.push(...this.#rowsOfSlice(source, filter, start ?? leastPlace(filter), before, limit - rows.length));
      if (start === null || rows.length >= limit) return rows;
      before = start;
      await yieldToCommits();
    }
  }

  /** The first place of the slice that ends below `before`; null: the rows that are left fit into one slice. */
  #startOfSlice({ from, conditions }: Source, filter: ItemFilter, before: ItemPlace): ItemPlace | null {
    const { where, values } = allOf([...conditions, ...placesBetween(leastPlace(filter), before)]);
    const select = this.#db.prepare<unknown[], ItemPlace>(
      `SELECT s.webhook_id AS webhookId, s.position FROM ${from} WHERE ${where}
       ORDER BY s.webhook_id DESC, s.position DESC LIMIT 1 OFFSET ${ROWS_PER_SLICE - 1}`,
    );
    return select.get(...values) ?? null;
  }

  #rowsOfSlice({ from, conditions }: Source, filter: ItemFilter, least: ItemPlace, before: ItemPlace, limit: number) {
    const all = [...conditions, ...placesBetween(least, before), ...conditionsOf(filter)];
    const { where, values } = allOf(all);
    return this.#db
      .prepare<unknown[], SightingRow>(
        `SELECT ${SIGHTING_COLUMNS} FROM ${from} ${JOIN_WEBHOOK} WHERE ${where}
         ORDER BY s.webhook_id DESC, s.position DESC LIMIT ?`,
      )
      .all(...values, limit);
  }

  async #ofMessages(keys: readonly Buffer[], filter: ItemFilter, before: ItemPlace, limit: number) {
    const found: SightingRow[] = [];
    for (const key of keys) {
      found.push(...(await this.#newestFirst(ofMessage(key), filter, before, limit)));
      found.push(...this.#firstSightings([key], filter, before, limit));
    }
    return newestUnique(found, limit);
  }

  /** Looks up all ids of a slice with one query: a query for each id takes ten times as long. */
  async #ofResync(id: string, filter: ItemFilter, before: ItemPlace, limit: number): Promise<SightingRow[]> {
    let found: SightingRow[] = [];
    for (let from = 0; ; from += IDS_PER_SLICE) {
      const ids = this.#countIds.get(id, from, from + IDS_PER_SLICE) ?? 0;
      if (ids === 0) return found;
      const slice: Condition[] = [
        ['r.id = ?', id],
        ['m.position >= ? AND m.position < ?', from, from + IDS_PER_SLICE],
      ];
      const { where, values } = allOf([...slice, ...this.#conditionsBefore(filter, before)]);
      const hasMany = this.#hasManySightings.get(id, from, from + IDS_PER_SLICE) !== undefined;
      const keys = this.#keysOfSlice.all(id, from, from + IDS_PER_SLICE);
      const first = this.#firstSightings(keys, filter, before, limit);
      const others = hasMany
        ? await this.#idById(keys, filter, before, limit)
        : this.#db
            .prepare<unknown[], SightingRow>(
              `${INDEXED_OF_RESYNC} WHERE ${where} ORDER BY s.webhook_id DESC, s.position DESC LIMIT ?`,
            )
            .all(...values, limit);
      found = newestUnique([...found, ...first, ...others], limit);
      await yieldToCommits();
    }
  }

  /** The votes of a poll share its id and can be many thousands: then the sightings of each id are read in slices. */
  async #idById(keys: readonly Buffer[], filter: ItemFilter, before: ItemPlace, limit: number) {
    const found: SightingRow[] = [];
    for (const key of keys) {
      found.push(...(await this.#newestFirst(ofMessage(key), filter, before, limit)));
    }
    return newestUnique(found, limit);
  }

  #firstSightings(keys: readonly Buffer[], filter: ItemFilter, before: ItemPlace, limit: number): SightingRow[] {
    const places = keys.flatMap((key) => {
      const { webhookId = null, position = null } = this.#ids.find(key) ?? {};
      return webhookId === null ? [] : [[webhookId, position]];
    });
    if (places.length === 0) return [];
    const { where, values } = allOf(this.#conditionsBefore(filter, before));
    return this.#db
      .prepare<unknown[], SightingRow>(
        `${FIRST_SIGHTINGS} WHERE ${where} ORDER BY s.webhook_id DESC, s.position DESC LIMIT ?`,
      )
      .all(JSON.stringify(places), ...values, limit);
  }

  #conditionsBefore(filter: ItemFilter, before: ItemPlace): (Condition | false)[] {
    return [...placesBetween(leastPlace(filter), before), ...conditionsOf(filter)];
  }
}

/** The smallest index that contains every item that the filter matches. */
function sourceOf(filter: ItemFilter): Source {
  const verdict = rareVerdictOf(filter);
  if (verdict !== null) {
    return {
      from: 'sightings s INDEXED BY sightings_by_rare_verdict',
      conditions: [['s.verdict = ?', verdict], ["s.verdict <> 'new' AND s.verdict <> 'event'"]],
    };
  }
  if (filter.held === true) return { from: 'sightings s INDEXED BY sightings_held', conditions: [['s.held = 1']] };
  return { from: 'sightings s NOT INDEXED', conditions: [] };
}

function ofMessage(key: Buffer): Source {
  return {
    from: INDEXED_BY_MESSAGE,
    conditions: [['s.message_key = ?', key], [IS_INDEXED_BY_MESSAGE]],
  };
}

function conditionsOf(filter: ItemFilter) {
  const { held } = filter;
  return [...itemConditions(filter, null), held !== undefined && (['s.held = ?', held ? 1 : 0] satisfies Condition)];
}

function placesBetween(least: ItemPlace, before: ItemPlace): Condition[] {
  return [
    ['(s.webhook_id, s.position) >= (?, ?)', least.webhookId, least.position],
    ['(s.webhook_id, s.position) < (?, ?)', before.webhookId, before.position],
  ];
}

/** No item that the filter matches has a lower place. */
function leastPlace({ since }: ItemFilter): ItemPlace {
  return { webhookId: since === undefined ? 0 : leastIdSince(since), position: 0 };
}
