import type { Attempt } from '../../model.js';
import { inSlices } from '../../event-loop.js';
import { newestFirst } from '../rules/item-views.js';
import { messageKey } from '../rules/keys.js';
import type { Db } from './database.js';
import { DELIVERY_COLUMNS, DELIVERY_TABLES, waitingView } from './delivery-views.js';
import type { DeliveryRow } from './delivery-views.js';
import type { RememberedId, RememberedIds } from './remembered-ids.js';
import { yieldToCommits } from './slices.js';
import type { EvidenceViews } from './evidence.js';
import type { HeldItems } from './held-items.js';
import type { LaneOrder } from './lane-order.js';
import type { Leases } from './leases.js';
import type { MessageClaimTables } from './message-claims.js';
import { RESYNC_MESSAGE_COLUMNS, resyncMessageView } from '../rules/resync-rows.js';
import type { ResyncMessageRow } from '../rules/resync-rows.js';
import { FIRST_PLACE, INDEXED_BY_MESSAGE, IS_INDEXED_BY_MESSAGE, SIGHTING_COLUMNS } from './sightings.js';
import type { SightingRow } from './sightings.js';
import { WebhookDeliveries } from './webhook-deliveries.js';
import type { AuditFinding } from '../audits.js';
import type { ExplainedDelivery } from '../deliveries.js';
import type { Explanation } from '../items.js';

/** The newest sightings of a message are shown: the votes of a poll share its id and can be many thousands. */
const MAX_SIGHTINGS = 500;

/** Deliveries that one query reads at most. */
const DELIVERIES_PER_SLICE = 200;

export interface ExplanationParts {
  readonly held: HeldItems;
  readonly leases: Leases;
  readonly order: LaneOrder;
  readonly ids: RememberedIds;
  readonly evidence: EvidenceViews;
  readonly claims: Pick<MessageClaimTables, 'find'>;
}

/** Everything that happened to one message; reads only. */
export class Explanations {
  readonly #db: Db;
  readonly #held: HeldItems;
  readonly #evidence: EvidenceViews;
  readonly #leases: Leases;
  readonly #order: LaneOrder;
  readonly #ids: RememberedIds;
  readonly #claims: ExplanationParts['claims'];
  readonly #delivery;
  readonly #deliveries;

  constructor(db: Db, { held, leases, order, ids, evidence, claims }: ExplanationParts) {
    this.#claims = claims;
    this.#evidence = evidence;
    this.#db = db;
    this.#held = held;
    this.#leases = leases;
    this.#order = order;
    this.#ids = ids;
    this.#delivery = db.prepare<[number], DeliveryRow>(
      `SELECT ${DELIVERY_COLUMNS} FROM ${DELIVERY_TABLES} WHERE d.id = ?`,
    );
    this.#deliveries = new WebhookDeliveries<DeliveryRow>(db, DELIVERY_COLUMNS, DELIVERY_TABLES);
  }

  /** Null: nothing is known of the id. */
  async explain(channel: string, messageId: string): Promise<Explanation | null> {
    const key = messageKey(channel, messageId);
    const ledger = this.#ids.find(key);
    const sightings = this.#sightingsOf(key, ledger);
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
    const claim = this.#claims.find(key);
    if (!ledger && !claim && [sightings, resyncs, audits].every(({ length }) => length === 0)) return null;
    return {
      channel,
      messageId,
      ledger: ledger && ledgerView(ledger),
      sightings: sightings.map((row) => this.#evidence.message(row)),
      resyncs: resyncs.map((row) => resyncMessageView(row, isHeld)),
      audits,
      claim,
      deliveries: await this.#deliveriesOf(sightings),
    };
  }

  /** Oldest first. */
  #sightingsOf(key: Buffer, ledger: RememberedId | null): SightingRow[] {
    const newest = this.#db
      .prepare<[Buffer], SightingRow>(
        `SELECT ${SIGHTING_COLUMNS} FROM ${INDEXED_BY_MESSAGE} CROSS JOIN webhooks w ON w.id = s.webhook_id
         WHERE s.message_key = ? AND ${IS_INDEXED_BY_MESSAGE}
         ORDER BY s.webhook_id DESC, s.position DESC LIMIT ${MAX_SIGHTINGS}`,
      )
      .all(key);
    const first = this.#db
      .prepare<[number | null, number | null], SightingRow>(
        `SELECT ${SIGHTING_COLUMNS} FROM sightings s JOIN webhooks w ON w.id = s.webhook_id WHERE ${FIRST_PLACE}`,
      )
      .all(ledger?.webhookId ?? null, ledger?.position ?? null);
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
        for (const row of rows.filter((each) => carriesOneOf(each, ours))) found.push(await this.#explained(row));
        after = rows.length === DELIVERIES_PER_SLICE ? rows.at(-1)?.id : undefined;
        read += rows.length + 1;
        if (read < DELIVERIES_PER_SLICE) continue;
        read = 0;
        await yieldToCommits();
      }
    }
    return found;
  }

  async #explained(row: DeliveryRow): Promise<ExplainedDelivery> {
    const front = await inSlices(this.#order.frontOf(row));
    const ahead = front === null ? undefined : this.#delivery.get(front);
    return {
      ...waitingView(row, this.#leases, front),
      log: JSON.parse(row.log) as Attempt[],
      ahead: ahead ? waitingView(ahead, this.#leases, null) : null,
    };
  }
}

function ledgerView({ firstSeenAt, lastSeenAt, rule, seededAt }: RememberedId): Explanation['ledger'] {
  return { firstSeenAt, lastSeenAt, rule, seededAt };
}

function carriesOneOf({ positions }: { readonly positions: string | null }, ours: ReadonlySet<number>): boolean {
  return positions === null || (JSON.parse(positions) as number[]).some((position) => ours.has(position));
}
