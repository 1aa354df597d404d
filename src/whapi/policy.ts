import { jittered, pauseAt, retryAfterMs } from '../backoff.js';
import type { Channel, Pause } from '../model.js';
import type { WhapiFailure } from './answers.js';
import type { WhapiResult } from './client.js';
import { printable } from '../printable.js';
import { HEALTHY } from './wire.js';
import type { Health } from './wire.js';
import { DAY_MS } from '../durations.js';
import type { CallsDue, ChannelState, CheckResult, NewPause } from '../store/calls.js';

/** When a channel's next call may be made, in milliseconds. */
export interface CallIntervals {
  /** Pause between the end of a call and the next one, for channels without a spacing of their own. */
  readonly spacingMs: number;
  /** How long a healthy state is trusted before another resync call needs a fresh health check. */
  readonly healthEveryMs: number;
  /** Pauses before a channel that cannot resync is checked again; the last one is repeated. */
  readonly checksMs: readonly number[];
  /** Pauses after 429, 5xx and failed connections; the last one is repeated. */
  readonly backoffMs: readonly number[];
}

/** How long a channel's turn at calling Whapi lasts, in milliseconds. */
export interface TurnIntervals {
  /**
   * What a turn may take besides its call: reading the channel's state before it, storing the answer after it, and a gateway
   * that stands still for some seconds. A turn outlives its call, so that no other replica calls at the same time. A crash
   * holds up the channel for as long.
   */
  readonly turnMarginMs: number;
}

/** What the length of a pause depends on, besides the answer that caused it. */
export interface PauseMoment {
  readonly intervals: CallIntervals;
  readonly now: number;
  /** In [0, 1). */
  readonly random: number;
  /** Consecutive failed calls before this one. */
  readonly failures: number;
}

export interface StepMoment {
  readonly intervals: Pick<CallIntervals, 'spacingMs' | 'healthEveryMs'>;
  readonly now: number;
  /** The end of the channel's last call since the start; null if there was none. */
  readonly endedAt: number | null;
  /** Something happened since the last check, so the channel's state may have changed. */
  readonly isStateStale: boolean;
}

export type Step =
  | Wait
  /** Only the spacing after the previous call is left to wait for. */
  | { readonly kind: 'space'; readonly until: number }
  | { readonly kind: 'check' }
  | { readonly kind: 'call' };

export interface Wait {
  readonly kind: 'wait';
  readonly until: number;
  /** Why no call may be made; null if none is due yet. */
  readonly pause: Pause | null;
}

/** A failure that affects the channel and not only one message. */
export type Trouble =
  | Extract<WhapiFailure, { kind: 'busy' | 'timeout' | 'unreachable' }>
  | { readonly kind: 'refused'; readonly for: 'login' | 'quota' | 'token'; readonly reason: string };

/** The part of a failure that affects the whole channel; null if it is about one call. */
export function troubleIn(answer: WhapiFailure): Trouble | null {
  if (answer.kind === 'missing') return null;
  if (answer.kind !== 'refused') return answer;
  return answer.for === undefined ? null : { ...answer, for: answer.for };
}

/** Whether something happened since the last check, so that the channel's state may have changed. */
export function isStale({ pause, news }: Pick<ChannelState, 'pause' | 'news'>): boolean {
  return pause ? news.includes('back') : news.includes('away') || news.includes('no_answer');
}

/**
 * What to do next for a channel, for the gateway's own calls. A used-up daily budget waits for the next day. A pause
 * ends with a good health check, which is made when the pause is over or when the channel's state may have changed.
 * Before a resync call, the channel must have been healthy recently. Calls keep their spacing.
 */
export function nextStep(
  state: ChannelState,
  { dueAt, askDueAt }: CallsDue,
  { intervals, now, endedAt, isStateStale }: StepMoment,
): Step {
  const { pause, healthyAt } = state;
  // A reported change of state does not end a pause that Whapi asked for.
  const isOver = pause === null || pause.nextCheckAt <= now || (isStateStale && pause.code !== 'busy');
  const activePause = budgetPause(state, now) ?? (isOver ? null : pause);
  if (activePause) return { kind: 'wait', until: activePause.nextCheckAt, pause: activePause };
  const isCheck = isStateStale || pause !== null;
  if (!isCheck && dueAt > now) return { kind: 'wait', until: dueAt, pause: null };
  const lastAt = endedAt ?? state.lastCallAt;
  const freeAt = lastAt === null ? now : lastAt + (state.channel.resyncSpacingMs ?? intervals.spacingMs);
  if (freeAt > now) return { kind: 'space', until: freeAt };
  const isAsking = askDueAt !== null && askDueAt <= now;
  const isFresh = healthyAt !== null && now - healthyAt < intervals.healthEveryMs;
  return { kind: isCheck || (isAsking && !isFresh) ? 'check' : 'call' };
}

/**
 * The channel's state after a health check.
 * @param wasReportedLost since the last check, a webhook reported that the channel was not ready
 */
