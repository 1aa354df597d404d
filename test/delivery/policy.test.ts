import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  afterAttempt,
  expiryReason,
  goneReason,
  isGone,
  leftOut,
  policyOf,
  RETRY_DELAYS_MS,
} from '../../src/delivery/policy.js';
import { factsFor } from '../../src/intake/backlog.js';
import type { NextState, AttemptOutcome, AttemptedDelivery } from '../../src/delivery/policy.js';
import type { Streak, Target, Verdict } from '../../src/model.js';
import { target } from '../support/store.js';

const NOW = Date.UTC(2026, 0, 15, 12);
const SECOND = 1000;
const DAY = 24 * 60 * 60 * SECOND;
const POLICY = { maxAttempts: 10, delaysMs: RETRY_DELAYS_MS };
const FAILED: AttemptOutcome = { kind: 'failed' };

function answered(status: number, retryAfter: string | null = null): AttemptOutcome {
  return { kind: 'answered', status, retryAfter };
}

/** The attempt of a message that has just ended, by default the first one. */
function tried(attempts = 1, more: Partial<AttemptedDelivery> = {}): AttemptedDelivery {
  const event = { type: 'messages', method: 'post' } as const;
  return { attempts, besideSchedule: false, event, verdicts: ['event'], startedAt: NOW, streak: null, ...more };
}

/** The result of the first attempt, with a random value that leaves every pause at its length. */
function afterFirst(outcome: AttemptOutcome): NextState {
  return afterAttempt(outcome, tried(), POLICY, NOW, 0.5);
}

/** Milliseconds from now until the next attempt. */
function pauseAfter(outcome: AttemptOutcome, attempts = 1, random = 0.5, maxAttempts = 100): number {
  const { dueAt } = afterAttempt(outcome, tried(attempts), { ...POLICY, maxAttempts }, NOW, random);
  return (dueAt ?? NaN) - NOW;
}

describe('a delivery after an attempt', () => {
  it.each([200, 201, 202, 204, 299])('is delivered on status %i', (status) => {
    expect(afterFirst(answered(status))).toEqual({ status: 'delivered' });
  });

  it.each([199, 300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504, 599])(
    'is retried after five seconds on status %i',
    (status) => {
      expect(afterFirst(answered(status))).toEqual({ status: 'pending', dueAt: NOW + 5 * SECOND, streak: null });
    },
  );

  it('is retried after five seconds without an answer', () => {
    expect(afterFirst(FAILED)).toEqual({ status: 'pending', dueAt: NOW + 5 * SECOND, streak: null });
  });

  it.each([FAILED, answered(500), answered(503, '10')])(
    'is dead once its last attempt has failed: $kind $status',
    (outcome) => {
      expect(afterAttempt(outcome, tried(10), POLICY, NOW, 0.5)).toEqual({ status: 'dead' });
      expect(afterAttempt(outcome, tried(11), POLICY, NOW, 0.5)).toEqual({ status: 'dead' });
      expect(afterAttempt(outcome, tried(9), POLICY, NOW, 0.5)).toMatchObject({ status: 'pending' });
    },
  );

  it('is delivered by its last attempt like by any other', () => {
    expect(afterAttempt(answered(200), tried(10), POLICY, NOW, 0.5)).toEqual({ status: 'delivered' });
  });

  it('gets one attempt when max_attempts is 1', () => {
    expect(afterAttempt(FAILED, tried(1), { ...POLICY, maxAttempts: 1 }, NOW, 0.5)).toEqual({ status: 'dead' });
  });
});

describe('a delivery that cannot succeed', () => {
  it('is dead at once with a reason if the target cannot be sent to as configured', () => {
    const next = afterAttempt({ kind: 'failed', cause: 'never' }, tried(1), POLICY, NOW, 0.5);
    expect(next).toEqual({ status: 'dead', reason: 'Not retried: the next attempt would fail in the same way.' });
  });

  it('stays due after a 410, also at its last attempt, because the target is disabled and may be enabled again', () => {
    for (const attempts of [1, 10]) {
      expect(afterAttempt(answered(410), tried(attempts), POLICY, NOW, 0.5)).toEqual({
        status: 'pending',
        dueAt: NOW,
        streak: null,
      });
    }
    expect([answered(410), answered(404), FAILED].map(isGone)).toEqual([true, false, false]);
    expect(goneReason(NOW)).toBe(
      'The target answered 410 (Gone) at 2026-01-15T12:00:00.000Z. Enable it to resume its deliveries.',
    );
  });
});

const STATUSES_POST = { type: 'statuses', method: 'post' } as const;

interface Step {
  readonly at: number;
  readonly next: NextState;
}

/**
 * Attempts that each end at once with this outcome, until the delivery is settled: their start times and the result.
 */
