import { setMaxListeners } from 'node:events';
import type { Effects } from '../effects.js';
import { GatewayError } from '../errors.js';
import { waitForAll } from '../loop.js';
import type { Channel } from '../model.js';
import { callerLabel } from './callers.js';
import type { Caller, CallUnderWay } from './callers.js';
import type { WhapiClient, WhapiResult } from './client.js';
import { afterCheck, isStale, nextStep, pauseFor, troubleIn } from './policy.js';
import type { CallIntervals, Step, TurnIntervals } from './policy.js';
import { KeyedMutex } from '../keyed-mutex.js';
import { createChannelTurns } from './turns.js';
import type { HeldTurn, Wait } from './turns.js';
import { HEALTHY } from './wire.js';
import type { CallsDue, Calls, ChannelState } from '../store/calls.js';
import type { Turns } from '../store/turns.js';
import { placeOf } from '../secret-places.js';
import type { OpenSecret } from '../secret-places.js';

export interface Turn<State = ChannelState> {
  /** Aborted when the call's time is up, or when the gateway stops and aborts calls under way. */
  readonly signal: AbortSignal;
  /** The channel's state at the start of this turn. */
  readonly state: State;
}

/** `state` is null if the channel was removed in the meantime. */
type MaybeRemovedTurn = Turn<ChannelState | null>;

/** Calls that the gateway makes by itself. What to call is decided at the start of the turn, not before. */
export interface WorkerCalls {
  /** When the next call is due; null if there is none. */
  due(): Promise<CallsDue | null>;
  /** Makes the next call, counts it and settles it. */
  make(turn: Turn): Promise<void>;
}

export interface SchedulerOptions {
  readonly store: { readonly calls: Calls; readonly turns: Turns };
  readonly whapi: Pick<WhapiClient, 'getHealth' | 'destroy'>;
  readonly openSecret: OpenSecret;
  readonly intervals: CallIntervals & TurnIntervals & { readonly callTimeoutMs: number };
  /** The name under which this replica takes turns. Each has its own. */
  readonly holder: string;
  /** How long a person's call waits for its turn. */
  readonly waitTimeoutMs?: number;
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  readonly onError: (error: unknown) => void;
}

/**
 * Owns every call to Whapi that the gateway makes, or passes on with `resync=true`. It runs one call per channel at a
 * time, across all replicas, and in the order of requests within this one. The state that an answer
 * reveals, the spacing and the daily budget limit the gateway's own calls (policy.ts). Calls of clients and people only
 * wait for their turn.
 */
export interface CallScheduler {
  /** Makes one of these calls, or a health check, if one is allowed when its turn comes. @throws what they throw */
  forWorker(channel: string, by: 'run' | 'audit', calls: WorkerCalls): Promise<void>;
  /** What `forWorker` would do if its turn came now and no spacing were left. */
  stepFor(state: ChannelState, due: CallsDue): Step;
  /**
   * A client's call that passes through. It does not count towards the budget. It has `limitMs` from the start of its
   * turn.
   * @throws what it throws
   */
  forClient<T>(channel: string, limitMs: number, call: (turn: MaybeRemovedTurn) => Promise<T>): Promise<T>;
  /**
   * A call that a person asks for. It counts towards the budget but is not limited by it. Never rejects.
   * @param withdrawn aborted: the call is not made if its turn has not come
   */
  forPerson<T>(
    channel: Channel,
    by: 'connect' | 'doctor' | 'probe',
    call: () => Promise<WhapiResult<T>>,
    withdrawn?: AbortSignal,
  ): Promise<WhapiResult<T>>;
  /** The channel's call under way in this process; null if there is none. */
  underWay(channel: string): CallUnderWay | null;
  /** A hint: a webhook reported a channel's state (`status.text`). The next check comes sooner. */
  noteChannelState(channel: string, state: string): Promise<void>;
  /** A hint: a channel was changed. Calls that wait for the spacing start over. */
  wake(): void;
  /**
   * Starts no more calls of the gateway's own. Gives calls under way, and clients until `clientsDone`, `graceMs`, then
   * aborts the rest. No call can be made afterwards.
   */
  stop(graceMs: number, clientsDone: Promise<void>): Promise<void>;
}

/** The longest wait before a changed spacing takes effect without a `wake`. */
const MOST_NAP_MS = 5000;
const WAIT_TIMEOUT_MS = 30_000;
/** An abort without a reason would create an error with a stack. */
const WOKEN = 'woken';
const NOTHING_DUE: Step = { kind: 'wait', until: Infinity, pause: null };

