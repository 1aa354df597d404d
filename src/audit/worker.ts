import type { Effects } from '../effects.js';
import { AFTER_FAULT_MS, startLoop } from '../loop.js';
import type { Pause } from '../model.js';
import type { ListAnswer, WhapiClient } from '../whapi/client.js';
import { pauseFor, troubleIn } from '../whapi/policy.js';
import type { CallIntervals } from '../whapi/policy.js';
import type { CallScheduler, Turn } from '../whapi/scheduler.js';
import { afterFailure, afterPage, withSmallerPage, startWalk, NOTHING_READ, queryFor } from './policy.js';
import type { AuditIntervals, WindowReading, WalkStep } from './policy.js';
import type { AuditLease, AuditRun, Audits } from '../store/audits.js';
import type { CallsDue, Calls } from '../store/calls.js';
import { placeOf } from '../secret-places.js';
import type { OpenSecret } from '../secret-places.js';

export interface AuditWorkerOptions {
  readonly store: {
    readonly audits: Pick<Audits, 'take' | 'noteWindow' | 'noteTrouble' | 'end'>;
    readonly calls: Pick<Calls, 'stateOf' | 'countCall' | 'noteAnswer'>;
  };
  readonly whapi: Pick<WhapiClient, 'listMessages'>;
  readonly openSecret: OpenSecret;
  readonly scheduler: Pick<CallScheduler, 'forWorker' | 'stepFor'>;
  /** The name under which this replica takes audits. Each has its own. */
  readonly holder: string;
  readonly intervals: AuditIntervals;
  /** Intervals of the channel as a whole. */
  readonly callIntervals: CallIntervals;
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  readonly onError: (error: unknown) => void;
}

export interface AuditWorker {
  /** A hint that an audit was started or a channel was changed. */
  wake(): void;
  /** The machine's clock was set back: shifts pauses with it. */
  clockSetBack(byMs: number): void;
  /** Starts no more calls. Resolves when those under way have ended; the scheduler decides how long they get. */
  stop(): Promise<void>;
}

/** What is remembered of a channel after failed calls. */
interface Backoff {
  readonly nextAt: number;
  /** Consecutive failures. */
  readonly failures: number;
}

type Failure = Exclude<ListAnswer, { kind: 'found' | 'too_large' }>;

const IDLE_MS = 5000;
/** Each turn of the loop extends the leases, so this is how long an audit waits after a crash of its process. */
const LEASE_MS = 30_000;
const NO_BACKOFF: Backoff = { nextAt: 0, failures: 0 };
const TOO_LARGE = 'A message in the list is larger than 8 MiB, the most that the gateway reads.';

