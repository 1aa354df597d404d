import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  allPages,
  channel,
  HOUR,
  idsIn,
  LEASE,
  message,
  messages,
  only,
  refusal,
  register,
  SECOND,
  sealed,
  stageTwo,
  target,
} from '../../support/store.js';
import type { OpenTwo, StoreFixture, TwoHandles } from '../../support/store.js';
import type { Delivery } from '../../../src/store/outbox.js';
import { OrderModel, orderSteps } from './order-model.js';

/** Does the same through both handles at the same instant. */
async function both<T>(handles: TwoHandles, work: (handle: StoreFixture, index: number) => Promise<T>): Promise<T[]> {
  return await Promise.all(handles.map(work));
}

/** The outcomes of `both`, in a fixed order: which of the two comes first is not defined. */
async function outcomes(handles: TwoHandles, work: (handle: StoreFixture) => Promise<unknown>): Promise<string[]> {
  const settled = await Promise.allSettled(handles.map(work));
  return settled.map(({ status }) => status).sort();
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `M${index}`);
}

/** The ids of all deliveries, in the order recorded. */
async function recordedIds({ store }: StoreFixture): Promise<string[]> {
  const views = await allPages(500, async (page) => await store.outbox.deliveries({}, page));
  return views.map(({ id }) => id).reverse();
}

