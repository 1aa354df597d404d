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
} from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';
import { OrderModel, orderSteps } from './order-model.js';

/** Records messages, each in its own webhook, given as `chat/id`. */
async function recordEach(fixture: StoreFixture, ...notes: string[]): Promise<void> {
  for (const note of notes) await fixture.record(messages(noted(note)));
}

function noted(note: string): Record<string, unknown> {
  const [chat = '', id = ''] = note.split('/');
  return message(id, chat);
}

/** Claims everything that is due and returns the messages in it. */
async function claimIds(fixture: StoreFixture): Promise<string[]> {
  return idsIn((await fixture.claim()).deliveries);
}

/** I6: for one target, the deliveries of one chat are made one at a time, in the order in which they were recorded. */
export function orderContract(open: OpenFixture): void {
  describe('I6: order per chat', () => {
    it('only the first delivery of a chat can be claimed, and other chats proceed', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'alice/A1', 'alice/A2', 'bob/B1', 'alice/A3', 'bob/B2');
      expect(await claimIds(fixture)).toEqual(['A1', 'B1']);
      expect(await claimIds(fixture)).toEqual([]);
    });

    it.each(['delivered', 'dead', 'expired'] as const)(
      'a delivery that ends as %s unblocks the next one of its chat',
      async (end) => {
        const fixture = await stage(open);
        await recordEach(fixture, 'alice/A1', 'alice/A2', 'alice/A3');
        await fixture.settle(await fixture.claimOne(), end);
        expect(await claimIds(fixture)).toEqual(['A2']);
      },
    );

    it('a delivery that waits for a retry blocks its own chat and no other', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'alice/A1', 'alice/A2', 'bob/B1', 'bob/B2');
      for (const delivery of (await fixture.claim()).deliveries) {
        const outcome = idsIn([delivery]).includes('A1') ? 'pending' : 'delivered';
        await fixture.settle(delivery, outcome, START + MINUTE);
      }
      expect(await claimIds(fixture)).toEqual(['B2']);
      fixture.clock.advance(MINUTE);
      expect(await claimIds(fixture)).toEqual(['A1']);
    });

    it('an expired lease does not let the next delivery of the chat overtake', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'alice/A1', 'alice/A2');
      await fixture.claim();
      fixture.clock.advance(LEASE);
      expect(await claimIds(fixture)).toEqual(['A1']);
    });

    it('a batch of several chats waits for all of them', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'alice/A1', 'bob/B1');
      await fixture.record(messages(noted('alice/A2'), noted('bob/B2'), noted('bob/B3')));
      const claimed = (await fixture.claim()).deliveries;
      await fixture.settle(first(claimed), 'delivered');
      expect(await claimIds(fixture)).toEqual([]);
      await fixture.settle(only(claimed.slice(1)), 'dead');
      expect(await claimIds(fixture)).toEqual(['A2', 'B2', 'B3']);
    });

    it('a batch of several chats blocks all of them', async () => {
      const fixture = await stage(open);
      await fixture.record(messages(noted('alice/A1'), noted('bob/B1'), noted('alice/A2')));
      await recordEach(fixture, 'alice/A3', 'bob/B2', 'carol/C1');
      const batch = first((await fixture.claim()).deliveries);
      expect(await claimIds(fixture)).toEqual([]);
      await fixture.settle(batch, 'delivered');
      expect(await claimIds(fixture)).toEqual(['A3', 'B2']);
    });

    it('an item that is not sent to a target does not make its delivery wait for that chat', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'alice/A1');
      await fixture.record(messages(noted('alice/A1'), noted('bob/B1')));
      expect(await claimIds(fixture)).toEqual(['A1', 'B1']);
    });

    it.each([
      ['a status', status('A1', 'alice')],
      ['a presence', { presences: [{ contact_id: 'alice' }], event: { type: 'presences', event: 'post' } }],
      ['a group event', { groups_participants: [{ group_id: 'alice' }], event: { type: 'groups', event: 'put' } }],
    ])('%s neither blocks a message of its chat nor waits for one', async (_, event) => {
      const fixture = await stage(open);
      await fixture.record(event);
      await recordEach(fixture, 'alice/A1');
      await fixture.record({ ...event, x: 'a second one, which is behind the first' });
      expect((await fixture.claim()).deliveries).toHaveLength(2);
    });

    it('messages of a chat keep one order across methods', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'alice/A1');
      await fixture.record(revisions(message('A1', 'alice', { text: 'edited' })));
      const update = { id: 'A1', after_update: { id: 'A1', chat_id: 'alice' } };
      await fixture.record({ messages_updates: [update], event: { type: 'messages', event: 'patch' } });
      expect((await fixture.deliverAll()).map(({ event }) => event.method)).toEqual(['post', 'put', 'patch']);
    });

    it('each target and each channel has its own order', async () => {
      const fixture = await stage(open, [target('bot'), target('archive')]);
      await fixture.store.registry.addChannel(channel('second'));
      await recordEach(fixture, 'alice/A1', 'alice/A2');
      await fixture.record(messages(noted('alice/A1')), { channel: 'second' });
      const { deliveries } = await fixture.store.outbox.claim([{ targetId: 'bot', limit: 9 }], LEASE);
      await fixture.settle(first(deliveries), 'delivered');
      expect(deliveries.map((delivery) => delivery.channel)).toEqual(['main', 'second']);
      const claimed = (await fixture.claim()).deliveries.map((each) => `${each.target.id} ${idsIn([each]).join()}`);
      expect(claimed.sort()).toEqual(['archive A1', 'archive A1', 'bot A2']);
    });

    it('a retry of an old delivery moves to the end of its chat', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'alice/A1');
      const old = await fixture.claimOne();
      await fixture.settle(old, 'dead');
      await recordEach(fixture, 'alice/A2', 'alice/A3');
      await fixture.store.outbox.retry(old.id);
      expect(await fixture.store.outbox.delivery(old.id)).toMatchObject({ status: 'pending', nextAttemptAt: null });
      await recordEach(fixture, 'alice/A4');
      expect(idsIn(await fixture.deliverAll())).toEqual(['A2', 'A3', 'A1', 'A4']);
    });

    it('a manual retry of a delivery that waits for its next attempt keeps its place', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'alice/A1', 'alice/A2');
      const waiting = await fixture.claimOne();
      await fixture.settle(waiting, 'pending', START + MINUTE);
      await fixture.store.outbox.retry(waiting.id);
      expect(idsIn(await fixture.deliverAll())).toEqual(['A1', 'A2']);
    });

    it('a manual retry of a delivery that waits for its chat does not overtake', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'alice/A1', 'alice/A2');
      const underWay = await fixture.claimOne();
      const [waiting] = (await fixture.store.outbox.deliveries({}, { limit: 1, cursor: null })).data;
      expect(await fixture.store.outbox.retry(waiting?.id ?? '')).toMatchObject({
        status: 'pending',
        nextAttemptAt: null,
      });
      expect(await claimIds(fixture)).toEqual([]);
      await fixture.settle(underWay, 'dead');
      expect(await claimIds(fixture)).toEqual(['A2']);
    });

    it('a retry of a batch waits for all of its chats again, and they wait for it', async () => {
      const fixture = await stage(open);
      await fixture.record(messages(noted('alice/A1'), noted('bob/B1')));
      const batch = await fixture.claimOne();
      await fixture.settle(batch, 'dead');
      await recordEach(fixture, 'alice/A2', 'bob/B2');
      await fixture.store.outbox.retry(batch.id);
      await recordEach(fixture, 'bob/B3');
      const claimed = (await fixture.claim()).deliveries;
      expect(idsIn(claimed)).toEqual(['A2', 'B2']);
      await fixture.settle(first(claimed), 'delivered');
      expect(await claimIds(fixture)).toEqual([]);
      await fixture.settle(only(claimed.slice(1)), 'expired');
      expect(idsIn(await fixture.deliverAll())).toEqual(['A1', 'B1', 'B3']);
    });

    it('a bulk retry keeps the order of its deliveries', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'alice/A1', 'alice/A2', 'alice/A3');
      for (let i = 0; i < 3; i += 1) {
        await fixture.settle(await fixture.claimOne(), 'dead');
      }
      await runJob(fixture, { kind: 'retry', filter: { status: 'dead' } });
      expect(idsIn(await fixture.deliverAll())).toEqual(['A1', 'A2', 'A3']);
    });

    it('holds after a restart', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'alice/A1', 'alice/A2');
      await fixture.record(messages(noted('alice/A3'), noted('bob/B1')));
      await fixture.claim();
      await fixture.restart();
      await recordEach(fixture, 'bob/B2');
      fixture.clock.advance(LEASE);
      expect(idsIn(await fixture.deliverAll())).toEqual(['A1', 'A2', 'A3', 'B1', 'B2']);
    });

    it('holds when the clock goes back by a day, also with a restart in between', async () => {
      const fixture = await stage(open);
      await recordEach(fixture, 'alice/A1', 'alice/A2');
      fixture.clock.advance(-DAY);
      await fixture.restart();
      await recordEach(fixture, 'alice/A3');
      fixture.clock.advance(DAY);
      expect(idsIn(await fixture.deliverAll())).toEqual(['A1', 'A2', 'A3']);
    });

    it('holds for random recordings, claims and settlements: never two of one chat at once, never out of order', async () => {
      const fixture = await stage(open, []);
      let run = 0;
      const property = fc.asyncProperty(orderSteps, async (steps) => {
        const model = await OrderModel.start([fixture], `run${(run += 1)}`);
        for (const step of steps) await model.play(step);
        await model.finish();
      });
      await fc.assert(property, { numRuns: 12 });
    });
  });
}
