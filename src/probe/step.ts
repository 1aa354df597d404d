import type { Effects } from '../effects.js';
import type { Log } from '../log.js';
import type { Channel } from '../model.js';
import type { Items } from '../store/items.js';
import type { ProbeCall, ProbeFacts, Probes, ProbeView } from '../store/probes.js';
import type { Registry } from '../store/registry.js';
import { statusOf } from '../whapi/answers.js';
import type { WhapiAnswer } from '../whapi/answers.js';
import { createCopyFinder } from './copies.js';
import type { CopyFinder } from './copies.js';
import { deviationsOf, summaryOf } from './findings.js';
import { factsOf, likenessOf } from './likeness.js';
import { nextMove } from './policy.js';
import type { ProbeIntervals } from './policy.js';

export interface StepOptions {
  readonly store: {
    readonly probes: Probes;
    readonly items: Pick<Items, 'explain' | 'webhooks' | 'webhook'>;
    readonly registry: Pick<Registry, 'channel'>;
  };
  readonly calls: ProbeCalls;
  readonly intervals: ProbeIntervals;
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
  readonly log: Log;
}

/**
 * Calls to Whapi for one message, through the call scheduler. Null: the call could not be made now. `withdrawn` aborted: no
 * call is made if its turn has not come.
 */
export interface ProbeCalls {
  read(channel: Channel, messageId: string, withdrawn: AbortSignal): Promise<MadeCall | null>;
  /**
   * Registers the id before it asks (I2).
   * @param shown the message as it was shown before; undefined: not known
   */
  resync(channel: Channel, messageId: string, shown: unknown, withdrawn: AbortSignal): Promise<MadeCall | null>;
}

interface MadeCall {
  readonly answer: WhapiAnswer;
  readonly at: number;
  readonly tookMs: number;
}

/**
 * Takes a probe one step further. Returns the pause before the next step; null: it is over.
 * @param signal aborted: the gateway stops, or the probe was cancelled
 */
export type TakeStep = (channel: string, lookedAt: number | null, signal: AbortSignal) => Promise<number | null>;

/** A probe whose message is known. */
type Known = ProbeView & { readonly messageId: string };

export function isKnown(probe: ProbeView): probe is Known {
  return probe.messageId !== null;
}

interface Context extends StepOptions {
  readonly finder: CopyFinder;
  /** By channel: the message before its resync. */
  readonly shownBefore: Map<string, unknown>;
}

export function createStep(options: StepOptions): TakeStep {
  const { store, intervals, effects, log } = options;
  const context: Context = { ...options, finder: createCopyFinder(store.items), shownBefore: new Map() };
  return async (name, lookedAt, signal) => {
    const saved = await store.probes.of(name);
    const channel = await store.registry.channel(name);
    if (!saved || !channel || saved.finishedAt !== null || !isKnown(saved)) return null;
    const facts = await look(context, saved, lookedAt);
    const probe: Known = { ...saved, facts };
    const move = nextMove(facts, effects.now(), intervals);
    switch (move.kind) {
      case 'wait':
        if (JSON.stringify(facts) !== JSON.stringify(saved.facts)) await store.probes.save(probe);
        return move.until - effects.now();
      case 'finish': {
        const over = { ...probe, finishedAt: effects.now() };
        if (await store.probes.save(over)) report(over, log);
        return null;
      }
      default: {
        const after = await CALLS[move.kind](context, channel, probe, signal);
        // A call that the shutdown broke off says nothing, and a cancelled probe is over.
        if (after && !signal.aborted) await store.probes.save({ ...probe, facts: after });
        return after ? 0 : intervals.againMs;
      }
    }
  };
}

/** Makes a call, and returns what is known after it. Null: it could not be made now. */
type MakeCall = (context: Context, channel: Channel, probe: Known, signal: AbortSignal) => Promise<ProbeFacts | null>;

const CALLS: Readonly<Record<'read' | 'ask' | 'get', MakeCall>> = { read: readBefore, ask, get: readAfter };

async function readBefore(
  { calls, finder, shownBefore, effects }: Context,
  channel: Channel,
  { messageId, facts }: Known,
  signal: AbortSignal,
): Promise<ProbeFacts | null> {
  const made = await calls.read(channel, messageId, signal);
  if (!made) return null;
  const shown = made.answer.kind === 'found' ? made.answer.message : undefined;
  const message = shown ?? (await finder.earlier(channel.name, messageId));
  shownBefore.set(channel.name, message);
  return {
    ...facts,
    before: recordOf(made),
    ...(message !== undefined && originalFrom(message, shown === undefined ? 'webhook' : 'whapi', effects.now())),
  };
}

async function ask(
  { store, calls, finder, shownBefore }: Context,
  channel: Channel,
  { messageId, startedAt, facts }: Known,
  signal: AbortSignal,
): Promise<ProbeFacts | null> {
  const wanted = { channel: channel.name, messageId, startedAt };
  const unsaved = await unsavedCall(store.items, wanted, 'the gateway stopped during the call');
  if (unsaved) return { ...facts, call: unsaved };
  const shown = shownBefore.get(channel.name) ?? (await finder.earlier(channel.name, messageId));
  const made = await calls.resync(channel, messageId, shown, signal);
  if (made) shownBefore.delete(channel.name);
  return made && { ...facts, call: recordOf(made) };
}

async function readAfter(
  { calls, effects }: Context,
  channel: Channel,
  { messageId, facts }: Known,
  signal: AbortSignal,
): Promise<ProbeFacts | null> {
  const made = await calls.read(channel, messageId, signal);
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
}

/** Looks for copies of the message. */
async function look({ finder }: Context, probe: Known, lookedAt: number | null): Promise<ProbeFacts> {
  const { channel, messageId, facts } = probe;
  if (facts.call === null) return facts;
  const copies = await finder.find({ channel, messageId, since: facts.call.at, facts }, lookedAt);
  return { ...facts, copies };
}

function recordOf({ answer, at, tookMs }: MadeCall): ProbeCall {
  const reason = 'reason' in answer ? answer.reason : answer.kind === 'timeout' ? 'no answer in time' : null;
  return { at, tookMs, status: statusOf(answer), outcome: answer.kind, reason };
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

/**
 * The resync call of a probe that has not saved its answer. Null: none was made.
 * @param reason why it was not saved
 */
export async function unsavedCall(
  items: Pick<Items, 'explain'>,
  { channel, messageId, startedAt }: Pick<Known, 'channel' | 'messageId' | 'startedAt'>,
  reason: string,
): Promise<ProbeCall | null> {
  const explained = await items.explain(channel, messageId);
  const at = explained?.resyncs.find(({ askedAt }) => (askedAt ?? 0) >= startedAt)?.askedAt;
  if (at === undefined || at === null) return null;
  return { at, tookMs: null, status: null, outcome: 'interrupted', reason };
}
