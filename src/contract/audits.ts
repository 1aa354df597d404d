import { Type } from 'typebox';
import type { Static } from 'typebox';
import { AUDIT_KINDS, AUDIT_STATUSES } from '../model.js';
import { ChannelName, Time, time, timeOrNull } from './fields.js';
import { releaseTargets } from './items.js';
import { oneOf, orNull, pageOf, pageQuery } from './schema.js';

export const NewAuditSchema = Type.Object(
  {
    channel: ChannelName,
    since: time('Start of the range, included. ISO 8601 with a zone.'),
    until: Type.Optional(time('End of the range, included. ISO 8601 with a zone. Default: an hour ago.')),
  },
  { $id: 'NewAudit', additionalProperties: false, description: 'An audit to start.' },
);
export type NewAudit = Static<typeof NewAuditSchema>;

export const AuditSchema = Type.Object(
  {
    id: Type.String(),
    kind: oneOf(AUDIT_KINDS, { description: '`audit` compares; `seed` writes ids into the ledger.' }),
    channel: Type.String({ description: 'Name of the channel.' }),
    status: oneOf(AUDIT_STATUSES, {
      description:
        "`running` until Whapi's list was read to its end; then `finished`, `failed` (`error` says why) or `cancelled`.",
    }),
    since: Time,
    until: Time,
    counts: Type.Object({
      whapi_has: Type.Integer({ description: "Messages in Whapi's list, without system messages." }),
      seen: Type.Integer({ description: 'A webhook carried them. In a seeding: the ledger already had them.' }),
      never_came: Type.Integer({ description: 'No webhook carried them.' }),
      before_memory: Type.Integer({
        description: 'Sent before `memory_since`: the gateway cannot tell whether a webhook carried them.',
      }),
      seeded: Type.Integer({ description: 'Ids that a seeding wrote into the ledger.' }),
      released: Type.Integer({ description: 'Missing messages that a release recorded.' }),
    }),
    read_until: time('How far the list was read.'),
    round: Type.Integer({ description: 'How often the list was read because messages kept coming into the range.' }),
    memory_since: time('Since when the gateway remembers ids of this channel.'),
    warnings: Type.Array(Type.String()),
    created_at: Time,
    ended_at: timeOrNull(),
    error: orNull(Type.String({ description: 'Why it failed, or why it waits.' })),
  },
  { $id: 'Audit', description: "A comparison of Whapi's messages with those that webhooks delivered, or a seeding." },
);
export type Audit = Static<typeof AuditSchema>;

export const AuditPageSchema = pageOf(AuditSchema);

export const AuditQuery = pageQuery({
  status: Type.Optional(oneOf(AUDIT_STATUSES, { description: 'Only audits and seedings with this status.' })),
  channel: Type.Optional(ChannelName),
});

export const AuditMessageSchema = Type.Object(
  {
    message_id: Type.String(),
    type: orNull(Type.String({ description: "Whapi's type of the message." })),
    chat_id: orNull(Type.String()),
    sent_at: Time,
    found_at: Time,
    released_at: timeOrNull(),
    first_seen_at: timeOrNull('When a webhook or a release brought it after all.'),
  },
  { $id: 'AuditMessage', description: 'A message that no webhook delivered.' },
);
export type AuditMessage = Static<typeof AuditMessageSchema>;

export const AuditMessagePageSchema = pageOf(AuditMessageSchema);

export const AuditReleaseRequestSchema = Type.Object(
  {
    targets: Type.Optional(releaseTargets),
    dry_run: Type.Optional(Type.Boolean({ description: 'Count the messages, and release nothing.' })),
  },
  { $id: 'AuditReleaseRequest', additionalProperties: false, description: 'How to release the messages of an audit.' },
);
export type AuditReleaseRequest = Static<typeof AuditReleaseRequestSchema>;

export const AuditReleaseSchema = Type.Object(
  {
    dry_run: Type.Boolean(),
    messages: Type.Integer({ description: 'Messages recorded; in a dry run, those that would be.' }),
    came_meanwhile: Type.Integer({ description: 'Not released, because a webhook has brought them since.' }),
    deliveries: Type.Integer({ description: 'Deliveries made.' }),
  },
  { $id: 'AuditRelease', description: 'The result of releasing the messages of an audit.' },
);
export type AuditRelease = Static<typeof AuditReleaseSchema>;
