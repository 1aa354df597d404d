import type { Effects } from '../effects.js';
import type { ResyncCall, Resyncs } from '../ledger/ledger.js';
import { startLoop } from '../loop.js';
import type { Sealed } from '../model.js';
import type { WhapiClient } from '../whapi/client.js';
import { afterCall } from './policy.js';
import type { ResyncTiming } from './policy.js';

export interface ResyncWorkerOptions {
  readonly ledger: Pick<Resyncs, 'takeCall' | 'settleCall' | 'pendingCalls' | 'closeWindows'>;
  readonly whapi: Pick<WhapiClient, 'getMessage' | 'destroy'>;
  readonly openSecret: (sealed: Sealed) => string;
  readonly timing: ResyncTiming;
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  readonly onError: (error: unknown) => void;
}

export interface ResyncWorker {
  /** A hint that something was registered. */
  wake(): void;
  /** The machine's clock was set back: pauses end when they would have. */
  clockSetBack(byMs: number): void;
  /** Begins no more calls, gives those under way `graceMs`, then breaks them off: they are made again after a restart. */
  stop(graceMs: number): Promise<void>;
}

/** A call that nobody settled (the store was away) is due again after its time-out and this. */
const LEASE_MARGIN_MS = 60_000;
const IDLE_MS = 5000;
/** After a fault of ours (the store does not take writes): the calls are not made in a spin. */
const AFTER_FAULT_MS = 1000;

/**
 * Makes the calls to Whapi that bring messages back, one at a time per channel, and closes windows that have run out.
 * New ids and polls take turns, so that a run of thousands does not keep the polls of its first ones waiting.
 */
export function startResyncWorker({
  ledger,
  whapi,
  openSecret,
  timing,
  effects,
  onError,
}: ResyncWorkerOptions): ResyncWorker {
  const calling = new Map<string, Promise<void>>();
  const pausedUntil = new Map<string, number>();
  const busyInARow = new Map<string, number>();
  const prefer = new Map<string, ResyncCall['kind']>();
  let brokenOff = false;

  const turn = async (): Promise<number | null> => {
    while ((await ledger.closeWindows()) > 0); // a small step at a time
    const free = (await ledger.pendingCalls())
      .filter(({ channel }) => !calling.has(channel))
      .map(({ channel, dueAt }) => ({ channel, dueAt: Math.max(dueAt, pausedUntil.get(channel) ?? 0) }));
    const now = effects.now();
    for (const { channel, dueAt } of free) if (dueAt <= now) launch(channel);
    const later = free.flatMap(({ dueAt }) => (dueAt > now ? [dueAt] : []));
    return later.length > 0 ? Math.min(...later) : null;
  };

  const launch = (channel: string): void => {
    const call = callNext(channel)
      .catch((error: unknown) => {
        onError(error);
        pausedUntil.set(channel, effects.now() + AFTER_FAULT_MS);
      })
      .finally(() => {
        calling.delete(channel);
        loop.wake();
      });
    calling.set(channel, call);
  };

  const callNext = async (channelName: string): Promise<void> => {
    const kind = prefer.get(channelName) ?? 'resync';
    const call = await ledger.takeCall(channelName, kind, timing.callTimeoutMs + LEASE_MARGIN_MS);
    if (!call) return;
    prefer.set(channelName, call.kind === 'resync' ? 'poll' : 'resync');
    const access = { baseUrl: call.channel.whapiBaseUrl, token: openSecret(call.channel.whapiToken) };
    const options = { resync: call.kind === 'resync', timeoutMs: timing.callTimeoutMs };
    const answer = await whapi.getMessage(access, call.messageId, options);
    if (brokenOff) return; // not settled: made again after the restart
    const busyBefore = busyInARow.get(channelName) ?? 0;
    const at = { timing, now: effects.now(), random: effects.random(), busyBefore };
    const { result, pauseUntil } = afterCall(call, answer, at);
    busyInARow.set(channelName, pauseUntil === null ? 0 : busyBefore + 1);
    pausedUntil.set(channelName, pauseUntil ?? 0);
    await ledger.settleCall(call, result);
  };

  const loop = startLoop({ turn, onError, idleMs: IDLE_MS, effects });

  return {
    wake: loop.wake,
    clockSetBack: (byMs) => {
      for (const [channel, until] of pausedUntil) pausedUntil.set(channel, until - byMs);
    },
    stop: async (graceMs) => {
      await loop.stop();
      const ended = new AbortController();
      const all = Promise.all(calling.values()).then(() => ended.abort());
      await effects.sleep(graceMs, ended.signal);
      brokenOff = calling.size > 0;
      await whapi.destroy();
      await all;
    },
  };
}
