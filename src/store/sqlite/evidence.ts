import { RULE } from '../../intake/judge.js';
import { encodeNumber, itemId } from '../rules/ids.js';
import { leastId } from './numbering.js';
import type { ItemPlace } from '../rules/ids.js';
import { REPEATED_BYTES } from '../rules/kept-evidence.js';
import { messageKey } from '../rules/keys.js';
import type { LedgerFacts } from '../rules/ledger-facts.js';
import type { Db } from './database.js';

import type { RememberedIds } from './remembered-ids.js';
import { INDEXED_BY_MESSAGE, IS_INDEXED_BY_MESSAGE, itemView } from './sightings.js';
import type { SightingRow } from './sightings.js';
import type {
  EarlierItem,
  Evidence,
  ItemDetail,
  LateEvidence,
  MessageView,
  Registration,
  ReplayEvidence,
} from '../items.js';

interface EvidenceRow {
  recorded_at: number | null;
  newest_sent_at: number | null;
  newest_received_at: number | null;
  sent_at: number | null;
  late_after_seconds: number | null;
  same_as: string | null;
  replay_began_at: number | null;
  replay_after_seconds: number | null;
}

interface RegistrationRow {
  resync: string;
  registered_at: number;
  deliver_unseen: number;
  asked_at: number | null;
  closes_at: number | null;
}

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
    // `closes_at` belongs to the last call: a window that a later call reopened counts as one window.
    this.#registrations = db.prepare<{ key: Buffer | null; at: number }, RegistrationRow>(
      `SELECT r.id AS resync, r.created_at AS registered_at, r.deliver_unseen, m.asked_at, m.closes_at
       FROM resync_messages m JOIN resyncs r ON r.number = m.resync
       WHERE m.key = @key AND r.created_at <= @at AND (m.closes_at IS NULL OR m.closes_at > @at) ORDER BY m.resync`,
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
    const first = row.message_key && this.#ids.find(row.message_key);
    const kept = isKept(row.rule) ? this.#kept.get(row.webhook_id, row.position) : undefined;
    const registrations = row.verdict === 'restored' ? this.#registrationsOf(row, kept?.same_as ?? null) : [];
    return {
      registrations,
      resyncIds: registrations.map(({ resyncId }) => resyncId),
      firstSeenAt: first?.firstSeenAt ?? null,
      firstWebhookId: isNumber(first?.webhookId) ? encodeNumber(first.webhookId) : null,
      firstItemId: placeOf(first),
      seededAt: first?.seededAt ?? null,
      earlier: this.#earlier(row, kept, first),
      late: lateOf(kept),
      sameAs: kept?.same_as ?? null,
      replay: replayOf(kept),
    };
  }

  #registrationsOf({ message_key, channel, received_at: at }: SightingRow, sameAs: string | null): Registration[] {
    const key = sameAs === null ? message_key : messageKey(channel, sameAs);
    return this.#registrations.all({ key, at }).map((each) => ({
      resyncId: each.resync,
      registeredAt: each.registered_at,
      deliverUnseen: each.deliver_unseen === 1,
      askedAt: each.asked_at !== null && each.asked_at <= at ? each.asked_at : null,
      windowClosesAt: each.closes_at,
    }));
  }

  #earlier(row: SightingRow, kept: EvidenceRow | undefined, first: LedgerFacts | null): EarlierItem | null {
    if (isNumber(kept?.recorded_at)) return this.#recordedAt(kept.recorded_at, row);
    if (!REPEATED_BYTES.has(row.rule) || !isNumber(first?.firstSeenAt)) return null;
    const webhookId = isNumber(first.webhookId) ? encodeNumber(first.webhookId) : null;
    return { recordedAt: first.firstSeenAt, webhookId, itemId: placeOf(first) };
  }

  /** Ids grow with time, so an id range finds what was recorded in one millisecond. */
  #recordedAt(recordedAt: number, { message_key: key, channel, event }: SightingRow): EarlierItem {
    const [from, to] = [leastId(recordedAt), leastId(recordedAt + 1)];
    const place = key ? this.#itemSince.get(key, from, to) : undefined;
    const webhook = place?.webhookId ?? this.#webhookSince.get(from, to, channel, event);
    return {
      recordedAt,
      webhookId: webhook === undefined ? null : encodeNumber(webhook),
      itemId: place ? itemId(place) : null,
    };
  }
}

function isKept(rule: number): boolean {
  return (
    rule === RULE.late ||
    rule === RULE.anotherId ||
    rule === RULE.replayed ||
    rule === RULE.repeatedEvent ||
    REPEATED_BYTES.has(rule)
  );
}

function isNumber(value: number | null | undefined): value is number {
  return typeof value === 'number';
}

function placeOf(first: LedgerFacts | null): string | null {
  if (!isNumber(first?.webhookId) || !isNumber(first.position)) return null;
  return itemId({ webhookId: first.webhookId, position: first.position });
}

function lateOf(kept: EvidenceRow | undefined): LateEvidence | null {
  if (!isNumber(kept?.newest_sent_at) || !isNumber(kept.newest_received_at)) return null;
  return {
    sentAt: kept.sent_at,
    newestSentAt: kept.newest_sent_at,
    newestReceivedAt: kept.newest_received_at,
    lateAfterSeconds: kept.late_after_seconds ?? 0,
  };
}

function replayOf(kept: EvidenceRow | undefined): ReplayEvidence | null {
  if (!isNumber(kept?.replay_began_at)) return null;
  return { sentAt: kept.sent_at, beganAt: kept.replay_began_at, replayAfterSeconds: kept.replay_after_seconds ?? 0 };
}
