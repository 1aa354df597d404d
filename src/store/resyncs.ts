import type { Channel, Proof, ResyncMessageStatus, ResyncStatus } from '../model.js';
import type { CallHistory, ChannelCalls, NewPause } from './calls.js';
import type { RunFilter } from './filters.js';
import type { Page, PageRequest } from './paging.js';

/** Resyncs: the registered ids, the calls to Whapi that are due for them, and the outcome. */
export interface Resyncs {
  /**
   * Commits a resync and the registrations of all its ids (I2), in steps, so that webhooks do not wait for ten thousand of
   * them; no call is due before the last step.
   * - An id that another resync has proven restored, with its window still open, is restored at once without a call.
   * - An id that another resync is bringing back joins it: one call and one poll at a time serve all resyncs of the id, the
   *   longest of their windows applies, and each resync ends by itself. If the last call is more than an hour old, it is
   *   repeated at once.
   * - The same idempotency key with the same fingerprint returns the resync of the first request.
   * @throws GatewayError GW_NOT_FOUND (unknown channel), GW_IDEMPOTENCY_MISMATCH
   */
  register(request: ResyncRequest): Promise<ResyncView>;
  /**
   * Leases the next call to Whapi that is due for a channel for `leaseMs`, the kind `prefer` first, and counts it against
   * the budget. A call with `resync=true` is committed as made before it is returned (I2). Null: no call is due.
   */
  takeCall(channel: string, prefer: ResyncCall['kind'], leaseMs: number): Promise<ResyncCall | null>;
  /** Saves the result of a call for every resync of the id. A message whose webhook came meanwhile stays restored. */
  settleCall(call: ResyncCall, result: CallResult): Promise<void>;
  /**
   * The channels that have calls to make, with the history of their calls. With `holder`, without the channels whose turn
   * another holder has.
   */
  pendingCalls(holder?: string): Promise<readonly ChannelCalls[]>;
  /** Closes windows that have run out, some at a time; ids that Whapi was asked for go into the ledger. Returns their number. */
  closeWindows(): Promise<number>;
  /** Cancels all further calls; ids that Whapi was already asked for stay registered until their window ends. @throws GatewayError GW_NOT_FOUND */
  cancel(id: string): Promise<ResyncView>;
  /**
   * Registers ids for which the caller makes one call at once: the call is leased in the same transaction (I2) for
   * `leaseMs`. An id that is being brought back, or is restored while its window is open, joins that registration, whose
   * window becomes at least as long as the request's. The other ids get a new resync. Returns one call for each id.
   * @throws GatewayError GW_NOT_FOUND (unknown channel)
   */
  registerAsked(request: ResyncRequest, leaseMs: number): Promise<readonly ResyncCall[]>;
  /**
   * Registers one id like `register`, unless a resync of it was made within the last `withinMs`. An id that is being brought
   * back joins that registration, and its call is repeated if the last one is older than `withinMs`. `resyncId`: the resync
   * of the id. `isDue`: a call became due.
   * @throws GatewayError GW_NOT_FOUND (unknown channel)
   */
  registerUnlessRecent(request: ResyncRequest, withinMs: number): Promise<{ resyncId: string; isDue: boolean }>;
  /**
   * Newest first, including resyncs that are still being registered.
   * @param range numbers of resyncs, exclusive
   */
  states(range: { readonly after: number; readonly before: number }, limit: number): Promise<readonly ResyncState[]>;
  /** The ids of those given whose resync is running. */
  stillRunning(ids: readonly string[]): Promise<ReadonlySet<string>>;
  list(page: PageRequest, filter?: RunFilter<ResyncStatus>): Promise<Page<ResyncView>>;
  get(id: string): Promise<ResyncView | null>;
  messages(id: string, page: PageRequest, filter?: ResyncMessageFilter): Promise<Page<ResyncMessageView>>;
  report(id: string): Promise<ResyncReport | null>;
}

export interface ResyncRequest {
  readonly channel: string;
  readonly messageIds: readonly string[];
  readonly deliverUnseen: boolean;
  readonly windowSeconds: number;
  readonly idempotency: { readonly key: string; readonly fingerprint: string } | null;
  /** `registerAsked` of one id: the message as it was shown before, to recognize it under another id; left out: not known. */
  readonly shown?: unknown;
}

