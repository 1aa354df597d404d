import type { Effects } from '../effects.js';
import { DEFAULT_WINDOW_SECONDS } from '../model.js';
import { failureOfError, failureOfResponse, reportsMissing } from '../whapi/answers.js';
import type { WhapiResponse, WhapiAnswer } from '../whapi/answers.js';
import type { CallScheduler } from '../whapi/scheduler.js';
import { afterCall } from './policy.js';
import type { ResyncIntervals } from './policy.js';
import { HOUR_MS } from '../durations.js';
import type { ResyncRequest, Resyncs } from '../store/resyncs.js';

export interface PassThroughOptions {
  readonly store: { readonly resyncs: Pick<Resyncs, 'registerAsked' | 'registerUnlessRecent' | 'settleCall'> };
  readonly scheduler: Pick<CallScheduler, 'forClient'>;
  readonly intervals: ResyncIntervals;
  /** How long a client's own call may take, from its turn on until its answer begins. */
  readonly callTimeoutMs: number;
  readonly effects: Pick<Effects, 'now' | 'random'>;
  /** A hint that something is due: a new registration, or a call that was settled. */
  readonly onRegistered: () => void;
  readonly onError: (error: unknown) => void;
}

/** What became of a call to Whapi: an answer, with the beginning of its body unless it was a 200, or none. */
export type CallOutcome = WhapiResponse | { readonly error: unknown };

/** Whose call it is, and which ids are registered for it: those that Whapi may take it for. */
export interface ClientResync {
  readonly channel: string;
  readonly messageIds: readonly string[];
}

/** Resyncs that somebody else's calls bring about. */
export interface PassThrough {
  /**
   * Makes a client's own call with `resync=true`: waits for the channel's turn, registers the ids, and only then lets
   * `call` go out (I2), which ends when `signal` is aborted. What came of it is settled as after a call of the worker,
   * which polls from there on. Where `isOver` says that the client has given up meanwhile, nothing is registered and null
   * is given. @throws GatewayError GW_NOT_FOUND (the channel is gone), GW_STORE_UNAVAILABLE: the call was not made
   */
  makeCall<T extends { readonly outcome: CallOutcome }>(
    about: ClientResync,
    call: (signal: AbortSignal) => Promise<T>,
    isAbandoned: () => boolean,
  ): Promise<T | null>;
  /**
   * Starts a resync of a message that Whapi has just said it does not have, once per id and hour. Gives the id of the
   * resync that brings it back; null where the answer says something else, or where the store could not take it.
   */
  resyncIfMissing(
    about: { readonly channel: string; readonly messageId: string },
    response: WhapiResponse,
    requested: 'message' | 'quoted',
  ): Promise<string | null>;
}

/** As for the worker's calls: a call that nobody settled is made again after its time-out and this. */
const LEASE_MARGIN_MS = 60_000;
const ONCE_PER_MS = HOUR_MS;

export function createPassThrough(options: PassThroughOptions): PassThrough {
  const { store, scheduler, intervals, callTimeoutMs, effects, onRegistered, onError } = options;

  const registerAndCall = async <T extends { readonly outcome: CallOutcome }>(
    request: ResyncRequest,
    failures: number,
    call: () => Promise<T>,
  ): Promise<T> => {
    const registered = await store.resyncs.registerAsked(request, callTimeoutMs + LEASE_MARGIN_MS);
    const begun = effects.now();
    const result = await call();
    const now = effects.now();
    const at = { intervals, now, random: effects.random(), failures, tookMs: Math.max(now - begun, 0) };
    // The answer is Whapi's and the client's: a store that is away now keeps it from nobody. The call counts as
    // interrupted then, and is made again when its lease has run out.
    for (const [index, each] of registered.entries()) {
      const { pause, ...settlement } = afterCall(each, answerOf(result.outcome), at);
      const isLast = index === registered.length - 1; // one call, one trouble
      await store.resyncs.settleCall(each, isLast && pause ? { ...settlement, pause } : settlement).catch(onError);
    }
    onRegistered();
    return result;
  };

  return {
    makeCall: async ({ channel, messageIds }, call, isAbandoned) =>
      await scheduler.forClient(channel, callTimeoutMs, async ({ signal, state }) =>
        isAbandoned()
          ? null
          : await registerAndCall(requestFor(channel, messageIds), state?.failures ?? 0, async () => await call(signal)),
      ),
    resyncIfMissing: async ({ channel, messageId }, response, requested) => {
      if (!reportsMissing(response, requested)) return null;
      try {
        const { resyncId, isDue } = await store.resyncs.registerUnlessRecent(
          requestFor(channel, [messageId]),
          ONCE_PER_MS,
        );
        if (isDue) onRegistered();
        return resyncId;
      } catch (error) {
        onError(error);
        return null;
      }
    },
  };
}

function requestFor(channel: string, messageIds: readonly string[]): ResyncRequest {
  return {
    channel,
    messageIds,
    deliverUnseen: false,
    windowSeconds: DEFAULT_WINDOW_SECONDS,
    idempotency: null,
  };
}

function answerOf(outcome: CallOutcome): WhapiAnswer {
  if ('error' in outcome) return failureOfError(outcome.error);
  return outcome.status === 200 ? { kind: 'found' } : failureOfResponse(outcome);
}