export function afterCheck(
  { channel, failures }: Pick<ChannelState, 'channel' | 'failures'>,
  health: WhapiResult<Health>,
  at: Omit<PauseMoment, 'failures'>,
  wasReportedLost: boolean,
): CheckResult {
  if (health.kind !== 'found') {
    const trouble = troubleIn(health);
    // If Whapi does not report a state, the calls themselves have to show it.
    if (!trouble) return { pause: null, wasAway: wasReportedLost };
    const isAway = trouble.kind === 'refused' && trouble.for === 'login';
    return { pause: pauseFor(trouble, channel, { ...at, failures }), wasAway: isAway || wasReportedLost };
  }
  const { text } = health.body.status;
  if (text === HEALTHY) return { pause: null, wasAway: wasReportedLost };
  const nextCheckAt = at.now + pauseLength(at.intervals.checksMs, channel, { ...at, failures });
  return { pause: { code: 'not_ready', reason: stateReason(text), nextCheckAt }, wasAway: true };
}

/** The pause after an answer that affects the whole channel, or after which Whapi cannot take calls. */
export function pauseFor(trouble: Trouble, channel: Channel, at: PauseMoment): NewPause {
  if (trouble.kind === 'refused') return refusalPause(trouble, channel, at);
  const cause = trouble.kind === 'timeout' ? 'no answer in time' : trouble.reason;
  const requestedMs = trouble.kind === 'busy' ? retryAfterMs(trouble.retryAfter, at.now) : 0;
  const nextCheckAt = at.now + Math.max(pauseLength(at.intervals.backoffMs, channel, at), requestedMs);
  return { code: 'busy', reason: `Whapi cannot take calls now: ${cause}.`, nextCheckAt };
}

/** The pause of a channel whose daily budget is used up; null if it is not. */
export function budgetPause(
  calls: Pick<ChannelState, 'channel' | 'callsToday' | 'lastCallAt'>,
  now: number,
): (NewPause & { since: number }) | null {
  if (!isBudgetSpent(calls)) return null;
  const reason = `The channel's budget of ${calls.channel.dailyCallBudget} calls a day (daily_call_budget) is used up. Calls resume at midnight UTC.`;
  return { code: 'budget', reason, since: calls.lastCallAt ?? now, nextCheckAt: nextDay(now) };
}

/** The next midnight in UTC. */
export function nextDay(now: number): number {
  return (Math.floor(now / DAY_MS) + 1) * DAY_MS;
}

function isBudgetSpent({ channel, callsToday }: Pick<ChannelState, 'channel' | 'callsToday'>): boolean {
  return channel.dailyCallBudget !== null && callsToday >= channel.dailyCallBudget;
}

function refusalPause(trouble: Trouble & { kind: 'refused' }, channel: Channel, at: PauseMoment): NewPause {
  switch (trouble.for) {
    case 'quota':
      return {
        code: 'quota',
        reason: `The channel's quota at Whapi is used up (${trouble.reason}). Calls resume at midnight UTC.`,
        nextCheckAt: nextDay(at.now),
      };
    case 'login':
      return {
        code: 'not_ready',
        reason: `The channel is not logged in to WhatsApp (${trouble.reason}). Log it in at Whapi. Calls then resume automatically.`,
        nextCheckAt: at.now + pauseLength(at.intervals.checksMs, channel, at),
      };
    case 'token':
      return {
        code: 'wrong_token',
        reason: `Whapi does not know the channel's token (${trouble.reason}). Set the right one: PATCH /v1/channels/${channel.name} { "whapi_token": "…" }. Calls then resume automatically.`,
        nextCheckAt: at.now + pauseLength(at.intervals.checksMs.slice(-1), channel, at),
      };
  }
}

/** A check costs a call, so checks must not use up the daily budget faster than evenly. */
function pauseLength(pausesMs: readonly number[], { dailyCallBudget }: Channel, at: PauseMoment): number {
  const ms = jittered(pauseAt(pausesMs, at.failures), at.random);
  return dailyCallBudget === null ? ms : Math.max(ms, Math.ceil(DAY_MS / dailyCallBudget));
}

/** docs/whapi.md, Health. */
const STATES: Readonly<Record<string, string>> = {
  QR: 'The channel is not logged in to WhatsApp (QR): scan its QR code at Whapi.',
  STOP: 'The channel is stopped at Whapi (STOP): check its subscription there.',
  SYNC_ERROR: 'Whapi cannot read the messages of this channel (SYNC_ERROR): log it out and in again at Whapi.',
  ERROR: 'The channel is in an error state at Whapi (ERROR): restart it there.',
  NOT_INIT: 'The channel is not started at Whapi (NOT_INIT): start it there.',
  INIT: 'The channel is starting at Whapi (INIT).',
  LAUNCH: 'The channel is starting at Whapi (LAUNCH).',
};

function stateReason(text: string): string {
  const state = STATES[text] ?? `The channel is not ready at Whapi (${printable(text, 100)}).`;
  return `${state} Calls resume automatically once it is ready.`;
}
