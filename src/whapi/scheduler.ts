import type { Effects } from '../effects.js';
import { endOf } from '../loop.js';
import type { Channel, Sealed } from '../model.js';
import { callerInWords } from './callers.js';
import type { Caller, UnderWay } from './callers.js';
import type { WhapiClient, WhapiResult } from './client.js';
import { afterCheck, nextStep, pauseFor, troubleIn } from './policy.js';
import type { CallIntervals, Step } from './policy.js';
import { createTurns } from './turns.js';
import { HEALTHY } from './wire.js';
import type { CallsDue, Calls, ChannelState } from '../store/calls.js';

export interface Turn<State = ChannelState> {
  /** Aborted when the time of the call is over, or when the gateway stops and breaks off what is under way. */
  readonly signal: AbortSignal;
  /** As it is now that the turn has come. */
  readonly state: State;
}

/** `state` is null where the channel was removed meanwhile. */
type AnyTurn = Turn<ChannelState | null>;

/** Calls that the gateway makes by itself. Both are asked when the channel's turn has come, not before. */
export interface OwnCalls {
  /** When the next one is due; null: there is none (any more). */
  due(): Promise<CallsDue | null>;
  /** Makes the next one, counts it and settles it. */
  make(turn: Turn): Promise<void>;
}

export interface SchedulerOptions {
  readonly store: { readonly calls: Calls };
  readonly whapi: Pick<WhapiClient, 'getHealth' | 'destroy'>;
  readonly openSecret: (sealed: Sealed) => string;
  readonly intervals: CallIntervals & { readonly callTimeoutMs: number };
  /** How long a person's call waits for its turn. */
  readonly timeoutMs?: number;
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  readonly onError: (error: unknown) => void;
}

/**
 * Owns every call to Whapi that the gateway makes, or passes on with `resync=true`: one per channel is under way, in the
 * order in which they were asked for. What an answer says of the channel binds the next call of the gateway's own, and
 * so do spacing and daily budget (policy.ts). Calls of clients and people wait for their turn and for nothing else.
 */
export interface CallScheduler {
  /** Makes one of these calls, or a health check, if its turn comes and it may be made then. @throws what they throw */
  own(channel: string, by: 'run' | 'audit', calls: OwnCalls): Promise<void>;
  /** What `own` would do if its turn came now. */
  stepFor(state: ChannelState, due: CallsDue): Step;
  /**
   * A client's call that passes through. It is not counted. It has `limitMs` from the beginning of its turn on, for the
   * whole of it. @throws what it throws
   */
  forClient<T>(channel: string, limitMs: number, call: (turn: AnyTurn) => Promise<T>): Promise<T>;
  /** A call that a person asks for. It is counted, and made whatever the budget. Never rejects. */
  forPerson<T>(
    channel: Channel,
    by: 'connect' | 'doctor',
    call: () => Promise<WhapiResult<T>>,
  ): Promise<WhapiResult<T>>;
  /** The call that has the channel's turn. */
  underWay(channel: string): UnderWay | null;
  /** A hint that a webhook told of a channel's state (`status.text`): it is looked at earlier. Never needed. */
  channelIs(channel: string, state: string): void;
  /** A hint that Whapi gave no answer at all: the channel is looked at before the next call. */
  wasSilent(channel: string): void;
  /** A hint that a channel was changed: calls that keep a spacing look at it again. */
  wake(): void;
  /** The machine's clock was set back. */
  clockSetBack(byMs: number): void;
  /**
   * Begins no more calls of the gateway's own, gives those under way, and what `others` wait for, `graceMs`, then breaks
   * off what is left. No call can be made afterwards.
   */
  stop(graceMs: number, others: Promise<void>): Promise<void>;
}

/** A change of the spacing is seen this late at most where no `wake` told of it. */
const LONGEST_NAP_MS = 5000;
const CLIENT_TIMEOUT_MS = 30_000;
/** Aborting without a reason would create an error with a stack. */
const WOKEN = 'woken';
const NOTHING_DUE: Step = { kind: 'wait', until: Infinity, pause: null };

