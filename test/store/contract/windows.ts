import { describe, expect, it } from 'vitest';
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
} from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';
import type { CallResult } from '../../../src/store/resyncs.js';

/** Registers one id and asks Whapi for it: the window is open for an hour from now. */
async function ask(fixture: StoreFixture, id: string, answer: Partial<CallResult> = {}): Promise<string> {
  const { id: resyncId } = await register(fixture, [id]);
  await fixture.store.resyncs.settleCall(await takeCall(fixture), {
    status: 'waiting',
    nextAt: START + DAY,
    ...answer,
  });
  return resyncId;
}

async function statusOf(fixture: StoreFixture, resyncId: string): Promise<string | undefined> {
  return (await fixture.store.resyncs.messages(resyncId, { limit: 1, cursor: null })).data[0]?.status;
}

async function closeWindowsAfter(fixture: StoreFixture, ms: number): Promise<void> {
  fixture.clock.advance(ms);
  while ((await fixture.store.resyncs.closeWindows()) > 0);
}

const update = (fields: Record<string, unknown>): Record<string, unknown> => ({
  messages_updates: [{ id: 'A', after_update: { id: 'A', chat_id: 'alice' }, ...fields }],
});

const chatUpdate = (before: unknown, after: unknown): Record<string, unknown> => ({
  chats_updates: [{ before_update: before, after_update: { id: 'alice', last_message: after } }],
});

const put = revisions(message('A'));

