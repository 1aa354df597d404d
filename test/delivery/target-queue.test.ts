import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { TargetQueue } from '../../src/delivery/target-queue.js';
import type { Leased } from '../../src/delivery/target-queue.js';
import type { Delivery } from '../../src/store/outbox.js';

const NOW = Date.UTC(2026, 0, 15, 12);
const SECOND = 1000;

function delivery(id: string, { attempts = 0, lease = 1 } = {}): Delivery {
  return { id, lease, attempts } as Delivery;
}

function queueOf(...deliveries: readonly Delivery[]): TargetQueue {
  const queue = new TargetQueue('bot', () => 1);
  for (const each of deliveries) queue.add(each, NOW);
  return queue;
}

function startNext(queue: TargetQueue): Leased {
  const next = queue.next();
  if (!next) throw new Error('The queue is empty.');
  queue.start(next);
  return next;
}

function end(queue: TargetQueue, reference: WeakRef<Leased>): void {
  const leased = reference.deref();
  if (!leased) throw new Error('It is gone already.');
  queue.answer(leased, 5, false);
  queue.end(leased);
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** A queue whose last attempt took some time, with nothing in it. */
function paced(attemptMs: number, targets = 1): TargetQueue {
  const queue = new TargetQueue('bot', () => targets);
  queue.add(delivery('first'), NOW);
  const first = startNext(queue);
  queue.answer(first, attemptMs, false);
  queue.end(first);
  return queue;
}

describe('the queue of a target', () => {
  it('starts first attempts in order, and a retry every fourth time while both wait', () => {
    const firsts = Array.from({ length: 6 }, (_, index) => delivery(`f${index}`));
    const retries = Array.from({ length: 3 }, (_, index) => delivery(`r${index}`, { attempts: 1 }));
    const queue = queueOf(...firsts, ...retries);
    const ids = Array.from({ length: 9 }, () => startNext(queue).delivery.id);
    expect(ids).toEqual(['f0', 'f1', 'f2', 'r0', 'f3', 'f4', 'f5', 'r1', 'r2']);
  });

  it('occupies a slot while a delivery is in flight or refused, and none while it is queued or unsettled', () => {
    const queue = queueOf(delivery('one'));
    const busy = [queue.busy];
    const one = startNext(queue);
    busy.push(queue.busy);
    queue.answer(one, 5, false);
    busy.push(queue.busy);
    queue.refuse(one);
    queue.refuse(one);
    busy.push(queue.busy);
    queue.end(one);
    expect([...busy, queue.busy]).toEqual([0, 1, 0, 1, 0]);
    expect(queue.isIdle).toBe(true);
  });

  it('keeps no delivery that has ended, so that its body leaves memory', async () => {
    const queue = queueOf(delivery('first'), delivery('queued'));
    const first = new WeakRef(startNext(queue));
    end(queue, first);
    await turn(); // until then the WeakRef itself keeps it
    collectGarbage();
    expect([first.deref(), queue.queued]).toEqual([undefined, 1]);
  });

  it('starts nothing while four outcomes per slot are unsettled', () => {
    const queue = queueOf(...Array.from({ length: 8 }, (_, index) => delivery(`d${index}`)));
    const answered = Array.from({ length: 8 }, () => {
      const next = startNext(queue);
      queue.answer(next, 5, false);
      return next;
    });
    expect([1, 2, 3].map((slots) => queue.mayStart(slots))).toEqual([false, false, true]);
    for (const each of answered.slice(0, 5)) queue.end(each);
    expect(queue.mayStart(1)).toBe(true);
  });

  it('starts nothing after a 410 until it is settled', () => {
    const queue = queueOf(delivery('one'), delivery('two'));
    const one = startNext(queue);
    queue.answer(one, 5, true);
    expect(queue.mayStart(16)).toBe(false);
    queue.end(one);
    expect(queue.mayStart(16)).toBe(true);
  });

  it('looks ahead by what a healthy target takes in half a second, never by more than 512', () => {
    const places = (attemptMs: number, slots = 16): number => paced(attemptMs).places(slots, slots, true);
    expect([1, 50, 500, 2000, 120_000].map((ms) => places(ms))).toEqual([528, 176, 32, 20, 16]);
    expect(places(50, 1)).toBe(11);
    expect(paced(50).places(16, 16, false)).toBe(16);
    expect(queueOf().places(16, 16, true)).toBe(16);
  });

  it('shares what is read ahead in all with the other targets', () => {
    const places = (targets: number): number => paced(1, targets).places(16, 16, true);
    expect([1, 32, 33, 1000, 100_000].map((targets) => places(targets))).toEqual([528, 528, 512, 32, 16]);
  });

  it('wants more only once half of its look-ahead is used up', () => {
    const queue = paced(50);
    for (let index = 0; index < 81; index += 1) queue.add(delivery(`d${index}`), NOW);
    expect([queue.wanted(0, 16, true), queue.places(0, 16, true)]).toEqual([0, 79]);
    startNext(queue);
    expect(queue.wanted(0, 16, true)).toBe(80);
  });

  it('is stale when its first delivery has waited for more than five seconds, or since a time yet to come', () => {
    const queue = queueOf(delivery('one'));
    expect([0, 5, 5.001, -1].map((seconds) => queue.isStale(NOW + seconds * SECOND))).toEqual([
      false,
      false,
      true,
      true,
    ]);
    queue.drain();
    expect(queue.isStale(NOW + 60 * SECOND)).toBe(false);
  });

  it('does not look ahead after a stall until an attempt has ended', () => {
    const queue = paced(5);
    queue.stall();
    expect(queue.places(16, 16, true)).toBe(16);
  });
});

describe('a delivery that is claimed again', () => {
  it('while it is in flight is settled with the new lease, and not queued', () => {
    const queue = queueOf(delivery('one', { lease: 1 }));
    const one = startNext(queue);
    expect(queue.add(delivery('one', { lease: 2 }), NOW)).toBe(false);
    queue.answer(one, 5, false);
    expect(queue.leaseOf(one)).toBe(2);
    expect([queue.end(one), queue.queued]).toEqual([null, 0]);
  });

  it('right after its settlement is returned to be queued', () => {
    const queue = queueOf(delivery('one', { lease: 1 }));
    const one = startNext(queue);
    queue.answer(one, 5, false);
    expect(queue.leaseOf(one)).toBe(1);
    const again = delivery('one', { lease: 2, attempts: 1 });
    expect(queue.add(again, NOW)).toBe(false);
    expect(queue.end(one)).toBe(again);
  });

  it('after the store refused its outcome is queued: that outcome is given up', () => {
    const queue = queueOf(delivery('one', { lease: 1 }));
    const one = startNext(queue);
    queue.answer(one, 5, false);
    queue.refuse(one);
    expect(queue.add(delivery('one', { lease: 2 }), NOW)).toBe(true);
    expect(queue.end(one)).toBe(null);
    expect(queue.isIdle).toBe(false);
  });
});

describe('a transition that the state machine does not have', () => {
  it('throws', () => {
    const queue = queueOf(delivery('one'));
    const one = startNext(queue);
    expect(() => queue.start(one)).toThrow('Delivery one is in flight, not queued.');
    queue.answer(one, 5, false);
    expect(() => queue.answer(one, 5, false)).toThrow('Delivery one is unsettled, not in flight.');
  });
});
