import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSqliteStore } from '../../src/store/sqlite/engine.js';
import type { Delivery } from '../../src/store/outbox.js';
import type { Recorded } from '../../src/store/intake.js';
import { temporaryFolder } from '../support/files.js';
import {
  DAY,
  HOUR,
  idsIn,
  LEASE,
  message,
  messages,
  MINUTE,
  openFixture,
  record,
  stage as stageOn,
  START,
  status,
  target,
} from '../support/store.js';
import type { StoreFixture } from '../support/store.js';

const ALL = { limit: 100, cursor: null };

async function stage(targets = [target('bot')]): Promise<StoreFixture> {
  const file = join(temporaryFolder(), 'gateway.db');
  return await stageOn(async () => await openFixture((effects) => openSqliteStore(file, effects)), targets);
}

function offer({ store }: StoreFixture, count = 100, bytes = Infinity): void {
  store.outbox.offer('bot', { count, bytes, leaseMs: LEASE });
}

/** Records messages of one chat in one webhook. */
async function recordIn({ store }: StoreFixture, chat: string, ...ids: string[]): Promise<Recorded> {
  return await record(store, messages(...ids.map((id) => message(id, chat))));
}

async function recordLeased(fixture: StoreFixture, chat: string, id: string): Promise<Delivery> {
  const [delivery] = (await recordIn(fixture, chat, id)).leased;
  if (!delivery) throw new Error('It was not leased.');
  return delivery;
}

