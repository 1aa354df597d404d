import { describe, expect, it } from 'vitest';
import {
  allPages,
  DAY,
  first,
  HOUR,
  idsIn,
  judgements,
  LEASE,
  message,
  messages,
  prune,
  refusal,
  register,
  SECOND,
  stage,
  START,
  status,
} from '../../support/ledger.js';
import type { OpenStore, Store } from '../../support/ledger.js';

const RETENTION = { payloadMs: 7 * DAY, ledgerMs: 400 * DAY };

async function pruneAfter(store: Store, ms: number): Promise<void> {
  store.clock.advance(ms);
  await prune(store, RETENTION);
}

async function deliveryCount(store: Store): Promise<number> {
  return (await allPages(500, async (page) => await store.ledger.deliveries({}, page))).length;
}

/** I4: what is forgotten, and when; what is not forgotten by a restart. */
export function upkeepContract(open: OpenStore): void {
  describe('a clock that was set back', () => {
    it('I4: keeps nothing waiting for longer: a delivery to be tried again, and the one behind it', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      await store.record(messages('B'));
      await store.settle(await store.claimOne(), 'pending', START + 5 * SECOND);
      store.clock.advance(-DAY);
      await store.ledger.clockSetBack(DAY);
      expect((await store.claim()).deliveries).toEqual([]);
      store.clock.advance(5 * SECOND);
      expect(idsIn(await store.deliverAll())).toEqual(['A', 'B']);
    });

    it('I5: ends a lease when it would have ended', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      await store.claimOne();
      store.clock.advance(-DAY);
      await store.ledger.clockSetBack(DAY);
      store.clock.advance(LEASE - 1);
      expect((await store.claim()).deliveries).toEqual([]);
      store.clock.advance(1);
      expect(idsIn([await store.claimOne()])).toEqual(['A']);
    });

    it('moves the calls to Whapi with it, and leaves the windows open for longer (I2)', async () => {
      const store = await stage(open);
      await register(store, ['old']);
      store.clock.advance(-DAY);
      await store.ledger.clockSetBack(DAY);
      expect(await store.ledger.takeCall('main', 'resync', LEASE)).toMatchObject({ messageId: 'old' });
      expect(await store.record(messages('old'))).toEqual(['restored']);
    });
  });

  describe('pruning', () => {
    it('forgets a payload when it was settled so long ago, not when it was received so long ago', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      store.clock.advance(30 * DAY);
      await store.deliverAll();
      await pruneAfter(store, 7 * DAY);
      expect(await deliveryCount(store)).toBe(1);
      await pruneAfter(store, 1);
      expect(await deliveryCount(store)).toBe(0);
    });

    it('I4: never forgets the payload of a pending delivery', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      await store.ledger.changeTarget('bot', { enabled: false });
      await pruneAfter(store, 3000 * DAY);
      await store.ledger.changeTarget('bot', { enabled: true });
      expect(idsIn(await store.deliverAll())).toEqual(['A']);
    });

    it('I4: does not forget a payload one of whose deliveries a person has made pending again', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      const { id } = first(await store.deliverAll());
      store.clock.advance(30 * DAY);
      await store.ledger.retry(id);
      await prune(store, RETENTION);
      expect(idsIn(await store.deliverAll())).toEqual(['A']);
    });

    it('of a payload leaves its message known: it is a duplicate when it comes again', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      const { id } = first(await store.deliverAll());
      await pruneAfter(store, 8 * DAY);
      expect(await store.ledger.explain('main', 'A')).toMatchObject({
        ledger: { rule: 10 },
        sightings: [],
        deliveries: [],
      });
      await expect(store.ledger.retry(id)).rejects.toEqual(refusal('GW_NOT_FOUND'));
      expect(await store.record(messages('A'))).toEqual(['duplicate']);
    });

    it('forgets an id when it was last met so long ago; then it is new again', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      await store.deliverAll();
      await pruneAfter(store, 300 * DAY);
      await store.record(messages('A'));
      await pruneAfter(store, 400 * DAY);
      expect(await store.ledger.explain('main', 'A')).toMatchObject({ ledger: { rule: 10 } });
      await pruneAfter(store, 1);
      expect(await store.ledger.explain('main', 'A')).toBeNull();
      expect(await store.record(messages('A'))).toEqual(['new']);
    });

    it('keeps the bytes of votes as long as ids, and those of statuses for as long as Whapi may retry', async () => {
      const store = await stage(open);
      const vote = messages(message('poll', 'alice', { type: 'poll_update' }));
      await store.record(vote);
      await store.record(status('A'));
      await pruneAfter(store, 2 * HOUR - 1);
      expect(await store.record(status('A'))).toEqual(['duplicate']);
      await pruneAfter(store, 399 * DAY);
      expect(await store.record(vote)).toEqual(['duplicate']);
      expect(await judgements(store, 'poll')).toContain('duplicate 1');
    });

    it('forgets a resync with its payloads, but not while one of its windows is open', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['old'], { windowSeconds: (30 * DAY) / 1000 });
      await store.ledger.takeCall('main', 'resync', HOUR);
      await pruneAfter(store, 29 * DAY);
      expect(await store.ledger.resync(id)).not.toBeNull();
      store.clock.advance(DAY);
      await store.ledger.closeWindows();
      await pruneAfter(store, 7 * DAY);
      expect(await store.ledger.resync(id)).toMatchObject({ counts: { not_restored: 1 } });
      await pruneAfter(store, 1);
      expect(await store.ledger.resync(id)).toBeNull();
      expect(await store.record(messages('old'))).toEqual(['duplicate']);
    });

    it('never forgets a resync for which Whapi was not asked yet', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['old']);
      await pruneAfter(store, 3000 * DAY);
      expect(await store.ledger.resync(id)).toMatchObject({ counts: { queued: 1 } });
      expect(await store.record(messages('old'))).toEqual(['restored']);
    });

    it('forgets in one sweep all resyncs that are old enough', async () => {
      const store = await stage(open);
      for (let i = 0; i < 12; i += 1) {
        const { id } = await register(store, ['old']);
        await store.ledger.cancelResync(id);
      }
      await pruneAfter(store, 8 * DAY);
      expect(await store.ledger.resyncs({ limit: 50, cursor: null })).toEqual({ data: [], nextCursor: null });
    });

    it('I4: leaves old payloads whose target is switched off, however many, and goes on to what is behind them', async () => {
      const store = await stage(open);
      await store.ledger.changeTarget('bot', { enabled: false });
      const ids = Array.from({ length: 401 }, (_, index) => `M${index}`);
      await Promise.all(ids.map(async (id) => await store.record(messages(id))));
      await register(store, ['old']).then(async ({ id }) => await store.ledger.cancelResync(id));
      await pruneAfter(store, 8 * DAY);
      expect(await deliveryCount(store)).toBe(401);
      expect(await store.ledger.resyncs({ limit: 50, cursor: null })).toMatchObject({ data: [] });
    });

    it('goes through thousands of rows in small steps and leaves none behind', async () => {
      const store = await stage(open, []);
      const ids = Array.from({ length: 2500 }, (_, index) => `M${index}`);
      await Promise.all(ids.map(async (id) => await store.record(messages(id))));
      await prune(store, RETENTION);
      store.clock.advance(401 * DAY);
      expect(await store.ledger.prune(RETENTION)).toBe(true);
      await prune(store, RETENTION);
      expect(await store.ledger.messages({}, { limit: 50, cursor: null })).toEqual({ data: [], nextCursor: null });
      for (const id of [...ids.slice(0, 5), ...ids.slice(-5)]) {
        expect(await store.ledger.explain('main', id)).toBeNull();
      }
    });
  });

  describe('the store itself', () => {
    it('takes a write as proof of its health', async () => {
      const { ledger } = await stage(open);
      await expect(ledger.probe()).resolves.toBeUndefined();
    });

    it('pins one value under a name, of two at one instant and after a restart', async () => {
      const store = await stage(open);
      expect(await store.ledger.pinned('key')).toBeNull();
      const pinned = await Promise.all(['one', 'two'].map(async (value) => await store.ledger.pin('key', value)));
      expect(new Set(pinned).size).toBe(1);
      await store.restart();
      expect(await store.ledger.pinned('key')).toBe(pinned[0]);
      expect(await store.ledger.pin('key', 'three')).toBe(pinned[0]);
      expect(await store.ledger.pin('other', 'three')).toBe('three');
    });

    it('finishes what was begun before it closes', async () => {
      const store = await stage(open);
      const begun = Promise.all(['A', 'B', 'C'].map(async (id) => await store.record(messages(id))));
      await store.restart();
      expect(await begun).toEqual([['new'], ['new'], ['new']]);
      expect(await store.record(messages('A', 'B', 'C'))).toEqual(['duplicate', 'duplicate', 'duplicate']);
    });

    it('I1, I4: knows after a restart all that it knew', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['old', 'lost']);
      await store.record(messages('A', 'old'));
      await store.record(status('A', 'bob'));
      const delivered = first(await store.deliverAll());
      const look = async (): Promise<unknown[]> => [
        await store.ledger.channels(),
        await store.ledger.targets(),
        await store.ledger.resync(id),
        await store.ledger.delivery(delivered.id),
        ...(await Promise.all(['A', 'old', 'lost'].map(async (each) => await store.ledger.explain('main', each)))),
      ];
      const before = await look();
      await store.restart();
      expect(await look()).toEqual(before);
      expect(await store.record(messages('A', 'old', 'lost'))).toEqual(['duplicate', 'restored', 'restored']);
      expect(await store.record(status('A', 'bob'))).toEqual(['duplicate']);
    });

    it('gives growing ids when the clock is set back by a day, with a restart meanwhile', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      store.clock.advance(-DAY);
      await store.restart();
      await store.record(messages('B'));
      const { data } = await store.ledger.deliveries({}, { limit: 9, cursor: null });
      const ids = data.map((view) => view.id);
      expect(ids).toEqual([...ids].sort().reverse());
      expect(
        (await store.ledger.messages({}, { limit: 9, cursor: null })).data.map(({ messageId }) => messageId),
      ).toEqual(['B', 'A']);
    });
  });
}
