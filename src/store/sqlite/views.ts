import { nameOf } from '../../intake/event.js';
import type { Attempt, DeliveryStatus, DeliveryWait, EventName, JobStatus, Verdict } from '../../model.js';
import { decodeCursor, deliveryId, encodeCursor, jobId, parseDeliveryId, parseJobId } from '../rules/ids.js';
import { KEY_BYTES, messageKey } from '../rules/keys.js';
import type { Db } from './database.js';
import {
  allOf,
  BEYOND,
  deliveriesInReach,
  deliveryConditions,
  leastIdNamed,
  letOthersRun,
  ROWS_PER_SLICE,
} from './filters.js';
import type { SqliteHeld } from './held.js';
import { ITEM_COLUMNS, messageView } from './items.js';
import type { ItemRow } from './items.js';
import { eventNamed } from './outbox.js';
import { paged } from './paging.js';
import { RESYNC_MESSAGE_COLUMNS, resyncMessageView } from './resync-views.js';
import type { ResyncMessageRow } from './resync-views.js';
import type { AuditFinding } from '../audits.js';
import type {
  DeliveryDetail,
  DeliveryFilter,
  DeliveryView,
  ExplainedDelivery,
  WaitingDelivery,
} from '../deliveries.js';
import type { Explanation } from '../items.js';
import type { BulkWork, JobView } from '../jobs.js';
import type { Page, PageRequest } from '../paging.js';
import type { WebhookForm } from '../traffic.js';

export interface DeliveryRow {
  id: number;
  status: DeliveryStatus;
  target_id: string;
  channel: string;
  event: string;
  verdicts: string;
  blocked: number;
  due_at: number;
  attempts: number;
  created_at: number;
  settled_at: number | null;
  last_error: string | null;
  log: string;
  enabled: number;
  lease: number | null;
  breaker: string | null;
  released: number;
}

interface JobRow {
  number: number;
  kind: BulkWork['kind'];
  filter: string;
  status: JobStatus;
  total: number;
  done: number;
  skipped: number;
  created_at: number;
  finished_at: number | null;
}

export const DELIVERY_COLUMNS = `d.id, d.status, t.id AS target_id, d.channel, w.event, d.verdicts, d.blocked, d.due_at,
  d.attempts, d.created_at, d.settled_at, d.last_error, d.log, d.released, d.lease, t.enabled,
  (SELECT state FROM breakers b WHERE b.target = d.target) AS breaker`;
export const DELIVERY_TABLES =
  'deliveries d JOIN webhooks w ON w.id = d.webhook_id JOIN targets t ON t.number = d.target';

/** How far back the newest webhook of an event is looked for: about 20 MB, read in some milliseconds. */
const NEWEST_WEBHOOKS = 10_000;

/** For what channels send: read in a millisecond or two. */
const RECENT_WEBHOOKS = 1000;
/** From a delivery to the one at the front; each hop has an earlier place. */
const MOST_HOPS = 10;
/** The newest of a message that are told: the votes of a poll, which share its id, can run into many thousands. */
const MOST_SIGHTINGS = 500;

/** What people look at; reads only. */
export class SqliteViews {
  readonly #db: Db;
  readonly #held: SqliteHeld;

  constructor(db: Db, held: SqliteHeld) {
    this.#db = db;
    this.#held = held;
  }

  explain(channel: string, messageId: string): Explanation | null {
    const key = messageKey(channel, messageId);
    const ledger = this.#db
      .prepare<[Buffer], NonNullable<Explanation['ledger']>>(
        'SELECT first_seen_at AS firstSeenAt, last_seen_at AS lastSeenAt, rule, seeded_at AS seededAt FROM ledger WHERE key = ?',
      )
      .get(key);
    const sightings = this.#sightingsOf(key);
    const resyncs = this.#db
      .prepare<[Buffer], ResyncMessageRow>(
        `SELECT ${RESYNC_MESSAGE_COLUMNS} FROM resync_messages m JOIN resyncs r ON r.number = m.resync WHERE m.key = ? ORDER BY m.resync`,
      )
      .all(key);
    const isHeld = resyncs.length > 0 && this.#held.countOf(key) > 0;
    const audits = this.#db
      .prepare<[Buffer], AuditFinding>(
        `SELECT a.id AS auditId, m.found_at AS foundAt, m.released_at AS releasedAt
         FROM audit_messages m JOIN audits a ON a.number = m.audit WHERE m.key = ? ORDER BY m.audit`,
      )
      .all(key);
    if (!ledger && sightings.length === 0 && resyncs.length === 0 && audits.length === 0) return null;
    return {
      channel,
      messageId,
      ledger: ledger ?? null,
      sightings: sightings.map(messageView),
      resyncs: resyncs.map((row) => resyncMessageView(row, isHeld)),
      audits,
      deliveries: this.#deliveriesOf(sightings),
    };
  }

