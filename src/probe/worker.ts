import { AFTER_FAULT_MS } from '../loop.js';
import type { ProbeFacts, ProbeView } from '../store/probes.js';
import { createStep } from './step.js';
import type { StepOptions } from './step.js';

export interface ProbeWorkerOptions extends StepOptions {
  readonly onError: (error: unknown) => void;
}

export interface ProbeWorker {
  /** @throws GatewayError GW_NOT_FOUND (no such channel), GW_CONFLICT (a probe of the channel is running) */
  begin(channel: string, messageId: string, watchSeconds: number): Promise<ProbeView>;
  /** Makes no more calls. Probes that are running go on after the next start. */
  stop(): Promise<void>;
}

const NOTHING_SEEN: Omit<ProbeFacts, 'watchUntil'> = {
  ...{ before: null, call: null, lastGet: null, gets: 0, foundAt: null },
  ...{ original: null, originalFrom: null, message: null, copies: [] },
};

/** Runs probes, one per channel at a time. Each step is saved, so a restart goes on with the next one. */
export function startProbeWorker(options: ProbeWorkerOptions): ProbeWorker {
  const { store, effects, onError } = options;
  const stopped = new AbortController();
  const running = new Map<string, Promise<void>>();
  const step = createStep(options);

  const run = async (channel: string): Promise<void> => {
    let lookedAt: number | null = null;
    while (!stopped.signal.aborted) {
      let pauseMs = AFTER_FAULT_MS;
      try {
        const now = effects.now();
        const waitMs = await step(channel, lookedAt, stopped.signal);
        if (waitMs === null) return;
        lookedAt = now;
        pauseMs = waitMs;
      } catch (error) {
        onError(error);
      }
      await effects.sleep(pauseMs, stopped.signal);
    }
  };

  const launch = (channel: string): void => {
    // A run that is ending may not have left yet.
    const after = running.get(channel) ?? Promise.resolve();
    const ended = after.then(async () => await run(channel));
    running.set(channel, ended);
    void ended.then(() => {
      if (running.get(channel) === ended) running.delete(channel);
    });
  };

  const resumed = store.probes.running().then((probes) => {
    if (!stopped.signal.aborted) for (const { channel } of probes) launch(channel);
  }, onError);

  return {
    begin: async (channel, messageId, watchSeconds) => {
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
    },
    stop: async () => {
      stopped.abort();
      await resumed;
      await Promise.all(running.values());
    },
  };
}
