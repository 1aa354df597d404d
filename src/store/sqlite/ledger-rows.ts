import { RULE } from '../../intake/judge.js';
import { leastId } from './numbering.js';
import { FINGERPRINT_BYTES } from '../rules/ledger-facts.js';
import type { LedgerFacts } from '../rules/ledger-facts.js';

/** The columns of the ledger's tables, in the order of `valuesOf`. */
export const LEDGER_COLUMNS = 'webhook_id, fingerprint, position, more';

/** When the id was last seen, in SQL. */
export const LAST_SEEN_AT = "coalesce(more ->> 'lastSeenAt', webhook_id >> 11, more ->> 'seededAt')";

export interface LedgerRow {
  readonly webhook_id: number | null;
  readonly fingerprint: Buffer | null;
  readonly position: number | null;
  readonly more: string | null;
}

/**
 * What differs from the usual case, so that most rows need none of it. Usually an id is seen once, in a post, by rule 10, at
 * the time in its webhook's id; an id that was never seen was last seen when it was seeded. Times in Unix milliseconds.
 */
interface More {
  firstSeenAt?: number;
  lastSeenAt?: number;
  rule?: number;
  seededAt?: number;
  unposted?: true;
}

export function valuesOf(facts: LedgerFacts): [number | null, Buffer | null, number | null, string | null] {
  const { webhookId, fingerprint, lastSeenAt, firstSeenAt, rule, position, seededAt, unposted } = facts;
  const derived = webhookId === null ? null : timeOf(webhookId);
  const more: More = {};
  if (lastSeenAt !== (derived ?? seededAt)) more.lastSeenAt = lastSeenAt;
  if (firstSeenAt !== null && firstSeenAt !== derived) more.firstSeenAt = firstSeenAt;
  if (rule !== null && rule !== RULE.usual) more.rule = rule;
  if (seededAt !== null) more.seededAt = seededAt;
  if (unposted) more.unposted = true;
  const isUsual = Object.keys(more).length === 0;
  return [
    webhookId,
    fingerprint?.subarray(0, FINGERPRINT_BYTES) ?? null,
    position,
    isUsual ? null : JSON.stringify(more),
  ];
}

export function factsOf({ webhook_id: webhookId, fingerprint, position, more: json }: LedgerRow): LedgerFacts {
  const more: More = json === null ? {} : (JSON.parse(json) as More);
  const derived = webhookId === null ? null : timeOf(webhookId);
  return {
    fingerprint,
    firstSeenAt: more.firstSeenAt ?? derived,
    lastSeenAt: more.lastSeenAt ?? derived ?? more.seededAt ?? 0,
    rule: more.rule ?? (webhookId === null ? null : RULE.usual),
    webhookId,
    position,
    seededAt: more.seededAt ?? null,
    unposted: more.unposted ?? false,
  };
}

/** A row of `ledger_before_runs`, which earlier versions wrote. */
export interface OldLedgerRow {
  readonly fingerprint: Buffer | null;
  readonly first_seen_at: number | null;
  readonly last_seen_at: number;
  readonly rule: number | null;
  readonly webhook_id: number | null;
  readonly position: number | null;
  readonly seeded_at: number | null;
  readonly unposted: number;
}

export function factsOfOld(row: OldLedgerRow): LedgerFacts {
  return {
    fingerprint: row.fingerprint,
    firstSeenAt: row.first_seen_at,
    lastSeenAt: row.last_seen_at,
    rule: row.rule,
    webhookId: row.webhook_id,
    position: row.position,
    seededAt: row.seeded_at,
    unposted: row.unposted === 1,
  };
}

/** The time at which an id was made, unless ids ran ahead of the clock. The same in SQL: `LAST_SEEN_AT`. */
function timeOf(webhookId: number): number {
  return Math.floor(webhookId / leastId(1));
}
