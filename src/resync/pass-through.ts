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
  /** How long a client's own call may take, from its turn until its answer starts. */
  readonly callTimeoutMs: number;
  readonly effects: Pick<Effects, 'now' | 'random'>;
  /** A hint that something is due: a new registration, or a settled call. */
  readonly onRegistered: () => void;
  readonly onError: (error: unknown) => void;
}

/** How a call to Whapi ended: an answer, with the start of its body unless it was a 200, or an error. */
export type CallOutcome = WhapiResponse | { readonly error: unknown };

/**
 * A client's call with `resync=true`: its channel, and the ids to register because Whapi may read it as any of them.
 */
export interface ClientResync {
  readonly channel: string;
  readonly messageIds: readonly string[];
}

/** Resyncs that clients' calls through `/whapi` cause. */
export interface PassThrough {
  /**
   * Makes a client's own call with `resync=true`. Waits for the channel's turn, registers the ids, and only then runs
   * `call` (I2), which must end when `signal` is aborted. Its outcome is settled like that of a worker's call, and the
   * worker polls from there on. If `isAbandoned` says that the client has gone away meanwhile, registers nothing and
   * resolves with null.
   * @throws GatewayError GW_NOT_FOUND (the channel was removed), GW_STORE_UNAVAILABLE: the call was not made
   */
  makeCall<T extends { readonly outcome: CallOutcome }>(
    about: ClientResync,
    call: (signal: AbortSignal) => Promise<T>,
    isAbandoned: () => boolean,
  ): Promise<T | null>;
  /**
   * Starts a resync of a message that Whapi has just reported missing, once per id and hour. Resolves with the id of
   * the resync; null if the answer says something else, or if the store refused the registration.
   */
  resyncIfMissing(
    about: { readonly channel: string; readonly messageId: string },
    response: WhapiResponse,
    requested: 'message' | 'quoted',
  ): Promise<string | null>;
}

const ONCE_PER_MS = HOUR_MS;

export function createPassThrough(options: PassThroughOptions): PassThrough {
  const { store, scheduler, intervals, callTimeoutMs, effects, onRegistered, onError } = options;

  const registerAndCall = async <T extends { readonly outcome: CallOutcome }>(
    request: ResyncRequest,
    failures: number,
    call: () => Promise<T>,
  ): Promise<T> => {
    const registered = await store.resyncs.registerAsked(request, callTimeoutMs + intervals.callMarginMs);
    const begun = effects.now();
    const result = await call();
    const now = effects.now();
    const at = { intervals, now, random: effects.random(), failures, tookMs: Math.max(now - begun, 0) };
    // The client gets Whapi's answer even if the store is unavailable now. The call then counts as interrupted and is
    // repeated when its lease has run out.
    for (const [index, each] of registered.entries()) {
      const { pause, ...settlement } = afterCall(each, answerOf(result.outcome), at);
      const isLast = index === registered.length - 1; // one call causes one pause
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
          : await registerAndCall(
              requestFor(channel, messageIds),
              state?.failures ?? 0,
              async () => await call(signal),
            ),
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
