import { Type } from 'typebox';
import type { Static } from 'typebox';
import { MESSAGE_ID, MESSAGE_ID_EXAMPLE, MESSAGE_ID_WORDS } from '../message-id.js';
import { PAUSE_CODES, PROOFS, RESYNC_MESSAGE_STATUSES, RESYNC_STATUSES } from '../model.js';
import type { ResyncMessageStatus } from '../model.js';
import { ChannelName, Time, time, timeOrNull } from './fields.js';
import { oneOf, orNull, pageOf, pageQuery, ref } from './schema.js';

export const NewResyncSchema = Type.Object(
  {
    channel: ChannelName,
    message_ids: Type.Array(
      Type.String({ pattern: MESSAGE_ID, 'x-expected': MESSAGE_ID_WORDS, examples: [MESSAGE_ID_EXAMPLE] }),
      {
        minItems: 1,
        maxItems: 10_000,
        description: 'Ids of the messages to bring back.',
      },
    ),
    deliver_unseen: Type.Optional(
      Type.Boolean({ description: 'Deliver restored messages that no webhook ever carried. Default: false.' }),
    ),
    window_seconds: Type.Optional(
      Type.Integer({
        minimum: 60,
        maximum: 2_592_000,
        description: 'How long after the last call to Whapi an id counts as coming back. Default: 259200 (72 hours).',
      }),
    ),
  },
  { $id: 'NewResync', additionalProperties: false, description: 'A resync to start.' },
);
export type NewResync = Static<typeof NewResyncSchema>;

export const PauseSchema = Type.Object(
  {
    code: oneOf(PAUSE_CODES, {
      description:
        '`not_ready`: the channel is not logged in. `busy`: Whapi is busy or cannot be reached. `quota`: its quota at Whapi ' +
        'is used up. `wrong_token`: Whapi does not know its token. `budget`: its daily budget is used up. `other_call`: ' +
        'another call for the channel is in flight.',
    }),
    reason: Type.String({ description: 'The reason in words, and what to do.' }),
    since: Time,
    next_check_at: time('When the gateway tries again by itself.'),
  },
  { $id: 'Pause', description: 'Why the gateway makes no calls to Whapi for now.' },
);
export type Pause = Static<typeof PauseSchema>;

export const ResyncSchema = Type.Object(
  {
    id: Type.String(),
    channel: Type.String({ description: 'Name of the channel.' }),
    status: oneOf(RESYNC_STATUSES, {
      description: '`running` until every message is settled, then `finished`; `cancelled` after a cancel.',
    }),
    total: Type.Integer({ description: 'Messages in the resync.' }),
    counts: Type.Object(
      {
        queued: Type.Integer(),
        requesting: Type.Integer(),
        waiting: Type.Integer(),
        restored: Type.Integer(),
        not_restored: Type.Integer(),
        failed: Type.Integer(),
        cancelled: Type.Integer(),
      } satisfies Record<ResyncMessageStatus, unknown>,
      { description: 'Messages by status.' },
    ),
    pause: orNull(ref(PauseSchema)),
    rate_per_minute: orNull(Type.Number({ description: 'Messages settled per minute, over the last five minutes.' })),
    eta_seconds: orNull(
      Type.Integer({ description: 'Estimated time until the remaining messages are settled; null: unknown.' }),
    ),
    deliver_unseen: Type.Boolean(),
    window_seconds: Type.Integer(),
    created_at: Time,
    finished_at: timeOrNull(),
  },
  { $id: 'Resync', description: 'A request to bring messages back.' },
);
export type Resync = Static<typeof ResyncSchema>;

export const ResyncPageSchema = pageOf(ResyncSchema);

export const ResyncQuery = pageQuery({
  status: Type.Optional(oneOf(RESYNC_STATUSES, { description: 'Only resyncs with this status.' })),
  channel: Type.Optional(ChannelName),
});

export const ResyncMessageStatusSchema = oneOf(RESYNC_MESSAGE_STATUSES, {
  description: 'Status of a message in the resync.',
});

export const ResyncMessageSchema = Type.Object(
  {
    resync: Type.String({ description: 'Id of the resync.' }),
    message_id: Type.String(),
    status: ResyncMessageStatusSchema,
    calls: Type.Integer({ description: 'Calls to Whapi with `resync=true`.' }),
    polls: Type.Integer({ description: 'Plain GETs that checked whether Whapi has the message.' }),
    registered_at: Time,
    asked_at: timeOrNull('When Whapi was first asked.'),
    restored_at: timeOrNull(),
    proof: orNull(oneOf(PROOFS, { description: 'What proved that the message is restored.' })),
    known_before: Type.Boolean({ description: 'A webhook carried it before the resync registered it.' }),
    held: Type.Boolean({ description: 'Releasing the resync would send it now.' }),
    window_closes_at: timeOrNull('Until when its id counts as coming back.'),
    error: orNull(Type.String()),
  },
  { $id: 'ResyncMessage', description: 'One message of a resync.' },
);
export type ResyncMessage = Static<typeof ResyncMessageSchema>;

export const ResyncMessagePageSchema = pageOf(ResyncMessageSchema);

export const ResyncMessageQuery = pageQuery({
  status: Type.Optional(ResyncMessageStatusSchema),
  held: Type.Optional(Type.Boolean({ description: 'Only messages that are held (`true`) or not held (`false`).' })),
});

export const ResyncReportSchema = Type.Object(
  {
    resync: ref(ResyncSchema),
    restored: Type.Object({
      total: Type.Integer(),
      already_known: Type.Integer({ description: 'A webhook carried them before the resync registered them.' }),
      never_seen_before: Type.Integer({ description: 'No webhook carried them before.' }),
      proven_by: Type.Object({
        webhook: Type.Integer({ description: 'A webhook brought them.' }),
        poll: Type.Integer({ description: 'Whapi answered the plain GET with 200.' }),
      }),
    }),
    not_restored: Type.Integer(),
    failed: Type.Object({
      total: Type.Integer(),
      reasons: Type.Array(Type.Object({ error: Type.String(), count: Type.Integer() })),
    }),
    cancelled: Type.Integer(),
    unsettled: Type.Integer({ description: 'Messages without a result so far; 0 in a final report.' }),
    held: Type.Object({
      total: Type.Integer({ description: 'What releasing this resync would send now.' }),
      messages: Type.String({ format: 'uri-reference', description: 'Path of the list of these messages.' }),
    }),
    calls: Type.Object({
      resync: Type.Integer({ description: 'Calls to Whapi with `resync=true`.' }),
      poll: Type.Integer({ description: 'Plain GETs to Whapi.' }),
    }),
  },
  { $id: 'ResyncReport', description: 'The result of a resync, final or so far.' },
);
export type ResyncReport = Static<typeof ResyncReportSchema>;

export const IdempotencyHeader = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      description: 'Makes the request safe to repeat: the same key and body return the same resync.',
    }),
  ),
});
