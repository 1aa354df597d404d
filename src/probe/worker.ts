import type { Effects } from '../effects.js';
import { AFTER_FAULT_MS } from '../loop.js';
import type { Channel } from '../model.js';
import type { Items } from '../store/items.js';
import type { ProbeCall, ProbeFacts, Probes, ProbeView } from '../store/probes.js';
import type { Registry } from '../store/registry.js';
import { statusOf } from '../whapi/answers.js';
import type { WhapiAnswer } from '../whapi/answers.js';
import { createCopyFinder } from './copies.js';
import { deviationsOf, summaryOf } from './findings.js';
import { factsOf, likenessOf } from './likeness.js';
import type { Log } from '../log.js';
import { nextMove } from './policy.js';
import type { ProbeIntervals } from './policy.js';

export interface ProbeWorkerOptions {
  readonly store: {
    readonly probes: Probes;
    readonly items: Pick<Items, 'explain' | 'webhooks' | 'webhook'>;
    readonly registry: Pick<Registry, 'channel'>;
  };
  readonly calls: ProbeCalls;
  readonly intervals: ProbeIntervals;
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
  readonly log: Log;
  readonly onError: (error: unknown) => void;
}

/** Calls to Whapi for one message, through the call scheduler. Null: the call could not be made now. */
export interface ProbeCalls {
  read(channel: Channel, messageId: string): Promise<MadeCall | null>;
  /**
   * Registers the id before it asks (I2).
   * @param shown the message as it was shown before; undefined: not known
   */
  resync(channel: Channel, messageId: string, shown: unknown): Promise<MadeCall | null>;
}

interface MadeCall {
  readonly answer: WhapiAnswer;
  readonly at: number;
  readonly tookMs: number;
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

/** Takes a probe one step further. Returns the pause before the next step; null: it is over. */
type TakeStep = (channel: string, lookedAt: number | null, signal: AbortSignal) => Promise<number | null>;

function createStep({ store, calls, intervals, effects, log }: ProbeWorkerOptions): TakeStep {
  const finder = createCopyFinder(store.items);
  /** By channel: the message before its resync. */
  const shownBefore = new Map<string, unknown>();

  const recordOf = ({ answer, at, tookMs }: MadeCall): ProbeCall => {
    const reason = 'reason' in answer ? answer.reason : answer.kind === 'timeout' ? 'no answer in time' : null;
    return { at, tookMs, status: statusOf(answer), outcome: answer.kind, reason };
  };

  const read = async (channel: Channel, messageId: string, facts: ProbeFacts): Promise<ProbeFacts | null> => {
    const made = await calls.read(channel, messageId);
    if (!made) return null;
    const shown = made.answer.kind === 'found' ? made.answer.message : undefined;
    const message = shown ?? (await finder.earlier(channel.name, messageId));
    shownBefore.set(channel.name, message);
    return {
      ...facts,
      before: recordOf(made),
      ...(message !== undefined && originalFrom(message, shown === undefined ? 'webhook' : 'whapi', effects.now())),
    };
  };

  const ask = async (channel: Channel, probe: ProbeView & { messageId: string }): Promise<ProbeFacts | null> => {
    const { messageId, startedAt, facts } = probe;
    const explained = await store.items.explain(channel.name, messageId);
    const asked = explained?.resyncs.find(({ askedAt }) => (askedAt ?? 0) >= startedAt);
    if (asked) return { ...facts, call: interrupted(asked.askedAt ?? startedAt) };
    const shown = shownBefore.get(channel.name) ?? (await finder.earlier(channel.name, messageId));
    const made = await calls.resync(channel, messageId, shown);
    if (made) shownBefore.delete(channel.name);
    return made && { ...facts, call: recordOf(made) };
  };

  const get = async (channel: Channel, messageId: string, facts: ProbeFacts): Promise<ProbeFacts | null> => {
    const made = await calls.read(channel, messageId);
    if (!made) return null;
    const { answer, at, tookMs } = made;
    const after = { ...facts, gets: facts.gets + 1, lastGet: recordOf(made) };
    if (answer.kind !== 'found') return after;
    const isKnown = facts.original !== null || answer.message === undefined;
    return {
      ...after,
      foundAt: at + tookMs,
      ...(!isKnown && originalFrom(answer.message, 'whapi_after', effects.now())),
    };
  };

  const looked = async (probe: ProbeView & { messageId: string }, lookedAt: number | null): Promise<ProbeFacts> => {
    const { channel, messageId, facts } = probe;
    if (facts.call === null) return facts;
    const copies = await finder.find({ channel, messageId, since: facts.call.at, facts }, lookedAt);
    return { ...facts, copies };
  };

  return async (name, lookedAt, signal) => {
    const probe = await store.probes.of(name);
    const channel = await store.registry.channel(name);
    if (!probe || !channel || probe.finishedAt !== null || probe.messageId === null) return null;
    const { messageId } = probe;
    const facts = await looked({ ...probe, messageId }, lookedAt);
    const move = nextMove(facts, effects.now(), intervals);
    switch (move.kind) {
      case 'wait':
        if (JSON.stringify(facts) !== JSON.stringify(probe.facts)) await store.probes.save({ ...probe, facts });
        return move.until - effects.now();
      case 'finish': {
        const over = { ...probe, facts, finishedAt: effects.now() };
        if (await store.probes.save(over)) report(over, log);
        return null;
      }
      default: {
        const after =
          move.kind === 'ask'
            ? await ask(channel, { ...probe, messageId, facts })
            : await (move.kind === 'read' ? read : get)(channel, messageId, facts);
        // A call that the shutdown broke off says nothing.
        if (after && !signal.aborted) await store.probes.save({ ...probe, facts: after });
        return after ? 0 : intervals.againMs;
      }
    }
  };
}

/** Warns if an assumption does not hold, because a person must act. */
function report(probe: ProbeView, log: Log): void {
  const deviations = deviationsOf(probe);
  const level = deviations.length > 0 ? 'warn' : 'info';
  log[level]({ channel: probe.channel, summary: summaryOf(probe), deviations }, 'probe finished');
}

function originalFrom(
  message: unknown,
  from: NonNullable<ProbeFacts['originalFrom']>,
  now: number,
): Pick<ProbeFacts, 'original' | 'originalFrom' | 'message'> {
  return { original: likenessOf(message), originalFrom: from, message: factsOf(message, now) };
}

/** The gateway stopped during the call. */
function interrupted(at: number): ProbeCall {
  return { at, tookMs: null, status: null, outcome: 'interrupted', reason: 'the gateway stopped during the call' };
}
