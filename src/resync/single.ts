import type { Effects } from '../effects.js';
import { DEFAULT_WINDOW_SECONDS } from '../model.js';
import type { Channel } from '../model.js';
import { placeOf } from '../secret-places.js';
import type { OpenSecret } from '../secret-places.js';
import type { Resyncs } from '../store/resyncs.js';
import type { WhapiAnswer } from '../whapi/answers.js';
import type { WhapiClient } from '../whapi/client.js';
import type { CallScheduler } from '../whapi/scheduler.js';
import { afterCall } from './policy.js';
import type { ResyncIntervals } from './policy.js';

/** A call to Whapi for one message, in its turn. */
export interface SingleCall {
  readonly answer: WhapiAnswer;
  readonly at: number;
  readonly tookMs: number;
}

/** Calls for one message that a person asks for. */
export interface SingleCalls {
  /**
   * A plain GET.
   * @param withdrawn aborted: no call is made if its turn has not come
   * @returns null: the call could not be made now.
   */
  read(channel: Channel, messageId: string, withdrawn: AbortSignal): Promise<SingleCall | null>;
  /**
   * Resyncs the message: registers it when the turn has come, and only then calls Whapi (I2). The answer is settled like
   * that of a worker's call, which polls from there on.
   * @param shown the message as it was shown before, to recognize it under another id; undefined: not known
   * @param withdrawn aborted: no call is made if its turn has not come
   * @returns null: the call could not be made now.
   */
  resync(channel: Channel, messageId: string, shown: unknown, withdrawn: AbortSignal): Promise<SingleCall | null>;
}

export interface SingleCallsOptions {
  readonly store: { readonly resyncs: Pick<Resyncs, 'registerAsked' | 'settleCall'> };
  readonly whapi: Pick<WhapiClient, 'getMessage'>;
  readonly openSecret: OpenSecret;
  readonly scheduler: Pick<CallScheduler, 'forPerson'>;
  readonly intervals: ResyncIntervals;
  readonly effects: Pick<Effects, 'now' | 'random'>;
  /** Whapi answered a call; `result`: the kind of its answer. */
  readonly onCall: (channel: string, kind: 'resync' | 'poll', result: WhapiAnswer['kind']) => void;
  /** A hint that something is due: a new registration, or a settled call. */
  readonly onRegistered: () => void;
  readonly onError: (error: unknown) => void;
}

export function createSingleCalls(options: SingleCallsOptions): SingleCalls {
  const { store, whapi, openSecret, scheduler, intervals, effects, onCall, onRegistered, onError } = options;

  const call = async (channel: Channel, messageId: string, resync: boolean): Promise<SingleCall> => {
    const access = {
      baseUrl: channel.whapiBaseUrl,
      token: openSecret(channel.whapiToken, placeOf.whapiToken(channel)),
    };
    const at = effects.now();
    const answer = await whapi.getMessage(access, messageId, { resync, timeoutMs: intervals.callTimeoutMs });
    onCall(channel.name, resync ? 'resync' : 'poll', answer.kind);
    return { answer, at, tookMs: Math.max(effects.now() - at, 0) };
  };

  const registerAndCall = async (channel: Channel, messageId: string, shown: unknown): Promise<SingleCall> => {
    const request = {
      ...{ channel: channel.name, messageIds: [messageId], deliverUnseen: false, idempotency: null },
      ...{ windowSeconds: DEFAULT_WINDOW_SECONDS, shown },
    };
    const registered = await store.resyncs.registerAsked(request, intervals.callTimeoutMs + intervals.callMarginMs);
    onRegistered();
    const made = await call(channel, messageId, true);
    const { answer, tookMs } = made;
    const moment = { intervals, now: effects.now(), random: effects.random(), failures: 0, tookMs };
    // If the store is unavailable now, the call counts as interrupted and is repeated when its lease has run out.
    for (const each of registered) await store.resyncs.settleCall(each, afterCall(each, answer, moment)).catch(onError);
    onRegistered();
    return made;
  };

  /** Waits for the turn. */
  const inTurn = async (
    channel: Channel,
    withdrawn: AbortSignal,
    work: () => Promise<SingleCall>,
  ): Promise<SingleCall | null> => {
    let made: SingleCall | null = null;
    const call = async () => {
      made = await work();
      const { answer } = made;
      return answer.kind === 'found' ? { ...answer, body: null, date: null } : answer;
    };
    await scheduler.forPerson(channel, 'probe', call, withdrawn);
    return made;
  };

  return {
    read: async (channel, messageId, withdrawn) =>
      await inTurn(channel, withdrawn, async () => await call(channel, messageId, false)),
    resync: async (channel, messageId, shown, withdrawn) =>
      await inTurn(channel, withdrawn, async () => await registerAndCall(channel, messageId, shown)),
  };
}
