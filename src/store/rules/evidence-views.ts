import { RULE } from '../../intake/judge.js';
import type { EarlierItem, Evidence, LateEvidence, Registration, ReplayEvidence } from '../items.js';
import { encodeNumber, itemId } from './ids.js';
import type { ItemRow } from './item-views.js';
import { REPEATED_BYTES } from './kept-evidence.js';
import type { LedgerFacts } from './ledger-facts.js';
import type { StoredBoolean } from './stored-boolean.js';

/** What is kept for an item, because later webhooks overwrite it. */
export interface EvidenceRow {
  readonly recorded_at: number | null;
  readonly newest_sent_at: number | null;
  readonly newest_received_at: number | null;
  readonly sent_at: number | null;
  readonly late_after_seconds: number | null;
  readonly same_as: string | null;
  readonly replay_began_at: number | null;
  readonly replay_after_seconds: number | null;
}

/** A registration of an id, with its resync. */
export interface RegistrationRow {
  readonly resync: string;
  readonly registered_at: number;
  readonly deliver_unseen: StoredBoolean;
  readonly asked_at: number | null;
  /** Of the last call: a window that a later call reopened counts as one window. */
  readonly closes_at: number | null;
}

/** What the evidence for one item is made of. */
export interface EvidenceParts {
  /** What the ledger remembers of its id; null: nothing. */
  readonly first: LedgerFacts | null;
  /** Undefined: nothing is kept for it. */
  readonly kept: EvidenceRow | undefined;
  /** Of a restored item: the registrations of its id, or of `same_as`, that were open when it came. */
  readonly registrations: readonly RegistrationRow[];
  /** If a time is kept: what was recorded then, as far as it is stored. */
  readonly recordedThen: { readonly webhookId: number; readonly position: number | null } | undefined;
}

/** Whether something may be kept for an item that this row of the decision table judged. */
export function mayBeKept(rule: number): boolean {
  return (
    rule === RULE.late ||
    rule === RULE.anotherId ||
    rule === RULE.replayed ||
    rule === RULE.repeatedEvent ||
    REPEATED_BYTES.has(rule)
  );
}

/** Whether the window of a registration was open at this time. */
export function wasOpenAt({ registered_at: from, closes_at: until }: RegistrationRow, at: number): boolean {
  return from <= at && (until === null || until > at);
}

/** The evidence for the verdict of an item. */
export function evidenceOf(
  { rule, received_at: at }: Pick<ItemRow, 'rule' | 'received_at'>,
  { first, kept, registrations, recordedThen }: EvidenceParts,
): Evidence {
  const opened = registrations.map((each) => registrationView(each, at));
  return {
    registrations: opened,
    resyncIds: opened.map(({ resyncId }) => resyncId),
    firstSeenAt: first?.firstSeenAt ?? null,
    firstWebhookId: isNumber(first?.webhookId) ? encodeNumber(first.webhookId) : null,
    firstItemId: placeOf(first),
    seededAt: first?.seededAt ?? null,
    earlier: isNumber(kept?.recorded_at) ? earlierThen(kept.recorded_at, recordedThen) : earlierByLedger(rule, first),
    late: lateOf(kept),
    sameAs: kept?.same_as ?? null,
    replay: replayOf(kept),
  };
}

function registrationView(row: RegistrationRow, at: number): Registration {
  return {
    resyncId: row.resync,
    registeredAt: row.registered_at,
    deliverUnseen: Boolean(row.deliver_unseen),
    askedAt: row.asked_at !== null && row.asked_at <= at ? row.asked_at : null,
    windowClosesAt: row.closes_at,
  };
}

function earlierThen(recordedAt: number, found: EvidenceParts['recordedThen']): EarlierItem {
  const { webhookId, position = null } = found ?? {};
  if (webhookId === undefined) return { recordedAt, webhookId: null, itemId: null };
  return {
    recordedAt,
    webhookId: encodeNumber(webhookId),
    itemId: position === null ? null : itemId({ webhookId, position }),
  };
}

/** Bytes that are not kept are those of the first sighting. */
function earlierByLedger(rule: number, first: LedgerFacts | null): EarlierItem | null {
  if (!REPEATED_BYTES.has(rule) || !isNumber(first?.firstSeenAt)) return null;
  const webhookId = isNumber(first.webhookId) ? encodeNumber(first.webhookId) : null;
  return { recordedAt: first.firstSeenAt, webhookId, itemId: placeOf(first) };
}

function isNumber(value: number | null | undefined): value is number {
  return typeof value === 'number';
}

function placeOf(first: LedgerFacts | null): string | null {
  if (!isNumber(first?.webhookId) || !isNumber(first.position)) return null;
  return itemId({ webhookId: first.webhookId, position: first.position });
}

function lateOf(kept: EvidenceRow | undefined): LateEvidence | null {
  if (!isNumber(kept?.newest_sent_at) || !isNumber(kept.newest_received_at)) return null;
  return {
    sentAt: kept.sent_at,
    newestSentAt: kept.newest_sent_at,
    newestReceivedAt: kept.newest_received_at,
    lateAfterSeconds: kept.late_after_seconds ?? 0,
  };
}

function replayOf(kept: EvidenceRow | undefined): ReplayEvidence | null {
  if (!isNumber(kept?.replay_began_at)) return null;
  return { sentAt: kept.sent_at, beganAt: kept.replay_began_at, replayAfterSeconds: kept.replay_after_seconds ?? 0 };
}