/** Reads Whapi's list for audits and seedings: one after the other per channel, one call at a time. */
export function startAuditWorker(options: AuditWorkerOptions): AuditWorker {
  const { store, whapi, openSecret, scheduler, holder, intervals, callIntervals, effects, onError } = options;
  const calling = new Map<string, Promise<void>>();
  const backoffs = new Map<string, Backoff>();
  /** By channel: the pages read so far of a long window. Outdated if another replica has run the audit since. */
  const readings = new Map<string, AuditLease & { readonly reading: WindowReading }>();
  /** By channel: the reason stored last for why its audit waits. */
  const reportedReasons = new Map<string, string>();

  const turn = async (): Promise<number | null> => {
    const free = (await store.audits.take(holder, LEASE_MS)).filter(({ channel }) => !calling.has(channel.name));
    const later = await Promise.all(free.map(launchOrWait));
    return Math.min(Infinity, ...later.flatMap((at) => at ?? []));
  };

  /** Submits the next call of an audit, or returns when it will be due. */
  const launchOrWait = async (run: AuditRun): Promise<number | null> => {
    const { name } = run.channel;
    const state = await store.calls.stateOf(name);
    const step = state && scheduler.stepFor(state, dueOf(name));
    if (!step) return null;
    if (step.kind === 'wait') {
      if (step.pause) await reportPause(run, step.pause);
      return step.until;
    }
    launch(name);
    return null;
  };

  const dueOf = (channel: string): CallsDue => ({
    dueAt: (backoffs.get(channel) ?? NO_BACKOFF).nextAt,
    askDueAt: null,
  });

  /**
   * Stores why an audit waits. The answer to one of its own calls is more precise than the pause that followed from it.
   */
  const reportPause = async (run: AuditRun, { code, reason }: Pause): Promise<void> => {
    const { name } = run.channel;
    if (code !== 'budget' && backoffs.get(name)?.failures) return;
    const reported = `${run.id} ${reason}`;
    if (reportedReasons.get(name) === reported) return;
    reportedReasons.set(name, reported);
    await store.audits.noteTrouble(run, reason);
  };

  const launch = (channel: string): void => {
    let run: AuditRun | undefined;
    const due = async (): Promise<CallsDue | null> => {
      run = (await store.audits.take(holder, LEASE_MS)).find((each) => each.channel.name === channel);
      return run ? dueOf(channel) : null;
    };
    const make = async (at: Turn): Promise<void> => {
      if (run) await callFor(run, at);
    };
    const call = scheduler
      .forWorker(channel, 'audit', { due, make })
      .catch((error: unknown) => {
        onError(error);
        backoffs.set(channel, { nextAt: effects.now() + AFTER_FAULT_MS, failures: 0 });
      })
      .finally(() => {
        calling.delete(channel);
        loop.wake();
      });
    calling.set(channel, call);
  };

  const callFor = async (run: AuditRun, at: Turn): Promise<void> => {
    const { name, whapiBaseUrl, whapiToken } = run.channel;
    const walk = run.walk ?? startWalk(run);
    const begun = readings.get(name);
    const reading = begun?.id === run.id && begun.lease === run.lease ? begun.reading : NOTHING_READ;
    await store.calls.countCall(name);
    reportedReasons.delete(name);
    const access = { baseUrl: whapiBaseUrl, token: openSecret(whapiToken, placeOf.whapiToken({ name })) };
    const answer = await whapi.listMessages(access, queryFor(run, walk, reading), {
      timeoutMs: intervals.callTimeoutMs,
    });
    if (at.signal.aborted) return; // repeated after the restart
    if (answer.kind !== 'found' && answer.kind !== 'too_large') {
      await handleFailure(run, answer, at);
      return;
    }
    await store.calls.noteAnswer(name, null);
    await applyStep(run, answer.kind === 'found' ? afterPage(run, walk, reading, answer.page) : withSmallerPage(walk));
  };

  /** If the lease was lost, nothing is saved: another replica reads the window. */
  const applyStep = async (run: AuditRun, step: WalkStep | null): Promise<void> => {
    backoffs.delete(run.channel.name);
    if (step?.reading) {
      readings.set(run.channel.name, { id: run.id, lease: run.lease, reading: step.reading });
      return;
    }
    readings.delete(run.channel.name);
    if (step && !(await store.audits.noteWindow(run, step.messages, step.walk))) return;
    if (!step || step.isOver) await store.audits.end(run, step ? null : TOO_LARGE);
  };

  const handleFailure = async (run: AuditRun, answer: Failure, { state }: Turn): Promise<void> => {
    const { name } = run.channel;
    const { failures: failedBefore } = backoffs.get(name) ?? NO_BACKOFF;
    const at = { now: effects.now(), random: effects.random() };
    const { reason, until } = afterFailure(answer, { ...at, intervals, failedBefore });
    backoffs.set(name, { nextAt: until ?? at.now, failures: until === null ? 0 : failedBefore + 1 });
    if (until === null) await store.audits.end(run, reason);
    else await store.audits.noteTrouble(run, reason);
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
      for (const [channel, backoff] of backoffs) backoffs.set(channel, { ...backoff, nextAt: backoff.nextAt - byMs });
      loop.wake();
    },
    stop: async () => {
      await loop.stop();
      await Promise.all(calling.values());
    },
  };
}
