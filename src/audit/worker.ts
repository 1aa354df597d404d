import type { Effects } from '../effects.js';
import { startLoop } from '../loop.js';
import type { Pause, Sealed } from '../model.js';
import type { ListAnswer, WhapiClient } from '../whapi/client.js';
import { pauseFor, troubleIn } from '../whapi/policy.js';
import type { CallIntervals } from '../whapi/policy.js';
import type { CallScheduler, Turn } from '../whapi/scheduler.js';
import { afterFailure, afterPage, askForFewer, beginWalk, NOTHING_READ, questionOf } from './policy.js';
import type { AuditIntervals, Reading, Step } from './policy.js';
import type { AuditRun, Audits } from '../store/audits.js';
import type { CallsDue, Calls } from '../store/calls.js';

export interface AuditWorkerOptions {
  readonly store: {
    readonly audits: Pick<Audits, 'running' | 'noteWindow' | 'noteTrouble' | 'end'>;
    readonly calls: Pick<Calls, 'stateOf' | 'countCall' | 'noteAnswer'>;
  };
  readonly whapi: Pick<WhapiClient, 'listMessages'>;
  readonly openSecret: (sealed: Sealed) => string;
  readonly scheduler: Pick<CallScheduler, 'own' | 'stepFor'>;
  readonly intervals: AuditIntervals;
  /** Of the channel as a whole. */
  readonly callIntervals: CallIntervals;
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  readonly onError: (error: unknown) => void;
}

export interface AuditWorker {
  /** A hint that an audit was begun, or that a channel was changed. */
  wake(): void;
  /** The machine's clock was set back: pauses end when they would have. */
  clockSetBack(byMs: number): void;
  /** Begins no more calls; resolves when those under way have ended, which is up to the scheduler. */
  stop(): Promise<void>;
}

/** What is kept of a channel between two calls. */
interface Trouble {
  readonly nextAt: number;
  /** Failures in a row. */
  readonly failed: number;
}

type Failure = Exclude<ListAnswer, { kind: 'found' | 'too_large' }>;

const IDLE_MS = 5000;
/** After a fault of ours (the store does not take writes): the calls are not made in a spin. */
const AFTER_FAULT_MS = 1000;
const NONE: Trouble = { nextAt: 0, failed: 0 };
const TOO_LARGE = 'One message of the list is larger than the gateway reads.';

/** Reads Whapi's list for audits and seedings: of each channel one after the other, one call at a time. */
export function startAuditWorker(options: AuditWorkerOptions): AuditWorker {
  const { store, whapi, openSecret, scheduler, intervals, callIntervals, effects, onError } = options;
  const calling = new Map<string, Promise<void>>();
  const troubles = new Map<string, Trouble>();
  /** By channel: the pages of a window that needs more than one. */
  const readings = new Map<string, { readonly auditId: string; readonly reading: Reading }>();
  /** By channel: why its audit waits, as it was written last. */
  const told = new Map<string, string>();

  const turn = async (): Promise<number | null> => {
    const free = (await store.audits.running()).filter(({ channel }) => !calling.has(channel.name));
    const later = await Promise.all(free.map(begin));
    return Math.min(Infinity, ...later.flatMap((at) => at ?? []));
  };

  /** Submits the next call of an audit, or returns when that will be. */
  const begin = async (run: AuditRun): Promise<number | null> => {
    const { name } = run.channel;
    const state = await store.calls.stateOf(name);
    const step = state && scheduler.stepFor(state, dueOf(name));
    if (!step) return null;
    if (step.kind === 'wait') {
      if (step.pause) await tell(run, step.pause);
      return step.until;
    }
    launch(name);
    return null;
  };

  const dueOf = (channel: string): CallsDue => ({ dueAt: (troubles.get(channel) ?? NONE).nextAt, askDueAt: null });

  /** Why it waits. What Whapi answered to a call of the audit itself says more than the pause that came of it. */
  const tell = async ({ id, channel: { name } }: AuditRun, { code, reason }: Pause): Promise<void> => {
    if (code !== 'budget' && troubles.get(name)?.failed) return;
    const words = `${id} ${reason}`;
    if (told.get(name) === words) return;
    told.set(name, words);
    await store.audits.noteTrouble(id, reason);
  };

  const launch = (channel: string): void => {
    let run: AuditRun | undefined;
    const due = async (): Promise<CallsDue | null> => {
      run = (await store.audits.running()).find((each) => each.channel.name === channel);
      return run ? dueOf(channel) : null;
    };
    const make = async (at: Turn): Promise<void> => {
      if (run) await callFor(run, at);
    };
    const call = scheduler
      .own(channel, 'audit', { due, make })
      .catch((error: unknown) => {
        onError(error);
        troubles.set(channel, { nextAt: effects.now() + AFTER_FAULT_MS, failed: 0 });
      })
      .finally(() => {
        calling.delete(channel);
        loop.wake();
      });
    calling.set(channel, call);
  };

  const callFor = async (run: AuditRun, at: Turn): Promise<void> => {
    const { name, whapiBaseUrl, whapiToken } = run.channel;
    const walk = run.walk ?? beginWalk(run);
    const begun = readings.get(name);
    const reading = begun?.auditId === run.id ? begun.reading : NOTHING_READ;
    await store.calls.countCall(name);
    told.delete(name);
    const access = { baseUrl: whapiBaseUrl, token: openSecret(whapiToken) };
    const answer = await whapi.listMessages(access, questionOf(run, walk, reading), {
      timeoutMs: intervals.callTimeoutMs,
    });
    if (at.signal.aborted) return; // made again after the restart
    if (answer.kind !== 'found' && answer.kind !== 'too_large') {
      await fail(run, answer, at);
      return;
    }
    await store.calls.noteAnswer(name, null);
    await take(run, answer.kind === 'found' ? afterPage(run, walk, reading, answer.page) : askForFewer(walk));
  };

  const take = async (run: AuditRun, step: Step | null): Promise<void> => {
    troubles.delete(run.channel.name);
    if (step?.reading) {
      readings.set(run.channel.name, { auditId: run.id, reading: step.reading });
      return;
    }
    readings.delete(run.channel.name);
    if (step) await store.audits.noteWindow(run.id, step.messages, step.walk);
    if (!step || step.isOver) await store.audits.end(run.id, step ? null : TOO_LARGE);
  };

  const fail = async (run: AuditRun, answer: Failure, { state }: Turn): Promise<void> => {
    const { name } = run.channel;
    const { failed } = troubles.get(name) ?? NONE;
    const at = { now: effects.now(), random: effects.random() };
    const { words, until } = afterFailure(answer, { ...at, intervals, failedBefore: failed });
    troubles.set(name, { nextAt: until ?? at.now, failed: until === null ? 0 : failed + 1 });
    if (until === null) await store.audits.end(run.id, words);
    else await store.audits.noteTrouble(run.id, words);
    const trouble = answer.kind === 'timeout' ? null : troubleIn(answer);
    const { failures } = state;
    if (trouble)
      await store.calls.noteAnswer(
        name,
        pauseFor(trouble, state.channel, { ...at, intervals: callIntervals, failures }),
      );
  };

  const loop = startLoop({ turn, onError, idleMs: IDLE_MS, effects });

  return {
    wake: loop.wake,
    clockSetBack: (byMs) => {
      for (const [channel, { nextAt, failed }] of troubles) troubles.set(channel, { nextAt: nextAt - byMs, failed });
      loop.wake();
    },
    stop: async () => {
      await loop.stop();
      await Promise.all(calling.values());
    },
  };
}
