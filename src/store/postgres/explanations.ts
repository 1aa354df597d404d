import type { Attempt } from '../../model.js';
import type { AuditFinding } from '../audits.js';
import type { ExplainedDelivery, WaitingDelivery } from '../deliveries.js';
import type { Explanation } from '../items.js';
import { waitingViewOf } from '../rules/delivery-views.js';
import { messageKey } from '../rules/keys.js';
import type { LedgerFacts } from '../rules/ledger-facts.js';
import { RESYNC_MESSAGE_COLUMNS, resyncMessageView } from '../rules/resync-rows.js';
import type { ResyncMessageRow } from '../rules/resync-rows.js';
import type { Base } from './base.js';
import { DELIVERY_COLUMNS, DELIVERY_TABLES, storedDelivery } from './delivery-views.js';
import type { DeliveryRow } from './delivery-views.js';
import type { EvidenceViews } from './evidence.js';
import { Params } from './filters.js';
import type { HeldItems } from './held-items.js';
import { uuidOf } from './keys.js';
import { frontsOf } from './lane-order.js';
import { findClaim } from './message-claims.js';
import { sightingsOf } from './sightings.js';
import type { SightingRow } from './sightings.js';

/** The newest sightings of a message are shown: the votes of a poll share its id and can be many thousands. */
const MAX_SIGHTINGS = 500;

const RESYNCS = `SELECT ${RESYNC_MESSAGE_COLUMNS} FROM gateway.resync_messages m JOIN gateway.resyncs r ON r.number = m.resync
  WHERE m.key = $1 ORDER BY m.resync`;
const AUDITS = `SELECT a.id AS "auditId", m.found_at AS "foundAt", m.released_at AS "releasedAt"
  FROM gateway.audit_messages m JOIN gateway.audits a ON a.number = m.audit WHERE m.key = $1 ORDER BY m.audit`;
/** A split webhook has thousands of deliveries: only those that carry one of these items. */
const DELIVERIES = `WITH places AS MATERIALIZED (
    SELECT p.webhook_id, array_agg(p.position) AS positions
    FROM unnest($1::bigint[], $2::int[]) AS p(webhook_id, position) GROUP BY p.webhook_id
  )
  SELECT ${DELIVERY_COLUMNS}, d.log FROM ${DELIVERY_TABLES}
    JOIN places p ON p.webhook_id = d.webhook_id AND (d.positions IS NULL OR d.positions && p.positions)
  WHERE d.webhook_id = ANY($1::bigint[]) ORDER BY d.webhook_id, d.id`;
const AHEAD = `SELECT ${DELIVERY_COLUMNS} FROM ${DELIVERY_TABLES} WHERE d.id = ANY($1::bigint[])`;

export interface ExplanationParts {
  readonly held: HeldItems;
  readonly evidence: EvidenceViews;
}

/** Everything that happened to one message; reads only. */
export class Explanations {
  readonly #base: Base;
  readonly #held: HeldItems;
  readonly #evidence: EvidenceViews;

  constructor(base: Base, { held, evidence }: ExplanationParts) {
    this.#base = base;
    this.#held = held;
    this.#evidence = evidence;
  }

  /** Null: nothing is known of the id. */
  async explain(channel: string, messageId: string): Promise<Explanation | null> {
    const { db } = this.#base;
    const key = uuidOf(messageKey(channel, messageId));
    const [ledger, newest, resyncs, audits, claim] = await Promise.all([
      this.#evidence.ledger([key]).then((found) => found.get(key) ?? null),
      sightingsOf(db, { keys: [key], conditions: [], limit: MAX_SIGHTINGS }, new Params()),
      db.all<ResyncMessageRow>(RESYNCS, key),
      db.all<AuditFinding>(AUDITS, key),
      findClaim(db, key),
    ]);
    if (!ledger && !claim && [newest, resyncs, audits].every(({ length }) => length === 0)) return null;
    const rows = newest.reverse();
    const [sightings, deliveries, held] = await Promise.all([
      this.#evidence.messages(rows),
      this.#deliveriesOf(rows),
      resyncs.length === 0 ? 0 : this.#held.countForMessage(key),
    ]);
    return {
      ...{ channel, messageId, sightings, audits, deliveries },
      ledger: ledger && ledgerView(ledger),
      resyncs: resyncs.map((row) => resyncMessageView(row, held > 0)),
      claim,
    };
  }

  async #deliveriesOf(sightings: readonly SightingRow[]): Promise<ExplainedDelivery[]> {
    if (sightings.length === 0) return [];
    const { db } = this.#base;
    const rows = await db.all<DeliveryRow & { readonly log: string }>(
      DELIVERIES,
      sightings.map(({ webhook_id: id }) => id),
      sightings.map(({ position }) => position),
    );
    const waiting = rows.filter(({ blocked }) => blocked > 0);
    const fronts = await frontsOf(
      db,
      waiting.map(({ id }) => id),
    );
    const ahead = await this.#waiting([...new Set(fronts.values())]);
    return rows.map((row) => {
      const front = fronts.get(row.id) ?? null;
      return {
        ...waitingViewOf(storedDelivery(row), front),
        log: JSON.parse(row.log) as Attempt[],
        ahead: front === null ? null : (ahead.get(front) ?? null),
      };
    });
  }

  /** Deliveries at the front of their lanes, by id. */
  async #waiting(ids: readonly number[]): Promise<ReadonlyMap<number, WaitingDelivery>> {
    if (ids.length === 0) return new Map();
    const rows = await this.#base.db.all<DeliveryRow>(AHEAD, ids);
    return new Map(rows.map((row) => [row.id, waitingViewOf(storedDelivery(row), null)]));
  }
}

function ledgerView({ firstSeenAt, lastSeenAt, rule, seededAt }: LedgerFacts): Explanation['ledger'] {
  return { firstSeenAt, lastSeenAt, rule, seededAt };
}