function lifeOf(outcome: AttemptOutcome, { event, delaysMs, random = 0.5 }: LifeOptions = {}): Step[] {
  const policy = { maxAttempts: 50, delaysMs: delaysMs ?? RETRY_DELAYS_MS };
  const steps: Step[] = [];
  let streak: Streak | null = null;
  for (let at: number | undefined = NOW; at !== undefined;) {
    const what = tried(steps.length + 1, { streak, startedAt: at, ...(event && { event }) });
    const next: NextState = afterAttempt(outcome, what, policy, at, random);
    steps.push({ at: at - NOW, next });
    streak = next.streak ?? null;
    at = next.dueAt;
  }
  return steps;
}

interface LifeOptions {
  readonly event?: AttemptedDelivery['event'];
  readonly delaysMs?: readonly number[];
  readonly random?: number;
}

describe('an unknown host', () => {
  const UNKNOWN: AttemptOutcome = { kind: 'failed', cause: 'unknown_host' };

  it('ends a delivery at the fifth attempt of the default schedule', () => {
    const steps = lifeOf(UNKNOWN);
    expect(steps.map(({ next }) => next.status)).toEqual(['pending', 'pending', 'pending', 'pending', 'dead']);
    expect(steps[4]?.next.reason).toBe('Not retried: the host did not exist at 5 attempts within 12 minutes.');
  });

  it('ends none earlier than ten minutes after the first such failure, however short the schedule', () => {
    const steps = lifeOf(UNKNOWN, { delaysMs: [30 * SECOND] });
    expect(steps).toHaveLength(21);
    expect(steps.at(-1)).toMatchObject({ at: 600 * SECOND, next: { status: 'dead' } });
  });

  it('ends none before its fifth attempt, however long the schedule', () => {
    expect(lifeOf(UNKNOWN, { delaysMs: [DAY] })).toHaveLength(5);
  });

  it('counts from the latest failure of another kind', () => {
    const streak = { cause: 'unknown_host', since: NOW - DAY, attempts: 4 } as const;
    expect(afterAttempt(FAILED, tried(5, { streak }), POLICY, NOW, 0.5)).toMatchObject({ streak: null });
    const next = afterAttempt(UNKNOWN, tried(6), POLICY, NOW, 0.5);
    expect(next).toMatchObject({ status: 'pending', streak: { cause: 'unknown_host', since: NOW, attempts: 1 } });
  });
});

describe('an event without a handler at the target', () => {
  it.each([404, 405, 501])('is dead with a reason after three answers %i within two minutes', (status) => {
    const steps = lifeOf(answered(status), { event: STATUSES_POST });
    expect(steps.map(({ at }) => at / SECOND)).toEqual([0, 5, 35]);
    expect(steps.at(-1)?.next).toEqual({
      status: 'dead',
      reason: 'The target has no handler for statuses.post.',
      cause: 'no_handler',
    });
  });

  it.each(['new', 'late'] as const)('does not include one that carries a %s message under its name', (verdict) => {
    const what = tried(3, { event: STATUSES_POST, verdicts: ['event', verdict] });
    expect(afterAttempt(answered(404), what, POLICY, NOW, 0.5)).toMatchObject({ status: 'pending', streak: null });
  });

  it('is dead within that time for any schedule, random value and Retry-After', () => {
    const delay = fc.integer({ min: 1000, max: 7 * DAY });
    const header = fc.option(fc.integer({ min: 0, max: 1e6 }).map(String));
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.array(delay, { minLength: 1, maxLength: 5 }), header, chance, (delaysMs, retryAfter, random) => {
        const steps = lifeOf(answered(404, retryAfter), { event: STATUSES_POST, delaysMs, random });
        expect(steps).toHaveLength(3);
        expect(steps.at(-1)?.at).toBeLessThanOrEqual(120 * SECOND);
      }),
    );
  });

  it('still gets its three attempts after failures of another kind, because the bot may be starting', () => {
    const down = afterAttempt(FAILED, tried(7, { event: STATUSES_POST }), POLICY, NOW, 0.5);
    const next = afterAttempt(
      answered(404),
      tried(8, { event: STATUSES_POST, streak: down.streak ?? null }),
      POLICY,
      NOW,
      0.5,
    );
    expect(next).toMatchObject({ status: 'pending', dueAt: NOW + 55 * SECOND, streak: { attempts: 1 } });
  });

  it('gives the same reason when max_attempts ends it first', () => {
    const next = afterAttempt(
      answered(404),
      tried(1, { event: STATUSES_POST }),
      { ...POLICY, maxAttempts: 1 },
      NOW,
      0.5,
    );
    expect(next).toMatchObject({ status: 'dead', cause: 'no_handler' });
  });

  it('keeps all of its attempts when a manual retry fails', () => {
    const streak = { cause: 'no_handler', since: NOW - SECOND, attempts: 2 } as const;
    const what = tried(2, { event: STATUSES_POST, streak, besideSchedule: true });
    expect(afterAttempt(answered(404), what, POLICY, NOW, 0.5)).toMatchObject({ status: 'pending', streak });
  });

  it('is any event but a message, and messages follow their schedule', () => {
    expect(lifeOf(answered(404))).toHaveLength(50);
    expect(lifeOf(answered(404), { event: { type: 'messages', method: 'patch' } })).toHaveLength(50);
    expect(lifeOf(answered(400), { event: STATUSES_POST })).toHaveLength(50);
  });

  it('ends in time when the clock goes back', () => {
    const streak = { cause: 'no_handler', since: NOW + DAY, attempts: 1 } as const;
    const next = afterAttempt(answered(404, '86400'), tried(2, { event: STATUSES_POST, streak }), POLICY, NOW, 0.5);
    expect(next).toMatchObject({ dueAt: NOW + 110 * SECOND, streak: { since: NOW, attempts: 2 } });
  });
});