/** I2: the effect of a registration, from its commit until its window closes. */
export function windowsContract(open: OpenFixture): void {
  describe('while a window is open', () => {
    it('I2: a message is restored even before Whapi was asked, and its call is not made any more', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A']);
      expect(await fixture.record(messages('A'))).toEqual(['restored']);
      expect(await fixture.store.resyncs.get(id)).toMatchObject({ status: 'finished', counts: { restored: 1 } });
      expect(await fixture.store.resyncs.takeCall('main', 'resync', HOUR)).toBeNull();
      expect(await fixture.deliverAll()).toEqual([]);
    });

    it('an old message is restored too, each time it comes', async () => {
      const fixture = await stage(open);
      await fixture.record(messages('A'));
      await ask(fixture, 'A');
      await fixture.record(messages('A'));
      await fixture.record(revisions(message('A')));
      expect(await judgements(fixture, 'A')).toEqual(['new 10', 'restored 3', 'restored 3']);
      expect(await fixture.deliverAll()).toHaveLength(1);
    });

    it('a placeholder is restored, but proves nothing and is sent to no bot', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A'], { deliverUnseen: true });
      expect(await fixture.record(messages(message('A', 'alice', { type: 'unknown' })))).toEqual(['restored']);
      expect(await statusOf(fixture, id)).toBe('queued');
      expect(await fixture.record(messages('A'))).toEqual(['restored']);
      expect(await statusOf(fixture, id)).toBe('restored');
      expect(idsIn(await fixture.deliverAll())).toEqual(['A']);
    });

    it('a put and the post after it are both sent with deliver_unseen, each once', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A'], { deliverUnseen: true });
      for (const body of [revisions(message('A')), messages('A'), revisions(message('A')), messages('A')]) {
        await fixture.record(body);
      }
      const methods = (await fixture.deliverAll()).map(({ event }) => event.method);
      expect(methods).toEqual(['put', 'post']);
    });

    it.each(['patch', 'delete'])('a message with the method %s is restored too', async (method) => {
      const fixture = await stage(open);
      await register(fixture, ['A']);
      expect(await fixture.record({ ...messages('A'), event: { type: 'messages', event: method } })).toEqual([
        'restored',
      ]);
    });

    it('the same id in another letter case, of a vote or in a quotation is judged as usual', async () => {
      const fixture = await stage(open);
      await ask(fixture, 'A');
      const vote = message('A', 'alice', { type: 'poll_update' });
      const quotation = message('B', 'alice', { context: { quoted_id: 'A' }, action: { target: 'A' } });
      expect(await fixture.record(messages('a', vote, quotation))).toEqual(['new', 'event', 'new']);
    });

    it.each([
      ['restored 11', 'an update of it', update({})],
      ['event 14', 'an update of it by a message of its own', update({ trigger: { id: 'reaction' } })],
      ['restored 12', 'a chat whose last message it is', { chats: [{ id: 'alice', last_message: { id: 'A' } }] }],
      ['restored 12', 'a chat whose last message it became', chatUpdate({ last_message: { id: 'Z' } }, { id: 'A' })],
      ['restored 12', 'a chat that had no last message', chatUpdate({}, { id: 'A' })],
    ])('%s: %s', async (judgement, _, body) => {
      const fixture = await stage(open);
      await ask(fixture, 'A');
      await fixture.record(body);
      expect(await judgements(fixture, 'A')).toEqual([judgement]);
      expect(await fixture.store.items.explain('main', 'A')).toMatchObject({
        ledger: null,
        resyncs: [{ status: 'waiting' }],
      });
    });

    it('a chat that had the message as its last one before is an event', async () => {
      const fixture = await stage(open);
      await ask(fixture, 'A');
      expect(await fixture.record(chatUpdate({ last_message: { id: 'A' } }, { id: 'A' }))).toEqual(['event']);
    });

    it.each(['queued', 'requesting', 'waiting', 'failed'] as const)(
      'its webhook restores a message that was %s',
      async (from) => {
        const fixture = await stage(open);
        const { id } = await register(fixture, ['A']);
        const call = from === 'queued' ? null : await takeCall(fixture);
        if (call && from !== 'requesting') {
          await fixture.store.resyncs.settleCall(call, {
            status: from,
            nextAt: null,
            refused: from === 'failed',
            error: 'No',
          });
        }
        expect(await statusOf(fixture, id)).toBe(from);
        fixture.clock.advance(SECOND);
        expect(await fixture.record(messages('A'))).toEqual(['restored']);
        const { data } = await fixture.store.resyncs.messages(id, { limit: 9, cursor: null });
        expect(data).toMatchObject([{ status: 'restored', restoredAt: START + SECOND, error: null }]);
      },
    );

    it('every registration of the id becomes restored, and the verdict holds while one window is open', async () => {
      const fixture = await stage(open);
      const first = await ask(fixture, 'A', { status: 'failed', nextAt: null });
      fixture.clock.advance(HOUR - 1);
      const second = await ask(fixture, 'A');
      await fixture.record(messages('A'));
      expect([await statusOf(fixture, first), await statusOf(fixture, second)]).toEqual(['restored', 'restored']);
      await closeWindowsAfter(fixture, HOUR - 1);
      expect(await fixture.record(messages('A'))).toEqual(['restored']);
      await closeWindowsAfter(fixture, 1);
      expect(await fixture.record(messages('A'))).toEqual(['duplicate']);
    });

    it('a registration of the id with a closed window stays unchanged', async () => {
      const fixture = await stage(open);
      const before = await ask(fixture, 'A', { status: 'failed', nextAt: null, refused: true });
      await closeWindowsAfter(fixture, HOUR);
      const now = await ask(fixture, 'A');
      await fixture.record(messages('A'));
      expect([await statusOf(fixture, before), await statusOf(fixture, now)]).toEqual(['failed', 'restored']);
    });

    it('cancelling leaves it open if Whapi was asked', async () => {
      const fixture = await stage(open);
      const id = await ask(fixture, 'A');
      await fixture.store.resyncs.cancel(id);
      expect(await fixture.record(messages('A'))).toEqual(['restored']);
      expect(await statusOf(fixture, id)).toBe('cancelled');
      await closeWindowsAfter(fixture, HOUR);
      expect(await fixture.record(messages('A'))).toEqual(['duplicate']);
    });
  });

  describe('a window closes', () => {
    it('exactly at its time', async () => {
      const fixture = await stage(open);
      const id = await ask(fixture, 'A');
      await closeWindowsAfter(fixture, HOUR - 1);
      expect(await statusOf(fixture, id)).toBe('waiting');
      expect(await fixture.record(messages('A'))).toEqual(['restored']);
      await closeWindowsAfter(fixture, 1);
      expect(await fixture.record(messages('A'))).toEqual(['duplicate']);
      expect(await statusOf(fixture, id)).toBe('restored');
    });

    it('an hour after the last call, however many calls came before', async () => {
      const fixture = await stage(open);
      await ask(fixture, 'A', { status: 'queued', nextAt: START });
      fixture.clock.advance(30 * MINUTE);
      await fixture.store.resyncs.settleCall(await takeCall(fixture), { status: 'waiting', nextAt: null });
      await closeWindowsAfter(fixture, HOUR - 1);
      expect(await fixture.record(messages('A'))).toEqual(['restored']);
    });

    it('never while Whapi has not been asked', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A']);
      await closeWindowsAfter(fixture, 365 * DAY);
      expect(await statusOf(fixture, id)).toBe('queued');
      expect(await fixture.record(messages('A'))).toEqual(['restored']);
    });

    it('eventually if the message came before Whapi was asked', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A']);
      await fixture.record(messages('A'));
      await closeWindowsAfter(fixture, DAY);
      expect(await fixture.record(messages('A'))).toEqual(['duplicate']);
    });

    it('without the message, which is then not restored, and a held duplicate if it comes months later', async () => {
      const fixture = await stage(open);
      const id = await ask(fixture, 'A');
      await closeWindowsAfter(fixture, HOUR);
      expect(await fixture.store.resyncs.get(id)).toMatchObject({ status: 'finished', counts: { not_restored: 1 } });
      expect(await fixture.store.items.explain('main', 'A')).toMatchObject({
        ledger: { firstSeenAt: null, rule: null },
      });
      fixture.clock.advance(90 * DAY);
      expect(await fixture.record(messages('A'))).toEqual(['duplicate']);
      expect(await fixture.store.items.explain('main', 'A')).toMatchObject({
        ledger: { firstSeenAt: START + HOUR + 90 * DAY, rule: 8 },
        sightings: [{ held: true }],
      });
      await fixture.store.outbox.release('main', 'A', null);
      expect(idsIn(await fixture.deliverAll())).toEqual(['A']);
    });

    it('at its time even before closeWindows runs', async () => {
      const fixture = await stage(open);
      await ask(fixture, 'A');
      fixture.clock.advance(HOUR);
      expect(await fixture.record(messages('A'))).toEqual(['duplicate']);
    });

    it('after a refusal by Whapi without adding the id to the ledger, so that the message is new if it comes', async () => {
      const fixture = await stage(open);
      await ask(fixture, 'A', { status: 'failed', nextAt: null, refused: true, closesAt: START + 15 * MINUTE });
      await closeWindowsAfter(fixture, 15 * MINUTE - 1);
      expect(await fixture.record(messages('B'))).toEqual(['new']);
      await closeWindowsAfter(fixture, 1);
      expect(await fixture.store.items.explain('main', 'A')).toMatchObject({
        ledger: null,
        resyncs: [{ status: 'failed' }],
      });
      expect(await fixture.record(messages('A'))).toEqual(['new']);
    });

    it('and adds the id to the ledger if Whapi accepted a later call', async () => {
      const fixture = await stage(open);
      await ask(fixture, 'A', { status: 'queued', nextAt: START, refused: true });
      await fixture.store.resyncs.settleCall(await takeCall(fixture), { status: 'waiting', nextAt: null });
      await closeWindowsAfter(fixture, HOUR);
      expect(await fixture.record(messages('A'))).toEqual(['duplicate']);
    });

    it('at once if the resync is cancelled before Whapi was asked', async () => {
      const fixture = await stage(open);
      const { id } = await register(fixture, ['A']);
      await fixture.store.resyncs.cancel(id);
      expect(await fixture.record(messages('A'))).toEqual(['new']);
      expect(await statusOf(fixture, id)).toBe('cancelled');
    });

    it.each([
      ['while it was open', false],
      ['before it was opened', true],
    ])('and makes the first post of a message that a put carried %s a duplicate', async (_, isPutFirst) => {
      const fixture = await stage(open);
      if (isPutFirst) await fixture.record(put);
      await ask(fixture, 'A');
      if (!isPutFirst) await fixture.record(put);
      await closeWindowsAfter(fixture, HOUR);
      expect(await fixture.record(messages('A'))).toEqual(['duplicate']);
    });

    it('after a refusal by Whapi without affecting the first post after a put, which is new', async () => {
      const fixture = await stage(open);
      await fixture.record(put);
      await ask(fixture, 'A', { status: 'failed', nextAt: null, refused: true, closesAt: START + 15 * MINUTE });
      await closeWindowsAfter(fixture, 15 * MINUTE);
      expect(await fixture.record(messages('A'))).toEqual(['new']);
    });

    it('together with hundreds of others', async () => {
      const fixture = await stage(open);
      const ids = Array.from({ length: 600 }, (_, index) => `M${index}`);
      const { id } = await register(fixture, ids);
      await Promise.all(ids.map(async () => await takeCall(fixture)));
      await closeWindowsAfter(fixture, HOUR);
      expect(await fixture.store.resyncs.get(id)).toMatchObject({
        status: 'finished',
        counts: { not_restored: 600 },
      });
      expect(await fixture.record(messages('M0', 'M599'))).toEqual(['duplicate', 'duplicate']);
    });
  });

  describe('with deliver_unseen', () => {
    it('a message that was never seen is sent once', async () => {
      const fixture = await stage(open);
      await register(fixture, ['A'], { deliverUnseen: true });
      expect(await fixture.record(messages('A'))).toEqual(['restored']);
      expect(await fixture.record(messages('A'))).toEqual(['restored']);
      const made = await fixture.deliverAll();
      expect(made.map(({ verdicts }) => verdicts)).toEqual([['restored']]);
      expect(idsIn(made)).toEqual(['A']);
    });

    it('a message that was seen before is held', async () => {
      const fixture = await stage(open, []);
      await fixture.record(messages('A'));
      await register(fixture, ['A'], { deliverUnseen: true });
      expect(await fixture.record(messages('A'))).toEqual(['restored']);
      expect(await fixture.deliverAll()).toEqual([]);
    });

    it('a message that Whapi was asked for before without success counts as never seen', async () => {
      const fixture = await stage(open);
      await ask(fixture, 'A');
      await closeWindowsAfter(fixture, HOUR);
      await register(fixture, ['A'], { deliverUnseen: true });
      expect(await fixture.record(messages('A', 'A'))).toEqual(['restored', 'restored']);
      expect(idsIn(await fixture.deliverAll())).toEqual(['A']);
    });

    it('one of several registrations is enough while its window is open', async () => {
      const fixture = await stage(open);
      const cancelled = await register(fixture, ['B'], { deliverUnseen: true });
      await fixture.store.resyncs.cancel(cancelled.id);
      await register(fixture, ['A', 'B']);
      await register(fixture, ['A'], { deliverUnseen: true });
      expect(await fixture.record(messages('A', 'B'))).toEqual(['restored', 'restored']);
      expect(idsIn(await fixture.deliverAll())).toEqual(['A']);
    });
  });
}
