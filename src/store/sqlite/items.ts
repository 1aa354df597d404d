import { decodeCursor, encodeCursor, encodeNumber, itemId, leastIdSince } from '../rules/ids.js';
import type { ItemPlace } from '../rules/ids.js';
import type { Verdict } from '../../model.js';
import type { Db } from './database.js';
import { allOf, BEYOND, itemConditions, letOthersRun, ROWS_PER_SLICE } from './filters.js';
import type { Condition } from './filters.js';
import type { SqliteHeld } from './held.js';
import { paged } from './paging.js';
import type { ItemDetail, ItemFilter, ItemView, MessageFilter, MessageView } from '../items.js';
import type { Page, PageRequest } from '../paging.js';

export interface ItemRow {
  webhook_id: number;
  position: number;
  message_key: Buffer | null;
  channel: string;
  message_id: string | null;
  event: string;
  carrier: string;
  verdict: Verdict;
  rule: number;
  held: number;
  received_at: number;
  audit: string | null;
}

/** Of `sightings s` and its webhook `w`. */
export const ITEM_COLUMNS = `s.webhook_id, s.position, s.message_key, w.channel, s.message_id, w.event, s.carrier,
  s.verdict, s.rule, s.held, w.received_at, w.audit`;

/** Ids of a resync that are looked up before others run. */
const IDS_PER_SLICE = 200;

const AND_WEBHOOK = 'CROSS JOIN webhooks w ON w.id = s.webhook_id';
/** The index by message leaves rule 10 out: that sighting is the one to which the ledger points. */
const FIRST = `CROSS JOIN sightings s NOT INDEXED
  ON s.webhook_id = l.webhook_id AND s.position = l.position AND s.rule = 10 ${AND_WEBHOOK}`;
const FIRST_OF_LEDGER = `SELECT ${ITEM_COLUMNS} FROM ledger l ${FIRST}`;
const IDS_OF_RESYNC = 'FROM resyncs r CROSS JOIN resync_messages m ON m.resync = r.number';
const FIRST_OF_RESYNC = `SELECT ${ITEM_COLUMNS} ${IDS_OF_RESYNC} CROSS JOIN ledger l ON l.key = m.key ${FIRST}`;
const SIGHTINGS_OF_RESYNC = `SELECT ${ITEM_COLUMNS} ${IDS_OF_RESYNC}
  CROSS JOIN sightings s INDEXED BY sightings_by_message ON s.message_key = m.key AND s.rule <> 10 ${AND_WEBHOOK}`;

/** Which rows are gone through, newest first: an index has them in the order of their places. */
interface Source {
  readonly from: string;
  readonly conditions: readonly Condition[];
}

/**
 * Lists of items: slice by slice, for among millions there may be few that the filter names; or key by key, where it
 * names message ids. Reads only.
 */
export class SqliteItems {
  readonly #db: Db;
  readonly #held: SqliteHeld;
  readonly #item;
  readonly #resyncs;
  readonly #first;
  readonly #ids;

