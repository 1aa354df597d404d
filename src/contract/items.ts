import { Type } from 'typebox';
import type { Static } from 'typebox';
import { VERDICTS } from '../model.js';
import { bulkOptions, DeliverySchema } from './deliveries.js';
import { ChannelName, EventFilter, range, Time, time, timeOrNull, VerdictFilter, VerdictSchema } from './fields.js';
import { oneOf, orNull, pageOf, pageQuery, ref } from './schema.js';

/** What every item has, wherever it is shown. Its message id is added: that may be null or not. */
export const itemFields = {
  id: Type.String({ description: 'Id of the item: `itm_…`.' }),
  channel: Type.String({ description: 'Name of the channel.' }),
  event: Type.String({ description: 'Such as `messages.post`.' }),
  verdict: ref(VerdictSchema),
  rule: Type.Integer({ description: 'Row of the decision table that gave the verdict.' }),
  reason: Type.String({ description: 'That row in words.' }),
  held: Type.Boolean({ description: 'A target that subscribes to it did not get it because of its verdict.' }),
  seen_at: Time,
  audit: orNull(Type.String({ description: 'The audit whose release brought it; null: a webhook from Whapi.' })),
};

/** The items of a repetition, a late message and a restored one rest on different things; the others are null. */
export const EvidenceSchema = Type.Object(
  {
    resyncs: Type.Array(Type.String(), {
      description: 'Of a restored item: the resyncs that registered its id, or `same_as`.',
    }),
    registrations: Type.Array(
      Type.Object({
        resync: Type.String(),
        registered_at: Time,
        deliver_unseen: Type.Boolean({ description: 'Targets get it if no webhook ever carried it.' }),
        asked_at: timeOrNull('The last call to Whapi for it by then.'),
        window_closes_at: timeOrNull('Until when its id counts as coming back.'),
      }),
      { description: 'Of a restored item: the registrations of its id whose windows were open.' },
    ),
    first_seen_at: timeOrNull('When a webhook first carried its message id.'),
    first_webhook: orNull(Type.String({ description: 'Id of that webhook, which may have been pruned.' })),
    first_item: orNull(Type.String({ description: 'Id of that item: the first sighting.' })),
    seeded_at: timeOrNull('When a seeding added its message id to the ledger.'),
    same_as: orNull(
      Type.String({ description: 'Of a message that was restored under another id: the registered id (rule 18).' }),
    ),
    earlier: orNull(
      Type.Object(
        {
          recorded_at: Time,
          webhook: orNull(Type.String()),
          item: orNull(Type.String()),
        },
        { description: 'Of a repetition: the item with the same bytes that was recorded before.' },
      ),
    ),
    late: orNull(
      Type.Object(
        {
          sent_at: timeOrNull('When the message was sent.'),
          newest_sent_at: timeOrNull('When the newest message of its chat was sent.'),
          newest_received_at: time('When that one was received.'),
          late_after_seconds: Type.Integer({ description: "The channel's setting at that time." }),
        },
        { description: 'Of a `late` message: the newest message of its chat at that time.' },
      ),
    ),
    replay: orNull(
      Type.Object(
        {
          sent_at: timeOrNull('When the message was sent.'),
          began_at: time('When the first message of the replay came.'),
          replay_after_seconds: Type.Integer({ description: "The channel's setting at that time." }),
        },
        { description: 'Of a message that is held as part of a replay (rule 19).' },
      ),
    ),
  },
  { $id: 'Evidence', description: 'What a verdict rests on, as far as the store still knows.' },
);
export type Evidence = Static<typeof EvidenceSchema>;

/** Where an item stands. */
export const itemPlaceFields = {
  webhook: Type.String({ description: 'Id of the webhook that carried it.' }),
  position: Type.Integer({ description: 'Index among the items of its webhook, from 0.' }),
  carrier: Type.String({ description: 'The array that holds it; empty: the body as a whole is the item.' }),
};

const messageId = orNull(Type.String({ description: 'The message that it is about; null: none.' }));

export const ItemSchema = Type.Object(
  {
    ...itemFields,
    ...itemPlaceFields,
    message_id: messageId,
    evidence: ref(EvidenceSchema),
  },
  { $id: 'Item', description: 'One element of a webhook, with its verdict.' },
);
export type Item = Static<typeof ItemSchema>;

