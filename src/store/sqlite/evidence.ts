import { evidenceOf, mayBeKept, wasOpenAt } from '../rules/evidence-views.js';
import type { EvidenceRow, RegistrationRow } from '../rules/evidence-views.js';
import { leastId } from './numbering.js';
import type { ItemPlace } from '../rules/ids.js';
import { itemView } from '../rules/item-views.js';
import { messageKey } from '../rules/keys.js';
import type { Db } from './database.js';
import type { RememberedIds } from './remembered-ids.js';
import { INDEXED_BY_MESSAGE, IS_INDEXED_BY_MESSAGE } from './sightings.js';
import type { SightingRow } from './sightings.js';
import type { Evidence, ItemDetail, MessageView } from '../items.js';

/** Items with the evidence for their verdicts, as far as it is still stored; reads only. */
export class EvidenceViews {
  readonly #kept;
  readonly #registrations;
  readonly #ids: Pick<RememberedIds, 'find'>;
  readonly #itemSince;
  readonly #webhookSince;

  /** @param judged where the evidence of the items is kept, if they are only in a trial */
  constructor(db: Db, ids: Pick<RememberedIds, 'find'>, judged = db) {
    this.#ids = ids;
    this.#kept = judged.prepare<[number, number], EvidenceRow>(
      `SELECT recorded_at, newest_sent_at, newest_received_at, sent_at, late_after_seconds, same_as, replay_began_at,
         replay_after_seconds FROM evidence
       WHERE webhook_id = ? AND position = ?`,
    );
    this.#registrations = db.prepare<[Buffer | null], RegistrationRow>(
      `SELECT r.id AS resync, r.created_at AS registered_at, r.deliver_unseen, m.asked_at, m.closes_at
       FROM resync_messages m JOIN resyncs r ON r.number = m.resync WHERE m.key = ? ORDER BY m.resync`,
    );
    this.#itemSince = db.prepare<[Buffer, number, number], ItemPlace>(
      `SELECT s.webhook_id AS webhookId, s.position FROM ${INDEXED_BY_MESSAGE}
       WHERE s.message_key = ? AND ${IS_INDEXED_BY_MESSAGE} AND s.webhook_id >= ? AND s.webhook_id < ?
       ORDER BY s.webhook_id, s.position LIMIT 1`,
    );
    this.#webhookSince = db
      .prepare<[number, number, string, string], number>(
        'SELECT id FROM webhooks WHERE id >= ? AND id < ? AND channel = ? AND event = ? ORDER BY id LIMIT 1',
      )
      .pluck();
  }

  message(row: SightingRow): MessageView {
    return { ...this.item(row), messageId: row.message_id ?? '' };
  }

  item(row: SightingRow): ItemDetail {
    return { ...itemView(row), ...this.#of(row) };
  }

  #of(row: SightingRow): Evidence {
    const kept = mayBeKept(row.rule) ? this.#kept.get(row.webhook_id, row.position) : undefined;
    return evidenceOf(row, {
      first: row.message_key && this.#ids.find(row.message_key),
      kept,
      registrations: row.verdict === 'restored' ? this.#registrationsOf(row, kept?.same_as ?? null) : [],
      recordedThen: kept?.recorded_at == null ? undefined : this.#recordedThen(kept.recorded_at, row),
    });
  }

  #registrationsOf({ message_key, channel, received_at: at }: SightingRow, sameAs: string | null): RegistrationRow[] {
    const key = sameAs === null ? message_key : messageKey(channel, sameAs);
    return this.#registrations.all(key).filter((each) => wasOpenAt(each, at));
  }

  /** Ids grow with time, so an id range finds what was recorded in one millisecond. */
  #recordedThen(time: number, { message_key: key, channel, event }: SightingRow) {
    const [from, to] = [leastId(time), leastId(time + 1)];
    const place = key ? this.#itemSince.get(key, from, to) : undefined;
    if (place) return place;
    const webhookId = this.#webhookSince.get(from, to, channel, event);
    return webhookId === undefined ? undefined : { webhookId, position: null };
  }
}
