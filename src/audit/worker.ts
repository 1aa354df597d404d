import type { Effects } from '../effects.js';
import type { Audits, AuditRun } from '../ledger/audits.js';
import { endOf, startLoop } from '../loop.js';
import type { Sealed } from '../model.js';
import type { ListAnswer, WhapiClient } from '../whapi/client.js';
import type { Turns } from '../whapi/turns.js';
import { afterFailure, afterPage, askForFewer, beginWalk, NOTHING_READ, questionOf } from './policy.js';
import type { AuditTiming, Reading, Step } from './policy.js';

export interface AuditWorkerOptions {
  readonly ledger: Pick<Audits, 'runningAudits' | 'noteWindow' | 'noteTrouble' | 'endAudit'>;
  readonly whapi: Pick<WhapiClient, 'listMessages' | 'destroy'>;
  readonly openSecret: (sealed: Sealed) => string;
  /** Shared with the resyncs of the channel: Whapi gets one call at a time. */
  readonly turns: Turns;
  readonly timing: AuditTiming;
  readonly effects: Pick<Effects, 'now' | 'sleep' | 'random'>;
  readonly onError: (error: unknown) => void;
}

export interface AuditWorker {
  /** A hint that an audit was begun. */
  wake(): void;
  /** The machine's clock was set back: pauses end when they would have. */
  clockSetBack(byMs: number): void;
  /** Begins no more calls, gives those under way `graceMs`, then breaks them off: they are made again after a restart. */
  stop(graceMs: number): Promise<void>;
}

/** What is kept of a channel between two calls. */
interface Pacing {
  readonly nextAt: number;
  /** Failures in a row. */
  readonly failed: number;
}

const IDLE_MS = 5000;
/** After a fault of ours (the store does not take writes): the calls are not made in a spin. */
const AFTER_FAULT_MS = 1000;
const UNPACED: Pacing = { nextAt: 0, failed: 0 };
const TOO_LARGE = 'One message of the list is larger than the gateway reads.';

/** Reads Whapi's list for audits and seedings: of each channel one after the other, one call at a time. */
export function startAuditWorker(options: AuditWorkerOptions): AuditWorker {
  const { ledger, whapi, openSecret, turns, timing, effects, onError } = options;
  const calling = new Map<string, Promise<void>>();
  const pacing = new Map<string, Pacing>();
  /** By channel: the pages of a window that needs more than one. */
  const readings = new Map<string, { readonly auditId: string; readonly reading: Reading }>();
  let brokenOff = false;

  const turn = async (): Promise<number | null> => {
    const free = (await ledger.runningAudits())
      .filter(({ channel }) => !calling.has(channel.name))
      .map((run) => ({ run, dueAt: (pacing.get(run.channel.name) ?? UNPACED).nextAt }));
    const now = effects.now();
    for (const { run, dueAt } of free) if (dueAt <= now) launch(run);
    const later = free.flatMap(({ dueAt }) => (dueAt > now ? [dueAt] : []));
    return later.length > 0 ? Math.min(...later) : null;
  };

  const launch = (run: AuditRun): void => {
    const { name } = run.channel;
    const call = callFor(run)
      .catch((error: unknown) => {
        onError(error);
        pacing.set(name, { nextAt: effects.now() + AFTER_FAULT_MS, failed: 0 });
      })
      .finally(() => {
        calling.delete(name);
        loop.wake();
      });
    calling.set(name, call);
  };

  const callFor = async (run: AuditRun): Promise<void> => {
    const walk = run.walk ?? beginWalk(run);
    const begun = readings.get(run.channel.name);
    const reading = begun?.auditId === run.id ? begun.reading : NOTHING_READ;
    const access = { baseUrl: run.channel.whapiBaseUrl, token: openSecret(run.channel.whapiToken) };
    const question = questionOf(run, walk, reading);
    const answer = await turns.take(
      run.channel.name,
      async () => await whapi.listMessages(access, question, { timeoutMs: timing.callTimeoutMs }),
    );
    if (brokenOff) return; // made again after the restart
    if (answer.kind === 'found') await take(run, afterPage(run, walk, reading, answer.page));
    else if (answer.kind === 'too_large') await take(run, askForFewer(walk));
    else await wait(run, answer);
  };

  const take = async (run: AuditRun, step: Step | null): Promise<void> => {
    pacing.set(run.channel.name, { nextAt: effects.now() + timing.spacingMs, failed: 0 });
    if (step?.reading) {
      readings.set(run.channel.name, { auditId: run.id, reading: step.reading });
      return;
    }
    readings.delete(run.channel.name);
    if (step) await ledger.noteWindow(run.id, step.messages, step.walk);
    if (!step || step.isOver) await ledger.endAudit(run.id, step ? null : TOO_LARGE);
  };

  const wait = async (run: AuditRun, answer: Exclude<ListAnswer, { kind: 'found' | 'too_large' }>): Promise<void> => {
    const { failed } = pacing.get(run.channel.name) ?? UNPACED;
    const at = { timing, now: effects.now(), random: effects.random(), failedBefore: failed };
    const { words, until } = afterFailure(answer, at);
    pacing.set(run.channel.name, { nextAt: until ?? at.now + timing.spacingMs, failed: failed + 1 });
    if (until === null) await ledger.endAudit(run.id, words);
    else await ledger.noteTrouble(run.id, words);
  };

  const loop = startLoop({ turn, onError, idleMs: IDLE_MS, effects });

  return {
    wake: loop.wake,
    clockSetBack: (byMs) => {
      for (const [channel, { nextAt, failed }] of pacing) pacing.set(channel, { nextAt: nextAt - byMs, failed });
      loop.wake();
    },
    stop: async (graceMs) => {
      await loop.stop();
      await endOf(calling.values(), graceMs, effects);
      brokenOff = calling.size > 0;
      await whapi.destroy();
      await Promise.all(calling.values());
    },
  };
}
