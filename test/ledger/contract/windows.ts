import { describe, expect, it } from 'vitest';
import type { CallResult } from '../../../src/ledger/ledger.js';
import {
  DAY,
  HOUR,
  idsIn,
  judgements,
  message,
  messages,
  MINUTE,
  register,
  revisions,
  SECOND,
  stage,
  START,
  takeCall,
} from '../../support/ledger.js';
import type { OpenStore, Store } from '../../support/ledger.js';

/** Registers one id and asks Whapi for it: the window is open for an hour from now. */
async function ask(store: Store, id: string, answer: Partial<CallResult> = {}): Promise<string> {
  const { id: resyncId } = await register(store, [id]);
  await store.ledger.settleCall(await takeCall(store), { status: 'waiting', nextAt: START + DAY, ...answer });
  return resyncId;
}

async function statusOf(store: Store, resyncId: string): Promise<string | undefined> {
  return (await store.ledger.resyncMessages(resyncId, { limit: 1, cursor: null })).data[0]?.status;
}

async function closeWindowsAfter(store: Store, ms: number): Promise<void> {
  store.clock.advance(ms);
  while ((await store.ledger.closeWindows()) > 0);
}

const update = (fields: Record<string, unknown>): Record<string, unknown> => ({
  messages_updates: [{ id: 'A', after_update: { id: 'A', chat_id: 'alice' }, ...fields }],
});

const chatUpdate = (before: unknown, after: unknown): Record<string, unknown> => ({
  chats_updates: [{ before_update: before, after_update: { id: 'alice', last_message: after } }],
});

const put = revisions(message('A'));