export const ItemPageSchema = pageOf(ItemSchema);

/** What lists and releases of items and of messages can be narrowed to. */
export const itemFilters = {
  channel: Type.Optional(ChannelName),
  event: Type.Optional(EventFilter),
  ...range,
  resync: Type.Optional(Type.String({ description: 'Only items whose message id this resync asked for.' })),
  message_id: Type.Optional(Type.String({ description: 'Only items with this message id.' })),
  rule: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1000, description: 'Only items that this row of the decision table judged.' }),
  ),
};
export const heldFilter = Type.Boolean({ description: 'Only items that are held (`true`) or not held (`false`).' });
export const ItemQuery = pageQuery({
  ...itemFilters,
  verdict: Type.Optional(VerdictFilter),
  held: Type.Optional(heldFilter),
});

/** So that a list's filter can be sent as it is. */
export const heldOnly = Type.Literal(true, { description: 'Implied: only held items are released.' });

export const releaseTargets = Type.Array(Type.String(), {
  minItems: 1,
  maxItems: 1000,
  description: 'Ids of targets. Default: every target that subscribes to the item.',
});
export const releasedVerdict = oneOf(VERDICTS, {
  description: 'Default: every verdict but `duplicate`, which the targets most likely received already.',
});

export const ReleaseRequestSchema = Type.Object(
  { targets: Type.Optional(releaseTargets) },
  { $id: 'ReleaseRequest', additionalProperties: false, description: 'Where to send a held item.' },
);
export type ReleaseRequest = Static<typeof ReleaseRequestSchema>;

export const ReleaseSchema = Type.Object(
  { deliveries: Type.Array(Type.String(), { description: 'Ids of the deliveries that were made.' }) },
  { $id: 'Release', description: 'The deliveries that a release made.' },
);
export type Release = Static<typeof ReleaseSchema>;

export const ItemReleaseRequestSchema = Type.Object(
  {
    ...itemFilters,
    verdict: Type.Optional(releasedVerdict),
    held: Type.Optional(heldOnly),
    targets: Type.Optional(releaseTargets),
    ...bulkOptions,
  },
  { $id: 'ItemReleaseRequest', additionalProperties: false, description: 'Which held items to send.' },
);
export type ItemReleaseRequest = Static<typeof ItemReleaseRequestSchema>;

const webhookFields = {
  id: Type.String(),
  channel: Type.String({ description: 'Name of the channel.' }),
  method: Type.String({ description: 'HTTP method that Whapi used.' }),
  suffix: Type.String({ description: "What followed the channel's URL." }),
  content_type: orNull(Type.String()),
  event: Type.String({ description: 'Such as `messages.post`.' }),
  received_at: Time,
  audit: orNull(Type.String({ description: 'The audit whose release made it; null: it came from Whapi.' })),
};

export const WebhookSummarySchema = Type.Object(
  {
    ...webhookFields,
    bytes: Type.Integer({ description: 'Length of its body.' }),
    items: Type.Integer({ description: 'How many items it has.' }),
    held: Type.Integer({ description: 'How many of them are held.' }),
    verdicts: Type.Record(Type.String(), Type.Integer(), { description: 'Its items by verdict.' }),
  },
  { $id: 'WebhookSummary', description: 'A webhook without its content.' },
);
export type WebhookSummary = Static<typeof WebhookSummarySchema>;

export const WebhookSummaryPageSchema = pageOf(WebhookSummarySchema);

export const WebhookQuery = pageQuery({
  channel: Type.Optional(ChannelName),
  event: Type.Optional(EventFilter),
  ...range,
});

export const WebhookSchema = Type.Object(
  {
    ...webhookFields,
    body: Type.String({ description: 'The body as received.' }),
    items: Type.Array(
      Type.Object({
        ...itemFields,
        ...itemPlaceFields,
        message_id: messageId,
        evidence: ref(EvidenceSchema),
        start: orNull(Type.Integer({ description: 'Offset of its first byte in the body (UTF-8).' })),
        end: orNull(Type.Integer({ description: 'Offset of the byte after its last.' })),
      }),
    ),
    deliveries: Type.Array(ref(DeliverySchema), { description: 'What targets were sent of it, releases included.' }),
  },
  { $id: 'Webhook', description: 'A webhook as received, its items, and the parts that each target was sent.' },
);
export type Webhook = Static<typeof WebhookSchema>;
