import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterCall, RESYNC_INTERVALS } from '../../src/resync/policy.js';
import type { CallMoment } from '../../src/resync/policy.js';
import type { WhapiAnswer } from '../../src/whapi/answers.js';
import { channel } from '../support/store.js';
import type { CallResult, ResyncCall } from '../../src/store/resyncs.js';

const NOW = Date.UTC(2026, 0, 15, 12);
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const WINDOW_SECONDS = 72 * 60 * 60;
const WINDOW_CLOSES = NOW + WINDOW_SECONDS * SECOND;

const FOUND: WhapiAnswer = { kind: 'found' };
const MISSING: WhapiAnswer = { kind: 'missing', reason: '404 Specified message not found' };
const TIMEOUT: WhapiAnswer = { kind: 'timeout' };
const REFUSED: WhapiAnswer = { kind: 'refused', reason: '403 It is forbidden' };
const LOGGED_OUT = { kind: 'refused', for: 'login', reason: '401 Need channel authorization' } as const;
const WRONG_TOKEN = { kind: 'refused', for: 'token', reason: '404 Channel not found' } as const;
const QUOTA = { kind: 'refused', for: 'quota', reason: '402 Trial version limit exceeded' } as const;
const BUSY = { kind: 'busy', reason: '429 Too many requests', retryAfter: null } as const;
const UNREACHABLE = { kind: 'unreachable', reason: 'connect ECONNREFUSED' } as const;

function call(kind: ResyncCall['kind'], more: Partial<ResyncCall> = {}): ResyncCall {
  return {
    kind,
    resyncId: 'rsy_1',
    position: 0,
    channel: channel('main'),
    messageId: 'm-1',
    windowSeconds: WINDOW_SECONDS,
    registeredAt: NOW - MINUTE,
    made: 0,
    ...more,
  };
}

/** With a random value that leaves every pause at its length. */
function after(of: ResyncCall, answer: WhapiAnswer, more: Partial<CallMoment> = {}): CallResult {
  return afterCall(of, answer, {
    intervals: RESYNC_INTERVALS,
    now: NOW,
    random: 0.5,
    failures: 0,
    tookMs: 15 * SECOND,
    ...more,
  });
}

describe('after a call with resync=true', () => {
  it('200: the message is polled at once, and the window stays open for its webhook', () => {
    expect(after(call('resync'), FOUND)).toEqual({
      ...{ status: 'waiting', nextAt: NOW + 2 * SECOND, closesAt: WINDOW_CLOSES, tookMs: 15 * SECOND },
    });
  });

  it.each([MISSING, TIMEOUT])(
    '$kind is not a failure: it waits, polls after half a minute, and its window is open',
    (answer) => {
      expect(after(call('resync'), answer)).toEqual({
        ...{ status: 'waiting', nextAt: NOW + 30 * SECOND, closesAt: WINDOW_CLOSES, tookMs: 15 * SECOND },
      });
    },
  );

  it("a refusal fails the message with Whapi's reason and closes the window after 15 minutes", () => {
    expect(after(call('resync'), REFUSED)).toEqual({
      ...{ status: 'failed', nextAt: null, refused: true, tookMs: 15 * SECOND },
      closesAt: NOW + 15 * MINUTE,
      error: '403 It is forbidden',
    });
  });

  it.each([
    [BUSY, 'busy', 5 * SECOND],
    [UNREACHABLE, 'busy', 5 * SECOND],
    [LOGGED_OUT, 'not_ready', 15 * SECOND],
    [WRONG_TOKEN, 'wrong_token', 15 * MINUTE],
    [QUOTA, 'quota', 12 * 60 * MINUTE],
  ] as const)('$0.kind: it is queued again, open-ended, and the channel pauses: $1', (answer, code, ms) => {
    const { pause, ...result } = after(call('resync'), answer);
    expect(result).toMatchObject({ status: 'queued', closesAt: null, error: answer.reason });
    expect(result.refused).not.toBe(true);
    expect(pause).toMatchObject({
      code,
      nextCheckAt: NOW + ms,
      reason: expect.stringContaining(answer.reason) as unknown,
    });
  });

  it('repeated failures give up only after a full window and ten calls', () => {
    const old = { registeredAt: NOW - WINDOW_SECONDS * SECOND - 1 };
    expect(after(call('resync', { ...old, made: 9 }), BUSY)).toMatchObject({ status: 'queued' });
    expect(after(call('resync', { made: 30 }), BUSY)).toMatchObject({ status: 'queued' });
    const { pause, ...result } = after(call('resync', { ...old, made: 10 }), BUSY);
    expect(result).toMatchObject({ status: 'failed', nextAt: null, closesAt: WINDOW_CLOSES });
    expect([result.error, pause]).toEqual(['Given up: 429 Too many requests', undefined]);
  });

  it('the window has the length that the resync requested', () => {
    expect(after(call('resync', { windowSeconds: 60 }), MISSING).closesAt).toBe(NOW + MINUTE);
  });
});

