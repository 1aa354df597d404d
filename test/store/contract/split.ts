import { describe, expect, it } from 'vitest';
import { idsIn, judgements, message, messages, MINUTE, record, register, stage, target } from '../../support/store.js';
import type { OpenFixture } from '../../support/store.js';

/** A batch of the given number of chats, one message each. */
function batchOf(chats: number): Record<string, unknown> {
  return messages(...Array.from({ length: chats }, (_, index) => message(`id-${index}`, `chat-${index}`)));
}

/** I3, I6: a target with `split` gets several deliveries of one webhook. */
export function splitContract(open: OpenFixture): void {
  describe('a webhook that is split for a target', () => {
    it.each([
      ['chat', [['A1', 'A2'], ['B1']]],
      ['item', [['A1'], ['B1'], ['A2']]],
    ] as const)('I3: by %s gives each part once, however often the webhook comes', async (split, parts) => {
      const fixture = await stage(open, [target('bot', { split })]);
      const body = messages(message('A1', 'a'), message('B1', 'b'), message('A2', 'a'));
      expect(await record(fixture.store, body)).toMatchObject({ deliveries: parts.length });
      expect(await record(fixture.store, body)).toMatchObject({ deliveries: 0 });
      const made = await fixture.deliverAll();
      expect(made.map((delivery) => idsIn([delivery])).sort()).toEqual(parts.map((part) => [...part]).sort());
    });

    it('I6: delivers 299 of a batch of 300 chats although one chat is poisoned', async () => {
      const fixture = await stage(open, [target('bot', { split: 'chat' })]);
      await fixture.record(batchOf(300));
      const { deliveries } = await fixture.claim({ limit: 300 });
      for (const each of deliveries) {
        await fixture.settle(each, idsIn([each])[0] === 'id-7' ? 'pending' : 'delivered', fixture.clock.now() + MINUTE);
      }
      await fixture.record(messages(message('next-7', 'chat-7'), message('next-8', 'chat-8')));
      expect(idsIn((await fixture.claim()).deliveries)).toEqual(['next-8']);
    });

    it('I6: by item keeps the order within a chat', async () => {
      const fixture = await stage(open, [target('bot', { split: 'item' })]);
      await fixture.record(messages(message('A1', 'a'), message('A2', 'a'), message('B1', 'b')));
      expect(idsIn((await fixture.claim()).deliveries)).toEqual(['A1', 'B1']);
    });

    it('leaves withheld messages held, and each message shows its own delivery', async () => {
      const fixture = await stage(open, [target('bot', { split: 'item' })]);
      await register(fixture, ['B']);
      await fixture.record(messages('A', 'B', 'C'));
      expect(idsIn(await fixture.deliverAll()).sort()).toEqual(['A', 'C']);
      expect(await judgements(fixture, 'B')).toEqual(['restored 3']);
      expect((await fixture.store.items.explain('main', 'A'))?.deliveries).toHaveLength(1);
      await fixture.store.outbox.release('main', 'B', null);
      expect(idsIn(await fixture.deliverAll())).toEqual(['B']);
    });

    it('into one part is sent as the original bytes', async () => {
      const fixture = await stage(open, [target('bot', { split: 'chat' })]);
      const body = Buffer.from(' {"messages":[{"id":"A","chat_id":"a"} ,{"id":"B","chat_id":"a"}] }\n');
      await fixture.record(body);
      expect((await fixture.claimOne()).body).toEqual(body);
    });
  });
}
