import { describe, expect, it } from 'vitest';
import { idsIn, judgements, message, messages, MINUTE, record, register, stage, target } from '../../support/ledger.js';
import type { OpenStore } from '../../support/ledger.js';

/** A batch of so many chats, one message each. */
function batchOf(chats: number): Record<string, unknown> {
  return messages(...Array.from({ length: chats }, (_, index) => message(`id-${index}`, `chat-${index}`)));
}

/** I3, I6: a target that asks for a split gets several deliveries of one webhook. */
export function splitContract(open: OpenStore): void {
  describe('a webhook that is split for a target', () => {
    it.each([
      ['chat', [['A1', 'A2'], ['B1']]],
      ['item', [['A1'], ['B1'], ['A2']]],
    ] as const)('I3: by %s gives each part once, however often the webhook comes', async (split, parts) => {
      const store = await stage(open, [target('bot', { split })]);
      const body = messages(message('A1', 'a'), message('B1', 'b'), message('A2', 'a'));
      expect(await record(store.ledger, body)).toMatchObject({ deliveries: parts.length });
      expect(await record(store.ledger, body)).toMatchObject({ deliveries: 0 });
      const made = await store.deliverAll();
      expect(made.map((delivery) => idsIn([delivery])).sort()).toEqual(parts.map((part) => [...part]).sort());
    });

    it('I6: one poisoned chat in a batch of 300 does not hold up the other 299', async () => {
      const store = await stage(open, [target('bot', { split: 'chat' })]);
      await store.record(batchOf(300));
      const { deliveries } = await store.claim({ limit: 300 });
      for (const each of deliveries) {
        await store.settle(each, idsIn([each])[0] === 'id-7' ? 'pending' : 'delivered', store.clock.now() + MINUTE);
      }
      await store.record(messages(message('next-7', 'chat-7'), message('next-8', 'chat-8')));
      expect(idsIn((await store.claim()).deliveries)).toEqual(['next-8']);
    });

    it('I6: by item keeps the order within a chat', async () => {
      const store = await stage(open, [target('bot', { split: 'item' })]);
      await store.record(messages(message('A1', 'a'), message('A2', 'a'), message('B1', 'b')));
      expect(idsIn((await store.claim()).deliveries)).toEqual(['A1', 'B1']);
    });

    it('leaves what is withheld held, and each message tells its own delivery', async () => {
      const store = await stage(open, [target('bot', { split: 'item' })]);
      await register(store, ['B']);
      await store.record(messages('A', 'B', 'C'));
      expect(idsIn(await store.deliverAll()).sort()).toEqual(['A', 'C']);
      expect(await judgements(store, 'B')).toEqual(['restored 3']);
      expect((await store.ledger.explain('main', 'A'))?.deliveries).toHaveLength(1);
      await store.ledger.release('main', 'B', null);
      expect(idsIn(await store.deliverAll())).toEqual(['B']);
    });

    it('of one part is the very bytes that came', async () => {
      const store = await stage(open, [target('bot', { split: 'chat' })]);
      const body = Buffer.from(' {"messages":[{"id":"A","chat_id":"a"} ,{"id":"B","chat_id":"a"}] }\n');
      await store.record(body);
      expect((await store.claimOne()).body).toEqual(body);
    });
  });
}
