import type { Effects } from '../effects.js';
import { AFTER_FAULT_MS, startLoop } from '../loop.js';
import type { WhapiAnswer } from '../whapi/answers.js';
import type { WhapiClient } from '../whapi/client.js';
import type { CallScheduler, Turn } from '../whapi/scheduler.js';
import { afterCall } from './policy.js';
import type { ResyncIntervals } from './policy.js';
import type { Calls, ChannelCalls } from '../store/calls.js';
import type { ResyncCall, Resyncs } from '../store/resyncs.js';
import { placeOf } from '../secret-places.js';
import type { OpenSecret } from '../secret-places.js';

export interface ResyncWorkerOptions {
  readonly store: {
    readonly resyncs: Pick<Resyncs, 'pendingCalls' | 'settleCall' | 'takeCall' | 'closeWindows'>;
    readonly calls: Pick<Calls, 'nextCalls' | 'noteNews'>;
  };
  readonly whapi: Pick<WhapiClient, 'getMessage'>;
  readonly openSecret: OpenSecret;
  readonly scheduler: Pick<CallScheduler, 'forWorker' | 'stepFor'>;
  /** The name under which the scheduler takes turns. Channels whose turn another replica has are left to that one. */
  readonly holder: string;
  readonly intervals: ResyncIntervals;
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  readonly onError: (error: unknown) => void;
  /** Whapi answered a call; `result`: the kind of its answer. */
  readonly onCall?: (channel: string, kind: ResyncCall['kind'], result: WhapiAnswer['kind']) => void;
}

export interface ResyncWorker {
  /** A hint that something was registered or a channel was changed. */
  wake(): void;
  /** The machine's clock was set back: shifts pauses with it. */
  clockSetBack(byMs: number): void;
  /** Starts no more calls. Resolves when those under way have ended; the scheduler decides how long they get. */
  stop(): Promise<void>;
}

const IDLE_MS = 5000;

/**
 * Submits the calls to Whapi that restore messages, one at a time per channel, and closes windows that have run out.
 * whapi/policy.ts decides when a call may be made, policy.ts what follows from its answer.
 */
export function startResyncWorker({
  store,
  whapi,
  openSecret,
  scheduler,
  holder,
  intervals,
  effects,
  onError,
  onCall = () => undefined,
}: ResyncWorkerOptions): ResyncWorker {
  const calling = new Map<string, Promise<void>>();
  const faultUntil = new Map<string, number>();
  const nextKind = new Map<string, ResyncCall['kind']>();

  const turn = async (): Promise<number | null> => {
    while ((await store.resyncs.closeWindows()) > 0); // in small steps
    const free = (await store.resyncs.pendingCalls(holder)).filter(({ channel }) => !calling.has(channel.name));
    const later = free.flatMap((calls) => launchOrWait(calls) ?? []);
    return later.length > 0 ? Math.min(...later) : null;
  };

  /** Submits the channel's next call, or returns when it will be due. */
  const launchOrWait = (calls: ChannelCalls): number | null => {
    const { name } = calls.channel;
    const faultEndsAt = faultUntil.get(name) ?? 0;
    if (faultEndsAt > effects.now()) return faultEndsAt;
    const step = scheduler.stepFor(calls, calls);
    if (step.kind === 'wait') return step.until;
    launch(name);
    return null;
  };

  const launch = (channel: string): void => {
    const call = scheduler
      .forWorker(channel, 'run', { due: async () => await store.calls.nextCalls(channel), make: callNext })
      .catch((error: unknown) => {
        onError(error);
        faultUntil.set(channel, effects.now() + AFTER_FAULT_MS);
      })
      .finally(() => {
        calling.delete(channel);
        loop.wake();
      });
    calling.set(channel, call);
  };

  /**
   * Alternates between new ids and polls, so that a run of thousands of ids does not delay the polls for its first
   * ones.
   */
  const callNext = async ({ signal, state }: Turn): Promise<void> => {
    const { failures } = state;
    const { name } = state.channel;
    const kind = nextKind.get(name) ?? 'resync';
    const call = await store.resyncs.takeCall(name, kind, intervals.callTimeoutMs + intervals.callMarginMs);
    if (!call) return;
    nextKind.set(name, call.kind === 'resync' ? 'poll' : 'resync');
    const begun = effects.now();
    const access = {
      baseUrl: call.channel.whapiBaseUrl,
      token: openSecret(call.channel.whapiToken, placeOf.whapiToken(call.channel)),
    };
    const options = { resync: call.kind === 'resync', timeoutMs: intervals.callTimeoutMs };
    const answer = await whapi.getMessage(access, call.messageId, options);
    onCall(name, call.kind, answer.kind);
    if (signal.aborted) return; // not settled, so it is repeated after the restart
    if (answer.kind === 'timeout') await store.calls.noteNews(name, 'no_answer');
    const now = effects.now();
    const at = { intervals, now, random: effects.random(), failures, tookMs: Math.max(now - begun, 0) };
    await store.resyncs.settleCall(call, afterCall(call, answer, at));
  };

  const loop = startLoop({ turn, onError, idleMs: IDLE_MS, effects });

  return {
    wake: loop.wake,
    clockSetBack: (byMs) => {
      for (const [channel, at] of faultUntil) faultUntil.set(channel, at - byMs);
    },
    stop: async () => {
      await loop.stop();
      await Promise.all(calling.values());
    },
  };
}
