import type { Effects } from '../effects.js';
import type { ChannelCalls, ResyncCall, Resyncs } from '../ledger/ledger.js';
import { endOf, startLoop } from '../loop.js';
import type { Channel, Sealed } from '../model.js';
import type { WhapiAccess, WhapiClient } from '../whapi/client.js';
import { HEALTHY } from '../whapi/wire.js';
import { afterCheck, nextStep } from './pacing.js';
import { afterCall } from './policy.js';
import type { ResyncTiming } from './policy.js';
import type { Turns } from '../whapi/turns.js';

export interface ResyncWorkerOptions {
  readonly ledger: Pick<
    Resyncs,
    'takeCall' | 'settleCall' | 'takeCheck' | 'settleCheck' | 'pendingCalls' | 'closeWindows'
  >;
  readonly whapi: Pick<WhapiClient, 'getMessage' | 'getHealth' | 'destroy'>;
  readonly openSecret: (sealed: Sealed) => string;
  /** Shared with the clients' own calls that pass through. */
  readonly turns: Turns;
  readonly timing: ResyncTiming;
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  readonly onError: (error: unknown) => void;
}

export interface ResyncWorker {
  /** A hint that something was registered, or that a channel was changed. */
  wake(): void;
  /** The machine's clock was set back: pauses end when they would have. */
  clockSetBack(byMs: number): void;
  /** A hint that a webhook told of a channel's state (`status.text`): it is looked at earlier. Never needed. */
  channelIs(channel: string, state: string): void;
  /** Begins no more calls, gives those under way `graceMs`, then breaks them off: they are made again after a restart. */
  stop(graceMs: number): Promise<void>;
}

/** A call that nobody settled (the store was away) is due again after its time-out and this. */
const LEASE_MARGIN_MS = 60_000;
const IDLE_MS = 5000;
/** After a fault of ours (the store does not take writes): the calls are not made in a spin. */
const AFTER_FAULT_MS = 1000;

/**
 * Makes the calls to Whapi that bring messages back, one at a time per channel and spaced, and closes windows that have
 * run out. What is to be done next is decided in pacing.ts, what comes of it in policy.ts.
 */
export function startResyncWorker({
  ledger,
  whapi,
  openSecret,
  turns,
  timing,
  effects,
  onError,
}: ResyncWorkerOptions): ResyncWorker {
  const calling = new Map<string, Promise<void>>();
  const endedAt = new Map<string, number>();
  const faultUntil = new Map<string, number>();
  /** What webhooks told of channels, and calls without an answer, since the last check. */
  const news = { back: new Set<string>(), away: new Set<string>(), silent: new Set<string>() };
  const prefer = new Map<string, ResyncCall['kind']>();
  let isStopping = false;
  let brokenOff = false;

  const turn = async (): Promise<number | null> => {
    while ((await ledger.closeWindows()) > 0); // a small step at a time
    const free = (await ledger.pendingCalls()).filter(({ channel }) => !calling.has(channel.name));
    const later = free.flatMap((calls) => begin(calls) ?? []);
    return later.length > 0 ? Math.min(...later) : null;
  };

  /** Begins what is to be done for a channel, or returns when that will be. */
  const begin = (calls: ChannelCalls): number | null => {
    const { name } = calls.channel;
    const now = effects.now();
    const fault = faultUntil.get(name) ?? 0;
    if (fault > now) return fault;
    if (!calls.pause) news.back.delete(name); // nothing that we did not know
    const isNews = calls.pause ? news.back.has(name) : news.away.has(name) || news.silent.has(name);
    const step = nextStep(calls, { timing, now, endedAt: endedAt.get(name) ?? null, isNews });
    if (step.kind === 'wait') return step.until;
    launch(name, async () => await (step.kind === 'check' ? check(calls) : callNext(calls)));
    return null;
  };

  const launch = (channel: string, work: () => Promise<void>): void => {
    const call = turns
      .take(channel, async () => {
        if (!isStopping) await work();
      })
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

  const check = async (calls: ChannelCalls): Promise<void> => {
    const { channel } = calls;
    await ledger.takeCheck(channel.name);
    news.back.delete(channel.name);
    news.silent.delete(channel.name);
    const wasDoubted = news.away.delete(channel.name);
    const health = await whapi.getHealth(accessTo(channel), { timeoutMs: timing.callTimeoutMs });
    if (brokenOff) return;
    const at = { timing, now: effects.now(), random: effects.random() };
    endedAt.set(channel.name, at.now);
    await ledger.settleCheck(channel.name, afterCheck(calls, health, at, wasDoubted));
  };

  /** New ids and looks take turns, so that a run of thousands does not keep the looks at its first ones waiting. */
  const callNext = async ({ channel: { name }, failures }: ChannelCalls): Promise<void> => {
    const kind = prefer.get(name) ?? 'resync';
    const call = await ledger.takeCall(name, kind, timing.callTimeoutMs + LEASE_MARGIN_MS);
    if (!call) return;
    prefer.set(name, call.kind === 'resync' ? 'poll' : 'resync');
    const begun = effects.now();
    const options = { resync: call.kind === 'resync', timeoutMs: timing.callTimeoutMs };
    const answer = await whapi.getMessage(accessTo(call.channel), call.messageId, options);
    if (brokenOff) return; // not settled: made again after the restart
    if (answer.kind === 'timeout') news.silent.add(name);
    const now = effects.now();
    endedAt.set(name, now);
    const at = { timing, now, random: effects.random(), failures, tookMs: Math.max(now - begun, 0) };
    await ledger.settleCall(call, afterCall(call, answer, at));
  };

  const accessTo = ({ whapiBaseUrl, whapiToken }: Channel): WhapiAccess => ({
    baseUrl: whapiBaseUrl,
    token: openSecret(whapiToken),
  });

  const loop = startLoop({ turn, onError, idleMs: IDLE_MS, effects });

  return {
    wake: loop.wake,
    clockSetBack: (byMs) => {
      for (const times of [endedAt, faultUntil]) {
        for (const [channel, at] of times) times.set(channel, at - byMs);
      }
    },
    channelIs: (channel, state) => {
      if (state === HEALTHY) news.back.add(channel);
      else {
        news.back.delete(channel);
        news.away.add(channel);
      }
      loop.wake();
    },
    stop: async (graceMs) => {
      isStopping = true;
      await loop.stop();
      await endOf(calling.values(), graceMs, effects);
      brokenOff = calling.size > 0;
      await whapi.destroy();
      await Promise.all(calling.values());
    },
  };
}
