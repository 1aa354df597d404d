import type { Audit, AuditMessage } from '../contract/audits.js';
import { iso, isoOrNull } from './schemas.js';
import { HOUR_MS } from '../durations.js';
import type { AuditMessageView, AuditView } from '../store/audits.js';

/** Whapi waits up to an hour between two tries (docs/whapi.md, Delivery): what is newer may still be on its way. */
export const STILL_ON_ITS_WAY_MS = HOUR_MS;

export function auditJson(view: AuditView): Audit {
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

export function auditMessageJson(view: AuditMessageView): AuditMessage {
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