describe('a delivery that is leased as it is recorded', () => {
  it('equals the delivery that a claim gives, and cannot be claimed meanwhile (I5)', async () => {
    const fixture = await stage([target('bot'), target('other')]);
    offer(fixture);
    const body = messages(message('A', 'alice'));
    const { leased, deliveries } = await record(fixture.store, body, { via: 'gtw_1', suffix: '/messages/post' });
    const claimed = (await fixture.claim()).deliveries;
    expect({ deliveries, claimed: claimed.map((each) => each.target.id) }).toEqual({
      deliveries: 2,
      claimed: ['other'],
    });
    const common = { id: '', lease: 0, target: null };
    expect(leased.map((each) => ({ ...each, ...common }))).toEqual(claimed.map((each) => ({ ...each, ...common })));
    expect(leased).toMatchObject([{ target: { id: 'bot' }, leaseEndsAt: START + LEASE }]);
  });

  it('is settled like any other, and shows its only attempt', async () => {
    const fixture = await stage();
    offer(fixture);
    const delivery = await recordLeased(fixture, 'alice', 'A');
    expect(await fixture.settle(delivery, 'delivered')).toBe(true);
    expect(await fixture.settle(delivery, 'dead')).toBe(false);
    expect(await fixture.store.outbox.delivery(delivery.id)).toMatchObject({
      ...{ status: 'delivered', attempts: 1, settledAt: START, lastError: null, waitsFor: null, nextAttemptAt: null },
      log: [{ startedAt: START, durationMs: 12, status: 200, error: null }],
    });
    expect(await fixture.store.outbox.loadOf('bot')).toMatchObject({ pending: 0, oldestPendingAt: null });
  });

  it('makes the next one of its chat wait until it is settled (I6)', async () => {
    const fixture = await stage();
    offer(fixture);
    const delivery = await recordLeased(fixture, 'alice', 'A');
    expect(await recordIn(fixture, 'alice', 'B')).toMatchObject({ deliveries: 1, leased: [] });
    expect((await fixture.claim()).deliveries).toEqual([]);
    await fixture.settle(delivery, 'delivered');
    expect(idsIn((await fixture.claim()).deliveries)).toEqual(['B']);
  });

  it('stays first in its chat when it is tried again (I6)', async () => {
    const fixture = await stage();
    offer(fixture);
    const delivery = await recordLeased(fixture, 'alice', 'A');
    await recordIn(fixture, 'alice', 'B');
    await fixture.settle(delivery, 'pending', START + MINUTE);
    expect(await fixture.claim()).toEqual({ deliveries: [], nextDueAt: START + MINUTE });
    fixture.clock.advance(MINUTE);
    const again = await fixture.claimOne();
    expect(again).toMatchObject({ id: delivery.id, attempts: 1 });
    await fixture.settle(again, 'delivered');
    expect(idsIn(await fixture.deliverAll())).toEqual(['B']);
  });

  it('is due again when its lease has run out, and its first holder cannot settle it then (I5)', async () => {
    const fixture = await stage();
    offer(fixture);
    const delivery = await recordLeased(fixture, 'alice', 'A');
    await recordIn(fixture, 'alice', 'B');
    expect(await fixture.store.outbox.due()).toEqual({ targetIds: new Set(), nextDueAt: START + LEASE });
    fixture.clock.advance(LEASE);
    expect(await fixture.store.outbox.due()).toEqual({ targetIds: new Set(['bot']), nextDueAt: null });
    const second = await fixture.claimOne();
    expect(second.id).toBe(delivery.id);
    expect(await fixture.settle(delivery, 'dead')).toBe(false);
    expect(await fixture.settle(second, 'delivered')).toBe(true);
    expect(idsIn(await fixture.deliverAll())).toEqual(['B']);
  });

  it('is due after a crash, before what was recorded after it in its chat (I4, I6)', async () => {
    const fixture = await stage();
    offer(fixture);
    const delivery = await recordLeased(fixture, 'alice', 'A');
    await recordIn(fixture, 'alice', 'B');
    await fixture.restart();
    await recordIn(fixture, 'alice', 'C');
    expect(await fixture.settle(delivery, 'delivered')).toBe(false);
    expect(idsIn(await fixture.deliverAll())).toEqual(['A', 'B', 'C']);
  });

  it('stays within the offer, by count and by bytes', async () => {
    const fixture = await stage();
    offer(fixture, 2);
    const leased = async (chat: string): Promise<number> => (await recordIn(fixture, chat, chat)).leased.length;
    expect([await leased('a'), await leased('b'), await leased('c')]).toEqual([1, 1, 0]);
    offer(fixture, 9, 1);
    expect([await leased('d'), await leased('e')]).toEqual([1, 0]);
    offer(fixture);
    offer(fixture, 0);
    expect(await leased('f')).toBe(0);
  });

  it('never belongs to a disabled target, even with an offer', async () => {
    const fixture = await stage([target('bot', { enabled: false })]);
    offer(fixture);
    expect(await recordIn(fixture, 'alice', 'A')).toMatchObject({ deliveries: 1, leased: [] });
  });

  it('is listed once as pending while it is returned', async () => {
    const fixture = await stage();
    offer(fixture);
    const delivery = await recordLeased(fixture, 'alice', 'A');
    const listed = fixture.store.outbox.deliveries({ status: 'pending' }, ALL);
    await fixture.settle(delivery, 'pending', START + MINUTE); // commits between two slices of the list
    expect((await listed).data.map(({ id }) => id)).toEqual([delivery.id]);
  });

  it('is listed and explained as in flight', async () => {
    const fixture = await stage();
    offer(fixture);
    const { id } = await recordLeased(fixture, 'alice', 'A');
    await recordIn(fixture, 'alice', 'B');
    for (const filter of [{ status: 'pending' }, { status: 'pending', target: 'bot' }] as const) {
      const { data } = await fixture.store.outbox.deliveries(filter, ALL);
      expect(data.map((view) => [view.id === id, view.waitsFor, view.nextAttemptAt])).toEqual([
        [false, 'earlier_delivery', null],
        [true, null, START + LEASE],
      ]);
    }
    const explained = await fixture.store.items.explain('main', 'B');
    expect(explained?.deliveries).toMatchObject([{ underWay: false, ahead: { id, underWay: true } }]);
    expect(await fixture.store.outbox.loadOf('bot')).toMatchObject({ pending: 2, oldestPendingAt: START });
    expect(await fixture.store.registry.workOfChannel('main')).toMatchObject({ pendingDeliveries: { count: 2 } });
  });

  it('gets one more attempt, beside its schedule, after a manual retry in flight', async () => {
    const fixture = await stage();
    offer(fixture);
    const delivery = await recordLeased(fixture, 'alice', 'A');
    await fixture.store.outbox.retry(delivery.id);
    await fixture.settle(delivery, 'pending', START + HOUR);
    expect(await fixture.claimOne()).toMatchObject({ id: delivery.id, attempts: 1, besideSchedule: true });
  });

  it('ends as dead when its target is removed (I4)', async () => {
    const fixture = await stage();
    offer(fixture);
    const delivery = await recordLeased(fixture, 'alice', 'A');
    await recordIn(fixture, 'alice', 'B');
    await fixture.store.registry.removeTarget('bot');
    expect(await fixture.settle(delivery, 'delivered')).toBe(false);
    const { data } = await fixture.store.outbox.deliveries({ target: 'bot' }, ALL);
    expect(data.map((view) => view.status)).toEqual(['dead', 'dead']);
  });

  it('keeps the length of its lease when the clock is set back', async () => {
    const fixture = await stage();
    offer(fixture);
    const delivery = await recordLeased(fixture, 'alice', 'A');
    fixture.clock.advance(-DAY);
    await fixture.store.upkeep.clockSetBack(DAY);
    expect(await fixture.store.outbox.due()).toEqual({ targetIds: new Set(), nextDueAt: START - DAY + LEASE });
    fixture.clock.advance(LEASE);
    expect(await fixture.claimOne()).toMatchObject({ id: delivery.id });
  });

  it('does not hold up other kinds of event of its chat (I6)', async () => {
    const fixture = await stage();
    offer(fixture);
    await recordLeased(fixture, 'alice', 'A');
    expect((await record(fixture.store, status('A', 'alice'))).leased).toHaveLength(1);
  });
});
