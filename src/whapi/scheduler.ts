import type { Effects } from '../effects.js';
import { waitForAll } from '../loop.js';
import type { Channel, Sealed } from '../model.js';
import { callerLabel } from './callers.js';
import type { Caller, CallUnderWay } from './callers.js';
import type { WhapiClient, WhapiResult } from './client.js';
import { afterCheck, nextStep, pauseFor, troubleIn } from './policy.js';
import type { CallIntervals, Step } from './policy.js';
import { createChannelMutex } from './channel-mutex.js';
import { HEALTHY } from './wire.js';
import type { CallsDue, Calls, ChannelState } from '../store/calls.js';

export interface Turn<State = ChannelState> {
  /** Aborted when the time of the call is over, or when the gateway stops and breaks off what is under way. */
  readonly signal: AbortSignal;
  /** As it is now that the turn has come. */
  readonly state: State;
}

/** `state` is null where the channel was removed meanwhile. */
type MaybeRemovedTurn = Turn<ChannelState | null>;

/** Calls that the gateway makes by itself. Both are asked when the channel's turn has come, not before. */
export interface WorkerCalls {
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
  readonly waitTimeoutMs?: number;
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
  forWorker(channel: string, by: 'run' | 'audit', calls: WorkerCalls): Promise<void>;
  /** What `own` would do if its turn came now. */
  stepFor(state: ChannelState, due: CallsDue): Step;
  /**
   * A client's call that passes through. It is not counted. It has `limitMs` from the beginning of its turn on, for the
   * whole of it. @throws what it throws
   */
  forClient<T>(channel: string, limitMs: number, call: (turn: MaybeRemovedTurn) => Promise<T>): Promise<T>;
  /** A call that a person asks for. It is counted, and made whatever the budget. Never rejects. */
  forPerson<T>(
    channel: Channel,
    by: 'connect' | 'doctor',
    call: () => Promise<WhapiResult<T>>,
  ): Promise<WhapiResult<T>>;
  /** The call that has the channel's turn. */
  underWay(channel: string): CallUnderWay | null;
  /** A hint that a webhook told of a channel's state (`status.text`): it is looked at earlier. Never needed. */
  noteChannelState(channel: string, state: string): void;
  /** A hint that Whapi gave no answer at all: the channel is looked at before the next call. */
  noteNoAnswer(channel: string): void;
  /** A hint that a channel was changed: calls that keep a spacing look at it again. */
  wake(): void;
  /** The machine's clock was set back. */
  clockSetBack(byMs: number): void;
  /**
   * Begins no more calls of the gateway's own, gives those under way, and what `others` wait for, `graceMs`, then breaks
   * off what is left. No call can be made afterwards.
   */
  stop(graceMs: number, clientsDone: Promise<void>): Promise<void>;
}

/** A change of the spacing is seen this late at most where no `wake` told of it. */
const MOST_NAP_MS = 5000;
const WAIT_TIMEOUT_MS = 30_000;
/** Aborting without a reason would create an error with a stack. */
const WOKEN = 'woken';
const NOTHING_DUE: Step = { kind: 'wait', until: Infinity, pause: null };

