import type { Channel, Pause } from '../model.js';

/** What is known of the calls to Whapi of each channel, whoever makes them. */
export interface Calls {
  /** As of now; null: there is no such channel. */
  stateOf(channel: string): Promise<ChannelState | null>;
  /** When the next calls for registered ids are due; null: none is. */
  nextCalls(channel: string): Promise<CallsDue | null>;
  /** Counts a call for the day, before it is made. Calls that `takeCall` gives are counted by it. */
  countCall(channel: string): Promise<void>;
  /** Writes what came of a health check. */
  settleCheck(channel: string, result: CheckResult): Promise<void>;
  /** Writes what an answer said of the channel as a whole; null: Whapi took the call. `settleCall` does so by itself. */
  noteAnswer(channel: string, pause: NewPause | null): Promise<void>;
}

/** What is known of the calls to Whapi of a channel, over restarts. */
export interface CallHistory {
  /** On this day, UTC. */
  readonly callsToday: number;
  readonly lastCallAt: number | null;
  /** When Whapi last said that the channel can resync. */
  readonly healthyAt: number | null;
  /** Calls in a row, health checks included, that told of trouble. */
  readonly failures: number;
  readonly pause: Pause | null;
}

export interface ChannelState extends CallHistory {
  readonly channel: Channel;
}

export interface CallsDue {
  /** When the first call is due. */
  readonly dueAt: number;
  /** When the first call with `resync=true` is due; null where only polls are to be made. */
  readonly askDueAt: number | null;
}

export interface ChannelCalls extends ChannelState, CallsDue {}

/** The store knows since when. */
export type NewPause = Omit<Pause, 'since'>;

export interface CheckResult {
  readonly pause: NewPause | null;
  /** The channel cannot resync, or could not for a while since it last could: what was asked for since is asked again. */
  readonly wasAway: boolean;
}
