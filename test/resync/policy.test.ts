import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ResyncCall } from '../../src/ledger/ledger.js';
import type { Channel } from '../../src/model.js';
import { afterCall, RESYNC_TIMING } from '../../src/resync/policy.js';
import type { AfterCall, CallMoment } from '../../src/resync/policy.js';
import type { WhapiAnswer } from '../../src/whapi/client.js';

const NOW = Date.UTC(2026, 0, 15, 12);
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const WINDOW_SECONDS = 72 * 60 * 60;
const WINDOW_CLOSES = NOW + WINDOW_SECONDS * SECOND;

const FOUND: WhapiAnswer = { kind: 'found' };
const MISSING: WhapiAnswer = { kind: 'missing', words: '404 Specified message not found' };
const TIMEOUT: WhapiAnswer = { kind: 'timeout' };
const REFUSED: WhapiAnswer = { kind: 'refused', words: '401 Need channel authorization' };
const BUSY: WhapiAnswer = { kind: 'busy', words: '429 Too many requests', retryAfter: null };
const UNREACHABLE: WhapiAnswer = { kind: 'unreachable', words: 'connect ECONNREFUSED' };

function call(kind: ResyncCall['kind'], more: Partial<ResyncCall> = {}): ResyncCall {
  return {
    kind,
    resyncId: 'rsy_1',
    position: 0,
    channel: { name: 'main' } as Channel,
    messageId: 'm-1',
    windowSeconds: WINDOW_SECONDS,
    registeredAt: NOW - MINUTE,
    made: 0,
    ...more,
  };
}

/** With a chance that leaves every pause at its length. */
function after(of: ResyncCall, answer: WhapiAnswer, more: Partial<CallMoment> = {}): AfterCall {
  return afterCall(of, answer, { timing: RESYNC_TIMING, now: NOW, random: 0.5, busyBefore: 0, ...more });
}

describe('after a call with resync=true', () => {
  it('200: the message is looked for at once, and the window stays open for its webhook', () => {
    expect(after(call('resync'), FOUND)).toEqual({
      result: { status: 'waiting', nextAt: NOW + 2 * SECOND, closesAt: WINDOW_CLOSES },
      pauseUntil: null,
    });
  });

  it.each([MISSING, TIMEOUT])(
    '$kind is no failure: it waits, looks half a minute later, the window is open',
    (answer) => {
      expect(after(call('resync'), answer)).toEqual({
        result: { status: 'waiting', nextAt: NOW + 30 * SECOND, closesAt: WINDOW_CLOSES },
        pauseUntil: null,
      });
    },
  );

  it('a refusal fails the message in its words, and closes the window after a quarter of an hour', () => {
    expect(after(call('resync'), REFUSED)).toEqual({
      result: {
        ...{ status: 'failed', nextAt: null, refused: true },
        closesAt: NOW + 15 * MINUTE,
        error: '401 Need channel authorization',
      },
      pauseUntil: null,
    });
  });

  it.each([BUSY, UNREACHABLE])('$kind: it is queued again, and the channel is left in peace until then', (answer) => {
    const { result, pauseUntil } = after(call('resync'), answer);
    expect(result).toMatchObject({ status: 'queued', nextAt: NOW + 5 * SECOND, closesAt: WINDOW_CLOSES });
    expect(result.refused).not.toBe(true);
    expect(pauseUntil).toBe(result.nextAt);
  });

  it('is not repeated for ever: a whole window after the registration it is given up, and the window runs out', () => {
    const old = { registeredAt: NOW - WINDOW_SECONDS * SECOND - 1 };
    const { result, pauseUntil } = after(call('resync', old), BUSY);
    expect(result).toMatchObject({ status: 'failed', nextAt: null, closesAt: WINDOW_CLOSES });
    expect(result.error).toContain('429 Too many requests');
    expect(pauseUntil).toBeNull();
  });

  it('the window is as long as the resync says', () => {
    const { result } = after(call('resync', { windowSeconds: 60 }), MISSING);
    expect(result.closesAt).toBe(NOW + MINUTE);
  });
});

