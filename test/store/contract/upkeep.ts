import { describe, expect, it } from 'vitest';
import {
  allPages,
  channel,
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
  sealed,
  SECOND,
  stage,
  START,
  status,
  target,
} from '../../support/store.js';
import { placeName } from '../../../src/secret-places.js';
import type { RewriteSecret } from '../../../src/secret-places.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';

const RETENTION = { payloadMs: 7 * DAY, ledgerMs: 400 * DAY };

async function pruneAfter(fixture: StoreFixture, ms: number): Promise<void> {
  fixture.clock.advance(ms);
  await prune(fixture, RETENTION);
}

async function deliveryCount(fixture: StoreFixture): Promise<number> {
  return (await allPages(500, async (page) => await fixture.store.outbox.deliveries({}, page))).length;
}

/** I4: what pruning deletes and when, and what a restart keeps. */
export function upkeepContract(open: OpenFixture): void {
  describe('stored secrets', () => {
    const previousSecrets = [{ secret: sealed('an earlier one'), expiresAt: START + DAY }];
    const withSecrets = async (): Promise<StoreFixture> => await stage(open, [target('bot', { previousSecrets })]);

    it('are each replaced for their place, together with the values that say so', async () => {
      const fixture = await withSecrets();
      const rewrite: RewriteSecret = (secret, place) => sealed(`${secret} in ${placeName(place)}`);
      await fixture.store.upkeep.rewriteSecrets(rewrite, { version: 'new' });
      await fixture.restart();
      const { registry, upkeep } = fixture.store;
      expect(await upkeep.pinned('version')).toBe('new');
      expect(await registry.channel('main')).toEqual({
        ...channel('main'),
        whapiToken: 'token of main in whapi_token of channel "main"',
        webhookSecret: 'secret of main in webhook_secret of channel "main"',
      });
      expect(await registry.target('bot')).toEqual({
        ...target('bot'),
        headers: '{} in headers of target "bot"',
        secret: 'secret of bot in secret of target "bot"',
        previousSecrets: [{ secret: 'an earlier one in previous_secrets of target "bot"', expiresAt: START + DAY }],
      });
    });

    it('are all as before if one of them cannot be replaced', async () => {
      const fixture = await withSecrets();
      const rewrite: RewriteSecret = (secret, { column }) => {
        if (column === 'previous_secrets') throw new Error('It does not open.');
        return sealed(`new ${secret}`);
      };
      await expect(fixture.store.upkeep.rewriteSecrets(rewrite, { version: 'new' })).rejects.toThrow(
        'It does not open.',
      );
      for (let looks = 0; looks < 2; looks += 1) {
        expect(await fixture.store.registry.channel('main')).toEqual(channel('main'));
        expect(await fixture.store.registry.target('bot')).toEqual(target('bot', { previousSecrets }));
        expect(await fixture.store.upkeep.pinned('version')).toBeNull();
        await fixture.restart();
      }
    });
  });

  it('a process that is alone with its store counts itself', async () => {
    const { store } = await open();
    expect(store.replicas.alive()).toBe(1);
  });

  it('the time of the store is that of its clock, whichever way it is set', async () => {
    const fixture = await open();
    const times = [fixture.store.upkeep.now()];
    fixture.clock.advance(HOUR);
    times.push(fixture.store.upkeep.now());
    await fixture.setClockBack(DAY);
    expect([...times, fixture.store.upkeep.now()]).toEqual([START, START + HOUR, START + HOUR - DAY]);
  });

  describe('a clock that goes back', () => {
    it('I4: delays neither a delivery that waits for its retry nor the one behind it', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      await fixture.record(messages('B'));
      await fixture.settle(await fixture.claimOne(), 'pending', START + 5 * SECOND);
      await fixture.setClockBack(DAY);
      expect((await fixture.claim()).deliveries).toEqual([]);
      fixture.clock.advance(5 * SECOND);
      expect(idsIn(await fixture.deliverAll())).toEqual(['A', 'B']);
    });

    it('I5: does not extend a lease', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      await fixture.claimOne();
      await fixture.setClockBack(DAY);
      fixture.clock.advance(LEASE - 1);
      expect((await fixture.claim()).deliveries).toEqual([]);
      fixture.clock.advance(1);
      expect(idsIn([await fixture.claimOne()])).toEqual(['A']);
    });

    it('I4: keeps the schedule of a delivery whose manual retry is in flight', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      const scheduled = await fixture.claimOne();
      await fixture.settle(scheduled, 'pending', START + HOUR);
      await fixture.store.outbox.retry(scheduled.id);
      const manual = await fixture.claimOne();
      expect(manual).toMatchObject({ id: scheduled.id, besideSchedule: true });
      await fixture.setClockBack(DAY);
      await fixture.settle(manual, 'pending', START - DAY + 5 * HOUR);
      expect((await fixture.claim()).nextDueAt).toBe(START - DAY + HOUR);
    });

    it('shifts the calls to Whapi with it and leaves windows open for longer (I2)', async () => {
      const fixture = await stage(open);
      await register(fixture, ['old']);
      await fixture.setClockBack(DAY);
      expect(await fixture.store.resyncs.takeCall('main', 'resync', LEASE)).toMatchObject({ messageId: 'old' });
      expect(await fixture.record(messages('old'))).toEqual(['restored']);
    });
  });

  describe('pruning', () => {
    it('deletes a payload by the time it was settled, not by the time it was received', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      fixture.clock.advance(30 * DAY);
      await fixture.deliverAll();
      await pruneAfter(fixture, 7 * DAY);
      expect(await deliveryCount(fixture)).toBe(1);
      await pruneAfter(fixture, 1);
      expect(await deliveryCount(fixture)).toBe(0);
    });

    it('I4: never deletes the payload of a pending delivery', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      await fixture.store.registry.changeTarget('bot', { enabled: false });
      await pruneAfter(fixture, 3000 * DAY);
      await fixture.store.registry.changeTarget('bot', { enabled: true });
      expect(idsIn(await fixture.deliverAll())).toEqual(['A']);
    });

    it('I4: keeps a payload with a delivery that a manual retry made pending again', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      const { id } = first(await fixture.deliverAll());
      fixture.clock.advance(30 * DAY);
      await fixture.store.outbox.retry(id);
      await prune(fixture, RETENTION);
      expect(idsIn(await fixture.deliverAll())).toEqual(['A']);
    });

    it('of a payload keeps its message known: the message is a duplicate when it comes again', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      const { id } = first(await fixture.deliverAll());
      await pruneAfter(fixture, 8 * DAY);
      expect(await fixture.store.items.explain('main', 'A')).toMatchObject({
        ledger: { rule: 10 },
        sightings: [],
        deliveries: [],
      });
      await expect(fixture.store.outbox.retry(id)).rejects.toEqual(refusal('GW_NOT_FOUND'));
      expect(await fixture.record(messages('A'))).toEqual(['duplicate']);
    });

    it('deletes an id by the time it was last seen, after which the message is new again', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      await fixture.deliverAll();
      await pruneAfter(fixture, 300 * DAY);
      await fixture.record(messages('A'));
      await pruneAfter(fixture, 400 * DAY);
      expect(await fixture.store.items.explain('main', 'A')).toMatchObject({ ledger: { rule: 10 } });
      await pruneAfter(fixture, 1);
      expect(await fixture.store.items.explain('main', 'A')).toBeNull();
      expect(await fixture.record(messages('A'))).toEqual(['new']);
    });

    it("keeps the fingerprints of votes as long as ids, and those of statuses for Whapi's retry period", async () => {
      const fixture = await stage(open);
      const vote = messages(message('poll', 'alice', { type: 'poll_update' }));
      await fixture.record(vote);
      await fixture.record(status('A'));
      await pruneAfter(fixture, 2 * HOUR - 1);
      expect(await fixture.record(status('A'))).toEqual(['duplicate']);
      await pruneAfter(fixture, 399 * DAY);
      expect(await fixture.record(vote)).toEqual(['duplicate']);
      expect(await judgements(fixture, 'poll')).toContain('duplicate 1');
    });

    it('deletes a resync with its payloads, but not while one of its windows is open', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['old'], { windowSeconds: (30 * DAY) / 1000 });
      await fixture.store.resyncs.takeCall('main', 'resync', HOUR);
      await pruneAfter(fixture, 29 * DAY);
      expect(await fixture.store.resyncs.get(id)).not.toBeNull();
      fixture.clock.advance(DAY);
      await fixture.store.resyncs.closeWindows();
      await pruneAfter(fixture, 7 * DAY);
      expect(await fixture.store.resyncs.get(id)).toMatchObject({ counts: { not_restored: 1 } });
      await pruneAfter(fixture, 1);
      expect(await fixture.store.resyncs.get(id)).toBeNull();
      expect(await fixture.record(messages('old'))).toEqual(['duplicate']);
    });

    it('never deletes a resync that Whapi was not asked for yet', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['old']);
      await pruneAfter(fixture, 3000 * DAY);
      expect(await fixture.store.resyncs.get(id)).toMatchObject({ counts: { queued: 1 } });
      expect(await fixture.record(messages('old'))).toEqual(['restored']);
    });

    it('deletes all old resyncs in one sweep', async () => {
      const fixture = await stage(open);
      for (let i = 0; i < 12; i += 1) {
        const { id } = await register(fixture, ['old']);
        await fixture.store.resyncs.cancel(id);
      }
      await pruneAfter(fixture, 8 * DAY);
      expect(await fixture.store.resyncs.list({ limit: 50, cursor: null })).toEqual({ data: [], nextCursor: null });
    });

    it('I4: skips old payloads of a disabled target, however many, and reaches those behind them', async () => {
      const fixture = await stage(open);
      await fixture.store.registry.changeTarget('bot', { enabled: false });
      const ids = Array.from({ length: 401 }, (_, index) => `M${index}`);
      await Promise.all(ids.map(async (id) => await fixture.record(messages(id))));
      await register(fixture, ['old']).then(async ({ id }) => await fixture.store.resyncs.cancel(id));
      await pruneAfter(fixture, 8 * DAY);
      expect(await deliveryCount(fixture)).toBe(401);
      expect(await fixture.store.resyncs.list({ limit: 50, cursor: null })).toMatchObject({ data: [] });
    });

    it('skips nothing when the transaction of a step is rolled back and repeated', async () => {
      const fixture = await stage(open, []);
      const ids = Array.from({ length: 2500 }, (_, index) => `M${index}`);
      await Promise.all(ids.map(async (id) => await fixture.record(messages(id))));
      fixture.clock.advance(8 * DAY);
      let isMore = true;
      while (isMore) {
        const pruned = fixture.store.upkeep.prune(RETENTION, fixture.clock.now());
        await expect(fixture.store.registry.removeTarget('none')).rejects.toEqual(refusal('GW_NOT_FOUND'));
        isMore = await pruned;
      }
      expect(await fixture.store.items.messages({}, { limit: 9, cursor: null })).toEqual({
        data: [],
        nextCursor: null,
      });
    });

    it('deletes payloads in time although the clock was ahead by a year when they were recorded and settled', async () => {
      const fixture = await stage(open);
      fixture.clock.advance(365 * DAY);
      await fixture.record(messages('A'));
      await fixture.deliverAll();
      await fixture.setClockBack(365 * DAY);
      await fixture.record(messages('B'));
      await fixture.deliverAll();
      const left = [];
      for (let day = 0; day <= 8; day += 1) {
        await prune(fixture, RETENTION);
        left.push(await deliveryCount(fixture));
        fixture.clock.advance(DAY);
      }
      expect(left).toEqual([2, 2, 2, 2, 2, 2, 2, 2, 0]);
    });

    it('and although it was ahead when its ids were given, and set back while the gateway was down', async () => {
      const fixture = await stage(open);
      fixture.clock.advance(3 * DAY);
      await fixture.store.upkeep.rememberTime(fixture.clock.now(), false);
      await fixture.record(messages('A'));
      await fixture.deliverAll();
      fixture.clock.advance(-3 * DAY);
      await fixture.restart();
      await fixture.store.upkeep.rememberTime(fixture.clock.now(), true);
      for (let day = 0; day < 8; day += 1) {
        await prune(fixture, RETENTION);
        expect(await deliveryCount(fixture)).toBe(1);
        fixture.clock.advance(DAY);
      }
      await prune(fixture, RETENTION);
      expect(await deliveryCount(fixture)).toBe(0);
    });

    it('keeps payloads for as long as they are kept, also if the clock was far behind when they were recorded', async () => {
      const fixture = await stage(open);
      await prune(fixture, RETENTION);
      await fixture.setClockBack(3000 * DAY);
      await fixture.record(messages('A'));
      await fixture.deliverAll();
      for (let day = 0; day <= 7; day += 1) {
        await prune(fixture, RETENTION);
        expect(await deliveryCount(fixture)).toBe(1);
        if (day < 7) fixture.clock.advance(DAY);
      }
    });

    it('deletes thousands of rows in small steps and leaves none behind', async () => {
      const fixture = await stage(open, []);
      const ids = Array.from({ length: 2500 }, (_, index) => `M${index}`);
      await Promise.all(ids.map(async (id) => await fixture.record(messages(id))));
      await prune(fixture, RETENTION);
      fixture.clock.advance(401 * DAY);
      expect(await fixture.store.upkeep.prune(RETENTION, fixture.clock.now())).toBe(true);
      await prune(fixture, RETENTION);
      expect(await fixture.store.items.messages({}, { limit: 50, cursor: null })).toEqual({
        data: [],
        nextCursor: null,
      });
      for (const id of [...ids.slice(0, 5), ...ids.slice(-5)]) {
        expect(await fixture.store.items.explain('main', id)).toBeNull();
      }
    });
  });

  describe('the confirmed time', () => {
    it('is remembered across a restart, unless it was not confirmed', async () => {
      const fixture = await stage(open);
      expect(await fixture.store.upkeep.confirmedTime()).toBeNull();
      await fixture.store.upkeep.rememberTime(START, true);
      await fixture.store.upkeep.rememberTime(START + DAY, false);
      await fixture.restart();
      expect(await fixture.store.upkeep.confirmedTime()).toBe(START);
      await fixture.store.upkeep.rememberTime(START - DAY, true);
      expect(await fixture.store.upkeep.confirmedTime()).toBe(START - DAY);
    });
  });

  describe('the store', () => {
    it('proves its health with a write', async () => {
      const { store } = await stage(open);
      await expect(store.upkeep.probe()).resolves.toBeUndefined();
    });

    it('pins one value per name, also for two at the same instant and after a restart', async () => {
      const fixture = await stage(open);
      expect(await fixture.store.upkeep.pinned('key')).toBeNull();
      const pinned = await Promise.all(
        ['one', 'two'].map(async (value) => await fixture.store.upkeep.pin('key', value)),
      );
      expect(new Set(pinned).size).toBe(1);
      await fixture.restart();
      expect(await fixture.store.upkeep.pinned('key')).toBe(pinned[0]);
      expect(await fixture.store.upkeep.pin('key', 'three')).toBe(pinned[0]);
      expect(await fixture.store.upkeep.pin('other', 'three')).toBe('three');
    });

    it('finishes pending work before it closes', async () => {
      const fixture = await stage(open);
      const begun = Promise.all(['A', 'B', 'C'].map(async (id) => await fixture.record(messages(id))));
      await fixture.restart();
      expect(await begun).toEqual([['new'], ['new'], ['new']]);
      expect(await fixture.record(messages('A', 'B', 'C'))).toEqual(['duplicate', 'duplicate', 'duplicate']);
    });

    it('I1, I4: keeps everything across a restart', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['old', 'lost']);
      await fixture.record(messages('A', 'old'));
      await fixture.record(status('A', 'bob'));
      const delivered = first(await fixture.deliverAll());
      const snapshot = async (): Promise<unknown[]> => [
        await fixture.store.registry.channels(),
        await fixture.store.registry.targets(),
        await fixture.store.resyncs.get(id),
        await fixture.store.outbox.delivery(delivered.id),
        ...(await Promise.all(
          ['A', 'old', 'lost'].map(async (each) => await fixture.store.items.explain('main', each)),
        )),
      ];
      const before = await snapshot();
      await fixture.restart();
      expect(await snapshot()).toEqual(before);
      expect(await fixture.record(messages('A', 'old', 'lost'))).toEqual(['duplicate', 'restored', 'restored']);
      expect(await fixture.record(status('A', 'bob'))).toEqual(['duplicate']);
    });

    it('gives increasing ids when the clock goes back by a day, also with a restart in between', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      fixture.clock.advance(-DAY);
      await fixture.restart();
      await fixture.record(messages('B'));
      const { data } = await fixture.store.outbox.deliveries({}, { limit: 9, cursor: null });
      const ids = data.map((view) => view.id);
      expect(ids).toEqual([...ids].sort().reverse());
      expect(
        (await fixture.store.items.messages({}, { limit: 9, cursor: null })).data.map(({ messageId }) => messageId),
      ).toEqual(['B', 'A']);
    });
  });
}