  constructor(db: Db, held: SqliteHeld) {
    this.#db = db;
    this.#held = held;
    this.#item = db.prepare<[number, number], ItemRow>(
      `SELECT ${ITEM_COLUMNS} FROM sightings s JOIN webhooks w ON w.id = s.webhook_id
       WHERE s.webhook_id = ? AND s.position = ?`,
    );
    // `closes_at` is of the last call: a window that a later call opened anew counts as one.
    this.#resyncs = db
      .prepare<{ key: Buffer | null; at: number }, string>(
        `SELECT r.id FROM resync_messages m JOIN resyncs r ON r.number = m.resync
         WHERE m.key = @key AND r.created_at <= @at AND (m.closes_at IS NULL OR m.closes_at > @at) ORDER BY m.resync`,
      )
      .pluck();
    this.#first = db.prepare<[Buffer | null], { at: number; webhook_id: number | null }>(
      'SELECT first_seen_at AS at, webhook_id FROM ledger WHERE key = ? AND first_seen_at IS NOT NULL',
    );
    this.#ids = db
      .prepare<[string, number, number], number>(
        `SELECT count(*) ${IDS_OF_RESYNC} WHERE r.id = ? AND m.position >= ? AND m.position < ?`,
      )
      .pluck();
  }

  async items(filter: ItemFilter, page: PageRequest): Promise<Page<ItemDetail>> {
    return await this.#page(filter, page, (row) => this.#detail(row));
  }

  async messages(filter: MessageFilter, page: PageRequest): Promise<Page<MessageView>> {
    return await this.#page({ ...filter, messagesOnly: true }, page, messageView);
  }

  item({ webhookId, position }: ItemPlace): ItemDetail | null {
    const row = this.#item.get(webhookId, position);
    return row ? this.#detail(row) : null;
  }

  async #page<View>(filter: ItemFilter, { limit, cursor }: PageRequest, view: (row: ItemRow) => View) {
    const [webhookId = BEYOND, position = 0] = cursor === null ? [] : decodeCursor(cursor, 2);
    const before = { webhookId, position };
    const keys = this.#held.keysOf(filter);
    const rows =
      keys !== null
        ? await this.#ofMessages(keys, filter, before, limit + 1)
        : filter.resync !== undefined
          ? await this.#ofResync(filter.resync, { ...filter, resync: undefined }, before, limit + 1)
          : await this.#walk(sourceOf(filter), filter, before, limit + 1);
    return paged(rows, limit, view, (row) => encodeCursor(row.webhook_id, row.position));
  }

  async #walk(source: Source, filter: ItemFilter, from: ItemPlace, limit: number): Promise<ItemRow[]> {
    const rows: ItemRow[] = [];
    let before = from;
    for (;;) {
      const edge = this.#edgeBelow(source, filter, before);
      rows.push(...this.#between(source, filter, edge ?? leastPlace(filter), before, limit - rows.length));
      if (edge === null || rows.length >= limit) return rows;
      before = edge;
      await letOthersRun();
    }
  }

  /** Where a slice that ends below `before` begins; null where nothing is left behind it. */
  #edgeBelow({ from, conditions }: Source, filter: ItemFilter, before: ItemPlace): ItemPlace | null {
    const { where, values } = allOf([...conditions, ...inReach(leastPlace(filter), before)]);
    const select = this.#db.prepare<unknown[], ItemPlace>(
      `SELECT s.webhook_id AS webhookId, s.position FROM ${from} WHERE ${where}
       ORDER BY s.webhook_id DESC, s.position DESC LIMIT 1 OFFSET ${ROWS_PER_SLICE - 1}`,
    );
    return select.get(...values) ?? null;
  }

  #between({ from, conditions }: Source, filter: ItemFilter, least: ItemPlace, before: ItemPlace, limit: number) {
    const all = [...conditions, ...inReach(least, before), ...conditionsOf(filter)];
    const { where, values } = allOf(all);
    return this.#db
      .prepare<unknown[], ItemRow>(
        `SELECT ${ITEM_COLUMNS} FROM ${from} CROSS JOIN webhooks w ON w.id = s.webhook_id WHERE ${where}
         ORDER BY s.webhook_id DESC, s.position DESC LIMIT ?`,
      )
      .all(...values, limit);
  }

  async #ofMessages(keys: readonly Buffer[], filter: ItemFilter, before: ItemPlace, limit: number) {
    const found: ItemRow[] = [];
    for (const key of keys) {
      found.push(...(await this.#walk(ofMessage(key), filter, before, limit)));
      const { where, values } = allOf([['l.key = ?', key], ...this.#matching(filter, before)]);
      found.push(...this.#db.prepare<unknown[], ItemRow>(`${FIRST_OF_LEDGER} WHERE ${where}`).all(...values));
    }
    return newest(found, limit);
  }

  /** All of a slice's ids at once: one look for each would take ten times as long. */
  async #ofResync(id: string, filter: ItemFilter, before: ItemPlace, limit: number): Promise<ItemRow[]> {
    let found: ItemRow[] = [];
    for (let from = 0; ; from += IDS_PER_SLICE) {
      const ids = this.#ids.get(id, from, from + IDS_PER_SLICE) ?? 0;
      if (ids === 0) return found;
      const slice: Condition[] = [
        ['r.id = ?', id],
        ['m.position >= ? AND m.position < ?', from, from + IDS_PER_SLICE],
      ];
      const { where, values } = allOf([...slice, ...this.#matching(filter, before)]);
      const rows = [SIGHTINGS_OF_RESYNC, FIRST_OF_RESYNC].flatMap((select) =>
        this.#db
          .prepare<unknown[], ItemRow>(`${select} WHERE ${where} ORDER BY s.webhook_id DESC, s.position DESC LIMIT ?`)
          .all(...values, limit),
      );
      found = newest([...found, ...rows], limit);
      await letOthersRun();
    }
  }

  #matching(filter: ItemFilter, before: ItemPlace): (Condition | false)[] {
    return [...inReach(leastPlace(filter), before), ...conditionsOf(filter)];
  }

  #detail(row: ItemRow): ItemDetail {
    const first = this.#first.get(row.message_key);
    return {
      ...itemView(row),
      resyncIds: row.verdict === 'restored' ? this.#resyncs.all({ key: row.message_key, at: row.received_at }) : [],
      firstSeenAt: first?.at ?? null,
      firstWebhookId: first && first.webhook_id !== null ? encodeNumber(first.webhook_id) : null,
    };
  }
}

export function itemView(row: ItemRow): ItemView {
  return {
    id: itemId({ webhookId: row.webhook_id, position: row.position }),
    webhookId: encodeNumber(row.webhook_id),
    position: row.position,
    channel: row.channel,
    event: row.event,
    carrier: row.carrier,
    messageId: row.message_id,
    verdict: row.verdict,
    rule: row.rule,
    held: row.held === 1,
    seenAt: row.received_at,
    auditId: row.audit,
  };
}

export function messageView(row: ItemRow): MessageView {
  return { ...itemView(row), messageId: row.message_id ?? '' };
}

/** The smallest index that has all that the filter names. */
function sourceOf({ verdict, held }: ItemFilter): Source {
  if (verdict !== undefined && !isCommon(verdict)) {
    return {
      from: 'sightings s INDEXED BY sightings_by_rare_verdict',
      conditions: [['s.verdict = ?', verdict], ["s.verdict <> 'new' AND s.verdict <> 'event'"]],
    };
  }
  if (held === true) return { from: 'sightings s INDEXED BY sightings_held', conditions: [['s.held = 1']] };
  return { from: 'sightings s NOT INDEXED', conditions: [] };
}

function ofMessage(key: Buffer): Source {
  return {
    from: 'sightings s INDEXED BY sightings_by_message',
    conditions: [['s.message_key = ?', key], ['s.rule <> 10']],
  };
}

function isCommon(verdict: Verdict): boolean {
  return verdict === 'new' || verdict === 'event';
}

function conditionsOf(filter: ItemFilter) {
  const { held } = filter;
  return [...itemConditions(filter, null), held !== undefined && (['s.held = ?', held ? 1 : 0] satisfies Condition)];
}

function inReach(least: ItemPlace, before: ItemPlace): Condition[] {
  return [
    ['(s.webhook_id, s.position) >= (?, ?)', least.webhookId, least.position],
    ['(s.webhook_id, s.position) < (?, ?)', before.webhookId, before.position],
  ];
}

/** No item that the filter names stands before it. */
function leastPlace({ since }: ItemFilter): ItemPlace {
  return { webhookId: since === undefined ? 0 : leastIdSince(since), position: 0 };
}

/** None twice: a resync may name an id twice. */
function newest(rows: readonly ItemRow[], limit: number): ItemRow[] {
  const unique = new Map(rows.map((row) => [`${row.webhook_id} ${row.position}`, row]));
  return [...unique.values()].sort((a, b) => b.webhook_id - a.webhook_id || b.position - a.position).slice(0, limit);
}