describe('after a look whether the message is back', () => {
  it('200: it is restored; the window stays as it is', () => {
    expect(after(call('poll'), FOUND)).toEqual({ result: { status: 'restored', nextAt: null }, pauseUntil: null });
  });

  it.each([MISSING, TIMEOUT, REFUSED])('$kind: it goes on waiting', (answer) => {
    expect(after(call('poll'), answer)).toEqual({
      result: { status: 'waiting', nextAt: NOW + MINUTE },
      pauseUntil: null,
    });
  });

  it.each([BUSY, UNREACHABLE])('$kind: it goes on waiting, and the channel is left in peace', (answer) => {
    expect(after(call('poll'), answer)).toEqual({
      result: { status: 'waiting', nextAt: NOW + MINUTE },
      pauseUntil: NOW + 5 * SECOND,
    });
  });

  it('the next look is not before Whapi wants to be asked', () => {
    const { result, pauseUntil } = after(call('poll'), { kind: 'busy', words: '', retryAfter: '600' });
    expect([result.nextAt, pauseUntil]).toEqual([NOW + 10 * MINUTE, NOW + 10 * MINUTE]);
  });
});

describe('the pauses', () => {
  it('between looks grow from half a minute to an hour, and stay there', () => {
    const first = (after(call('resync'), MISSING).result.nextAt ?? 0) - NOW;
    const next = Array.from(
      { length: 10 },
      (_, made) => (after(call('poll', { made }), MISSING).result.nextAt ?? 0) - NOW,
    );
    expect([first, ...next].map((ms) => ms / MINUTE)).toEqual([0.5, 1, 2, 4, 8, 15, 30, 60, 60, 60, 60]);
  });

  it.each(['resync', 'poll'] as const)(
    'after 429, 5xx and no connection to a %s grow from five seconds to five minutes with each in a row',
    (kind) => {
      const pauses = Array.from({ length: 9 }, (_, busyBefore) => after(call(kind), BUSY, { busyBefore }).pauseUntil);
      expect(pauses.map((until) => ((until ?? 0) - NOW) / SECOND)).toEqual([5, 10, 20, 40, 80, 160, 300, 300, 300]);
    },
  );

  it.each(['resync', 'poll'] as const)(
    'after the first of them is short, however often a %s was made before',
    (kind) => {
      expect(after(call(kind, { made: 30 }), BUSY).pauseUntil).toBe(NOW + 5 * SECOND);
    },
  );

  it.each([
    ['in seconds', '600'],
    ['as a date', new Date(NOW + 10 * MINUTE).toUTCString()],
  ])('are as long as a Retry-After %s asks', (_form, retryAfter) => {
    const { pauseUntil } = after(call('resync'), { kind: 'busy', words: '429', retryAfter });
    expect(pauseUntil).toBe(NOW + 10 * MINUTE);
  });

  it('are not shortened by a Retry-After', () => {
    const { pauseUntil } = after(call('resync'), { kind: 'busy', words: '429', retryAfter: '1' });
    expect(pauseUntil).toBe(NOW + 5 * SECOND);
  });

  it('are drawn from a fifth around their length, and every next call is later than now', () => {
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    const answers = fc.constantFrom<WhapiAnswer>(MISSING, TIMEOUT, BUSY, UNREACHABLE);
    fc.assert(
      fc.property(answers, fc.nat({ max: 30 }), chance, (answer, busyBefore, random) => {
        const exact = (after(call('resync'), answer, { busyBefore }).result.nextAt ?? 0) - NOW;
        const drawn = (after(call('resync'), answer, { busyBefore, random }).result.nextAt ?? 0) - NOW;
        expect(drawn).toBeGreaterThanOrEqual(0.8 * exact);
        expect(drawn).toBeLessThanOrEqual(1.2 * exact);
        expect(drawn).toBeGreaterThan(0);
      }),
    );
  });
});

describe('the time-out of a call', () => {
  it('is well above the 15 seconds that a resync takes', () => {
    expect(RESYNC_TIMING.callTimeoutMs).toBeGreaterThanOrEqual(30 * SECOND);
  });
});
