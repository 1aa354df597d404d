import { Type } from 'typebox';
import { reasonOf } from '../intake/judge.js';
import type { Verdict } from '../model.js';
import { iso, isoOrNull, orNull, Time, VerdictSchema } from './schemas.js';
import type { Json } from './schemas.js';
import type { ItemDetail, ItemView } from '../store/items.js';

/** What every item has, wherever it is shown; its message id is added, for that may be null or not. */
export const itemFields = {
  id: Type.String({ description: 'Of the item: itm_…' }),
  channel: Type.String(),
  event: Type.String(),
  verdict: VerdictSchema,
  rule: Type.Integer({ description: 'Row of the decision table' }),
  reason: Type.String({ description: 'What that row says' }),
  held: Type.Boolean({ description: 'A target that subscribes to it was not sent it because of its verdict' }),
  seen_at: Time,
  audit: orNull(Type.String({ description: 'The audit whose release brought it; null: a webhook from Whapi' })),
};

/** Where an item stands. */
export const itemPlaceFields = {
  webhook: Type.String({ description: 'The webhook that carried it: GET /v1/webhooks/{id}' }),
  position: Type.Integer({ description: 'Among the items of its webhook, from 0' }),
  carrier: Type.String({ description: 'The array that it stands in; empty: the body as a whole is the item' }),
};

export const ItemMessageId = orNull(
  Type.String({ description: 'The message id that it is judged by, or that it names; null: none' }),
);

export const ItemSchema = Type.Object({
  ...itemFields,
  ...itemPlaceFields,
  message_id: ItemMessageId,
  evidence: Type.Object(
    {
      resyncs: Type.Array(Type.String(), { description: 'Of a restored item: the resyncs that had registered its id' }),
      first_seen_at: orNull(Type.String({ description: 'ISO 8601: when a webhook first carried its message id' })),
      first_webhook: orNull(Type.String({ description: 'That webhook; it may have been pruned' })),
    },
    { description: 'What the verdict rests on, as far as the store still knows' },
  ),
});

export const ReleaseTargets = Type.Array(Type.String(), { minItems: 1, maxItems: 1000 });
export const ReleaseOne = orNull(
  Type.Object({ targets: Type.Optional(ReleaseTargets) }, { additionalProperties: false }),
);
export const Released = Type.Object({ deliveries: Type.Array(Type.String()) });
export const ReleasedVerdict = Type.Unsafe<Verdict>({
  ...VerdictSchema,
  description: 'Left out: all but `duplicate`, which the targets most likely received already',
});

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

export function itemJson(view: ItemDetail): Json<typeof ItemSchema> {
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
