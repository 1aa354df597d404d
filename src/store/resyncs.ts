import type { Channel, Proof, ResyncMessageStatus, ResyncStatus } from '../model.js';
import type { CallHistory, ChannelCalls, NewPause } from './calls.js';
import type { Page, PageRequest } from './paging.js';

/** Resyncs: which ids are registered, which calls to Whapi are due for them, and what became of them. */
export interface Resyncs {
  /**
   * Commits a resync and the registrations of all its ids (I2), in steps, so that webhooks do not wait for ten thousand
   * of them; nothing is asked before the last one. An id that another resync has proven restored, and whose window is
   * still open, is restored at once and never asked again. An id that another resync is bringing back joins it: one call
   * and one poll at a time serve all resyncs of the id, the longest of their windows holds, and each ends by itself. It
   * is asked for again at once where the last call was made more than an hour ago. The same idempotency key with the
   * same fingerprint gives the resync made then. @throws GatewayError GW_NOT_FOUND (no such channel), GW_IDEMPOTENCY_MISMATCH
   */
  register(request: ResyncRequest): Promise<ResyncView>;
  /**
   * Takes the next call to Whapi that is due for a channel, the kind `prefer` first, counts it, and keeps it for
   * `leaseMs`. A call with `resync=true` is committed as asked before it is returned (I2).
   */
  takeCall(channel: string, prefer: ResyncCall['kind'], leaseMs: number): Promise<ResyncCall | null>;
  /** Writes what came of a call, for every resync of the id. A message whose webhook came meanwhile stays restored. */
  settleCall(call: ResyncCall, result: CallResult): Promise<void>;
  /** The channels with calls to make, and what is known of the calls made so far. */
  pendingCalls(): Promise<readonly ChannelCalls[]>;
  /** Closes the windows that have run out; ids that Whapi was asked for and that never came go into the ledger. */
  closeWindows(): Promise<number>;
  /** Cancels what is queued; what Whapi was already asked for stays registered. @throws GatewayError GW_NOT_FOUND */
  cancel(id: string): Promise<ResyncView>;
  /**
   * Registers ids that are asked for at once, with one call, by whoever registers them: the call is taken in the same
   * transaction (I2) and kept for `leaseMs`. An id that is being brought back, or that is restored while its window is
   * open, joins that registration, whose window is as long as the request's from then on, or longer; for the others there
   * is a new resync. Gives one call for each id. @throws GatewayError GW_NOT_FOUND (no such channel)
   */
  registerAsked(request: ResyncRequest, leaseMs: number): Promise<readonly ResyncCall[]>;
  /**
   * As `register`, for one id, unless a resync of it was made within the last `withinMs`: gives the id of that one, or of
   * the one that was made now. An id that is still being brought back joins that registration, and is asked for again
   * where the last call was made before. `isDue`: a call has become due.
   * @throws GatewayError GW_NOT_FOUND (no such channel)
   */
  registerUnlessRecent(request: ResyncRequest, withinMs: number): Promise<{ resyncId: string; isDue: boolean }>;
  /**
   * Newest first, those that are still being registered included.
   * @param range of numbers, without the two ends
   */
  states(range: { readonly after: number; readonly before: number }, limit: number): Promise<readonly ResyncState[]>;
  /** Those of these resyncs that are running, by id. */
  stillRunning(ids: readonly string[]): Promise<ReadonlySet<string>>;
  list(page: PageRequest): Promise<Page<ResyncView>>;
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
}

/** A call to Whapi that is to be made for one registered id. */
export interface ResyncCall {
  readonly kind: 'resync' | 'poll';
  readonly resyncId: string;
  readonly position: number;
  readonly channel: Channel;
  readonly messageId: string;
  readonly windowSeconds: number;
  /** When the resync was registered. */
  readonly registeredAt: number;
  /** Calls of this kind already made for this registration, this one not counted. */
  readonly made: number;
}

export interface CallResult {
  readonly status: ResyncMessageStatus;
  /** The next call for this id; null: none. */
  readonly nextAt: number | null;
  /** When the window closes; undefined: as it was; null: it is open without an end, for the id is asked for again. */
  readonly closesAt?: number | null;
  /** Whapi refused the call, so it brings nothing back: the id does not go into the ledger when the window closes. */
  readonly refused?: boolean;
  readonly error?: string | null;
  /** How long Whapi took to answer; of interest where it did. */
  readonly tookMs?: number;
  /** Why the channel makes no calls for now; left out or null: it may go on. */
  readonly pause?: NewPause | null;
}

export interface ResyncState {
  /** In the order of registration. */
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
  /** When the last message was settled; null while one is not. */
  readonly finishedAt: number | null;
  /** Null once the resync is over, and where its channel is no more. */
  readonly progress: ResyncProgress | null;
}

/** What the rate and the time of the end are worked out from. */
export interface ResyncProgress extends CallHistory {
  readonly channel: Channel;
  /** Messages settled within the last minutes, and how many milliseconds of the resync those are. */
  readonly settledLately: number;
  readonly latelyMs: number;
  /** How long a call with `resync=true` usually takes; null: none was answered yet. */
  readonly callMs: number | null;
  /** From the call to the proof, on average of the last restored messages; null: none was restored yet. */
  readonly restoreMs: number | null;
  /** The last call with `resync=true` for a message that is still waited for. */
  readonly lastAskedAt: number | null;
  /** Ids of resyncs made before this one that the same channel has yet to ask for. */
  readonly ahead: number;
}

/** What came of a resync, in the end or so far. */
export interface ResyncReport {
  readonly resync: ResyncView;
  /** Restored, and a webhook had carried it before it was registered. */
  readonly alreadyKnown: number;
  /** Restored, and no webhook had ever carried it before. */
  readonly neverSeenBefore: number;
  /** Calls with resync=true, and plain GETs. */
  readonly calls: number;
  readonly polls: number;
  /** Of restored messages: what proved it. */
  readonly proofs: Readonly<Record<Proof, number>>;
  /** Why messages failed, most frequent first, at most twenty. */
  readonly failures: readonly { readonly error: string; readonly count: number }[];
  /** What a release of the messages of this resync would send now. */
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
  /** Calls with resync=true that were made. */
  readonly calls: number;
  readonly polls: number;
  readonly registeredAt: number;
  readonly askedAt: number | null;
  readonly restoredAt: number | null;
  readonly proof: Proof | null;
  /** A webhook had carried it before it was registered. */
  readonly known: boolean;
  /** A release of its resync would send it now. */
  readonly held: boolean;
  readonly windowClosesAt: number | null;
  readonly error: string | null;
}