export function createCallScheduler(options: SchedulerOptions): CallScheduler {
  const { store, whapi, openSecret, intervals, effects, onError, timeoutMs = CLIENT_TIMEOUT_MS } = options;
  const turns = createTurns();
  /** One at a time waits for the end of the spacing, so that none overtakes another. */
  const ownTurns = createTurns();
  const underWay = new Map<string, UnderWay & { readonly abort: AbortController }>();
  const unfinished = new Set<Promise<void>>();
  /** Of the last call of the gateway's own. */
  const endedAt = new Map<string, number>();
  /** What webhooks told of channels, and calls without an answer, since the last check. */
  const hints = { back: new Set<string>(), away: new Set<string>(), silent: new Set<string>() };
  let alarm = new AbortController();
  let isStopping = false;

  /** Waits for the channel's turn. A time limit holds from there on, until `work` has ended. */
  const inTurn = async <T>(
    channel: string,
    by: Caller,
    limitMs: number | null,
    work: (turn: AnyTurn) => Promise<T>,
  ): Promise<T> => {
    const turn = turns.take(channel, async () => {
      const abort = new AbortController();
      const since = effects.now();
      underWay.set(channel, { by, since, until: since + (limitMs ?? intervals.callTimeoutMs), abort });
      const timeUp = limitMs === null ? null : AbortSignal.timeout(limitMs);
      const breakOff = (): void => abort.abort(timeUp?.reason);
      timeUp?.addEventListener('abort', breakOff);
      try {
        return await work({ signal: abort.signal, state: await store.calls.stateOf(channel) });
      } finally {
        timeUp?.removeEventListener('abort', breakOff);
        underWay.delete(channel);
      }
    });
    const ended = turn.then(
      () => undefined,
      () => undefined,
    );
    unfinished.add(ended);
    void ended.then(() => unfinished.delete(ended));
    return await turn;
  };

  const stepFor: CallScheduler['stepFor'] = (state, due) => {
    const { name } = state.channel;
    if (!state.pause) hints.back.delete(name); // nothing that we did not know
    const isStateStale = state.pause ? hints.back.has(name) : hints.away.has(name) || hints.silent.has(name);
    return nextStep(state, due, {
      intervals,
      now: effects.now(),
      endedAt: endedAt.get(name) ?? null,
      isStateStale: isStateStale,
    });
  };

  const stepInTurn = async (calls: OwnCalls, { signal, state }: AnyTurn): Promise<Step> => {
    const due = await calls.due();
    if (isStopping || !state || !due) return NOTHING_DUE;
    const step = stepFor(state, due);
    if (step.kind === 'wait' || step.kind === 'space') return step;
    try {
      await (step.kind === 'check' ? check({ signal, state }) : calls.make({ signal, state }));
    } finally {
      endedAt.set(state.channel.name, effects.now());
    }
    return step;
  };

  const check = async ({ signal, state }: Turn): Promise<void> => {
    const { name, whapiBaseUrl, whapiToken } = state.channel;
    await store.calls.countCall(name);
    hints.back.delete(name);
    hints.silent.delete(name);
    const wasDoubted = hints.away.delete(name);
    const access = { baseUrl: whapiBaseUrl, token: openSecret(whapiToken) };
    const health = await whapi.getHealth(access, { timeoutMs: intervals.callTimeoutMs });
    if (signal.aborted) return;
    const at = { intervals, now: effects.now(), random: effects.random() };
    await store.calls.settleCheck(name, afterCheck(state, health, at, wasDoubted));
  };

  /** As `call`, counted before and learned from after. */
  const counted = async <T>(
    { name }: Channel,
    state: ChannelState | null,
    call: () => Promise<WhapiResult<T>>,
  ): Promise<WhapiResult<T>> => {
    await store.calls.countCall(name).catch(onError);
    const result = await call();
    const trouble = result.kind === 'found' || result.kind === 'timeout' ? null : troubleIn(result);
    if (trouble && state) {
      const at = { intervals, now: effects.now(), random: effects.random(), failures: state.failures };
      await store.calls.noteAnswer(name, pauseFor(trouble, state.channel, at)).catch(onError);
    }
    return result;
  };

  const wake = (): void => {
    alarm.abort(WOKEN);
    alarm = new AbortController();
  };

  return {
    own: async (channel, by, calls) =>
      await ownTurns.take(channel, async () => {
        while (!isStopping) {
          const step = await inTurn(channel, by, null, async (turn) => await stepInTurn(calls, turn));
          if (step.kind !== 'space') return;
          await effects.sleep(Math.min(step.until - effects.now(), LONGEST_NAP_MS), alarm.signal);
        }
      }),
    stepFor,
    forClient: async (channel, limitMs, call) => await inTurn(channel, 'client', limitMs, call),
    forPerson: async (channel, by, call) =>
      await new Promise((resolve) => {
        const timeout = AbortSignal.timeout(timeoutMs);
        let isBegun = false;
        timeout.addEventListener('abort', () => {
          if (!isBegun) resolve({ kind: 'unreachable', words: inLine(underWay.get(channel.name)?.by) });
        });
        const turn = inTurn(channel.name, by, null, async ({ state }) => {
          if (timeout.aborted) return;
          isBegun = true;
          resolve(await counted(channel, state, call));
        });
        turn.catch((error: unknown) => resolve({ kind: 'unreachable', words: (error as Error).message }));
      }),
    underWay: (channel) => underWay.get(channel) ?? null,
    channelIs: (channel, state) => {
      if (state === HEALTHY) hints.back.add(channel);
      else {
        hints.back.delete(channel);
        hints.away.add(channel);
      }
    },
    wasSilent: (channel) => void hints.silent.add(channel),
    wake,
    clockSetBack: (byMs) => {
      for (const [channel, at] of endedAt) endedAt.set(channel, at - byMs);
      wake();
    },
    stop: async (graceMs, others) => {
      isStopping = true;
      wake();
      await endOf(
        [others, ...unfinished].map(async (each) => {
          await each;
        }),
        graceMs,
        effects,
      );
      for (const { abort } of underWay.values()) abort.abort();
      await whapi.destroy();
      await Promise.all(unfinished);
    },
  };
}

function inLine(by: Caller | undefined): string {
  const who = by === undefined ? 'another caller' : callerInWords(by);
  return `${who} has a call for this channel under way, and Whapi gets one at a time`;
}
