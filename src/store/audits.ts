import type { AuditKind, AuditStatus, Channel, ListedMessage } from '../model.js';
import type { Page, PageRequest } from './paging.js';

/** Comparing the messages that Whapi has with those that came, and telling the ledger of them. */
export interface Audits {
  /** @throws GatewayError GW_NOT_FOUND (no such channel) */
  begin(request: AuditRequest): Promise<AuditView>;
  /** Of each channel the oldest that is not over. */
  running(): Promise<readonly AuditRun[]>;
  /**
   * Writes what the list had in one window, placeholders left out, and where the reading stands after it. A walk of a
   * later round begins the counts anew. An audit keeps the messages that never came; a seeding writes ids that are not in the ledger into it,
   * and changes nothing of those that are. Does nothing where the audit is over meanwhile.
   */
  noteWindow(id: string, messages: readonly ListedMessage[], walk: AuditWalk): Promise<void>;
  /** Why it does not get on, in words. */
  noteTrouble(id: string, words: string): Promise<void>;
  /** Looks once more for what has come meanwhile, then ends it; `error` says why it failed. */
  end(id: string, error: string | null): Promise<void>;
  /** One that is over stays as it is. @throws GatewayError GW_NOT_FOUND */
  cancel(id: string): Promise<AuditView>;
  /**
   * Records the messages that never came as if a webhook had brought them, `late`, for the targets that want those; with
   * `dryRun` only counts them. Each once, whatever is released again or comes later.
   * @throws GatewayError GW_NOT_FOUND (audit, target), GW_CONFLICT (it is running, or a seeding; a target wants no late messages)
   */
  release(id: string, targetIds: readonly string[] | null, dryRun: boolean): Promise<AuditRelease>;
  list(page: PageRequest): Promise<Page<AuditView>>;
  get(id: string): Promise<AuditView | null>;
  /** The messages that never came, oldest first. */
  messages(id: string, page: PageRequest): Promise<Page<AuditMessageView>>;
}

export interface AuditRequest {
  readonly kind: AuditKind;
  readonly channel: string;
  /** Unix seconds, both included. */
  readonly since: number;
  readonly until: number;
  /** What was sent before could not come here, or may have been forgotten: that no webhook is known proves nothing. */
  readonly memorySince: number;
}

/** How far the reading of Whapi's list is. Times in Unix seconds. */
export interface AuditWalk {
  readonly stage: 'measure' | 'read' | 'verify';
  /** Everything sent before this was read in this round. */
  readonly from: number;
  readonly widthSeconds: number;
  /** Messages asked for in one call. */
  readonly count: number;
  /** What Whapi said at the beginning of the round that it has from `since` to `until`; null where it did not say. */
  readonly total: number | null;
  /** Whapi's `total` was seen to be no count of the messages that were asked for. */
  readonly totalsAreOff: boolean;
  readonly round: number;
  /** The total went on changing in every round. */
  readonly unsettled: boolean;
}

export interface AuditRun {
  readonly id: string;
  readonly kind: AuditKind;
  readonly channel: Channel;
  readonly since: number;
  readonly until: number;
  /** Null: not begun. */
  readonly walk: AuditWalk | null;
}

export interface AuditRelease {
  /** Messages that were recorded, with `dryRun` that would be. */
  readonly messages: number;
  /** Messages that have come by a webhook since the audit. */
  readonly cameMeanwhile: number;
  readonly deliveries: number;
}

export interface AuditView {
  readonly id: string;
  readonly kind: AuditKind;
  readonly channel: string;
  readonly status: AuditStatus;
  /** Unix seconds, both included. */
  readonly since: number;
  readonly until: number;
  readonly memorySince: number;
  /** Unix seconds: read up to here. */
  readonly readUntil: number;
  readonly round: number;
  /** Whapi's count went on changing in every round: what came behind the reading is not in the counts. */
  readonly unsettled: boolean;
  readonly counts: AuditCounts;
  readonly createdAt: number;
  readonly endedAt: number | null;
  readonly error: string | null;
}

/** Of an audit `whapiHas = seen + neverCame + beforeMemory`, of a seeding `whapiHas = seen + seeded`. */
export interface AuditCounts {
  readonly whapiHas: number;
  /** A webhook carried it; of a seeding: the ledger had it. */
  readonly seen: number;
  readonly neverCame: number;
  /** No webhook is known, and none needs to be: sent before the gateway's memory begins. */
  readonly beforeMemory: number;
  readonly seeded: number;
  /** Of those that never came: recorded by a release. */
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
  /** A webhook, or a release, has brought it since. */
  readonly firstSeenAt: number | null;
}

/** What an audit says of a message. */
export interface AuditFinding {
  readonly auditId: string;
  readonly foundAt: number;
  readonly releasedAt: number | null;
}
