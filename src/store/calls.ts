import type { Channel, Pause } from '../model.js';

/** The calls to Whapi of each channel, including those of clients through the proxy. */
export interface Calls {
  /** The channel and its calls so far; null: unknown channel. */
  stateOf(channel: string): Promise<ChannelState | null>;
  /** When the next calls for registered ids are due; null: there are none. */
  nextCalls(channel: string): Promise<CallsDue | null>;
  /** Counts a call against the day's budget, before it is made. `resyncs.takeCall` counts its calls itself. */
  countCall(channel: string): Promise<void>;
  /** Notes a reason to check the channel's health before its next call. An engine may forget it in a crash. */
  noteNews(channel: string, news: News): Promise<void>;
  /** Returns what was noted since the last time, and forgets it. For use right before a health check. */
  takeNews(channel: string): Promise<readonly News[]>;
  /** Saves the result of a health check. */
  settleCheck(channel: string, result: CheckResult): Promise<void>;
  /** Saves what an answer means for the whole channel; null: Whapi took the call. `resyncs.settleCall` does so itself. */
  noteAnswer(channel: string, pause: NewPause | null): Promise<void>;
}

/**
 * A webhook reported that the channel can resync (`back`) or that it cannot (`away`), or Whapi did not answer a call in time.
 * `away` ends an earlier `back`, and an answer of Whapi to any call ends a `back` as well.
 */
export type News = 'back' | 'away' | 'no_answer';

/** The calls to Whapi of a channel so far; all but `news` survives restarts. */
export interface CallHistory {
  /** Since midnight, UTC. */
  readonly callsToday: number;
  readonly lastCallAt: number | null;
  /** When a health check last said that the channel can resync. */
  readonly healthyAt: number | null;
  /** Consecutive failed calls, health checks included. */
  readonly failures: number;
  readonly pause: Pause | null;
  /** What was noted since the last health check. */
  readonly news: readonly News[];
}

export interface ChannelState extends CallHistory {
  readonly channel: Channel;
}

export interface CallsDue {
  /** When the first call is due. */
  readonly dueAt: number;
  /** When the first call with `resync=true` is due; null: only polls are. */
  readonly askDueAt: number | null;
}

export interface ChannelCalls extends ChannelState, CallsDue {}

/** A pause to start or continue; the store keeps its start time. */
export type NewPause = Omit<Pause, 'since'>;

export interface CheckResult {
  readonly pause: NewPause | null;
  /** The channel cannot resync, or could not for some time since `healthyAt`: calls made since then are repeated. */
  readonly wasAway: boolean;
}