  /** The index leaves rule 10 out: that sighting is the one to which the ledger points. */
  #sightingsOf(key: Buffer): ItemRow[] {
    return this.#db
      .prepare<{ key: Buffer }, ItemRow>(
        `SELECT ${ITEM_COLUMNS} FROM sightings s JOIN webhooks w ON w.id = s.webhook_id
           WHERE s.message_key = @key AND s.rule <> 10
         UNION
         SELECT ${ITEM_COLUMNS} FROM ledger l
           JOIN sightings s ON s.webhook_id = l.webhook_id AND s.position = l.position
           JOIN webhooks w ON w.id = s.webhook_id
           WHERE l.key = @key
         ORDER BY 1 DESC, 2 DESC LIMIT ${MOST_SIGHTINGS}`,
      )
      .all({ key })
      .reverse();
  }

  #deliveriesOf(sightings: readonly ItemRow[]): ExplainedDelivery[] {
    const select = this.#db.prepare<[number, number], DeliveryRow>(
      `SELECT ${DELIVERY_COLUMNS} FROM ${DELIVERY_TABLES}
       WHERE d.webhook_id = ? AND (d.positions IS NULL OR EXISTS (SELECT 1 FROM json_each(d.positions) WHERE value = ?))
       ORDER BY d.id`,
    );
    const rows = sightings.flatMap(({ webhook_id, position }) => select.all(webhook_id, position));
    const unique = new Map(rows.map((row) => [row.id, row]));
    return [...unique.values()].map((row) => ({
      ...waitingView(row),
      log: JSON.parse(row.log) as Attempt[],
      ahead: row.status === 'pending' && row.blocked > 0 ? this.#frontOf(row.id) : null,
    }));
  }

  /** The delivery that has to be settled first: what is ahead of it in a lane, and so on, for a batch stands in several. */
  #frontOf(id: number): WaitingDelivery | null {
    const select = this.#db.prepare<[number], DeliveryRow>(
      `SELECT ${DELIVERY_COLUMNS} FROM ${DELIVERY_TABLES} WHERE d.id = ?`,
    );
    let row: DeliveryRow | undefined;
    for (let hops = 0; hops < MOST_HOPS && (row === undefined || row.blocked > 0); hops += 1) {
      const ahead = this.#aheadOf(row?.id ?? id);
      row = ahead === undefined ? undefined : select.get(ahead);
      if (!row) return null;
    }
    return row ? waitingView(row) : null;
  }

  /** What is first in a lane in which a delivery is not. */
  #aheadOf(id: number): number | undefined {
    const place = this.#db
      .prepare<[number], { target: number; chats: Buffer; seq: number }>(
        'SELECT target, chats, seq FROM deliveries WHERE id = ?',
      )
      .get(id);
    if (!place) return undefined;
    const first = this.#db.prepare<[number, Buffer, number], number>(
      'SELECT delivery_id FROM lanes WHERE target = ? AND chat = ? AND seq < ? ORDER BY seq LIMIT 1',
    );
    for (let at = 0; at < place.chats.length; at += KEY_BYTES) {
      const ahead = first.pluck().get(place.target, place.chats.subarray(at, at + KEY_BYTES), place.seq);
      if (ahead !== undefined) return ahead;
    }
    return undefined;
  }

  async deliveries(filter: DeliveryFilter, { limit, cursor }: PageRequest): Promise<Page<DeliveryView>> {
    const [before = BEYOND] = cursor === null ? [] : decodeCursor(cursor, 1);
    const rows: DeliveryRow[] = [];
    for (const each of this.#byTarget(filter)) rows.push(...(await this.#deliveriesBelow(before, each, limit + 1)));
    rows.sort((one, other) => other.id - one.id);
    return paged(rows, limit, deliveryView, (row) => encodeCursor(row.id));
  }

  /** Pending ones have an index by target: those of all are looked for target by target. A removed one has none. */
  #byTarget(filter: DeliveryFilter): readonly DeliveryFilter[] {
    if (filter.status !== 'pending' || filter.target !== undefined) return [filter];
    const ids = this.#db.prepare<[], string>('SELECT id FROM targets WHERE removed_at IS NULL').pluck().all();
    return ids.map((target) => ({ ...filter, target }));
  }

  /** The newest ones, slice by slice, for among millions there may be few that the filter names. */
  async #deliveriesBelow(end: number, filter: DeliveryFilter, most: number): Promise<DeliveryRow[]> {
    const rows: DeliveryRow[] = [];
    let before = end;
    for (;;) {
      const edge = this.#sliceBelow(before, filter);
      const from = edge ?? leastIdNamed(filter);
      rows.push(...this.#deliveriesBetween(from, before, filter, most - rows.length));
      if (edge === null || rows.length >= most) return rows;
      before = edge;
      await letOthersRun();
    }
  }

  /** Where a slice that ends below `before` begins; null where nothing is left behind it. */
  #sliceBelow(before: number, filter: DeliveryFilter): number | null {
    const { where, values } = allOf(deliveriesInReach(filter, leastIdNamed(filter), before));
    const select = this.#db.prepare<unknown[], number>(
      `SELECT d.id FROM deliveries d WHERE ${where} ORDER BY d.id DESC LIMIT 1 OFFSET ${ROWS_PER_SLICE - 1}`,
    );
    return select.pluck().get(...values) ?? null;
  }

  #deliveriesBetween(from: number, before: number, filter: DeliveryFilter, limit: number): DeliveryRow[] {
    const { where, values } = allOf([...deliveriesInReach(filter, from, before), ...deliveryConditions(filter)]);
    return this.#db
      .prepare<unknown[], DeliveryRow>(
        `SELECT ${DELIVERY_COLUMNS} FROM ${DELIVERY_TABLES} WHERE ${where} ORDER BY d.id DESC LIMIT ?`,
      )
      .all(...values, limit);
  }

  delivery(publicId: string): DeliveryDetail | null {
    const row = this.#db
      .prepare<[number | null], DeliveryRow & { body: Buffer }>(
        `SELECT ${DELIVERY_COLUMNS}, coalesce(d.body, w.body) AS body FROM ${DELIVERY_TABLES} WHERE d.id = ?`,
      )
      .get(parseDeliveryId(publicId));
    return row
      ? { ...deliveryView(row), body: row.body.toString('utf8'), log: JSON.parse(row.log) as Attempt[] }
      : null;
  }

  /** Without its body. */
  summary(number: number): DeliveryView | null {
    const row = this.#db
      .prepare<[number], DeliveryRow>(`SELECT ${DELIVERY_COLUMNS} FROM ${DELIVERY_TABLES} WHERE d.id = ?`)
      .get(number);
    return row ? deliveryView(row) : null;
  }

  lastForm(event: EventName, channels: readonly string[] | null): WebhookForm | null {
    const newest = this.#db.prepare<unknown[], Omit<WebhookForm, 'event'> & { event: string }>(
      `SELECT event, method, suffix
       FROM (SELECT id, channel, event, method, suffix FROM webhooks ORDER BY id DESC LIMIT ${NEWEST_WEBHOOKS})
       WHERE ? IS NULL OR channel IN (SELECT value FROM json_each(?)) ORDER BY event = ? DESC, id DESC LIMIT 1`,
    );
    const names = channels && JSON.stringify(channels);
    const row = newest.get(names, names, nameOf(event));
    return row ? { ...row, event: eventNamed(row.event) } : null;
  }

  recentEvents(): ReadonlyMap<string, readonly EventName[]> {
    const rows = this.#db
      .prepare<[], { channel: string; event: string }>(
        `SELECT DISTINCT channel, event FROM (SELECT channel, event FROM webhooks ORDER BY id DESC LIMIT ${RECENT_WEBHOOKS})`,
      )
      .all();
    const events = new Map<string, EventName[]>();
    for (const { channel, event } of rows) events.set(channel, [...(events.get(channel) ?? []), eventNamed(event)]);
    return events;
  }

  jobs({ limit, cursor }: PageRequest): Page<JobView> {
    const [before = BEYOND] = cursor === null ? [] : decodeCursor(cursor, 1);
    const rows = this.#db
      .prepare<unknown[], JobRow>('SELECT * FROM jobs WHERE number < ? ORDER BY number DESC LIMIT ?')
      .all(before, limit + 1);
    return paged(rows, limit, jobView, (row) => encodeCursor(row.number));
  }

  job(publicId: string): JobView | null {
    const row = this.#db
      .prepare<[number | null], JobRow>('SELECT * FROM jobs WHERE number = ?')
      .get(parseJobId(publicId));
    return row ? jobView(row) : null;
  }
}

