import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  afterSignal,
  afterStart,
  BREAKER_INTERVALS,
  CLOSED,
  closedManually,
  isTargetFailure,
  freeSlots,
  capNextProbe,
  afterAbortedProbe,
} from '../../src/delivery/breaker.js';
import type { AttemptOutcome } from '../../src/delivery/policy.js';
import type { Breaker } from '../../src/model.js';

const NOW = Date.UTC(2026, 0, 15, 12);
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const CONCURRENCY = 16;
const MESSAGE = { event: { type: 'messages', method: 'post' }, verdicts: ['new'] } as const;
const STATUS = { event: { type: 'statuses', method: 'post' }, verdicts: ['event'] } as const;

/** Trouble or an answer, from the probe or from another delivery. */
function after(
  breaker: Breaker,
  what: 'trouble' | 'answer',
  { isProbe = false, askedMs = 0, now = NOW, random = 0.5, concurrency = CONCURRENCY } = {},
): Breaker {
  const signal = { isTargetFailure: what === 'trouble', isProbe, askedMs };
  return afterSignal(breaker, signal, concurrency, BREAKER_INTERVALS, now, random);
}

function times(count: number, step: (breaker: Breaker) => Breaker, from: Breaker): Breaker {
  return Array.from({ length: count }).reduce<Breaker>((breaker) => step(breaker), from);
}

const opened = times(5, (breaker) => after(breaker, 'trouble'), CLOSED);
const probing = afterStart(opened, opened.nextProbeAt ?? NaN);
const reopened = after(probing, 'trouble', { isProbe: true });
const recovering = after(probing, 'answer', { isProbe: true });

describe("the kind of an attempt's outcome", () => {
  it.each([500, 502, 503, 504, 599, 429, 408])('is trouble for status %i', (status) => {
    expect(isTargetFailure({ kind: 'answered', status, retryAfter: null }, MESSAGE)).toBe(true);
  });

  it.each([200, 204, 301, 400, 401, 403, 404, 409, 410, 413, 422])('is an answer for status %i', (status) => {
    expect(isTargetFailure({ kind: 'answered', status, retryAfter: null }, MESSAGE)).toBe(false);
  });

  it.each([{}, { cause: 'never' }, { cause: 'unknown_host' }] as const)('is trouble without answer: %j', (cause) => {
    expect(isTargetFailure({ kind: 'failed', ...cause }, MESSAGE)).toBe(true);
  });
});

describe('an outcome that ends only its own delivery', () => {
  it('is not trouble: a 501 to a non-message event, or a 508 of a gateway that the webhook passed through', () => {
    const said = (status: number): AttemptOutcome => ({ kind: 'answered', status, retryAfter: null });
    expect([said(501), said(500)].map((outcome) => isTargetFailure(outcome, STATUS))).toEqual([false, true]);
    expect([said(501), said(508)].map((outcome) => isTargetFailure(outcome, MESSAGE))).toEqual([true, true]);
    expect(isTargetFailure({ ...said(508), isLoop: true } as AttemptOutcome, MESSAGE)).toBe(false);
  });
});

describe('a closed circuit breaker', () => {
  it('opens for five seconds at the fifth trouble in a row', () => {
    expect(times(4, (breaker) => after(breaker, 'trouble'), CLOSED)).toEqual({ ...CLOSED, consecutiveFailures: 4 });
    const open = { state: 'open', consecutiveFailures: 5, timesOpened: 1, openedAt: NOW, ramp: null };
    expect(opened).toEqual({ ...open, nextProbeAt: NOW + 5 * SECOND });
  });

  it('resets its count after each answer', () => {
    const almost = times(4, (breaker) => after(breaker, 'trouble'), CLOSED);
    expect(after(almost, 'answer')).toEqual(CLOSED);
  });

  it("allows the target's full concurrency", () => {
    expect([0, 15, 16, 20].map((underWay) => freeSlots(CLOSED, CONCURRENCY, underWay, NOW))).toEqual([16, 1, 0, 0]);
  });
});

