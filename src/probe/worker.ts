import { AFTER_FAULT_MS } from '../loop.js';
import { MINUTE_MS } from '../durations.js';
import type { ProbeFacts, ProbeView } from '../store/probes.js';
import type { Turns } from '../store/turns.js';
import { summaryOf } from './findings.js';
import { createStep, isKnown, unsavedCall } from './step.js';
import type { StepOptions, TakeStep } from './step.js';

export interface ProbeWorkerOptions extends StepOptions {
  readonly store: StepOptions['store'] & { readonly turns: Turns };
  /** The name under which this process takes turns. All processes on one store have different ones. */
  readonly holder: string;
  readonly onError: (error: unknown) => void;
}

export interface ProbeWorker {
  /** @throws GatewayError GW_NOT_FOUND (no such channel), GW_CONFLICT (a probe of the channel is running) */
  begin(channel: string, messageId: string, watchSeconds: number): Promise<ProbeView>;
  /**
   * Ends the channel's probe. A call whose turn has not come is not made.
   * @throws GatewayError GW_NOT_FOUND (no probe), GW_CONFLICT (none is running)
   */
  cancel(channel: string): Promise<ProbeView>;
  /** Makes no more calls. Probes that are running go on after the next start. */
  stop(): Promise<void>;
}

/** More than a step takes that waits for its turn at Whapi. A probe stands still for this long after a crash. */
const STEP_MS = 5 * MINUTE_MS;
/** An abort without a reason would create an error with a stack. */
const CANCELLED = 'cancelled';
const CANCELLED_CALL = 'the probe was cancelled during the call';

const NOTHING_SEEN: Omit<ProbeFacts, 'watchUntil'> = {
  ...{ before: null, call: null, lastGet: null, gets: 0, foundAt: null },
  ...{ original: null, originalFrom: null, message: null, copies: [] },
};

interface Run {
  readonly ended: Promise<void>;
  readonly abort: AbortController;
}

/**
 * Runs probes, one per channel at a time. Each step is saved, so a restart goes on with the next one. A process that starts
 * while another one runs a probe runs it as well, and they take turns.
 */
export function startProbeWorker(options: ProbeWorkerOptions): ProbeWorker {
  const { store, holder, intervals, effects, log, onError } = options;
  const stopped = new AbortController();
  const running = new Map<string, Run>();
  const step = createStep(options);

  /** The pause before the next step, null: the probe is over. Undefined: another process takes a step of it. */
  const stepInTurn: (...args: Parameters<TakeStep>) => Promise<number | null | undefined> = async (
    channel,
    ...args
  ) => {
    const turn = await store.turns.take(`probe of ${channel}`, holder, STEP_MS); // no channel has a space in its name
    if (!turn) return undefined;
    try {
      return await step(channel, ...args);
    } finally {
      await store.turns.end(turn, false).catch(onError);
    }
  };

  const run = async (channel: string, signal: AbortSignal): Promise<void> => {
    let lookedAt: number | null = null;
    while (!signal.aborted) {
      let pauseMs = AFTER_FAULT_MS;
      try {
        const now = effects.now();
        const waitMs = await stepInTurn(channel, lookedAt, signal);
        if (waitMs === null) return;
        if (waitMs !== undefined) lookedAt = now;
        pauseMs = waitMs ?? intervals.againMs;
      } catch (error) {
        onError(error);
      }
      await effects.sleep(pauseMs, signal);
    }
  };

  const launch = (channel: string): void => {
    const abort = new AbortController();
    const signal = AbortSignal.any([stopped.signal, abort.signal]);
    // A run that is ending may not have left yet.
    const before = running.get(channel)?.ended ?? Promise.resolve();
    const ended = before.then(async () => await run(channel, signal));
    const launched = { ended, abort };
    running.set(channel, launched);
    void ended.then(() => {
      if (running.get(channel) === launched) running.delete(channel);
    });
  };

  const resumed = store.probes.running().then((probes) => {
    if (!stopped.signal.aborted) for (const { channel } of probes) launch(channel);
  }, onError);

  const begin: ProbeWorker['begin'] = async (channel, messageId, watchSeconds) => {
    await resumed;
    const startedAt = effects.now();
    const facts = { ...NOTHING_SEEN, watchUntil: startedAt + watchSeconds * 1000 };
    const probe: ProbeView = { channel, messageId, startedAt, finishedAt: null, facts };
    await store.probes.begin(probe).catch((error: unknown) => {
      // One that is saved as running goes on, should the start have failed to read it.
      if ((error as { code?: string }).code === 'GW_CONFLICT' && !running.has(channel)) launch(channel);
      throw error;
    });
    launch(channel);
    return probe;
  };

  const cancel: ProbeWorker['cancel'] = async (channel) => {
    await resumed;
    const last = await store.probes.of(channel);
    const call = last && isKnown(last) ? await unsavedCall(store.items, last, CANCELLED_CALL) : null;
    const cancelled = running.get(channel);
    const probe = await store.probes.cancel(channel, effects.now(), call);
    cancelled?.abort.abort(CANCELLED);
    log.info({ channel, summary: summaryOf(probe) }, 'probe cancelled');
    return probe;
  };

  return {
    begin,
    cancel,
    stop: async () => {
      stopped.abort();
      await resumed;
      await Promise.all([...running.values()].map(async ({ ended }) => await ended));
    },
  };
}