/** A call to Whapi for one registered id. */
export interface ResyncCall {
  readonly kind: 'resync' | 'poll';
  readonly resyncId: string;
  readonly position: number;
  readonly channel: Channel;
  readonly messageId: string;
  readonly windowSeconds: number;
  /** When the resync was registered. */
  readonly registeredAt: number;
  /** Calls of this kind made for this registration before this one. */
  readonly made: number;
}

export interface CallResult {
  readonly status: ResyncMessageStatus;
  /** When the next call for this id is due; null: none is. */
  readonly nextAt: number | null;
  /** When the window closes; undefined: unchanged; null: it stays open, because the call is repeated. */
  readonly closesAt?: number | null;
  /** Whapi refused the call, so nothing comes back and the id does not go into the ledger when the window closes. */
  readonly refused?: boolean;
  readonly error?: string | null;
  /** The message as Whapi shows it; left out: it did not. */
  readonly shown?: unknown;
  /** How long Whapi took to answer, in milliseconds; left out: it did not answer. */
  readonly tookMs?: number;
  /** Why the channel pauses its calls; left out or null: it continues. */
  readonly pause?: NewPause | null;
}

export interface ResyncState {
  /** Numbers ascend in the order of registration. */
  readonly number: number;
  readonly id: string;
  readonly isRunning: boolean;
}

export interface ResyncView {
  readonly id: string;
  readonly channel: string;
  readonly status: ResyncStatus;
  readonly counts: Readonly<Record<ResyncMessageStatus, number>>;
  readonly deliverUnseen: boolean;
  readonly windowSeconds: number;
  readonly createdAt: number;
  /** When the last message was settled; null: not all are. */
  readonly finishedAt: number | null;
  /** Null: the resync is over, or its channel was removed. */
  readonly progress: ResyncProgress | null;
}

/** The data from which rate and remaining time are estimated. */
export interface ResyncProgress extends CallHistory {
  readonly channel: Channel;
  /** Messages settled in the last `latelyMs` milliseconds of the resync. */
  readonly settledLately: number;
  readonly latelyMs: number;
  /** Average duration of a call with `resync=true`, newest calls weighted most; null: none was answered yet. */
  readonly callMs: number | null;
  /** Average time from call to proof of the newest restored messages; null: none was restored yet. */
  readonly restoreMs: number | null;
  /** When the last call with `resync=true` was made; null: none was. */
  readonly lastAskedAt: number | null;
  /** Ids of earlier resyncs of the channel whose call is still queued. */
  readonly ahead: number;
}

/** The outcome of a resync, final or so far. */
export interface ResyncReport {
  readonly resync: ResyncView;
  /** Restored messages that a webhook had carried before they were registered. */
  readonly alreadyKnown: number;
  /** Restored messages that no webhook had carried before. */
  readonly neverSeenBefore: number;
  /** Calls with `resync=true`, and plain GETs. */
  readonly calls: number;
  readonly polls: number;
  /** How restored messages were proven. */
  readonly proofs: Readonly<Record<Proof, number>>;
  /** Why messages failed, most frequent first, at most twenty. */
  readonly failures: readonly { readonly error: string; readonly count: number }[];
  /** Items that a release by this resync would send now. */
  readonly held: number;
}

export interface ResyncMessageFilter {
  readonly status?: ResyncMessageStatus | undefined;
  readonly held?: boolean | undefined;
}

export interface ResyncMessageView {
  readonly resyncId: string;
  readonly messageId: string;
  readonly status: ResyncMessageStatus;
  /** Calls with `resync=true`. */
  readonly calls: number;
  readonly polls: number;
  readonly registeredAt: number;
  readonly askedAt: number | null;
  readonly restoredAt: number | null;
  readonly proof: Proof | null;
  /** A webhook had carried it before it was registered. */
  readonly known: boolean;
  /** A release by its resync would send it now. */
  readonly held: boolean;
  readonly windowClosesAt: number | null;
  readonly error: string | null;
}
