/**
 * Bytes of a fingerprint that are kept. Only a revision is compared with the first message under its id (rules 6 and 7), so
 * 8 bytes are enough: two different ones are equal once in 2^64.
 */
export const FINGERPRINT_BYTES = 8;

/** What the ledger remembers of an id. */
export interface LedgerFacts {
  /** The first bytes of the fingerprint that was first recorded under this id; null: none was. */
  readonly fingerprint: Buffer | null;
  /** Null: Whapi was asked for it, or listed it, and no webhook carried it. */
  readonly firstSeenAt: number | null;
  readonly lastSeenAt: number;
  /** Of the first sighting, like `webhookId` and `position`. */
  readonly rule: number | null;
  readonly webhookId: number | null;
  readonly position: number | null;
  /** When a seeding met it in Whapi's list. */
  readonly seededAt: number | null;
  /** Only puts have carried it. */
  readonly unposted: boolean;
}

/** An id that no webhook carried. */
export const NEVER_SEEN: Omit<LedgerFacts, 'lastSeenAt'> = {
  fingerprint: null,
  firstSeenAt: null,
  rule: null,
  webhookId: null,
  position: null,
  seededAt: null,
  unposted: false,
};

/** The sighting of an id that a webhook has just carried. */
export type Sighting = Pick<LedgerFacts, 'rule' | 'webhookId' | 'position' | 'unposted'> & {
  readonly fingerprint: Buffer;
};

/** What the ledger remembers of an id after a sighting. @param before null: it did not know the id */
export function factsAfter(before: LedgerFacts | null, { unposted, ...sighting }: Sighting, now: number): LedgerFacts {
  const first = { ...sighting, firstSeenAt: now, lastSeenAt: now };
  if (!before) return { ...first, seededAt: null, unposted };
  // An id from a seeding, or from a window that closed, has no sighting yet: this is its first.
  const isFirst = before.firstSeenAt === null;
  return {
    ...before,
    ...(isFirst && first),
    fingerprint: before.fingerprint ?? sighting.fingerprint,
    lastSeenAt: now,
    unposted: isFirst ? unposted : before.unposted && unposted,
  };
}