describe('an open circuit breaker', () => {
  it('allows nothing until its pause is over, then one probe, even with deliveries in flight', () => {
    const [early, due] = [NOW + 5 * SECOND - 1, NOW + 5 * SECOND];
    expect([early, due].map((now) => freeSlots(opened, CONCURRENCY, 3, now))).toEqual([0, 1]);
    expect(probing).toEqual({ ...opened, state: 'half_open' });
    expect(freeSlots(probing, CONCURRENCY, 1, due)).toBe(0);
  });

  it('does not treat a delivery claimed just before it opened as its probe', () => {
    expect(afterStart(opened, NOW + 4 * SECOND)).toBe(opened);
  });

  it('does not change on trouble of an earlier delivery, also when half open', () => {
    expect(after(opened, 'trouble')).toBe(opened);
    expect(after(probing, 'trouble')).toBe(probing);
  });

  it('closes on any answer, of the probe or of an earlier delivery', () => {
    for (const breaker of [opened, probing]) {
      expect(after(breaker, 'answer')).toEqual({ ...CLOSED, timesOpened: 1, ramp: 1 });
    }
  });

  it('may probe again at once when the probe was not sent', () => {
    expect(afterAbortedProbe(probing)).toEqual(opened);
    expect(afterAbortedProbe(CLOSED)).toBe(CLOSED);
  });

  it('opens for longer after each failed probe, up to five minutes, and keeps the time it first opened', () => {
    const pauses: number[] = [];
    let breaker = opened;
    let now = NOW;
    while (pauses.length < 8) {
      const probeAt = breaker.nextProbeAt ?? NaN;
      pauses.push((probeAt - now) / SECOND);
      now = probeAt;
      breaker = after(afterStart(breaker, now), 'trouble', { isProbe: true, now });
    }
    expect(pauses).toEqual([5, 15, 30, 60, 120, 300, 300, 300]);
    expect(breaker).toMatchObject({ openedAt: NOW, timesOpened: 9, consecutiveFailures: 13 });
  });

  it('applies 20 % jitter to its pauses', () => {
    const pauses = [0, 0.5, 0.999].map((random) => {
      const { nextProbeAt } = after(probing, 'trouble', { isProbe: true, random });
      return Math.round(((nextProbeAt ?? NaN) - NOW) / SECOND);
    });
    expect(pauses).toEqual([12, 15, 18]);
  });

  it('waits no longer than its longest pause when the clock goes back, and otherwise keeps its pause', () => {
    expect(capNextProbe(opened, BREAKER_INTERVALS, NOW - 60 * MINUTE).nextProbeAt).toBe(NOW - 54 * MINUTE);
    expect(capNextProbe(opened, BREAKER_INTERVALS, NOW)).toBe(opened);
    expect(capNextProbe(CLOSED, BREAKER_INTERVALS, NOW)).toBe(CLOSED);
  });

  it("waits as long as the target's Retry-After asks, up to its longest pause", () => {
    const pause = (askedMs: number): number =>
      (after(probing, 'trouble', { isProbe: true, askedMs }).nextProbeAt ?? NaN) - NOW;
    expect([SECOND, MINUTE, 60 * MINUTE].map(pause)).toEqual([15 * SECOND, MINUTE, 5 * MINUTE]);
  });
});

describe('a recovering circuit breaker', () => {
  it('starts with one delivery in flight and allows one more per answer, up to the full concurrency', () => {
    const places: number[] = [];
    for (let breaker = recovering; places.length < 5; breaker = after(breaker, 'answer', { concurrency: 4 })) {
      places.push(freeSlots(breaker, 4, 0, NOW));
    }
    expect(places).toEqual([1, 2, 3, 4, 4]);
    expect(times(15, (breaker) => after(breaker, 'answer'), recovering)).toEqual(CLOSED);
  });

  it('halves the deliveries in flight after trouble, and opens for longer at the fifth in a row', () => {
    const half = times(7, (breaker) => after(breaker, 'answer'), recovering);
    const ramps = [0, 1, 2, 3, 4].map((count) => times(count, (breaker) => after(breaker, 'trouble'), half).ramp);
    expect(ramps).toEqual([8, 4, 2, 1, 1]);
    const again = times(5, (breaker) => after(breaker, 'trouble'), half);
    expect(again).toMatchObject({ state: 'open', timesOpened: 2, nextProbeAt: NOW + 15 * SECOND });
  });

  it('resets its pauses once it has recovered', () => {
    const well = times(15, (breaker) => after(breaker, 'answer'), after(afterStart(reopened, Infinity), 'answer'));
    expect(times(5, (breaker) => after(breaker, 'trouble'), well).nextProbeAt).toBe(NOW + 5 * SECOND);
  });
});

describe('a manual close of the circuit breaker', () => {
  it('closes it at once with one delivery in flight, and has no effect on a closed one', () => {
    for (const breaker of [opened, probing, reopened]) expect(closedManually(breaker)).toEqual({ ...CLOSED, ramp: 1 });
    for (const breaker of [CLOSED, recovering]) expect(closedManually(breaker)).toBe(breaker);
  });
});

describe('the circuit breaker in any history', () => {
  const step = fc.record({
    what: fc.constantFrom('trouble' as const, 'answer' as const, 'start' as const, 'no probe' as const),
    isProbe: fc.boolean(),
    wait: fc.nat(10 * MINUTE),
  });

  it('allows only one probe at a time, caps its pauses, and closes after answers', () => {
    fc.assert(
      fc.property(fc.array(step), fc.integer({ min: 1, max: 64 }), (steps, concurrency) => {
        let breaker: Breaker = CLOSED;
        let now = NOW;
        for (const { what, isProbe, wait } of steps) {
          now += wait;
          if (what === 'start') breaker = afterStart(breaker, now);
          else if (what === 'no probe') breaker = afterAbortedProbe(breaker);
          else breaker = after(breaker, what, { isProbe, now, concurrency });
          const places = freeSlots(breaker, concurrency, 0, now);
          expect(places).toBeLessThanOrEqual(breaker.state === 'closed' ? concurrency : 1);
          expect((breaker.nextProbeAt ?? now) - now).toBeLessThanOrEqual(6 * MINUTE);
          expect(breaker.state === 'closed').toBe(breaker.openedAt === null && breaker.nextProbeAt === null);
        }
        expect(times(concurrency + 1, (last) => after(last, 'answer', { concurrency }), breaker)).toEqual(CLOSED);
      }),
    );
  });
});