/** I2: what a registration changes, from its commit until its window closes. */
export function windowsContract(open: OpenStore): void {
  describe('while a window is open', () => {
    it('I2: a message is restored even before Whapi was asked, and no call is made for it any more', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A']);
      expect(await store.record(messages('A'))).toEqual(['restored']);
      expect(await store.ledger.resync(id)).toMatchObject({ status: 'finished', counts: { restored: 1 } });
      expect(await store.ledger.takeCall('main', 'resync', HOUR)).toBeNull();
      expect(await store.deliverAll()).toEqual([]);
    });

    it('a message that was sent long ago is restored as well, again and again', async () => {
      const store = await stage(open);
      await store.record(messages('A'));
      await ask(store, 'A');
      await store.record(messages('A'));
      await store.record(revisions(message('A')));
      expect(await judgements(store, 'A')).toEqual(['new 10', 'restored 3', 'restored 3']);
      expect(await store.deliverAll()).toHaveLength(1);
    });

    it('a placeholder of it is restored, but proves nothing and goes to no bot', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A'], { deliverUnseen: true });
      expect(await store.record(messages(message('A', 'alice', { type: 'unknown' })))).toEqual(['restored']);
      expect(await statusOf(store, id)).toBe('queued');
      expect(await store.record(messages('A'))).toEqual(['restored']);
      expect(await statusOf(store, id)).toBe('restored');
      expect(idsIn(await store.deliverAll())).toEqual(['A']);
    });

    it('a put and then its post both go to the bots with deliver_unseen, each once', async () => {
      const store = await stage(open);
      await register(store, ['A'], { deliverUnseen: true });
      for (const body of [revisions(message('A')), messages('A'), revisions(message('A')), messages('A')]) {
        await store.record(body);
      }
      const methods = (await store.deliverAll()).map(({ event }) => event.method);
      expect(methods).toEqual(['put', 'post']);
    });

    it.each(['patch', 'delete'])('a message of it is restored under the method %s as well', async (method) => {
      const store = await stage(open);
      await register(store, ['A']);
      expect(await store.record({ ...messages('A'), event: { type: 'messages', event: method } })).toEqual([
        'restored',
      ]);
    });

    it('the same id of a message in another letter case, of a vote and of a quotation are judged as ever', async () => {
      const store = await stage(open);
      await ask(store, 'A');
      const vote = message('A', 'alice', { type: 'poll_update' });
      const quotation = message('B', 'alice', { context: { quoted_id: 'A' }, action: { target: 'A' } });
      expect(await store.record(messages('a', vote, quotation))).toEqual(['new', 'event', 'new']);
    });

    it.each([
      ['restored 11', 'an update of it', update({})],
      ['event 14', 'an update of it by a message of its own', update({ trigger: { id: 'reaction' } })],
      ['restored 12', 'a chat whose last message it is', { chats: [{ id: 'alice', last_message: { id: 'A' } }] }],
      ['restored 12', 'a chat whose last message it became', chatUpdate({ last_message: { id: 'Z' } }, { id: 'A' })],
      ['restored 12', 'a chat that had no last message', chatUpdate({}, { id: 'A' })],
    ])('%s: %s', async (judgement, _, body) => {
      const store = await stage(open);
      await ask(store, 'A');
      await store.record(body);
      expect(await judgements(store, 'A')).toEqual([judgement]);
      expect(await store.ledger.explain('main', 'A')).toMatchObject({ ledger: null, resyncs: [{ status: 'waiting' }] });
    });

    it('a chat whose last message it was before is an event', async () => {
      const store = await stage(open);
      await ask(store, 'A');
      expect(await store.record(chatUpdate({ last_message: { id: 'A' } }, { id: 'A' }))).toEqual(['event']);
    });

    it.each(['queued', 'requesting', 'waiting', 'failed'] as const)(
      'its webhook makes restored what was %s',
      async (from) => {
        const store = await stage(open);
        const { id } = await register(store, ['A']);
        const call = from === 'queued' ? null : await takeCall(store);
        if (call && from !== 'requesting') {
          await store.ledger.settleCall(call, { status: from, nextAt: null, refused: from === 'failed', error: 'No' });
        }
        expect(await statusOf(store, id)).toBe(from);
        store.clock.advance(SECOND);
        expect(await store.record(messages('A'))).toEqual(['restored']);
        const { data } = await store.ledger.resyncMessages(id, { limit: 9, cursor: null });
        expect(data).toMatchObject([{ status: 'restored', restoredAt: START + SECOND, error: null }]);
      },
    );

    it('every registration of the id becomes restored, and the verdict holds while one window is open', async () => {
      const store = await stage(open);
      const first = await ask(store, 'A', { status: 'failed', nextAt: null });
      store.clock.advance(HOUR - 1);
      const second = await ask(store, 'A');
      await store.record(messages('A'));
      expect([await statusOf(store, first), await statusOf(store, second)]).toEqual(['restored', 'restored']);
      await closeWindowsAfter(store, HOUR - 1);
      expect(await store.record(messages('A'))).toEqual(['restored']);
      await closeWindowsAfter(store, 1);
      expect(await store.record(messages('A'))).toEqual(['duplicate']);
    });

    it('a registration of the id whose own window has closed stays as it was', async () => {
      const store = await stage(open);
      const before = await ask(store, 'A', { status: 'failed', nextAt: null, refused: true });
      await closeWindowsAfter(store, HOUR);
      const now = await ask(store, 'A');
      await store.record(messages('A'));
      expect([await statusOf(store, before), await statusOf(store, now)]).toEqual(['failed', 'restored']);
    });

    it('cancelling does not close it where Whapi was asked', async () => {
      const store = await stage(open);
      const id = await ask(store, 'A');
      await store.ledger.cancelResync(id);
      expect(await store.record(messages('A'))).toEqual(['restored']);
      expect(await statusOf(store, id)).toBe('cancelled');
      await closeWindowsAfter(store, HOUR);
      expect(await store.record(messages('A'))).toEqual(['duplicate']);
    });
  });

  describe('a window closes', () => {
    it('exactly when it says so', async () => {
      const store = await stage(open);
      const id = await ask(store, 'A');
      await closeWindowsAfter(store, HOUR - 1);
      expect(await statusOf(store, id)).toBe('waiting');
      expect(await store.record(messages('A'))).toEqual(['restored']);
      await closeWindowsAfter(store, 1);
      expect(await store.record(messages('A'))).toEqual(['duplicate']);
      expect(await statusOf(store, id)).toBe('restored');
    });

    it('an hour after the last call, whatever was before it', async () => {
      const store = await stage(open);
      await ask(store, 'A', { status: 'queued', nextAt: START });
      store.clock.advance(30 * MINUTE);
      await store.ledger.settleCall(await takeCall(store), { status: 'waiting', nextAt: null });
      await closeWindowsAfter(store, HOUR - 1);
      expect(await store.record(messages('A'))).toEqual(['restored']);
    });

    it('never while Whapi was not asked', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A']);
      await closeWindowsAfter(store, 365 * DAY);
      expect(await statusOf(store, id)).toBe('queued');
      expect(await store.record(messages('A'))).toEqual(['restored']);
    });

    it('in the end also where the message came before Whapi was asked', async () => {
      const store = await stage(open);
      await register(store, ['A']);
      await store.record(messages('A'));
      await closeWindowsAfter(store, DAY);
      expect(await store.record(messages('A'))).toEqual(['duplicate']);
    });

    it('without its message: not restored, and should it come months later, a duplicate that is held', async () => {
      const store = await stage(open);
      const id = await ask(store, 'A');
      await closeWindowsAfter(store, HOUR);
      expect(await store.ledger.resync(id)).toMatchObject({ status: 'finished', counts: { not_restored: 1 } });
      expect(await store.ledger.explain('main', 'A')).toMatchObject({ ledger: { firstSeenAt: null, rule: null } });
      store.clock.advance(90 * DAY);
      expect(await store.record(messages('A'))).toEqual(['duplicate']);
      expect(await store.ledger.explain('main', 'A')).toMatchObject({
        ledger: { firstSeenAt: START + HOUR + 90 * DAY, rule: 8 },
        sightings: [{ held: true }],
      });
      await store.ledger.release('main', 'A', null);
      expect(idsIn(await store.deliverAll())).toEqual(['A']);
    });

    it('at its time even where closeWindows has not been called yet', async () => {
      const store = await stage(open);
      await ask(store, 'A');
      store.clock.advance(HOUR);
      expect(await store.record(messages('A'))).toEqual(['duplicate']);
    });

    it('where Whapi refused the call without the id in the ledger: what comes then is new', async () => {
      const store = await stage(open);
      await ask(store, 'A', { status: 'failed', nextAt: null, refused: true, closesAt: START + 15 * MINUTE });
      await closeWindowsAfter(store, 15 * MINUTE - 1);
      expect(await store.record(messages('B'))).toEqual(['new']);
      await closeWindowsAfter(store, 1);
      expect(await store.ledger.explain('main', 'A')).toMatchObject({ ledger: null, resyncs: [{ status: 'failed' }] });
      expect(await store.record(messages('A'))).toEqual(['new']);
    });

    it('with the id in the ledger where Whapi took a later call', async () => {
      const store = await stage(open);
      await ask(store, 'A', { status: 'queued', nextAt: START, refused: true });
      await store.ledger.settleCall(await takeCall(store), { status: 'waiting', nextAt: null });
      await closeWindowsAfter(store, HOUR);
      expect(await store.record(messages('A'))).toEqual(['duplicate']);
    });

    it('at once where Whapi was never asked and the resync is cancelled', async () => {
      const store = await stage(open);
      const { id } = await register(store, ['A']);
      await store.ledger.cancelResync(id);
      expect(await store.record(messages('A'))).toEqual(['new']);
      expect(await statusOf(store, id)).toBe('cancelled');
    });

    it.each([
      ['while it was open', false],
      ['before it was opened', true],
    ])('after which the first post of a message that a put carried %s is a duplicate', async (_, isPutFirst) => {
      const store = await stage(open);
      if (isPutFirst) await store.record(put);
      await ask(store, 'A');
      if (!isPutFirst) await store.record(put);
      await closeWindowsAfter(store, HOUR);
      expect(await store.record(messages('A'))).toEqual(['duplicate']);
    });

    it('without a word about a put where Whapi refused the call: the first post after it is new', async () => {
      const store = await stage(open);
      await store.record(put);
      await ask(store, 'A', { status: 'failed', nextAt: null, refused: true, closesAt: START + 15 * MINUTE });
      await closeWindowsAfter(store, 15 * MINUTE);
      expect(await store.record(messages('A'))).toEqual(['new']);
    });

    it('by the hundred', async () => {
      const store = await stage(open);
      const ids = Array.from({ length: 600 }, (_, index) => `M${index}`);
      const { id } = await register(store, ids);
      await Promise.all(ids.map(async () => await takeCall(store)));
      await closeWindowsAfter(store, HOUR);
      expect(await store.ledger.resync(id)).toMatchObject({ status: 'finished', counts: { not_restored: 600 } });
      expect(await store.record(messages('M0', 'M599'))).toEqual(['duplicate', 'duplicate']);
    });
  });

  describe('with deliver_unseen', () => {
    it('a message that was never seen is sent, once', async () => {
      const store = await stage(open);
      await register(store, ['A'], { deliverUnseen: true });
      expect(await store.record(messages('A'))).toEqual(['restored']);
      expect(await store.record(messages('A'))).toEqual(['restored']);
      const made = await store.deliverAll();
      expect(made.map(({ verdicts }) => verdicts)).toEqual([['restored']]);
      expect(idsIn(made)).toEqual(['A']);
    });

    it('a message that was seen before is held', async () => {
      const store = await stage(open, []);
      await store.record(messages('A'));
      await register(store, ['A'], { deliverUnseen: true });
      expect(await store.record(messages('A'))).toEqual(['restored']);
      expect(await store.deliverAll()).toEqual([]);
    });

    it('a message that Whapi was asked for in vain before still counts as never seen', async () => {
      const store = await stage(open);
      await ask(store, 'A');
      await closeWindowsAfter(store, HOUR);
      await register(store, ['A'], { deliverUnseen: true });
      expect(await store.record(messages('A', 'A'))).toEqual(['restored', 'restored']);
      expect(idsIn(await store.deliverAll())).toEqual(['A']);
    });

    it('one of several registrations is enough, as long as its window is open', async () => {
      const store = await stage(open);
      const cancelled = await register(store, ['B'], { deliverUnseen: true });
      await store.ledger.cancelResync(cancelled.id);
      await register(store, ['A', 'B']);
      await register(store, ['A'], { deliverUnseen: true });
      expect(await store.record(messages('A', 'B'))).toEqual(['restored', 'restored']);
      expect(idsIn(await store.deliverAll())).toEqual(['A']);
    });
  });
}