export function createCallScheduler(options: SchedulerOptions): CallScheduler {
  const { store, whapi, openSecret, intervals, effects, onError, waitTimeoutMs = WAIT_TIMEOUT_MS } = options;
  const turns = createChannelTurns(options);
  /** Only one worker per channel waits for the spacing, so that none overtakes another. */
  const workerMutex = new KeyedMutex();
  const callsUnderWay = new Map<string, CallUnderWay & { readonly abort: AbortController }>();
  const unfinished = new Set<Promise<void>>();
  let napInterrupt = new AbortController();
  let isStopping = false;
  const [ownStopped, allStopped] = [new AbortController(), new AbortController()];
  for (const { signal } of [ownStopped, allStopped]) setMaxListeners(0, signal); // one per channel that waits
  const ownWait: Wait<Step> = { signal: ownStopped.signal, orElse: () => NOTHING_DUE };
  const othersWait = { signal: allStopped.signal, orElse: refuseAtStop };

  /** Waits for the channel's turn. The time limit covers `work` from its start to its end. */
  const inTurn = async <T>(
    channel: string,
    by: Caller,
    limitMs: number | null,
    wait: Wait<T>,
    work: (turn: MaybeRemovedTurn, held: HeldTurn) => Promise<T>,
  ): Promise<T> => {
    const callMs = limitMs ?? intervals.callTimeoutMs;
    const turn = turns.run(channel, callMs, wait, async (held) => {
      const abort = new AbortController();
      const since = effects.now();
      callsUnderWay.set(channel, { by, since, until: since + callMs, abort });
      const timeUp = limitMs === null ? null : AbortSignal.timeout(limitMs);
      const breakOff = (): void => abort.abort(timeUp?.reason);
      timeUp?.addEventListener('abort', breakOff);
      try {
        return await work({ signal: abort.signal, state: await store.calls.stateOf(channel) }, held);
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

  const stepAfter = (endedAt: number | null, state: ChannelState, due: CallsDue): Step =>
    nextStep(state, due, { intervals, now: effects.now(), endedAt, isStateStale: isStale(state) });

  const stepInTurn = async (calls: WorkerCalls, { signal, state }: MaybeRemovedTurn, held: HeldTurn): Promise<Step> => {
    const due = await calls.due();
    if (isStopping || !state || !due) return NOTHING_DUE;
    const step = stepAfter(held.lastEndedAt, state, due);
    if (step.kind === 'wait' || step.kind === 'space') return step;
    held.startsSpacing = true;
    await (step.kind === 'check' ? check({ signal, state }) : calls.make({ signal, state }));
    return step;
  };

  const check = async ({ signal, state }: Turn): Promise<void> => {
    const { name, whapiBaseUrl, whapiToken } = state.channel;
    await store.calls.countCall(name);
    const wasReportedLost = (await store.calls.takeNews(name)).includes('away');
    const access = { baseUrl: whapiBaseUrl, token: openSecret(whapiToken, placeOf.whapiToken({ name })) };
    const health = await whapi.getHealth(access, { timeoutMs: intervals.callTimeoutMs });
    if (signal.aborted) return;
    const at = { intervals, now: effects.now(), random: effects.random() };
    await store.calls.settleCheck(name, afterCheck(state, health, at, wasReportedLost));
  };

  /** Counts `call` and records what its answer reveals about the channel. */
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
          const step = await inTurn(
            channel,
            by,
            null,
            ownWait,
            async (turn, held) => await stepInTurn(calls, turn, held),
          );
          if (step.kind !== 'space') return;
          await effects.sleep(Math.min(step.until - effects.now(), MOST_NAP_MS), napInterrupt.signal);
        }
      }),
    stepFor: (state, due) => stepAfter(null, state, due),
    forClient: async (channel, limitMs, call) => await inTurn(channel, 'client', limitMs, othersWait, call),
    forPerson: async (channel, by, call, withdrawn) =>
      await new Promise((resolve) => {
        const timeout = AbortSignal.timeout(waitTimeoutMs);
        const given = withdrawn ? AbortSignal.any([timeout, withdrawn]) : timeout;
        let isBegun = false;
        const giveUp = (): void => {
          if (!isBegun) resolve({ kind: 'unreachable', reason: waitingReason(callsUnderWay.get(channel.name)?.by) });
        };
        if (given.aborted) giveUp();
        else given.addEventListener('abort', giveUp);
        const turn = inTurn(channel.name, by, null, othersWait, async ({ state }) => {
          if (given.aborted) return;
          isBegun = true;
          resolve(await countedCall(channel, state, call));
        });
        turn.catch((error: unknown) => resolve({ kind: 'unreachable', reason: (error as Error).message }));
      }),
    underWay: (channel) => callsUnderWay.get(channel) ?? null,
    noteChannelState: async (channel, state) =>
      await store.calls.noteNews(channel, state === HEALTHY ? 'back' : 'away'),
    wake,
    stop: async (graceMs, others) => {
      isStopping = true;
      ownStopped.abort();
      wake();
      await waitForAll(
        [others, ...unfinished].map(async (each) => {
          await each;
        }),
        graceMs,
        effects,
      );
      for (const { abort } of callsUnderWay.values()) abort.abort();
      allStopped.abort();
      await whapi.destroy();
      await Promise.all(unfinished);
    },
  };
}

function refuseAtStop(channel: string): never {
  throw new GatewayError(
    'GW_STORE_UNAVAILABLE',
    `The gateway is stopping while another replica calls Whapi for channel "${channel}". Repeat the request.`,
  );
}

function waitingReason(by: Caller | undefined): string {
  const who = by === undefined ? 'another caller' : callerLabel(by);
  return `${who} is calling Whapi for this channel, and Whapi gets one call at a time`;
}