export function createCallScheduler(options: SchedulerOptions): CallScheduler {
  const { store, whapi, openSecret, intervals, effects, onError, waitTimeoutMs = WAIT_TIMEOUT_MS } = options;
  const mutex = createChannelMutex();
  /** One at a time waits for the end of the spacing, so that none overtakes another. */
  const workerMutex = createChannelMutex();
  const callsUnderWay = new Map<string, CallUnderWay & { readonly abort: AbortController }>();
  const unfinished = new Set<Promise<void>>();
  /** Of the last call of the gateway's own. */
  const endedAt = new Map<string, number>();
  /** What webhooks told of channels, and calls without an answer, since the last check. */
  const reports = { recovered: new Set<string>(), lost: new Set<string>(), unanswered: new Set<string>() };
  let napInterrupt = new AbortController();
  let isStopping = false;

  /** Waits for the channel's turn. A time limit holds from there on, until `work` has ended. */
  const inTurn = async <T>(
    channel: string,
    by: Caller,
    limitMs: number | null,
    work: (turn: MaybeRemovedTurn) => Promise<T>,
  ): Promise<T> => {
    const turn = mutex.run(channel, async () => {
      const abort = new AbortController();
      const since = effects.now();
      callsUnderWay.set(channel, { by, since, until: since + (limitMs ?? intervals.callTimeoutMs), abort });
      const timeUp = limitMs === null ? null : AbortSignal.timeout(limitMs);
      const breakOff = (): void => abort.abort(timeUp?.reason);
      timeUp?.addEventListener('abort', breakOff);
      try {
        return await work({ signal: abort.signal, state: await store.calls.stateOf(channel) });
      } finally {
        timeUp?.removeEventListener('abort', breakOff);
        callsUnderWay.delete(channel);
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
    if (!state.pause) reports.recovered.delete(name); // nothing that we did not know
    const isStateStale = state.pause ? reports.recovered.has(name) : reports.lost.has(name) || reports.unanswered.has(name);
    return nextStep(state, due, {
      intervals,
      now: effects.now(),
      endedAt: endedAt.get(name) ?? null,
      isStateStale,
    });
  };

  const stepInTurn = async (calls: WorkerCalls, { signal, state }: MaybeRemovedTurn): Promise<Step> => {
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
    reports.recovered.delete(name);
    reports.unanswered.delete(name);
    const wasReportedLost = reports.lost.delete(name);
    const access = { baseUrl: whapiBaseUrl, token: openSecret(whapiToken) };
    const health = await whapi.getHealth(access, { timeoutMs: intervals.callTimeoutMs });
    if (signal.aborted) return;
    const at = { intervals, now: effects.now(), random: effects.random() };
    await store.calls.settleCheck(name, afterCheck(state, health, at, wasReportedLost));
  };

  /** As `call`, counted before and learned from after. */
  const countedCall = async <T>(
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
    napInterrupt.abort(WOKEN);
    napInterrupt = new AbortController();
  };

  return {
    forWorker: async (channel, by, calls) =>
      await workerMutex.run(channel, async () => {
        while (!isStopping) {
          const step = await inTurn(channel, by, null, async (turn) => await stepInTurn(calls, turn));
          if (step.kind !== 'space') return;
          await effects.sleep(Math.min(step.until - effects.now(), MOST_NAP_MS), napInterrupt.signal);
        }
      }),
    stepFor,
    forClient: async (channel, limitMs, call) => await inTurn(channel, 'client', limitMs, call),
    forPerson: async (channel, by, call) =>
      await new Promise((resolve) => {
        const timeout = AbortSignal.timeout(waitTimeoutMs);
        let isBegun = false;
        timeout.addEventListener('abort', () => {
          if (!isBegun) resolve({ kind: 'unreachable', reason: waitingReason(callsUnderWay.get(channel.name)?.by) });
        });
        const turn = inTurn(channel.name, by, null, async ({ state }) => {
          if (timeout.aborted) return;
          isBegun = true;
          resolve(await countedCall(channel, state, call));
        });
        turn.catch((error: unknown) => resolve({ kind: 'unreachable', reason: (error as Error).message }));
      }),
    underWay: (channel) => callsUnderWay.get(channel) ?? null,
    noteChannelState: (channel, state) => {
      if (state === HEALTHY) reports.recovered.add(channel);
      else {
        reports.recovered.delete(channel);
        reports.lost.add(channel);
      }
    },
    noteNoAnswer: (channel) => void reports.unanswered.add(channel),
    wake,
    clockSetBack: (byMs) => {
      for (const [channel, at] of endedAt) endedAt.set(channel, at - byMs);
      wake();
    },
    stop: async (graceMs, others) => {
      isStopping = true;
      wake();
      await waitForAll(
        [others, ...unfinished].map(async (each) => {
          await each;
        }),
        graceMs,
        effects,
      );
      for (const { abort } of callsUnderWay.values()) abort.abort();
      await whapi.destroy();
      await Promise.all(unfinished);
    },
  };
}

function waitingReason(by: Caller | undefined): string {
  const who = by === undefined ? 'another caller' : callerLabel(by);
  return `${who} has a call for this channel under way, and Whapi gets one at a time`;
}
