import { Type } from 'typebox';
import type { Static } from 'typebox';
import { DELIVERY_STATUSES, DELIVERY_WAITS, SETTLED_STATUSES } from '../model.js';
import { ChannelName, EventFilter, range, Time, timeOrNull, VerdictSchema } from './fields.js';
import { oneOf, orNull, pageOf, pageQuery, ref } from './schema.js';

export const DeliveryStatusSchema = oneOf(DELIVERY_STATUSES, {
  description:
    '`dead`: gave up; `expired`: the message became too old for its target. Left out by the settings of the target, with ' +
    'its items held: `superseded`: a newer message of its chat waited; `answered`: its chat was answered before; ' +
    '`withheld`: it was backlog.',
});

export const attemptFields = {
  started_at: Time,
  duration_ms: Type.Integer(),
  status: orNull(Type.Integer({ description: "The target's HTTP status; null when no answer came." })),
  error: orNull(Type.String({ description: 'What went wrong; null after a success.' })),
  response: orNull(Type.String({ description: "The beginning of the target's answer after a failure." })),
};
export const AttemptSchema = Type.Object(attemptFields, {
  $id: 'Attempt',
  description: 'One attempt to send a delivery to its target.',
});
export type Attempt = Static<typeof AttemptSchema>;

/** What every delivery has, wherever it is shown. */
export const deliveryFields = {
  id: Type.String(),
  status: DeliveryStatusSchema,
  target: Type.String({ description: 'Id of the target.' }),
  channel: Type.String({ description: 'Name of the channel.' }),
  event: Type.String({ description: 'Such as `messages.post`.' }),
  verdicts: Type.Array(ref(VerdictSchema), { description: 'One per item that it carries.' }),
  attempts: Type.Integer({ description: 'Attempts so far.' }),
  created_at: Time,
  next_attempt_at: timeOrNull(),
  waits_for: orNull(
    oneOf(DELIVERY_WAITS, {
      description:
        'What a pending delivery waits for besides its time. `earlier_delivery`: one of the same chat and kind of event. ' +
        '`target_enabled`: its target is disabled. `breaker`: the circuit breaker of its target is not closed. ' +
        '`backlog_rate`: the pace of the backlog of its target.',
    }),
  ),
  settled_at: timeOrNull('When it ended.'),
  last_error: orNull(Type.String()),
  released: Type.Boolean({ description: 'Made by a manual release. It is sent however old its message is.' }),
  webhook: Type.String({ description: 'Id of the webhook that it was made from.' }),
  positions: Type.Array(Type.Integer(), { description: 'Positions of the items that it carries in its webhook.' }),
  bytes: Type.Integer({ description: 'Length of its body.' }),
  lanes: Type.Integer({ description: 'Chats and kinds of event in whose order it is sent.' }),
  waits_for_delivery: orNull(
    Type.String({ description: 'Of `earlier_delivery`: the delivery that has to be settled first.' }),
  ),
  expires_at: timeOrNull(
    'When a pending delivery becomes too old for its target (`max_age_seconds`); null: never, or settled.',
  ),
};
const log = Type.Array(ref(AttemptSchema), { description: 'The attempts, oldest first.' });

export const DeliverySchema = Type.Object(deliveryFields, {
  $id: 'Delivery',
  description: 'One request to one target.',
});
export type Delivery = Static<typeof DeliverySchema>;

export const DeliveryPageSchema = pageOf(DeliverySchema);

export const DeliveryDetailSchema = Type.Object(
  { ...deliveryFields, log, body: Type.String({ description: 'The body that the target receives.' }) },
  { $id: 'DeliveryDetail', description: 'A delivery with its body and its attempts.' },
);
export type DeliveryDetail = Static<typeof DeliveryDetailSchema>;

export const ExplainedDeliverySchema = Type.Object(
  {
    ...deliveryFields,
    log,
    waiting: orNull(Type.String({ description: 'Why it waits, in words; null once it is settled.' })),
  },
  { $id: 'ExplainedDelivery', description: 'A delivery with its attempts and the reason why it waits.' },
);
export type ExplainedDelivery = Static<typeof ExplainedDeliverySchema>;

const filters = {
  target: Type.Optional(Type.String({ description: 'Id of a target.' })),
  channel: Type.Optional(ChannelName),
  event: Type.Optional(EventFilter),
  ...range,
};
export const DeliveryQuery = pageQuery({ status: Type.Optional(DeliveryStatusSchema), ...filters });

/** How bulk work is asked for, besides its filter. */
export const bulkOptions = {
  dry_run: Type.Optional(Type.Boolean({ description: 'Count what would be sent, and send nothing.' })),
  expected_count: Type.Optional(
    Type.Integer({
      minimum: 0,
      description: 'The request fails with 409 when the filter finds over a tenth more than this.',
    }),
  ),
};

export const RetryRequestSchema = Type.Object(
  { status: oneOf(SETTLED_STATUSES), ...filters, ...bulkOptions },
  { $id: 'RetryRequest', additionalProperties: false, description: 'Which settled deliveries to send again.' },
);
export type RetryRequest = Static<typeof RetryRequestSchema>;
