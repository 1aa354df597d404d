import { describe, expect, it } from 'vitest';
import {
  allPages,
  channel,
  idsIn,
  LEASE,
  message,
  messages,
  refusal,
  register,
  stage,
  START,
  takeCall,
  target,
} from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';

/** More than a step ends. */
const MANY = 700;
/** More than any step ends at once. */
const MOST_PER_STEP = 500;

/** Removing targets and channels that have much under way: in steps, each of a few milliseconds. */
export function removalsContract(open: OpenFixture): void {
  describe('removing a target with many pending deliveries', () => {
    it('takes effect at once and ends the deliveries in steps (I4)', async () => {
      const fixture = await withPending(open);
      await fixture.store.registry.removeTarget('bot');
      expect(await fixture.store.registry.targets()).toEqual([target('archive', { split: 'item' })]);
      expect((await fixture.claim({ limit: 9 })).deliveries.map((delivery) => delivery.target.id)).not.toContain('bot');
      const left = [await pendingOf(fixture, 'bot')];
      while ((await fixture.store.jobs.step()) !== null) left.push(await pendingOf(fixture, 'bot'));
      const steps = left.map((count, step) => (left[step - 1] ?? MANY) - count);
      expect([left.at(-1), steps.every((ended) => ended <= MOST_PER_STEP), left.length > 2]).toEqual([0, true, true]);
      const { data } = await fixture.store.outbox.deliveries({ target: 'bot' }, { limit: 500, cursor: null });
      expect(new Set(data.map((view) => `${view.status} ${view.lastError ?? ''} ${view.settledAt ?? ''}`))).toEqual(
        new Set([`dead The target was removed. ${START}`]),
      );
    });

    it('continues after a crash, and leaves other targets and later targets of that name alone', async () => {
      const fixture = await withPending(open);
      await fixture.store.registry.removeTarget('bot');
      await fixture.store.jobs.step();
      await fixture.restart();
      expect(await pendingOf(fixture, 'bot')).toBeGreaterThan(0);
      await fixture.store.registry.addTarget(target('heir', { name: 'the bot' }));
      await fixture.record(messages('later'));
      while ((await fixture.store.jobs.step()) !== null);
      expect(await pendingOf(fixture, 'bot')).toBe(0);
      expect(await fixture.store.outbox.loadOf('heir')).toMatchObject({ pending: 1 });
      expect(await fixture.store.outbox.loadOf('archive')).toMatchObject({ pending: MANY + 1 });
    });

    it('is refused a second time, and a settlement that comes meanwhile stays what it is', async () => {
      const fixture = await withPending(open);
      const { deliveries } = await fixture.claim({ limit: MANY });
      await fixture.store.registry.removeTarget('bot');
      await expect(fixture.store.registry.removeTarget('bot')).rejects.toEqual(refusal('GW_NOT_FOUND'));
      const last = deliveries.filter((delivery) => delivery.target.id === 'bot').at(-1);
      expect(last && (await fixture.settle(last, 'delivered'))).toBe(true);
      while ((await fixture.store.jobs.step()) !== null);
      expect(await fixture.store.outbox.delivery(last?.id ?? '')).toMatchObject({ status: 'delivered' });
      expect(await pendingOf(fixture, 'bot')).toBe(0);
    });

    it('shows what is still pending in the list of all pending deliveries', async () => {
      const fixture = await withPending(open);
      await fixture.store.registry.removeTarget('bot');
      const all = await allPages(
        500,
        async (page) => await fixture.store.outbox.deliveries({ status: 'pending' }, page),
      );
      expect(new Set(all.map((view) => view.target))).toEqual(new Set(['bot', 'archive']));
    });
  });

  describe('removing a channel with many open registrations', () => {
    const ids = Array.from({ length: 1200 }, (_, at) => `old ${at}`);

    it('takes effect at once and cancels its resyncs in steps, also after a crash', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ids);
      await fixture.store.registry.removeChannel('main');
      expect(await fixture.store.resyncs.pendingCalls()).toEqual([]);
      expect(await fixture.store.resyncs.takeCall('main', 'resync', LEASE)).toBeNull();
      await fixture.restart();
      const left = [await queuedOf(fixture, id)];
      while ((await fixture.store.jobs.step()) !== null) left.push(await queuedOf(fixture, id));
      const steps = left.map((count, step) => (left[step - 1] ?? ids.length) - count);
      expect([left.at(-1), steps.every((ended) => ended <= MOST_PER_STEP), left.length > 2]).toEqual([0, true, true]);
      expect(await fixture.store.resyncs.get(id)).toMatchObject({ status: 'cancelled', counts: { cancelled: 1200 } });
    });

    it('frees the name at once, and nothing of the old channel belongs to the new one', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ids);
      await takeCall(fixture);
      await fixture.store.registry.removeChannel('main');
      await fixture.store.registry.addChannel(channel('main'));
      expect(await fixture.store.resyncs.get(id)).toMatchObject({ status: 'cancelled', counts: { queued: 0 } });
      expect(await fixture.store.resyncs.pendingCalls()).toEqual([]);
      // Whapi was asked for one id, whose webhook may be on the way; the others are what the new channel makes of them.
      expect(await fixture.record(messages('old 0', 'old 1199'))).toEqual(['restored', 'new']);
      const again = await register(fixture, ['old 700']);
      expect(again).toMatchObject({ status: 'running', counts: { queued: 1 } });
      expect(await takeCall(fixture)).toMatchObject({ messageId: 'old 700', resyncId: again.id });
    });

    it('forgets its claims in steps, so that none counts in a new channel of its name', async () => {
      const fixture = await stage(open);
      const claim = async (messageId: string, owner: string) =>
        await fixture.store.claims.claim({ channel: 'main', messageId, owner, ttlSeconds: 60 });
      await Promise.all(ids.map(async (id) => await claim(id, 'one')));
      await fixture.store.registry.removeChannel('main');
      await fixture.restart();
      await fixture.store.registry.addChannel(channel('main'));
      for (const id of ids) expect(await claim(id, 'two')).toMatchObject({ isRenewal: false });
    });

    it('keeps the open registrations of other channels', async () => {
      const fixture = await stage(open);
      await fixture.store.registry.addChannel(channel('second'));
      const { id } = await register(fixture, ids, { channel: 'second' });
      await register(fixture, ids);
      await fixture.store.registry.removeChannel('main');
      while ((await fixture.store.jobs.step()) !== null);
      expect(await fixture.store.resyncs.get(id)).toMatchObject({ status: 'running', counts: { queued: 1200 } });
    });

    it('lets its recorded deliveries continue, also under a new channel of that name (I4)', async () => {
      const fixture = await stage(open);
      await register(fixture, ids);
      await fixture.record(messages('A'));
      await fixture.store.registry.removeChannel('main');
      await fixture.store.registry.addChannel(channel('main'));
      await fixture.record(messages('B'));
      expect(idsIn(await fixture.deliverAll())).toEqual(['A', 'B']);
    });

    it('cancels its audits, however many wait for their turn', async () => {
      const fixture = await stage(open);
      const begin = async () =>
        await fixture.store.audits.begin({ kind: 'audit', channel: 'main', since: 1, until: 2, memorySince: 0 });
      const begun = await Promise.all(Array.from({ length: MANY }, begin));
      await fixture.store.registry.removeChannel('main');
      while ((await fixture.store.jobs.step()) !== null);
      const states = await Promise.all(begun.map(async ({ id }) => (await fixture.store.audits.get(id))?.status));
      expect(new Set(states)).toEqual(new Set(['cancelled']));
    });
  });
}

/** Two targets with `MANY` pending deliveries each: one for each message of a webhook. */
async function withPending(open: OpenFixture): Promise<StoreFixture> {
  const fixture = await stage(open, [target('bot', { split: 'item' }), target('archive', { split: 'item' })]);
  const ids = Array.from({ length: MANY }, (_, at) => message(`M${at}`, `chat ${at}`));
  await fixture.record(messages(...ids));
  return fixture;
}

async function pendingOf({ store }: StoreFixture, target: string): Promise<number> {
  const filter = { status: 'pending', target } as const;
  return (await allPages(500, async (page) => await store.outbox.deliveries(filter, page))).length;
}

async function queuedOf({ store }: StoreFixture, resync: string): Promise<number> {
  return (await store.resyncs.get(resync))?.counts.queued ?? NaN;
}
