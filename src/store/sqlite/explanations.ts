import type { Attempt } from '../../model.js';
import { keysIn, messageKey } from '../rules/keys.js';
import type { Db } from './database.js';
import { DELIVERY_COLUMNS, DELIVERY_TABLES, waitingView } from './delivery-views.js';
import type { DeliveryRow } from './delivery-views.js';
import { yieldToCommits } from './slices.js';
import type { HeldItems } from './held-items.js';
import type { DeliveryMemory } from './delivery-memory.js';
import { RESYNC_MESSAGE_COLUMNS, resyncMessageView } from './resync-views.js';
import type { ResyncMessageRow } from './resync-views.js';
import {
  INDEXED_BY_MESSAGE,
  IS_INDEXED_BY_MESSAGE,
  JOIN_FIRST_OF_LEDGER,
  messageView,
  SIGHTING_COLUMNS,
} from './sightings.js';
import type { SightingRow } from './sightings.js';
import { WebhookDeliveries } from './webhook-deliveries.js';
import type { AuditFinding } from '../audits.js';
import type { ExplainedDelivery, WaitingDelivery } from '../deliveries.js';
import type { Explanation } from '../items.js';

/** Steps from a delivery to the one at the front; each leads to an earlier delivery. */
const MAX_HOPS = 10;
/** The newest sightings of a message are shown: the votes of a poll share its id and can be many thousands. */
const MAX_SIGHTINGS = 500;

/** Deliveries that one query reads at most. */
const DELIVERIES_PER_SLICE = 200;

/** Everything that happened to one message; reads only. */
export class Explanations {
  readonly #db: Db;
  readonly #held: HeldItems;
  readonly #deliveries;
  readonly #memory: DeliveryMemory;

  constructor(db: Db, held: HeldItems, memory: DeliveryMemory) {
    this.#db = db;
    this.#held = held;
    this.#deliveries = new WebhookDeliveries<DeliveryRow & { positions: string | null }>(
      db,
      `${DELIVERY_COLUMNS}, d.positions`,
      DELIVERY_TABLES,
    );
    this.#memory = memory;
  }

  /** Null: nothing is known of the id. */
  async explain(channel: string, messageId: string): Promise<Explanation | null> {
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
    const isHeld = resyncs.length > 0 && this.#held.countForMessage(key) > 0;
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
      deliveries: await this.#deliveriesOf(sightings),
    };
  }

  /** Oldest first. */
  #sightingsOf(key: Buffer): SightingRow[] {
    const newest = this.#db
      .prepare<[Buffer], SightingRow>(
        `SELECT ${SIGHTING_COLUMNS} FROM ${INDEXED_BY_MESSAGE} CROSS JOIN webhooks w ON w.id = s.webhook_id
         WHERE s.message_key = ? AND ${IS_INDEXED_BY_MESSAGE}
         ORDER BY s.webhook_id DESC, s.position DESC LIMIT ${MAX_SIGHTINGS}`,
      )
      .all(key);
    const first = this.#db
      .prepare<[Buffer], SightingRow>(
        `SELECT ${SIGHTING_COLUMNS} FROM ledger l ${JOIN_FIRST_OF_LEDGER} JOIN webhooks w ON w.id = s.webhook_id WHERE l.key = ?`,
      )
      .all(key);
    return [...newest, ...first].sort(newestFirst).slice(0, MAX_SIGHTINGS).reverse();
  }

  /** Reads the deliveries of each webhook once and in slices: a split webhook has thousands. */
  async #deliveriesOf(sightings: readonly SightingRow[]): Promise<ExplainedDelivery[]> {
    const positions = new Map<number, Set<number>>();
    for (const { webhook_id: id, position } of sightings) {
      positions.set(id, (positions.get(id) ?? new Set()).add(position));
    }
    const found: ExplainedDelivery[] = [];
    let read = 0;
    for (const [webhook, ours] of positions) {
      for (let after: number | undefined = 0; after !== undefined;) {
        const rows = this.#deliveries.after(webhook, after, DELIVERIES_PER_SLICE);
        found.push(...rows.filter((row) => carriesOneOf(row, ours)).map((row) => this.#explained(row)));
        after = rows.length === DELIVERIES_PER_SLICE ? rows.at(-1)?.id : undefined;
        read += rows.length + 1;
        if (read < DELIVERIES_PER_SLICE) continue;
        read = 0;
        await yieldToCommits();
      }
    }
    return found;
  }

  #explained(row: DeliveryRow): ExplainedDelivery {
    return {
      ...waitingView(row, this.#memory.leases),
      log: JSON.parse(row.log) as Attempt[],
      ahead: row.status === 'pending' && row.blocked > 0 ? this.#frontOf(row.id) : null,
    };
  }

  /** The delivery that must be settled first: follows what is ahead of it, because a batch stands in several lanes (I6). */
  #frontOf(id: number): WaitingDelivery | null {
    const select = this.#db.prepare<[number], DeliveryRow>(
      `SELECT ${DELIVERY_COLUMNS} FROM ${DELIVERY_TABLES} WHERE d.id = ?`,
    );
    let row: DeliveryRow | undefined;
    for (let hops = 0; hops < MAX_HOPS && (row === undefined || row.blocked > 0); hops += 1) {
      const ahead = this.#aheadOf(row?.id ?? id);
      row = ahead === undefined ? undefined : select.get(ahead);
      if (!row) return null;
    }
    return row ? waitingView(row, this.#memory.leases) : null;
  }

  /** The delivery at the front of a lane in which this one waits. */
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
    for (const lane of keysIn(place.chats)) {
      const holder = this.#memory.lanes.holderOf(place.target, lane);
      const ahead = holder ?? first.pluck().get(place.target, lane, place.seq);
      if (ahead !== undefined) return ahead;
    }
    return undefined;
  }
}

function newestFirst(one: SightingRow, other: SightingRow): number {
  return other.webhook_id - one.webhook_id || other.position - one.position;
}

function carriesOneOf({ positions }: { readonly positions: string | null }, ours: ReadonlySet<number>): boolean {
  return positions === null || (JSON.parse(positions) as number[]).some((position) => ours.has(position));
}
