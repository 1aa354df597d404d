import type { Evidence, Item } from '../contract/items.js';
import { SECOND_MS } from '../durations.js';
import { reasonOf } from '../intake/judge.js';
import { iso, isoOrNull } from './schemas.js';
import type { Evidence as EvidenceView, ItemDetail, ItemView } from '../store/items.js';

const FOUND_BY_AUDIT = 'no webhook ever carried it: an audit found it at Whapi, and it was released';

export function itemFieldsJson(view: ItemView) {
  return {
    id: view.id,
    channel: view.channel,
    event: view.event,
    verdict: view.verdict,
    rule: view.rule,
    reason: view.auditId !== null && view.verdict === 'late' ? FOUND_BY_AUDIT : reasonOf(view.rule),
    held: view.held,
    seen_at: iso(view.seenAt),
    audit: view.auditId,
  };
}

export function itemPlaceJson({ webhookId, position, carrier }: ItemView) {
  return { webhook: webhookId, position, carrier };
}

export function itemJson(view: ItemDetail): Item {
  return {
    ...itemFieldsJson(view),
    ...itemPlaceJson(view),
    message_id: view.messageId,
    evidence: evidenceJson(view),
  };
}

export function evidenceJson(evidence: EvidenceView): Evidence {
  const { earlier, late, replay } = evidence;
  return {
    resyncs: [...evidence.resyncIds],
    registrations: evidence.registrations.map(({ resyncId, registeredAt, deliverUnseen, askedAt, windowClosesAt }) => ({
      resync: resyncId,
      registered_at: iso(registeredAt),
      deliver_unseen: deliverUnseen,
      asked_at: isoOrNull(askedAt),
      window_closes_at: isoOrNull(windowClosesAt),
    })),
    first_seen_at: isoOrNull(evidence.firstSeenAt),
    first_webhook: evidence.firstWebhookId,
    first_item: evidence.firstItemId,
    seeded_at: isoOrNull(evidence.seededAt),
    same_as: evidence.sameAs,
    earlier: earlier && {
      recorded_at: iso(earlier.recordedAt),
      webhook: earlier.webhookId,
      item: earlier.itemId,
    },
    late: late && {
      sent_at: secondsJson(late.sentAt),
      newest_sent_at: secondsJson(late.newestSentAt),
      newest_received_at: iso(late.newestReceivedAt),
      late_after_seconds: late.lateAfterSeconds,
    },
    replay: replay && {
      sent_at: secondsJson(replay.sentAt),
      began_at: iso(replay.beganAt),
      replay_after_seconds: replay.replayAfterSeconds,
    },
  };
}

/** A time that a message states about itself, in Unix seconds; null where no calendar has it. */
export function secondsJson(seconds: number | null): string | null {
  return seconds === null || Math.abs(seconds * SECOND_MS) > LATEST_DATE_MS ? null : iso(seconds * SECOND_MS);
}

/** The greatest time that a `Date` can hold. */
const LATEST_DATE_MS = 8.64e15;
