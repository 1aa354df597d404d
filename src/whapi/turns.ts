import type { Effects } from '../effects.js';
import type { ChannelTurn, Turns } from '../store/turns.js';
import { KeyedMutex } from '../keyed-mutex.js';
import type { TurnIntervals } from './policy.js';

export interface ChannelTurnsOptions {
  readonly store: { readonly turns: Turns };
  /** The name under which this replica takes turns. */
  readonly holder: string;
  readonly intervals: TurnIntervals;
  readonly effects: Pick<Effects, 'sleep' | 'random'>;
  readonly onError: (error: unknown) => void;
}

/** A turn under way. */
export interface HeldTurn {
  readonly lastEndedAt: number | null;
  /** One of the gateway's own calls was made: the spacing starts when the turn ends. */
  startsSpacing: boolean;
}

/** How long a call waits for a turn that another replica holds. */
export interface Wait<T> {
  /** Aborted when it no longer waits. */
  readonly signal: AbortSignal;
  /** What `run` resolves with then. */
  readonly orElse: (channel: string) => T;
}

/** The turns of this replica: first in its own queue, then in the store, which all replicas share. */
export interface ChannelTurns {
  /**
   * Runs `work`, whose call takes `callMs` at most, once the channel is free. Resolves with its result.
   * @throws GatewayError GW_STORE_UNAVAILABLE: `work` was not run
   */
  run<T>(channel: string, callMs: number, wait: Wait<T>, work: (turn: HeldTurn) => Promise<T>): Promise<T>;
}

/** The pauses before a turn that is held elsewhere is asked for again. */
const ASK_AGAIN_MS = { least: 50, most: 200 };

export function createChannelTurns({ store, holder, intervals, effects, onError }: ChannelTurnsOptions): ChannelTurns {
  const mutex = new KeyedMutex();

  /** Null: it was held elsewhere until `signal` was aborted. */
  const take = async (channel: string, callMs: number, signal: AbortSignal): Promise<ChannelTurn | null> => {
    for (;;) {
      const turn = await store.turns.take(channel, holder, callMs + intervals.turnMarginMs);
      if (turn || signal.aborted) return turn;
      const { least, most } = ASK_AGAIN_MS;
      await effects.sleep(least + (most - least) * effects.random(), signal);
    }
  };

  return {
    run: async (channel, callMs, { signal, orElse }, work) =>
      await mutex.run(channel, async () => {
        const turn = await take(channel, callMs, signal);
        if (!turn) return orElse(channel);
        const held: HeldTurn = { lastEndedAt: turn.lastEndedAt, startsSpacing: false };
        try {
          return await work(held);
        } finally {
          // If the store refuses, the turn ends with its lease.
          await store.turns.end(turn, held.startsSpacing).catch(onError);
        }
      }),
  };
}
