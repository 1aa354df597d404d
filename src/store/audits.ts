import type { AuditKind, AuditStatus, Channel, ListedMessage } from '../model.js';
import type { RunFilter } from './filters.js';
import type { Page, PageRequest } from './paging.js';

/** Audits find messages that no webhook delivered; seedings write the ids that Whapi lists into the ledger. */
export interface Audits {
  /** @throws GatewayError GW_NOT_FOUND (no such channel) */
  begin(request: AuditRequest): Promise<AuditView>;
  /**
   * Leases the oldest running audit or seeding of each channel to `holder` for `leaseMs`, unless another holder has it. What
   * this holder has already keeps its lease, which then ends later.
   */
  take(holder: string, leaseMs: number): Promise<readonly AuditRun[]>;
  /**
   * Saves the messages that Whapi listed in one window, without placeholders, and the progress after it. A new round resets
   * the counts. An audit keeps the messages that never came; a seeding adds unknown ids to the ledger and leaves known ones
   * unchanged. Returns false if the audit is over or its lease is no longer the caller's: nothing was changed.
   */
  noteWindow(run: AuditLease, messages: readonly ListedMessage[], walk: AuditWalk): Promise<boolean>;
  /** Saves why the audit makes no progress, as text for people. Returns false as `noteWindow` does. */
  noteTrouble(run: AuditLease, reason: string): Promise<boolean>;
  /**
   * Checks once more for messages that have come meanwhile, then ends the audit. `error`: why it failed; null: it did not.
   * Returns false as `noteWindow` does.
   */
  end(run: AuditLease, error: string | null): Promise<boolean>;
  /** An audit that is over stays unchanged. @throws GatewayError GW_NOT_FOUND */
  cancel(id: string): Promise<AuditView>;
  /**
   * Records the messages that never came as `late`, as if webhooks had brought them, for the targets that receive late
   * messages; `targetIds` null: all of them. With `dryRun` it only counts. Each message is recorded once, even if the audit
   * is released again or the message comes later.
   * @throws GatewayError GW_NOT_FOUND (audit, target), GW_CONFLICT (running, a seeding, or no late messages for a target)
   */
  release(id: string, targetIds: readonly string[] | null, dryRun: boolean): Promise<AuditRelease>;
  list(page: PageRequest, filter?: RunFilter<AuditStatus>): Promise<Page<AuditView>>;
  get(id: string): Promise<AuditView | null>;
  /** The messages that never came, oldest first. */
  messages(id: string, page: PageRequest): Promise<Page<AuditMessageView>>;
}

export interface AuditRequest {
  readonly kind: AuditKind;
  readonly channel: string;
  /** Unix seconds, inclusive. */
  readonly since: number;
  readonly until: number;
  /** Messages sent before this time could not reach the gateway, or may be forgotten: no webhook proves nothing for them. */
  readonly memorySince: number;
}

/** The progress through Whapi's list. Times in Unix seconds. */
export interface AuditWalk {
  readonly stage: 'measure' | 'read' | 'verify';
  /** Everything sent before this time was read in this round. */
  readonly from: number;
  readonly widthSeconds: number;
  /** Messages requested in one call. */
  readonly count: number;
  /** Whapi's count of messages from `since` to `until` at the start of the round; null: it gave none. */
  readonly total: number | null;
  /** Whapi's `total` turned out not to count the requested messages. */
  readonly totalsAreOff: boolean;
  readonly round: number;
  /** The total changed in every round. */
  readonly unsettled: boolean;
}

/** A leased audit or seeding. Like a claim of a delivery (I5): only the holder of the token may change it. */
export interface AuditLease {
  readonly id: string;
  /** The token of its lease. A lease that has run out stays its holder's until someone else takes the audit. */
  readonly lease: number;
}

export interface AuditRun extends AuditLease {
  readonly kind: AuditKind;
  readonly channel: Channel;
  readonly since: number;
  readonly until: number;
  /** Null: not started. */
  readonly walk: AuditWalk | null;
}

export interface AuditRelease {
  /** Messages that were recorded, or would be with `dryRun`. */
  readonly messages: number;
  /** Messages that a webhook has brought since the audit. */
  readonly cameMeanwhile: number;
  readonly deliveries: number;
}

export interface AuditView {
  readonly id: string;
  readonly kind: AuditKind;
  readonly channel: string;
  readonly status: AuditStatus;
  /** Unix seconds, inclusive. */
  readonly since: number;
  readonly until: number;
  readonly memorySince: number;
  /** Unix seconds: the list was read up to this time. */
  readonly readUntil: number;
  readonly round: number;
  /** Whapi's count changed in every round, so messages that came behind the reading position are not counted. */
  readonly unsettled: boolean;
  readonly counts: AuditCounts;
  readonly createdAt: number;
  readonly endedAt: number | null;
  readonly error: string | null;
}

/** For an audit `whapiHas = seen + neverCame + beforeMemory`; for a seeding `whapiHas = seen + seeded`. */
export interface AuditCounts {
  readonly whapiHas: number;
  /** A webhook carried the message; for a seeding: the ledger knew its id. */
  readonly seen: number;
  readonly neverCame: number;
  /** No webhook is known, but the message was sent before `memorySince`. */
  readonly beforeMemory: number;
  readonly seeded: number;
  /** Messages that never came and that a release has recorded. */
  readonly released: number;
}

export interface AuditMessageView {
  readonly messageId: string;
  readonly type: string | null;
  readonly chatId: string | null;
  /** Unix seconds. */
  readonly sentAt: number;
  readonly foundAt: number;
  readonly releasedAt: number | null;
  /** When a webhook or a release brought it; null: neither has. */
  readonly firstSeenAt: number | null;
}

/** An audit that found a message missing. */
export interface AuditFinding {
  readonly auditId: string;
  readonly foundAt: number;
  readonly releasedAt: number | null;
}
