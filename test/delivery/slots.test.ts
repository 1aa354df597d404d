import { describe, expect, it } from 'vitest';
import { Slots } from '../../src/delivery/slots.js';
import { target } from '../support/items.js';
import type { ClaimWant, Delivery } from '../../src/store/outbox.js';

const NOW = Date.UTC(2026, 0, 15, 12);
const MIB = 1024 * 1024;

function delivery(attempts: number, bytes = 100, id = 'target-1'): Delivery {
  return { target: target({ id }), attempts, body: Buffer.alloc(bytes) } as unknown as Delivery;
}

/** The claim for one of `targets` targets with these first attempts and retries in flight. */
function wanted({ concurrency = 16, first = 0, retries = 0, targets = 1, rate = null as number | null }): ClaimWant {
  const slots = new Slots();
  for (let count = 0; count < first; count += 1) slots.take(delivery(0));
  for (let count = 0; count < retries; count += 1) slots.take(delivery(1));
  const places = concurrency - first - retries;
  return slots.want(target({ concurrency, ratePerSecond: rate }), places, targets, NOW);
}

describe('the slots of a target', () => {
  it('allow retries up to a quarter, and at least one', () => {
    const most = [1, 2, 3, 4, 8, 16, 256].map((concurrency) => wanted({ concurrency }).retries?.most);
    expect(most).toEqual([1, 1, 1, 1, 2, 4, 64]);
    expect([0, 1, 4, 5].map((retries) => wanted({ retries }).retries?.most)).toEqual([4, 3, 0, 0]);
  });

  it('go to a retry every fourth time, so that both kinds get their share when slots free up singly', () => {
    const slots = new Slots();
    const turns = Array.from({ length: 8 }, () => {
      const { retries } = slots.want(target({ concurrency: 1 }), 1, 1, NOW);
      slots.take(delivery(0));
      slots.release(delivery(0));
      return retries?.kept;
    });
    expect(turns).toEqual([0, 0, 0, 1, 0, 0, 0, 1]);
  });

  it('are limited by the current rate', () => {
    expect(wanted({ rate: 5 })).toMatchObject({ limit: 5 });
    expect(wanted({ rate: 100 })).toMatchObject({ limit: 16 });
  });

  it('are freed by finished deliveries, and never negative', () => {
    const slots = new Slots();
    slots.take(delivery(1));
    slots.release(delivery(1));
    expect(slots.want(target(), 16, 1, NOW)).toMatchObject({ limit: 16, retries: { most: 4 }, bytes: 64 * MIB });
    expect(wanted({ concurrency: 2, first: 3 }).limit).toBe(0);
  });
});

describe('the pace of a backlog', () => {
  const paced = target({ backlogRatePerMinute: 6 });
  const ofBacklog = { ...delivery(0), target: paced, isFromBacklog: true };

  it('lets one out at once, and the next one when its time has come', () => {
    const slots = new Slots();
    expect(slots.want(target(), 16, 1, NOW)).not.toHaveProperty('backlog');
    expect(slots.want(paced, 16, 1, NOW)).toMatchObject({ limit: 16, backlog: 1 });
    slots.take(ofBacklog);
    expect(slots.want(paced, 16, 1, NOW)).toMatchObject({ limit: 16, backlog: 0 });
    expect(slots.nextFromBacklogAt(paced, NOW)).toBe(NOW + 10_000);
    expect(slots.want(paced, 16, 1, NOW + 10_000)).toMatchObject({ backlog: 1 });
  });

  it('counts neither live deliveries nor those that end without an attempt', () => {
    const slots = new Slots();
    slots.want(paced, 16, 1, NOW);
    slots.take({ ...ofBacklog, isFromBacklog: false });
    slots.take(ofBacklog);
    slots.unspent(ofBacklog);
    expect(slots.want(paced, 16, 1, NOW)).toMatchObject({ backlog: 1 });
  });

  it('lets out at most what a second brings, however long nothing was sent', () => {
    const fast = target({ backlogRatePerMinute: 240 });
    expect(new Slots().want(fast, 16, 1, NOW)).toMatchObject({ backlog: 4 });
  });
});

describe('the memory for bodies', () => {
  it('is 64 MiB, divided equally among all targets, independent of what is in flight', () => {
    expect([1, 4, 64].map((targets) => (wanted({ targets }).bytes ?? NaN) / MIB)).toEqual([64, 16, 1]);
    const slots = new Slots();
    for (let count = 0; count < 9; count += 1) slots.take(delivery(0, 10 * MIB, 'another'));
    expect(slots.want(target(), 16, 2, NOW)).toMatchObject({ limit: 16, bytes: 32 * MIB });
  });

  it('admits nothing more when it is full, until a delivery ends', () => {
    const slots = new Slots();
    const bodies = [30, 30, 10].map((mib) => delivery(0, mib * MIB));
    for (const each of bodies) slots.take(each);
    expect(slots.want(target(), 16, 1, NOW).limit).toBe(0);
    for (const each of bodies.slice(0, 1)) slots.release(each);
    expect(slots.want(target(), 16, 1, NOW)).toMatchObject({ limit: 16, bytes: 24 * MIB });
  });
});
