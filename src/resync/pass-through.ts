import type { Effects } from '../effects.js';
import type { Ledger, ResyncRequest } from '../ledger/ledger.js';
import { DEFAULT_WINDOW_SECONDS } from '../model.js';
import { failureOf, refusalOf, saysMissing } from '../whapi/answers.js';
import type { Said, WhapiAnswer } from '../whapi/answers.js';
import { afterCall } from './policy.js';
import type { ResyncTiming } from './policy.js';
import type { Turns } from '../whapi/turns.js';

export interface PassThroughOptions {
  readonly ledger: Pick<Ledger, 'registerAsked' | 'registerUnlessRecent' | 'settleCall'>;
  readonly turns: Turns;
  readonly timing: ResyncTiming;
  /** How long a client's own call may take. */
  readonly callTimeoutMs: number;
  readonly effects: Pick<Effects, 'now' | 'random'>;
  /** A hint that something is due: a new registration, or a call that was settled. */
  readonly onRegistered: () => void;
  readonly onError: (error: unknown) => void;
}

/** What became of a call to Whapi: an answer, with the beginning of its body unless it was a 200, or none. */
export type Outcome = Said | { readonly error: unknown };

/** Resyncs that somebody else's calls bring about. */
export interface PassThrough {
  /**
   * Makes a client's own call with `resync=true`: waits for the channel's turn, registers the id, and only then lets
   * `call` go out (I2). What came of it is settled as after a call of the worker, which polls from there on. Where
   * `isOver` says that the client has given up meanwhile, nothing is registered and null is given.
   * @throws GatewayError GW_NOT_FOUND (the channel is gone), GW_STORE_UNAVAILABLE: the call was not made
   */
  ask<T extends { readonly outcome: Outcome }>(
    about: { readonly channel: string; readonly messageId: string },
    call: () => Promise<T>,
    isOver: () => boolean,
  ): Promise<T | null>;
  /**
   * Starts a resync of a message that Whapi has just said it does not have, once per id and hour. Gives the id of the
   * resync that brings it back; null where the answer says something else, or where the store could not take it.
   */
  bringBack(
    about: { readonly channel: string; readonly messageId: string },
    said: Said,
    asked: 'message' | 'quoted',
  ): Promise<string | null>;
  /** Resolves when no call is under way and all are settled. */
  idle(): Promise<void>;
}

/** As for the worker's calls: a call that nobody settled is made again after its time-out and this. */
const LEASE_MARGIN_MS = 60_000;
const ONCE_PER_MS = 60 * 60 * 1000;

export function createPassThrough(options: PassThroughOptions): PassThrough {
  const { ledger, turns, timing, callTimeoutMs, effects, onRegistered, onError } = options;
  const underWay = new Set<Promise<unknown>>();

  const askNow = async <T extends { readonly outcome: Outcome }>(
    request: ResyncRequest,
    call: () => Promise<T>,
  ): Promise<T> => {
    const registered = await ledger.registerAsked(request, callTimeoutMs + LEASE_MARGIN_MS);
    const begun = effects.now();
    const made = await call();
    const now = effects.now();
    const at = { timing, now, random: effects.random(), failures: 0, tookMs: Math.max(now - begun, 0) };
    const result = afterCall(registered, meaningOf(made.outcome), at);
    // The answer is Whapi's and the client's: a store that is away now keeps it from nobody. The call counts as
    // interrupted then, and is made again when its lease has run out.
    await ledger.settleCall(registered, result).catch(onError);
    onRegistered();
    return made;
  };

  return {
    ask: async ({ channel, messageId }, call, isOver) => {
      const turn = turns.take(channel, async () =>
        isOver() ? null : await askNow(requestFor(channel, messageId), call),
      );
      underWay.add(turn);
      try {
        return await turn;
      } finally {
        underWay.delete(turn);
      }
    },
    bringBack: async ({ channel, messageId }, said, asked) => {
      if (!saysMissing(said, asked)) return null;
      try {
        const { resyncId, isNew } = await ledger.registerUnlessRecent(requestFor(channel, messageId), ONCE_PER_MS);
        if (isNew) onRegistered();
        return resyncId;
      } catch (error) {
        onError(error);
        return null;
      }
    },
    idle: async () => {
      await Promise.allSettled(underWay);
    },
  };
}

function requestFor(channel: string, messageId: string): ResyncRequest {
  return {
    channel,
    messageIds: [messageId],
    deliverUnseen: false,
    windowSeconds: DEFAULT_WINDOW_SECONDS,
    idempotency: null,
  };
}

function meaningOf(outcome: Outcome): WhapiAnswer {
  if ('error' in outcome) return failureOf(outcome.error);
  return outcome.status === 200 ? { kind: 'found' } : refusalOf(outcome);
}
