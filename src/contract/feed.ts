import { Type } from 'typebox';
import type { Static } from 'typebox';
import { BREAKER_STATES, DELIVERY_STATUSES } from '../model.js';
import { ChannelName, Time, timeOrNull, VerdictFilter, VerdictSchema } from './fields.js';
import { oneOf, orNull, ref } from './schema.js';

/** The data of the feed's events, by kind. The feed is text: these schemas are for those who read it. */

export const FeedWebhookSchema = Type.Object(
  {
    id: Type.String({ description: 'As in `GET /v1/webhooks/{id}`. Its items are `itm_<id>_<position>`.' }),
    at: Time,
    channel: Type.String(),
    event: Type.String({ description: 'Such as `messages.post`.' }),
    deliveries: Type.Integer({ description: 'How many deliveries it made.' }),
    items: Type.Array(
      Type.Object({
        position: Type.Integer(),
        verdict: ref(VerdictSchema),
        rule: Type.Integer({ description: 'The row of the decision table that gave the verdict.' }),
        held: Type.Boolean({ description: 'Some target was not sent it because of its verdict.' }),
      }),
      { description: 'The first 50 items.' },
    ),
    total: Type.Integer({ description: 'How many items there are.' }),
  },
  { $id: 'FeedWebhook', description: '`event: webhook`: a webhook was recorded.' },
);
export type FeedWebhook = Static<typeof FeedWebhookSchema>;

export const FeedDeliverySchema = Type.Object(
  {
    id: Type.String(),
    at: Time,
    target: Type.String(),
    channel: Type.String(),
    event: Type.String(),
    verdicts: Type.Array(ref(VerdictSchema), { description: 'Of the first 50 items.' }),
    status: oneOf(DELIVERY_STATUSES, { description: '`pending`: the attempt failed, and there will be another.' }),
    attempts: Type.Integer({ description: 'Attempts of its schedule so far.' }),
    http_status: orNull(Type.Integer({ description: "The target's HTTP status; null when no answer came." })),
    duration_ms: orNull(Type.Integer()),
    next_attempt_at: timeOrNull(),
  },
  { $id: 'FeedDelivery', description: '`event: delivery`: an attempt ended, or the delivery ended without one.' },
);
export type FeedDelivery = Static<typeof FeedDeliverySchema>;

export const FeedBreakerSchema = Type.Object(
  {
    at: Time,
    target: Type.String(),
    state: oneOf(BREAKER_STATES),
    consecutive_failures: Type.Integer(),
    next_probe_at: timeOrNull(),
  },
  { $id: 'FeedBreaker', description: '`event: breaker`: the circuit breaker of a target opened or closed.' },
);
export type FeedBreaker = Static<typeof FeedBreakerSchema>;

export const FeedSkippedSchema = Type.Object(
  { count: Type.Integer() },
  { $id: 'FeedSkipped', description: '`event: skipped`: more than 50 events in a second, so this many were left out.' },
);
export type FeedSkipped = Static<typeof FeedSkippedSchema>;

export const FeedHelloSchema = Type.Object(
  { version: Type.String({ description: 'Of the gateway.' }), at: Time },
  { $id: 'FeedHello', description: '`event: hello`: the first event of a connection.' },
);
export type FeedHello = Static<typeof FeedHelloSchema>;

export const FeedQuery = Type.Object(
  {
    channel: Type.Optional(ChannelName),
    verdict: Type.Optional(VerdictFilter),
    target: Type.Optional(Type.String({ description: 'Id of a target: its deliveries and its breaker only.' })),
    last_event_id: Type.Optional(
      Type.String({ maxLength: 100, description: 'For clients that cannot send the header `Last-Event-ID`.' }),
    ),
  },
  { additionalProperties: false },
);
