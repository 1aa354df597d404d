import { describe, expect, it } from 'vitest';
import { refusedCheck } from '../../src/doctor/policy.js';
import {
  backlogCheck,
  breakerCheck,
  deadCheck,
  subscriptionCheck,
  unhandledCheck,
} from '../../src/doctor/target-checks.js';
import type { Breaker, EventName } from '../../src/model.js';
import { HOUR, MINUTE, START, target } from '../support/store.js';
import type { TargetLoad } from '../../src/store/outbox.js';

const BOT = target('bot');
const IDLE: TargetLoad = { pending: 0, oldestPendingAt: null, lastError: null, deadLastDay: 0, unhandledLastDay: [] };
const CLOSED: Breaker = {
  ...{ state: 'closed', consecutiveFailures: 0, timesOpened: 0 },
  ...{ openedAt: null, nextProbeAt: null, ramp: null },
};
const TEXTS: EventName = { type: 'messages', method: 'post' };
const NEVER = { lastAt: null, lastCode: null, today: 0 };

describe('the target checks', () => {
  it('report nothing about an idle target without problems', () => {
    const checks = [breakerCheck(BOT, CLOSED, IDLE), backlogCheck(BOT, IDLE, START), deadCheck(BOT, IDLE)];
    expect([...checks, unhandledCheck(BOT, IDLE), subscriptionCheck(BOT, new Map())]).toEqual(Array(5).fill(null));
  });

  it('fail a target with an open circuit breaker, with its time, the next probe and the last error', () => {
    const open = {
      ...CLOSED,
      state: 'open',
      consecutiveFailures: 5,
      openedAt: START,
      nextProbeAt: START + MINUTE,
    } as const;
    const check = breakerCheck(BOT, open, { ...IDLE, lastError: 'The target answered 503.' });
    expect(check).toMatchObject({ name: 'breaker', subject: 'the bot', status: 'fail' });
    expect(check?.message).toMatch(/open since 2026-.*after 5 failed attempts; next probe at 2026-.*answered 503/);
  });

  it.each([
    [2 * MINUTE, 'ok'],
    [3 * HOUR, 'warn'],
  ])('rate a backlog whose oldest delivery has waited for %i ms as %s', (waitedMs, status) => {
    const load = { ...IDLE, pending: 120, oldestPendingAt: START - waitedMs, lastError: 'timed out' };
    const check = backlogCheck(BOT, load, START);
    expect(check).toMatchObject({ name: 'backlog', status });
    expect(check?.message).toContain('120 deliveries pending, the oldest for ');
    expect(check?.message.includes('Last error: timed out')).toBe(status === 'warn');
  });

  it('warn about dead deliveries, with the command that retries them', () => {
    const check = deadCheck(BOT, { ...IDLE, deadLastDay: 1 });
    expect(check).toMatchObject({
      status: 'warn',
      message: '1 delivery became dead in the last day and will not be retried.',
    });
    expect(check?.fix).toContain('POST /v1/deliveries/retry { "status": "dead", "target": "bot" }');
  });

  it('name events without a handler and the fix in one line, without failing', () => {
    const unhandledLastDay = [
      { event: 'chats.post', count: 2 },
      { event: 'statuses.post', count: 9 },
    ];
    const check = unhandledCheck(BOT, { ...IDLE, unhandledLastDay });
    expect(check).toMatchObject({ status: 'ok', message: 'It has no handler for chats.post (2), statuses.post (9).' });
    expect(check?.fix).toContain('--events');
  });

  it('warn about a target whose events its channels do not send', () => {
    const receipts = { ...BOT, events: ['statuses'] };
    const check = subscriptionCheck(receipts, new Map([['main', [TEXTS]]]));
    expect(check).toMatchObject({ name: 'subscription', status: 'warn' });
    expect(check?.message).toContain('subscribes to statuses, but its channels send only messages.post');
    const both = new Map([['main', [TEXTS, { type: 'statuses', method: 'post' } as const]]]);
    expect(subscriptionCheck(receipts, both)).toBeNull();
  });

  it.each<[string, Partial<typeof BOT>, [string, EventName[]][]]>([
    ['it is disabled', { events: ['statuses'], enabled: false }, [['main', [TEXTS]]]],
    [
      'the events of one of its channels are unknown',
      { events: ['statuses'] },
      [
        ['main', [TEXTS]],
        ['shop', []],
      ],
    ],
    ['it takes everything', {}, [['main', [TEXTS]]]],
  ])('do not warn if %s', (_, settings, sent) => {
    expect(subscriptionCheck({ ...BOT, ...settings }, new Map(sent))).toBeNull();
  });
});

describe('the check of refused webhooks', () => {
  it('reports nothing if none was refused today', () => {
    expect(refusedCheck('main', { lastWebhookAt: START, refused: NEVER }, START)).toBeNull();
    expect(
      refusedCheck('main', { lastWebhookAt: null, refused: { lastAt: 1, lastCode: 'GW_X', today: 0 } }, 1),
    ).toBeNull();
  });

  it.each([
    ['GW_CHANNEL_MISMATCH', null, 'fail'],
    ['GW_CHANNEL_MISMATCH', START + MINUTE, 'warn'], // One was accepted since.
    ['GW_UNAUTHORIZED', null, 'warn'], // Anyone can cause these.
  ])('rates %s with the last accepted webhook at %s as %s', (lastCode, lastWebhookAt, status) => {
    const check = refusedCheck('main', { lastWebhookAt, refused: { lastAt: START, lastCode, today: 3 } }, START + HOUR);
    expect(check).toMatchObject({ name: 'refused', subject: 'main', status });
    expect(check?.message).toBe(`3 webhooks refused today, the last one 1 hour ago with ${lastCode}.`);
  });
});