/** What two handles on one store see of each other: they stand for two processes that share it. */
export function handlesContract(openTwo: OpenTwo): void {
  describe('two handles on one store', () => {
    describe('I3: one verdict and one delivery', () => {
      it('for a webhook that both record at the same instant', async () => {
        const handles = await stageTwo(openTwo);
        const bodies = numbered(30).map((id) => messages(message(id, `chat of ${id}`)));
        const verdicts = await Promise.all(
          bodies.map(async (body) => await both(handles, async (handle) => await handle.record(body))),
        );
        expect(verdicts.map((each) => each.flat().sort())).toEqual(bodies.map(() => ['duplicate', 'new']));
        expect(idsIn(await handles[1].deliverAll()).sort()).toEqual(numbered(30).sort());
      });

      it('for a webhook that the other has recorded before', async () => {
        const [one, two] = await stageTwo(openTwo);
        expect([await one.record(messages('A')), await two.record(messages('A', 'B'))]).toEqual([
          ['new'],
          ['duplicate', 'new'],
        ]);
      });
    });

    describe('I5: a lease', () => {
      it('keeps a delivery from the other until it ends', async () => {
        const [one, two] = await stageTwo(openTwo);
        await one.record(messages('A'));
        const { id } = await two.claimOne();
        one.clock.advance(LEASE - 1);
        expect((await one.claim()).deliveries).toEqual([]);
        one.clock.advance(1);
        expect(await one.claimOne()).toMatchObject({ id });
      });

      it('is given to one of two that claim at the same instant', async () => {
        const handles = await stageTwo(openTwo);
        for (const id of numbered(40)) await handles[0].record(messages(message(id, `chat of ${id}`)));
        const claimed: Delivery[] = [];
        while (claimed.length < 40) {
          const rounds = await both(handles, async (handle) => (await handle.claim({ limit: 7 })).deliveries);
          expect(rounds.flat().length).toBeGreaterThan(0);
          claimed.push(...rounds.flat());
        }
        expect(idsIn(claimed).sort()).toEqual(numbered(40).sort());
      });

      it('is settled through either handle, but only with its token', async () => {
        const [one, two] = await stageTwo(openTwo);
        await one.record(messages('A'));
        const { id, lease } = await one.claimOne();
        expect(await two.settle({ id, lease: lease + 1 }, 'delivered')).toBe(false);
        expect(await two.settle({ id, lease }, 'delivered')).toBe(true);
        expect(await one.settle({ id, lease }, 'dead')).toBe(false);
        expect(await one.store.outbox.delivery(id)).toMatchObject({ status: 'delivered' });
      });

      it('that has ended no longer settles a delivery that the other has claimed since', async () => {
        const [one, two] = await stageTwo(openTwo);
        await one.record(messages('A'));
        const late = await one.claimOne();
        one.clock.advance(LEASE);
        const claimed = await two.claimOne();
        expect(await one.settle(late, 'dead')).toBe(false);
        expect(await two.settle(claimed, 'delivered')).toBe(true);
      });

      it('is settled once if both settle at the same instant', async () => {
        const handles = await stageTwo(openTwo);
        await handles[0].record(messages('A'));
        const claimed = await handles[0].claimOne();
        const settled = await both(handles, async (handle) => await handle.settle(claimed, 'delivered'));
        expect(settled.sort()).toEqual([false, true]);
      });
    });

    describe('I6: order per chat', () => {
      it('is the order recorded, whichever handle recorded and claims', async () => {
        const handles = await stageTwo(openTwo, []);
        let run = 0;
        const property = fc.asyncProperty(orderSteps, async (steps) => {
          const model = await OrderModel.start(handles, `run${(run += 1)}`);
          for (const step of steps) await model.play(step);
          await model.finish();
        });
        await fc.assert(property, { numRuns: 12 });
      });

      it('holds for one chat that both record at the same instant', async () => {
        const handles = await stageTwo(openTwo);
        await Promise.all(
          numbered(20).map(async (id) => await both(handles, async (h, i) => await h.record(messages(`${id} ${i}`)))),
        );
        const recorded = await recordedIds(handles[0]);
        const claimed: Delivery[] = [];
        for (let turn = 0; turn < 40; turn += 1) {
          const rounds = await both(handles, async (handle) => (await handle.claim()).deliveries);
          const delivery = only(rounds.flat());
          await handles[turn % 2 === 0 ? 0 : 1].settle(delivery, 'delivered');
          claimed.push(delivery);
        }
        expect(claimed.map(({ id }) => id)).toEqual(recorded);
      });

      it('leaves no delivery blocked when one ends while the other handle records the next of its chat', async () => {
        const [one, two] = await stageTwo(openTwo);
        await one.record(messages('M0'));
        for (const id of numbered(40).slice(1)) {
          const head = await one.claimOne();
          await Promise.all([one.settle(head, 'delivered'), two.record(messages(id))]);
          expect(idsIn([await one.claimOne()])).toEqual([id]);
          one.clock.advance(LEASE);
        }
      });
    });

    describe('I2: a resync', () => {
      it('is made once for an idempotency key that both get at the same instant', async () => {
        const handles = await stageTwo(openTwo);
        const idempotency = { key: 'a key', fingerprint: 'a fingerprint' };
        const views = await both(handles, async (handle) => await register(handle, ['A'], { idempotency }));
        expect(new Set(views.map(({ id }) => id)).size).toBe(1);
        const { data } = await handles[0].store.resyncs.list({ limit: 10, cursor: null });
        expect(data).toHaveLength(1);
      });

      it('of thousands is made once for a key that both get at the same instant', async () => {
        const handles = await stageTwo(openTwo);
        const idempotency = { key: 'a key', fingerprint: 'a fingerprint' };
        const views = await both(handles, async (handle) => await register(handle, numbered(3000), { idempotency }));
        expect(new Set(views.map(({ id }) => id)).size).toBe(1);
        expect(views.map(({ counts }) => counts.queued)).toEqual([3000, 3000]);
      });

      it('comes before or after a webhook that the other records at the same instant, never in between', async () => {
        const [one, two] = await stageTwo(openTwo);
        const races = numbered(30).map(async (id) => {
          const [view, [verdict]] = await Promise.all([register(one, [id]), two.record(messages(id))]);
          const shown = only((await one.store.resyncs.messages(view.id, { limit: 2, cursor: null })).data);
          return `${verdict} ${shown.status} ${shown.known ? 'known' : 'unknown'}`;
        });
        for (const outcome of await Promise.all(races))
          expect(['new queued known', 'restored restored unknown']).toContain(outcome);
      });

      it('that ends as the other records its webhook is restored or over, and the message is never new', async () => {
        const [one, two] = await stageTwo(openTwo);
        await register(one, numbered(30));
        for (let made = 0; made < 30; made += 1) await one.store.resyncs.takeCall('main', 'resync', LEASE);
        one.clock.advance(HOUR);
        const recorded = numbered(30).map(async (id) => await two.record(messages(id)));
        const [closed, ...verdicts] = await Promise.all([one.store.resyncs.closeWindows(), ...recorded]);
        expect(closed).toBe(30);
        expect(new Set(verdicts.flat())).toEqual(new Set(['duplicate']));
      });

      it('that one has registered is what the other judges by', async () => {
        const [one, two] = await stageTwo(openTwo);
        await register(one, ['A']);
        expect(await two.record(messages('A', 'B'))).toEqual(['restored', 'new']);
      });

      it('has a call that one of two takes', async () => {
        const handles = await stageTwo(openTwo);
        await register(handles[0], ['A']);
        const taken = await both(handles, async ({ store }) => await store.resyncs.takeCall('main', 'resync', LEASE));
        expect(taken.filter((call) => call !== null)).toMatchObject([{ messageId: 'A' }]);
      });
    });

    describe('a change of the registry through one', () => {
      it('applies to the next webhook that the other records', async () => {
        const [one, two] = await stageTwo(openTwo);
        await one.store.registry.addTarget(target('archive'));
        await two.record(messages('A'));
        await one.store.registry.removeTarget('bot');
        await two.record(messages('B'));
        const made = (await two.deliverAll()).map((each) => `${each.target.id} ${idsIn([each]).join()}`);
        expect(made.sort()).toEqual(['archive A', 'archive B']);
      });

      it('is what the other claims with', async () => {
        const [one, two] = await stageTwo(openTwo);
        await two.record(messages('A'));
        await one.store.registry.changeTarget('bot', { url: 'https://bots.example/moved', secret: sealed('new') });
        expect((await two.claimOne()).target).toMatchObject({ url: 'https://bots.example/moved', secret: 'new' });
      });

      it('removes a channel for both', async () => {
        const [one, two] = await stageTwo(openTwo);
        await two.record(messages('A'));
        await one.store.registry.removeChannel('main');
        await expect(two.record(messages('B'))).rejects.toEqual(refusal('GW_NOT_FOUND'));
        await expect(register(two, ['A'])).rejects.toEqual(refusal('GW_NOT_FOUND'));
      });

      it('gives a name to one of two channels that are added at the same instant', async () => {
        const handles = await stageTwo(openTwo);
        const add = async ({ store }: StoreFixture) => await store.registry.addChannel(channel('twin'));
        expect(await outcomes(handles, add)).toEqual(['fulfilled', 'rejected']);
      });
    });

    it('a job that both step at the same instant handles each delivery once', async () => {
      const handles = await stageTwo(openTwo);
      const [one, two] = handles;
      for (const id of numbered(300)) await one.record(messages(message(id, `chat of ${id}`)));
      const { deliveries } = await one.claim({ limit: 300 });
      await Promise.all(deliveries.map(async (each) => await one.settle(each, 'dead')));
      const { id } = await two.store.jobs.add({ kind: 'retry', filter: { status: 'dead' } });
      let made: (number | null)[];
      let sum = 0;
      do {
        made = await both(handles, async ({ store }) => await store.jobs.step());
        sum += made.reduce<number>((all, each) => all + (each ?? 0), 0);
      } while (made.some((each) => each !== null));
      expect(await one.store.jobs.get(id)).toMatchObject({ status: 'finished', done: 300 });
      expect([sum, (await two.deliverAll()).length]).toEqual([300, 300]);
    });

    it('I3: held messages that one releases while the other releases all are sent once', async () => {
      const handles = await stageTwo(openTwo);
      const [one, two] = handles;
      await register(one, numbered(80));
      for (const id of numbered(80)) await one.record(messages(message(id, `chat of ${id}`)));
      await one.store.jobs.add({ kind: 'release', filter: {} });
      const released = Promise.allSettled(
        numbered(80).map(async (id) => await two.store.outbox.release('main', id, null)),
      );
      while ((await one.store.jobs.step()) !== null);
      await released;
      expect(idsIn(await two.deliverAll()).sort()).toEqual(numbered(80).sort());
    });

    it('I3: a held message that both release at the same instant is sent once', async () => {
      const handles = await stageTwo(openTwo);
      await register(handles[0], ['old']);
      await handles[0].record(messages('old'));
      const release = async ({ store }: StoreFixture) => await store.outbox.release('main', 'old', null);
      expect(await outcomes(handles, release)).toEqual(['fulfilled', 'rejected']);
      expect(idsIn(await handles[1].deliverAll())).toEqual(['old']);
    });

    it('a message that both claim for an owner at the same instant goes to one of them', async () => {
      const handles = await stageTwo(openTwo, []);
      const owners = ['one', 'two'];
      const claim = async ({ store }: StoreFixture) =>
        await store.claims.claim({
          channel: 'main',
          messageId: 'A',
          owner: owners.pop() ?? '',
          ttlSeconds: HOUR / SECOND,
        });
      expect(await outcomes(handles, claim)).toEqual(['fulfilled', 'rejected']);
    });

    it('a value that both pin at the same instant is the same for both', async () => {
      const handles = await stageTwo(openTwo, []);
      const pinned = await both(handles, async ({ store }, index) => await store.upkeep.pin('id', `of ${index}`));
      expect(new Set(pinned).size).toBe(1);
    });
  });
}
