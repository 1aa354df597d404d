import { describe, expect, it } from 'vitest';
import type { Channel, Pause } from '../../src/model.js';
import { afterCheck, budgetPause, nextStep } from '../../src/whapi/policy.js';
import type { Step, StepMoment } from '../../src/whapi/policy.js';
import { RESYNC_INTERVALS } from '../../src/resync/policy.js';
import type { WhapiResult } from '../../src/whapi/client.js';
import type { Health } from '../../src/whapi/wire.js';
import { channel, HOUR, MINUTE, SECOND, START } from '../support/store.js';
import type { ChannelCalls } from '../../src/store/calls.js';

const MIDNIGHT = START + 12 * HOUR;
const WAITING: Pause = { code: 'not_ready', reason: 'QR', since: START - HOUR, nextCheckAt: START + MINUTE };

const ASKED: Pause = { ...WAITING, code: 'busy' };

/** A channel whose health check succeeded a minute ago and that has an id to ask for. */
function calls(more: Partial<ChannelCalls> = {}, settings: Partial<Channel> = {}): ChannelCalls {
  return {
    ...{ channel: channel('main', settings), dueAt: START - SECOND, askDueAt: START - SECOND },
    ...{ callsToday: 7, lastCallAt: START - MINUTE, healthyAt: START - MINUTE, failures: 0, pause: null, news: [] },
    ...more,
  };
}

function step(of: ChannelCalls, more: Partial<StepMoment> = {}): Step {
  return nextStep(of, of, { intervals: RESYNC_INTERVALS, now: START, endedAt: null, isStateStale: false, ...more });
}

function checked(health: WhapiResult<Health>, settings: Partial<Channel> = {}, failures = 0) {
  const at = { intervals: RESYNC_INTERVALS, now: START, random: 0.5 };
  return afterCheck(calls({ failures }, settings), health, at, false);
}

function state(text: string): WhapiResult<Health> {
  return { kind: 'found', body: { start_at: 0, uptime: 0, status: { code: 0, text } }, date: null };
}

const waits = (until: number, pause: unknown = null): unknown => ({ kind: 'wait', until, pause });
const spaces = (until: number): Step => ({ kind: 'space', until });
const BUDGET = expect.objectContaining({ code: 'budget' }) as unknown;

describe('the next step of a channel', () => {
  it.each<[string, unknown, ChannelCalls, Partial<StepMoment>]>([
    ['a call is due', { kind: 'call' }, calls(), {}],
    ['no call is due yet', waits(START + SECOND), calls({ dueAt: START + SECOND, askDueAt: null }), {}],
    ['the last call has just ended', spaces(START + SECOND), calls(), { endedAt: START }],
    ['its spacing is longer', spaces(START + 9 * SECOND), calls({}, { resyncSpacingMs: 9000 }), { endedAt: START }],
    ['it has no spacing', { kind: 'call' }, calls({}, { resyncSpacingMs: 0 }), { endedAt: START }],
    ['the last call was made before a restart', spaces(START + SECOND), calls({ lastCallAt: START }), {}],
    ['no health check has succeeded yet', { kind: 'check' }, calls({ healthyAt: null }), {}],
    ['the last good health check is long ago', { kind: 'check' }, calls({ healthyAt: START - 5 * MINUTE }), {}],
    ['only a poll is due', { kind: 'call' }, calls({ askDueAt: null, healthyAt: null }), {}],
    ['it pauses', waits(START + MINUTE, WAITING), calls({ pause: WAITING }), {}],
    ['its pause is over', { kind: 'check' }, calls({ pause: { ...WAITING, nextCheckAt: START } }), {}],
    ['it pauses and its state is stale', { kind: 'check' }, calls({ pause: WAITING }), { isStateStale: true }],
    [
      'Whapi asked for a pause and the state is stale',
      waits(START + MINUTE, ASKED),
      calls({ pause: ASKED }),
      { isStateStale: true },
    ],
    ['its state is stale', { kind: 'check' }, calls({ dueAt: START + HOUR, askDueAt: null }), { isStateStale: true }],
    ['its budget is used up', waits(MIDNIGHT, BUDGET), calls({}, { dailyCallBudget: 7 }), { isStateStale: true }],
    ['one call of its budget is left', { kind: 'call' }, calls({}, { dailyCallBudget: 8 }), {}],
  ])('if %s is %o', (_, expected, of, more) => {
    expect(step(of, more)).toEqual(expected);
  });
});

describe('a health check', () => {
  it.each<[string, WhapiResult<Health>]>([
    ['AUTH', state('AUTH')],
    ['an answer without a state', { kind: 'missing', reason: '404' }],
    ['a refusal', { kind: 'refused', reason: '400' }],
  ])('with %s resumes calls', (_, health) => {
    expect(checked(health)).toEqual({ pause: null, wasAway: false });
  });

  it.each(['QR', 'STOP', 'SYNC_ERROR', 'ERROR', 'NOT_INIT', 'INIT', 'LAUNCH', 'A_STATE_OF_TOMORROW'])(
    'with %s pauses the channel with a reason, and has calls since its last good check repeated',
    (text) => {
      const { pause, wasAway } = checked(state(text));
      expect(pause).toMatchObject({ code: 'not_ready', nextCheckAt: START + 15 * SECOND });
      expect([pause?.reason.includes(text), wasAway]).toEqual([true, true]);
    },
  );

  it.each<[string, WhapiResult<Health>, boolean]>([
    ['busy', { kind: 'busy', reason: '500', retryAfter: null }, false],
    ['busy', { kind: 'unreachable', reason: 'ECONNREFUSED' }, false],
    ['busy', { kind: 'timeout' }, false],
    ['not_ready', { kind: 'refused', for: 'login', reason: '401' }, true],
    ['wrong_token', { kind: 'refused', for: 'token', reason: '404 Channel not found' }, false],
    ['quota', { kind: 'refused', for: 'quota', reason: '402' }, false],
  ])('pauses the channel as %s for %o', (code, health, wasAway) => {
    expect(checked(health)).toMatchObject({ pause: { code }, wasAway });
  });

  it('is repeated later after each failure in a row, up to 15 minutes', () => {
    const pauses = [0, 1, 2, 3, 4, 5, 6, 7].map((failures) => checked(state('QR'), {}, failures).pause);
    const minutes = pauses.map((pause) => ((pause?.nextCheckAt ?? 0) - START) / MINUTE);
    expect(minutes).toEqual([0.25, 0.5, 1, 2, 5, 10, 15, 15]);
  });

  it("is made no more often than a channel's daily budget allows", () => {
    const { pause } = checked(state('QR'), { dailyCallBudget: 24 });
    expect(pause?.nextCheckAt).toBe(START + HOUR);
  });
});

describe('a daily budget', () => {
  it('that is used up pauses the channel until midnight UTC, from the last call on', () => {
    const { pause, ...of } = calls({}, { dailyCallBudget: 7 });
    expect(pause).toBeNull();
    const words = expect.stringContaining('7 calls a day') as unknown;
    expect(budgetPause(of, START)).toEqual({
      ...{ code: 'budget', reason: words, since: START - MINUTE, nextCheckAt: MIDNIGHT },
    });
    expect(budgetPause({ ...of, callsToday: 6 }, START)).toBeNull();
  });
});