describe('after a poll for the message', () => {
  it('200: it is restored, and the window is unchanged', () => {
    expect(after(call('poll'), FOUND)).toEqual({ status: 'restored', nextAt: null, tookMs: 15 * SECOND });
  });

  it.each([MISSING, TIMEOUT, REFUSED])('$kind: it keeps waiting', (answer) => {
    expect(after(call('poll'), answer)).toEqual({ status: 'waiting', nextAt: NOW + MINUTE, tookMs: 15 * SECOND });
  });

  it.each([BUSY, UNREACHABLE])('$kind: it keeps waiting, and the channel pauses', (answer) => {
    const { pause, ...result } = after(call('poll'), answer);
    expect(result).toMatchObject({ status: 'waiting', nextAt: NOW + MINUTE });
    expect(pause?.nextCheckAt).toBe(NOW + 5 * SECOND);
  });

  it("the next poll respects Whapi's Retry-After", () => {
    const { nextAt, pause } = after(call('poll'), { kind: 'busy', reason: '', retryAfter: '600' });
    expect([nextAt, pause?.nextCheckAt]).toEqual([NOW + 10 * MINUTE, NOW + 10 * MINUTE]);
  });

  it.each([8, 24])('the %ith unsuccessful one queues the call again with an open-ended window', (polls) => {
    expect(after(call('poll', { made: polls - 1 }), MISSING)).toMatchObject({
      ...{ status: 'queued', nextAt: NOW, closesAt: null },
    });
    expect(after(call('poll', { made: polls }), MISSING)).toMatchObject({ status: 'waiting', nextAt: NOW + MINUTE });
  });
});

describe('the pauses', () => {
  it('between polls grow from half a minute to an hour and stay there', () => {
    const first = (after(call('resync'), MISSING).nextAt ?? 0) - NOW;
    const intervals = { ...RESYNC_INTERVALS, askAgainAfterPolls: [] };
    const next = Array.from(
      { length: 10 },
      (_, made) => (after(call('poll', { made }), MISSING, { intervals }).nextAt ?? 0) - NOW,
    );
    expect([first, ...next].map((ms) => ms / MINUTE)).toEqual([0.5, 1, 2, 4, 8, 15, 30, 60, 60, 60, 60]);
  });

  it.each(['resync', 'poll'] as const)(
    'after 429, 5xx and no connection to a %s grow from five seconds to five minutes with each in a row',
    (kind) => {
      const pauses = Array.from({ length: 9 }, (_, failures) => after(call(kind), BUSY, { failures }).pause);
      expect(pauses.map((pause) => ((pause?.nextCheckAt ?? 0) - NOW) / SECOND)).toEqual([
        5, 10, 20, 40, 80, 160, 300, 300, 300,
      ]);
    },
  );

  it.each(['resync', 'poll'] as const)(
    'start short after a first failure, even if many calls of kind %s came before',
    (kind) => {
      expect(after(call(kind, { made: 30 }), BUSY).pause?.nextCheckAt).toBe(NOW + 5 * SECOND);
    },
  );

  it.each([
    ['in seconds', '600'],
    ['as a date', new Date(NOW + 10 * MINUTE).toUTCString()],
  ])('last as long as a Retry-After %s asks', (_form, retryAfter) => {
    const { pause } = after(call('resync'), { kind: 'busy', reason: '429', retryAfter });
    expect(pause?.nextCheckAt).toBe(NOW + 10 * MINUTE);
  });

  it('are not shortened by a Retry-After', () => {
    const { pause } = after(call('resync'), { kind: 'busy', reason: '429', retryAfter: '1' });
    expect(pause?.nextCheckAt).toBe(NOW + 5 * SECOND);
  });

  it('have a jitter of 20 %, and the next call is always later than now', () => {
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    const answers = fc.constantFrom<WhapiAnswer>(MISSING, TIMEOUT, BUSY, UNREACHABLE);
    fc.assert(
      fc.property(answers, fc.nat({ max: 30 }), chance, (answer, failures, random) => {
        const exact = (after(call('resync'), answer, { failures }).nextAt ?? 0) - NOW;
        const drawn = (after(call('resync'), answer, { failures, random }).nextAt ?? 0) - NOW;
        expect(drawn).toBeGreaterThanOrEqual(0.8 * exact);
        expect(drawn).toBeLessThanOrEqual(1.2 * exact);
        expect(drawn).toBeGreaterThan(0);
      }),
    );
  });
});

describe('the timeout of a call', () => {
  it('is well above the 15 seconds that a resync takes', () => {
    expect(RESYNC_INTERVALS.callTimeoutMs).toBeGreaterThanOrEqual(30 * SECOND);
  });
});