describe('a target that leads back to a gateway that the webhook passed through', () => {
  it.each([1, 10])('ends the delivery with a reason at attempt %i', (attempts) => {
    const next = afterAttempt({ ...answered(508), isLoop: true } as AttemptOutcome, tried(attempts), POLICY, NOW, 0.5);
    expect(next).toEqual({ status: 'dead', reason: 'The target leads back to this gateway.' });
    expect(afterFirst(answered(508))).toMatchObject({ status: 'pending' });
  });
});

describe('the retry schedule', () => {
  it("is the target's own if it has one, otherwise the default", () => {
    const own = policyOf({ maxAttempts: 3, retryDelaysSeconds: [1, 2.5] }, RETRY_DELAYS_MS);
    expect(own).toEqual({ maxAttempts: 3, delaysMs: [1000, 2500] });
    expect(policyOf({ maxAttempts: 10, retryDelaysSeconds: null }, RETRY_DELAYS_MS)).toEqual(POLICY);
  });

  it('repeats its last pause', () => {
    const policy = policyOf({ maxAttempts: 9, retryDelaysSeconds: [1, 2] }, RETRY_DELAYS_MS);
    const pauses = [1, 2, 3, 8].map(
      (attempts) => (afterAttempt(FAILED, tried(attempts), policy, NOW, 0.5).dueAt ?? 0) - NOW,
    );
    expect(pauses).toEqual([1000, 2000, 2000, 2000]);
  });
});

describe('the pauses between attempts', () => {
  it('grow from five seconds to twelve hours and stay there', () => {
    const seconds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 50].map((attempts) => pauseAfter(FAILED, attempts) / SECOND);
    expect(seconds).toEqual([5, 30, 120, 600, 1800, 3600, 10_800, 21_600, 43_200, 43_200, 43_200]);
  });

  it('cover a night and a day before ten attempts are used up', () => {
    const all = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((attempts) => pauseAfter(FAILED, attempts, 0));
    expect(all.reduce((sum, ms) => sum + ms)).toBeGreaterThan(18 * 60 * 60 * SECOND);
  });

  it('have a jitter of 20 % and no more', () => {
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 99 }), chance, (attempts, random) => {
        const length = RETRY_DELAYS_MS[Math.min(attempts, RETRY_DELAYS_MS.length) - 1] ?? NaN;
        const pause = pauseAfter(FAILED, attempts, random);
        expect(pause).toBeGreaterThanOrEqual(0.8 * length);
        expect(pause).toBeLessThanOrEqual(1.2 * length);
      }),
    );
  });

  it('spread deliveries that failed at the same moment', () => {
    const pauses = [0, 0.25, 0.5, 0.75, 0.999].map((random) => pauseAfter(FAILED, 2, random) / SECOND);
    expect(pauses.map(Math.round)).toEqual([24, 27, 30, 33, 36]);
  });
});

