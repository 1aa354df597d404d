import { Type } from 'typebox';
import { AUDIT_KINDS, AUDIT_STATUSES } from '../model.js';
import { iso, isoOrNull, oneOf, orNull, Time } from './schemas.js';
import type { Json } from './schemas.js';
import { HOUR_MS } from '../durations.js';
import type { AuditMessageView, AuditView } from '../store/audits.js';

/** Whapi waits up to an hour between two tries (docs/whapi.md, Delivery): what is newer may still be on its way. */
export const STILL_ON_ITS_WAY_MS = HOUR_MS;

export const AuditSchema = Type.Object({
  id: Type.String(),
  kind: oneOf(AUDIT_KINDS),
  channel: Type.String(),
  status: oneOf(AUDIT_STATUSES),
  since: Time,
  until: Time,
  counts: Type.Object({
    whapi_has: Type.Integer({ description: 'Messages in the list of Whapi, system messages left out' }),
    seen: Type.Integer({ description: 'A webhook carried it; of a seeding: the ledger had it' }),
    never_came: Type.Integer({ description: 'No webhook carried it' }),
    before_memory: Type.Integer({ description: 'Sent before `memory_since`: that no webhook is known proves nothing' }),
    seeded: Type.Integer({ description: 'Ids that a seeding wrote into the ledger' }),
    released: Type.Integer({ description: 'Of those that never came: recorded by a release' }),
  }),
  read_until: Type.String({ description: 'ISO 8601: how far the list was read' }),
  round: Type.Integer({ description: 'Messages came into the range while it was read, so it was read again' }),
  memory_since: Time,
  warnings: Type.Array(Type.String()),
  created_at: Time,
  ended_at: orNull(Time),
  error: orNull(Type.String({ description: 'Why it failed, or why it waits' })),
});
export const AuditMessageSchema = Type.Object({
  message_id: Type.String(),
  type: orNull(Type.String()),
  chat_id: orNull(Type.String()),
  sent_at: Time,
  found_at: Time,
  released_at: orNull(Time),
  first_seen_at: orNull(Type.String({ description: 'ISO 8601: a webhook, or a release, has brought it since' })),
});
export const ReleaseSchema = Type.Object({
  dry_run: Type.Boolean(),
  messages: Type.Integer({ description: 'Recorded; with `dry_run`: would be recorded' }),
  came_meanwhile: Type.Integer({ description: 'Not released: a webhook has brought them since' }),
  deliveries: Type.Integer(),
});

export function auditJson(view: AuditView): Json<typeof AuditSchema> {
  const { counts } = view;
  return {
    id: view.id,
    kind: view.kind,
    channel: view.channel,
    status: view.status,
    since: iso(view.since * 1000),
    until: iso(view.until * 1000),
    counts: {
      whapi_has: counts.whapiHas,
      seen: counts.seen,
      never_came: counts.neverCame,
      before_memory: counts.beforeMemory,
      seeded: counts.seeded,
      released: counts.released,
    },
    read_until: iso(view.readUntil * 1000),
    round: view.round,
    memory_since: iso(view.memorySince),
    warnings: warningsOf(view),
    created_at: iso(view.createdAt),
    ended_at: isoOrNull(view.endedAt),
    error: view.error,
  };
}

function warningsOf({ kind, since, until, memorySince, createdAt, unsettled }: AuditView): string[] {
  if (kind === 'seed') return [];
  const warnings: string[] = [];
  if (since * 1000 < memorySince) {
    warnings.push(
      `The range begins before ${iso(memorySince)}: there the channel was not here yet, or its ids were forgotten ` +
        '(LEDGER_RETENTION_DAYS). Messages of that time without a webhook count as before_memory, not as never_came.',
    );
  }
  if (until * 1000 > createdAt - STILL_ON_ITS_WAY_MS) {
    warnings.push('The range reaches into the last hour before the audit: webhooks of that time may still have come.');
  }
  if (unsettled) {
    warnings.push(
      'Messages came into the range each time that it was read; the newest of those are not in the counts.',
    );
  }
  return warnings;
}

export function auditMessageJson(view: AuditMessageView): Json<typeof AuditMessageSchema> {
  return {
    message_id: view.messageId,
    type: view.type,
    chat_id: view.chatId,
    sent_at: iso(view.sentAt * 1000),
    found_at: iso(view.foundAt),
    released_at: isoOrNull(view.releasedAt),
    first_seen_at: isoOrNull(view.firstSeenAt),
  };
}
