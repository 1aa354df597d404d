import type { AuditKind, Channel, ListedMessage } from '../model.js';
import type { AuditView } from './views.js';

/** Comparing the messages that Whapi has with those that came, and telling the ledger of them. A part of `Store`. */
export interface Audits {
  /** @throws GatewayError GW_NOT_FOUND (no such channel) */
  beginAudit(request: AuditRequest): Promise<AuditView>;
  /** Of each channel the oldest that is not over. */
  runningAudits(): Promise<readonly AuditRun[]>;
  /**
   * Writes what the list had in one window, placeholders left out, and where the reading stands after it. A walk of a
   * later round begins the counts anew. An audit keeps the messages that never came; a seeding writes ids that are not in the ledger into it,
   * and changes nothing of those that are. Does nothing where the audit is over meanwhile.
   */
  noteWindow(id: string, messages: readonly ListedMessage[], walk: AuditWalk): Promise<void>;
  /** Why it does not get on, in words. */
  noteTrouble(id: string, words: string): Promise<void>;
  /** Looks once more for what has come meanwhile, then ends it; `error` says why it failed. */
  endAudit(id: string, error: string | null): Promise<void>;
  /** One that is over stays as it is. @throws GatewayError GW_NOT_FOUND */
  cancelAudit(id: string): Promise<AuditView>;
  /**
   * Records the messages that never came as if a webhook had brought them, `late`, for the targets that want those; with
   * `dryRun` only counts them. Each once, whatever is released again or comes later.
   * @throws GatewayError GW_NOT_FOUND (audit, target), GW_CONFLICT (it is running, or a seeding; a target wants no late messages)
   */
  releaseAudit(id: string, targetIds: readonly string[] | null, dryRun: boolean): Promise<AuditRelease>;
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