describe('Retry-After', () => {
  it.each([
    ['in seconds', '120', 120 * SECOND],
    ['as a date', new Date(NOW + 120 * SECOND).toUTCString(), 120 * SECOND],
    ['as a date in the old form', 'Thursday, 15-Jan-26 12:02:00 GMT', 120 * SECOND],
    ['with spaces around it', ' 120 ', 120 * SECOND],
    ['of a century', '3153600000', DAY],
    ['as a date in a century', 'Thu, 15 Jan 2126 12:00:00 GMT', DAY],
    ['of more digits than a number can have', '9'.repeat(400), DAY],
  ])('%s extends the pause, up to a day', (_form, header, expected) => {
    expect(pauseAfter(answered(503, header))).toBe(expected);
    expect(pauseAfter(answered(429, header))).toBe(expected);
  });

  it.each(['0', '1', new Date(NOW - 1000).toUTCString(), new Date(NOW + 1000).toUTCString()])(
    'never shortens the pause: %s',
    (header) => {
      expect(pauseAfter(answered(503, header))).toBe(5 * SECOND);
    },
  );

  it.each(['', ' ', 'soon', '-60', 'NaN', 'Infinity', '0x10', '1e9', 'null', '\u0000'])(
    'is ignored if it is invalid: %j',
    (header) => {
      expect(pauseAfter(answered(503, header))).toBe(5 * SECOND);
    },
  );

  it('always results in a valid time, later than now and at most a day away', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.date().map(String), fc.bigInt().map(String)), (header) => {
        const pause = pauseAfter(answered(503, header));
        expect(pause).toBeGreaterThanOrEqual(5 * SECOND);
        expect(pause).toBeLessThanOrEqual(DAY);
      }),
    );
  });
});

describe('the age limit of a message', () => {
  const nowSeconds = NOW / SECOND;

  it.each([
    ['older than the limit by a second', nowSeconds - 61, 60, true],
    ['exactly as old as the limit', nowSeconds - 60, 60, false],
    ['younger than the limit', nowSeconds - 59, 60, false],
    ['from the future', nowSeconds + 3600, 60, false],
    ['from the year 1970', 0, 60, true],
    ['old without a limit', 0, null, false],
    ['without a message', null, 60, false],
  ])('compares its timestamp with max_age_seconds: %s', (_case, newestMessageAt, maxAgeSeconds, expected) => {
    expect(expiryReason(newestMessageAt, maxAgeSeconds, NOW) !== null).toBe(expected);
  });

  it('takes effect a moment after the last second, not at the next full second', () => {
    expect(expiryReason(nowSeconds - 60, 60, NOW)).toBeNull();
    expect(expiryReason(nowSeconds - 60, 60, NOW + 1)).toBe(
      'Not sent: its newest message was 60 s old, max_age_seconds is 60.',
    );
  });
});

describe('what the settings of a target leave out', () => {
  const NEITHER = { isAnswered: false, isFollowed: false };
  const content = (ageSeconds: number, ...verdicts: Verdict[]) => ({
    verdicts: verdicts.length === 0 ? (['new'] as const) : verdicts,
    newestMessageAt: NOW / SECOND - ageSeconds,
  });
  const statusOf = (sent: ReturnType<typeof content>, settings: Partial<Target>, facts = NEITHER): string | undefined =>
    leftOut(sent, target('bot', settings), facts, NOW)?.status;

  it.each([
    ['a message of that age', content(600), undefined],
    ['an older one', content(601), 'withheld'],
    ['a late one, however young', content(1, 'late'), 'withheld'],
    ['a late one beside a new one', content(1, 'late', 'new'), undefined],
    ['an edit of an old one', content(601, 'event'), undefined],
    ['an old one beside an edit', content(601, 'new', 'event'), undefined],
    ['a restored one that no bot has seen', content(601, 'restored'), 'withheld'],
    ['a body too large to be held at once', content(601, ...Array<Verdict>(2001).fill('new')), undefined],
  ])('is the backlog: %s', (_, sent, status) => {
    expect(statusOf(sent, { backlogPolicy: 'hold' })).toBe(status);
  });

  it('is nothing that a person released or retried, and nothing without a message', () => {
    const settings = { backlogPolicy: 'hold', skipAnswered: true } as const;
    const sent = { verdicts: ['late'] as const, newestMessageAt: null };
    expect(leftOut(sent, target('bot', settings), { isAnswered: true, isFollowed: true }, NOW)).toBeNull();
    expect(factsFor(sent, target('bot', settings), NOW)).toBeNull();
  });

  it('is an answered message before its backlog is looked at', () => {
    const settings = { backlogPolicy: 'hold', skipAnswered: true } as const;
    expect(statusOf(content(601), settings, { ...NEITHER, isAnswered: true })).toBe('answered');
  });

  it('takes no facts by default, and of the backlog only those that decide', () => {
    expect(factsFor(content(601), target('bot'), NOW)).toBeNull();
    expect(factsFor(content(601), target('bot', { backlogPolicy: 'hold' }), NOW)).toBeNull();
    expect(factsFor(content(1), target('bot', { backlogPolicy: 'newest_per_chat' }), NOW)).toBeNull();
    const newest = target('bot', { backlogPolicy: 'newest_per_chat' });
    expect(factsFor(content(601), newest, NOW)).toEqual({ answered: false, followed: true });
    expect(factsFor(content(1), target('bot', { skipAnswered: true }), NOW)).toEqual({
      answered: true,
      followed: false,
    });
  });
});
