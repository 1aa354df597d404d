import type { Verdict } from '../model.js';
import type { Comparison, Likeness, MessageFacts } from '../probe/likeness.js';

/** Probes of channels: one message each, resynced to see how Whapi behaves. The last one of each channel is kept. */
export interface Probes {
  /** Saves a new probe in place of the last one. @throws GatewayError GW_NOT_FOUND (no such channel), GW_CONFLICT (one is running) */
  begin(probe: ProbeView): Promise<void>;
  /** Saves what is known now. Returns false, changing nothing, if the probe is over or its channel was removed. */
  save(probe: ProbeView): Promise<boolean>;
  /**
   * Ends a running probe. It is not resumed after a restart.
   * @param call how its call ended, unless that is saved already; null: it was not made
   * @throws GatewayError GW_NOT_FOUND (never probed), GW_CONFLICT (it is over)
   */
  cancel(channel: string, at: number, call: ProbeCall | null): Promise<ProbeView>;
  /** Null: the channel was never probed. */
  of(channel: string): Promise<ProbeView | null>;
  /** Running probes, including those that a restart interrupted. */
  running(): Promise<readonly ProbeView[]>;
}

export interface ProbeView {
  readonly channel: string;
  /** Null: it was pruned, as payloads are. */
  readonly messageId: string | null;
  readonly startedAt: number;
  /** Null: it is running. */
  readonly finishedAt: number | null;
  readonly facts: ProbeFacts;
}

/** How a call to Whapi ended. */
export interface ProbeCall {
  readonly at: number;
  /** Null: not known, because the gateway stopped meanwhile, or the probe was cancelled. */
  readonly tookMs: number | null;
  /** Whapi's HTTP status; null: no answer. */
  readonly status: number | null;
  readonly outcome: 'found' | 'missing' | 'refused' | 'busy' | 'timeout' | 'unreachable' | 'interrupted';
  /** Whapi's words, or what went wrong; null after a 200. */
  readonly reason: string | null;
}

/** What a probe has seen so far. */
export interface ProbeFacts {
  /** When the watch ends at the latest. */
  readonly watchUntil: number;
  /** The plain GET before the resync; null: not made yet. */
  readonly before: ProbeCall | null;
  /** The call with `resync=true`; null: not made yet. */
  readonly call: ProbeCall | null;
  /** The last plain GET after it; null: none was made. */
  readonly lastGet: ProbeCall | null;
  readonly gets: number;
  /** When the first of them was answered 200; null: none was. */
  readonly foundAt: number | null;
  /** What copies are compared with; null: no copy is known yet. */
  readonly original: Likeness | null;
  /** Where the original is from: Whapi or an earlier webhook before the resync, or Whapi after it. */
  readonly originalFrom: 'whapi' | 'webhook' | 'whapi_after' | null;
  readonly message: MessageFacts | null;
  /** The items that carried the message after the call, oldest first. */
  readonly copies: readonly ProbeCopy[];
  /** A person ended it before it knew everything. Missing in most probes. */
  readonly isCancelled?: true;
}

export interface ProbeCopy extends Comparison {
  readonly webhookId: string;
  readonly position: number;
  readonly receivedAt: number;
  readonly event: string;
  readonly carrier: string;
  readonly verdict: Verdict;
  readonly rule: number;
  /** Deliveries to bots that carry it. */
  readonly deliveries: number;
}
