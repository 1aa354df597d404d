import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  channel,
  DAY,
  first,
  idsIn,
  LEASE,
  message,
  messages,
  MINUTE,
  only,
  revisions,
  runJob,
  stage,
  START,
  status,
  target,
} from '../../support/ledger.js';
import type { OpenStore, Store } from '../../support/ledger.js';
import { OrderModel, orderSteps } from './order-model.js';

/** Records messages, each in a webhook of its own, given as `chat/id`. */
async function recordEach(store: Store, ...notes: string[]): Promise<void> {
  for (const note of notes) await store.record(messages(noted(note)));
}

function noted(note: string): Record<string, unknown> {
  const [chat = '', id = ''] = note.split('/');
  return message(id, chat);
}

/** Claims all that is due; gives the messages in it. */
async function claimIds(store: Store): Promise<string[]> {
  return idsIn((await store.claim()).deliveries);
}

/** I6: for one target, the deliveries of one chat are made one at a time, in the order in which they were recorded. */
export function orderContract(open: OpenStore): void {
  describe('I6: order per chat', () => {
    it('only the first of a chat can be claimed, and other chats flow', async () => {
      const store = await stage(open);
      await recordEach(store, 'alice/A1', 'alice/A2', 'bob/B1', 'alice/A3', 'bob/B2');
      expect(await claimIds(store)).toEqual(['A1', 'B1']);
      expect(await claimIds(store)).toEqual([]);
    });

    it.each(['delivered', 'dead', 'expired'] as const)(
      'a delivery that ends as %s lets its chat go on',
      async (end) => {
        const store = await stage(open);
        await recordEach(store, 'alice/A1', 'alice/A2', 'alice/A3');
        await store.settle(await store.claimOne(), end);
        expect(await claimIds(store)).toEqual(['A2']);
      },
    );

    it('a delivery that is to be tried again keeps its chat waiting, and no other', async () => {
      const store = await stage(open);
      await recordEach(store, 'alice/A1', 'alice/A2', 'bob/B1', 'bob/B2');
      for (const delivery of (await store.claim()).deliveries) {
        const outcome = idsIn([delivery]).includes('A1') ? 'pending' : 'delivered';
        await store.settle(delivery, outcome, START + MINUTE);
      }
      expect(await claimIds(store)).toEqual(['B2']);
      store.clock.advance(MINUTE);
      expect(await claimIds(store)).toEqual(['A1']);
    });

    it('a lease that runs out does not let the next of the chat pass', async () => {
      const store = await stage(open);
      await recordEach(store, 'alice/A1', 'alice/A2');
      await store.claim();
      store.clock.advance(LEASE);
      expect(await claimIds(store)).toEqual(['A1']);
    });

    it('a batch of several chats waits for all of them', async () => {
      const store = await stage(open);
      await recordEach(store, 'alice/A1', 'bob/B1');
      await store.record(messages(noted('alice/A2'), noted('bob/B2'), noted('bob/B3')));
      const claimed = (await store.claim()).deliveries;
      await store.settle(first(claimed), 'delivered');
      expect(await claimIds(store)).toEqual([]);
      await store.settle(only(claimed.slice(1)), 'dead');
      expect(await claimIds(store)).toEqual(['A2', 'B2', 'B3']);
    });

    it('a batch of several chats keeps all of them waiting', async () => {
      const store = await stage(open);
      await store.record(messages(noted('alice/A1'), noted('bob/B1'), noted('alice/A2')));
      await recordEach(store, 'alice/A3', 'bob/B2', 'carol/C1');
      const batch = first((await store.claim()).deliveries);
      expect(await claimIds(store)).toEqual([]);
      await store.settle(batch, 'delivered');
      expect(await claimIds(store)).toEqual(['A3', 'B2']);
    });

    it('an item that a target is not sent does not make its body wait for that chat', async () => {
      const store = await stage(open);
      await recordEach(store, 'alice/A1');
      await store.record(messages(noted('alice/A1'), noted('bob/B1')));
      expect(await claimIds(store)).toEqual(['A1', 'B1']);
    });

    it.each([
      ['a status', status('A1', 'alice')],
      ['a presence', { presences: [{ contact_id: 'alice' }], event: { type: 'presences', event: 'post' } }],
      ['a group event', { groups_participants: [{ group_id: 'alice' }], event: { type: 'groups', event: 'put' } }],
    ])('%s holds no message of its chat up, and waits for none', async (_, event) => {
      const store = await stage(open);
      await store.record(event);
      await recordEach(store, 'alice/A1');
      await store.record({ ...event, x: 'a second one, which is behind the first' });
      expect((await store.claim()).deliveries).toHaveLength(2);
    });

    it('messages of a chat keep one order, whatever their method', async () => {
      const store = await stage(open);
      await recordEach(store, 'alice/A1');
      await store.record(revisions(message('A1', 'alice', { text: 'edited' })));
      const update = { id: 'A1', after_update: { id: 'A1', chat_id: 'alice' } };
      await store.record({ messages_updates: [update], event: { type: 'messages', event: 'patch' } });
      expect((await store.deliverAll()).map(({ event }) => event.method)).toEqual(['post', 'put', 'patch']);
    });

    it('each target and each channel has an order of its own', async () => {
      const store = await stage(open, [target('bot'), target('archive')]);
      await store.ledger.addChannel(channel('second'));
      await recordEach(store, 'alice/A1', 'alice/A2');
      await store.record(messages(noted('alice/A1')), { channel: 'second' });
      const { deliveries } = await store.ledger.claim([{ targetId: 'bot', limit: 9 }], LEASE);
      await store.settle(first(deliveries), 'delivered');
      expect(deliveries.map((delivery) => delivery.channel)).toEqual(['main', 'second']);
      const claimed = (await store.claim()).deliveries.map((each) => `${each.target.id} ${idsIn([each]).join()}`);
      expect(claimed.sort()).toEqual(['archive A1', 'archive A1', 'bot A2']);
    });

    it('a retry of an old delivery goes to the end of its chat', async () => {
      const store = await stage(open);
      await recordEach(store, 'alice/A1');
      const old = await store.claimOne();
      await store.settle(old, 'dead');
      await recordEach(store, 'alice/A2', 'alice/A3');
      await store.ledger.retry(old.id);
      expect(await store.ledger.delivery(old.id)).toMatchObject({ status: 'pending', nextAttemptAt: null });
      await recordEach(store, 'alice/A4');
      expect(idsIn(await store.deliverAll())).toEqual(['A2', 'A3', 'A1', 'A4']);
    });

    it('a retry of one that is to be tried again keeps its place', async () => {
      const store = await stage(open);
      await recordEach(store, 'alice/A1', 'alice/A2');
      const waiting = await store.claimOne();
      await store.settle(waiting, 'pending', START + MINUTE);
      await store.ledger.retry(waiting.id);
      expect(idsIn(await store.deliverAll())).toEqual(['A1', 'A2']);
    });

    it('a retry of one that waits for its chat does not overtake', async () => {
      const store = await stage(open);
      await recordEach(store, 'alice/A1', 'alice/A2');
      const underWay = await store.claimOne();
      const [waiting] = (await store.ledger.deliveries({}, { limit: 1, cursor: null })).data;
      expect(await store.ledger.retry(waiting?.id ?? '')).toMatchObject({ status: 'pending', nextAttemptAt: null });
      expect(await claimIds(store)).toEqual([]);
      await store.settle(underWay, 'dead');
      expect(await claimIds(store)).toEqual(['A2']);
    });

    it('a retry of a batch waits again for all of its chats, and they for it', async () => {
      const store = await stage(open);
      await store.record(messages(noted('alice/A1'), noted('bob/B1')));
      const batch = await store.claimOne();
      await store.settle(batch, 'dead');
      await recordEach(store, 'alice/A2', 'bob/B2');
      await store.ledger.retry(batch.id);
      await recordEach(store, 'bob/B3');
      const claimed = (await store.claim()).deliveries;
      expect(idsIn(claimed)).toEqual(['A2', 'B2']);
      await store.settle(first(claimed), 'delivered');
      expect(await claimIds(store)).toEqual([]);
      await store.settle(only(claimed.slice(1)), 'expired');
      expect(idsIn(await store.deliverAll())).toEqual(['A1', 'B1', 'B3']);
    });

    it('a retry of many keeps their order', async () => {
      const store = await stage(open);
      await recordEach(store, 'alice/A1', 'alice/A2', 'alice/A3');
      for (let i = 0; i < 3; i += 1) {
        await store.settle(await store.claimOne(), 'dead');
      }
      await runJob(store, { kind: 'retry', filter: { status: 'dead' } });
      expect(idsIn(await store.deliverAll())).toEqual(['A1', 'A2', 'A3']);
    });

    it('holds after a restart', async () => {
      const store = await stage(open);
      await recordEach(store, 'alice/A1', 'alice/A2');
      await store.record(messages(noted('alice/A3'), noted('bob/B1')));
      await store.claim();
      await store.restart();
      await recordEach(store, 'bob/B2');
      store.clock.advance(LEASE);
      expect(idsIn(await store.deliverAll())).toEqual(['A1', 'A2', 'A3', 'B1', 'B2']);
    });

    it('holds when the clock was set back by a day, with a restart meanwhile', async () => {
      const store = await stage(open);
      await recordEach(store, 'alice/A1', 'alice/A2');
      store.clock.advance(-DAY);
      await store.restart();
      await recordEach(store, 'alice/A3');
      store.clock.advance(DAY);
      expect(idsIn(await store.deliverAll())).toEqual(['A1', 'A2', 'A3']);
    });

    it('of random recordings, claims and settlements: never two of one chat at once, never out of order', async () => {
      const store = await stage(open, []);
      let run = 0;
      const property = fc.asyncProperty(orderSteps, async (steps) => {
        const model = await OrderModel.start(store, `run${(run += 1)}`);
        for (const step of steps) await model.play(step);
        await model.finish();
      });
      await fc.assert(property, { numRuns: 12 });
    });
  });
}
