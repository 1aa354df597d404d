import type { Effects } from '../effects.js';
import { startLoop } from '../loop.js';
import type { Sealed } from '../model.js';
import type { WhapiClient } from '../whapi/client.js';
import type { CallScheduler, Turn } from '../whapi/scheduler.js';
import { afterCall } from './policy.js';
import type { ResyncIntervals } from './policy.js';
import type { Calls, ChannelCalls } from '../store/calls.js';
import type { ResyncCall, Resyncs } from '../store/resyncs.js';

export interface ResyncWorkerOptions {
  readonly store: {
    readonly resyncs: Pick<Resyncs, 'pendingCalls' | 'settleCall' | 'takeCall' | 'closeWindows'>;
    readonly calls: Pick<Calls, 'nextCalls'>;
  };
  readonly whapi: Pick<WhapiClient, 'getMessage'>;
  readonly openSecret: (sealed: Sealed) => string;
  readonly scheduler: Pick<CallScheduler, 'forWorker' | 'stepFor' | 'noteNoAnswer'>;
  readonly intervals: ResyncIntervals;
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  readonly onError: (error: unknown) => void;
}

export interface ResyncWorker {
  /** A hint that something was registered, or that a channel was changed. */
  wake(): void;
  /** The machine's clock was set back: pauses end when they would have. */
  clockSetBack(byMs: number): void;
  /** Begins no more calls; resolves when those under way have ended, which is up to the scheduler. */
  stop(): Promise<void>;
}

/** A call that nobody settled (the store was away) is due again after its time-out and this. */
const LEASE_MARGIN_MS = 60_000;
const IDLE_MS = 5000;
/** After a fault of ours (the store does not take writes): the calls are not made in a spin. */
const AFTER_FAULT_MS = 1000;

/**
 * Submits the calls to Whapi that bring messages back, one at a time per channel, and closes windows that have run out.
 * When a call may be made is decided in whapi/policy.ts, what comes of it in policy.ts.
 */
export function startResyncWorker({
  store,
  whapi,
  openSecret,
  scheduler,
  intervals,
  effects,
  onError,
}: ResyncWorkerOptions): ResyncWorker {
  const calling = new Map<string, Promise<void>>();
  const faultUntil = new Map<string, number>();
  const nextKind = new Map<string, ResyncCall['kind']>();

  const turn = async (): Promise<number | null> => {
    while ((await store.resyncs.closeWindows()) > 0); // a small step at a time
    const free = (await store.resyncs.pendingCalls()).filter(({ channel }) => !calling.has(channel.name));
    const later = free.flatMap((calls) => launchOrWait(calls) ?? []);
    return later.length > 0 ? Math.min(...later) : null;
  };

  /** Submits what is to be done for a channel, or returns when that will be. */
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

  /** New ids and looks take turns, so that a run of thousands does not keep the looks at its first ones waiting. */
  const callNext = async ({ signal, state }: Turn): Promise<void> => {
    const { failures } = state;
    const { name } = state.channel;
    const kind = nextKind.get(name) ?? 'resync';
    const call = await store.resyncs.takeCall(name, kind, intervals.callTimeoutMs + LEASE_MARGIN_MS);
    if (!call) return;
    nextKind.set(name, call.kind === 'resync' ? 'poll' : 'resync');
    const begun = effects.now();
    const access = { baseUrl: call.channel.whapiBaseUrl, token: openSecret(call.channel.whapiToken) };
    const options = { resync: call.kind === 'resync', timeoutMs: intervals.callTimeoutMs };
    const answer = await whapi.getMessage(access, call.messageId, options);
    if (signal.aborted) return; // not settled: made again after the restart
    if (answer.kind === 'timeout') scheduler.noteNoAnswer(name);
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
