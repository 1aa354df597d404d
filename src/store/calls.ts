import type { Channel } from '../model.js';
import type { CallHistory, CheckResult, NewPause } from './store.js';

/** What is known of the calls to Whapi of each channel, whoever makes them. A part of `Store`. */
export interface ChannelCallLog {
  /** As of now; null: there is no such channel. */
  channelState(channel: string): Promise<ChannelState | null>;
  /** When the next calls for registered ids are due; null: none is. */
  nextCalls(channel: string): Promise<CallsDue | null>;
  /** Counts a call for the day, before it is made. Calls that `takeCall` gives are counted by it. */
  countCall(channel: string): Promise<void>;
  /** Writes what came of a health check. */
  settleCheck(channel: string, result: CheckResult): Promise<void>;
  /** Writes what an answer said of the channel as a whole; null: Whapi took the call. `settleCall` does so by itself. */
  noteAnswer(channel: string, pause: NewPause | null): Promise<void>;
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
