import type { Item } from '../contract/items.js';
import { reasonOf } from '../intake/judge.js';
import { iso, isoOrNull } from './schemas.js';
import type { ItemDetail, ItemView } from '../store/items.js';

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
    evidence: {
      resyncs: [...view.resyncIds],
      first_seen_at: isoOrNull(view.firstSeenAt),
      first_webhook: view.firstWebhookId,
    },
  };
}