function waitOf({ blocked, enabled, breaker }: DeliveryRow): DeliveryWait | null {
  if (blocked > 0) return 'earlier_delivery';
  if (enabled === 0) return 'target_enabled';
  return breaker === 'open' ? 'breaker' : null;
}

export function deliveryView(row: DeliveryRow): DeliveryView {
  return {
    id: deliveryId(row.id),
    status: row.status,
    target: row.target_id,
    channel: row.channel,
    event: row.event,
    verdicts: row.verdicts.split(',') as Verdict[],
    attempts: row.attempts,
    createdAt: row.created_at,
    nextAttemptAt: row.status === 'pending' && row.blocked === 0 ? row.due_at : null,
    waitsFor: row.status === 'pending' ? waitOf(row) : null,
    settledAt: row.settled_at,
    lastError: row.last_error,
    released: row.released === 1,
  };
}

function waitingView(row: DeliveryRow): WaitingDelivery {
  return { ...deliveryView(row), underWay: row.status === 'pending' && row.lease !== null };
}

function jobView(row: JobRow): JobView {
  return {
    ...({ kind: row.kind, filter: JSON.parse(row.filter) as unknown } as BulkWork),
    id: jobId(row.number),
    status: row.status,
    total: row.total,
    done: row.done,
    skipped: row.skipped,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
  };
}
