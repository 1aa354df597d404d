import { describe, expect, it } from 'vitest';
import type { LeftOutStatus } from '../../../src/model.js';
import type { ChatFacts, Delivery } from '../../../src/store/outbox.js';
import {
  first,
  idsIn,
  message,
  messages,
  only,
  refusal,
  revisions,
  SECOND,
  stage,
  START,
  target,
} from '../../support/store.js';
import type { OpenFixture, StoreFixture } from '../../support/store.js';

const BOTH = { answered: true, followed: true };

/** A message that was sent this many seconds after the start, by the number itself if it is `mine`. */
function sent(
  id: string,
  seconds: number,
  { chat = 'alice', mine = false, type = 'text' } = {},
): Record<string, unknown> {
  return message(id, chat, { timestamp: START / SECOND + seconds, from_me: mine, type });
}

/** The facts of the delivery that is due, after these webhooks. */
async function factsAfter(open: OpenFixture, ...webhooks: unknown[]): Promise<ChatFacts> {
  const fixture = await stage(open);
  fixture.clock.advance(1000 * SECOND);
  for (const webhook of webhooks) await fixture.record(webhook);
  return await fixture.store.outbox.chatFacts(await firstDue(fixture), BOTH);
}

async function firstDue(fixture: StoreFixture): Promise<Delivery> {
  return first((await fixture.claim({ limit: 1 })).deliveries);
}

async function heldIds({ store }: StoreFixture): Promise<(string | null)[]> {
  return (await store.items.list({ held: true }, { limit: 50, cursor: null })).data.map(({ messageId }) => messageId);
}

/** A store in which the delivery of the message `old` was left out. */
async function stageLeftOut(open: OpenFixture, status: LeftOutStatus = 'superseded') {
  const fixture = await stage(open);
  await fixture.record(messages('old'));
  const { id, lease } = await fixture.claimOne();
  await fixture.store.outbox.settle({ id, lease, status, attempt: null, reason: 'Not sent.' });
  return { fixture, id };
}

/** What the policies of a target need: facts of chats, and I4 for what they leave out. */
export function backlogContract(open: OpenFixture): void {
  describe('the facts of a chat', () => {
    it.each([
      ['nothing but the message', [], {}],
      ['a newer message', [sent('b', 2)], { isFollowed: true }],
      ['one of the same second', [sent('b', 1)], { isFollowed: true }],
      ['an older one that came late', [sent('b', 0)], {}],
      ['a newer one before an older one', [sent('b', 2), sent('c', 0)], { isFollowed: true }],
      ['a newer one in another chat', [sent('b', 2, { chat: 'bob' })], {}],
      ['an answer', [sent('b', 2, { mine: true })], { isAnswered: true }],
      ['an answer of the same second', [sent('b', 1, { mine: true })], {}],
      ['an older message of the number', [sent('b', 0, { mine: true })], {}],
      ['an answer in another chat', [sent('b', 2, { mine: true, chat: 'bob' })], {}],
      ['a reaction of the number', [sent('b', 2, { mine: true, type: 'action' })], {}],
      [
        'an answer before an older one',
        [sent('b', 3, { mine: true }), sent('c', 0, { mine: true })],
        { isAnswered: true },
      ],
    ])('after %s', async (_, later, expected) => {
      const facts = await factsAfter(open, messages(sent('a', 1)), ...later.map((each) => messages(each)));
      expect(facts).toEqual({ isAnswered: false, isFollowed: false, ...expected });
    });

    it('are those of every chat of a batch', async () => {
      const batch = messages(sent('a', 1), sent('b', 1, { chat: 'bob' }));
      const [alice, bob] = [messages(sent('c', 2)), messages(sent('d', 2, { chat: 'bob' }))];
      expect(await factsAfter(open, batch, alice)).toEqual({ isAnswered: false, isFollowed: false });
      expect(await factsAfter(open, batch, alice, bob)).toEqual({ isAnswered: false, isFollowed: true });
    });

    it('take the messages of a waiting batch by their chats', async () => {
      const batch = messages(sent('b', 0), sent('c', 9, { chat: 'bob' }));
      expect(await factsAfter(open, messages(sent('a', 1)), batch)).toMatchObject({ isFollowed: false });
    });

    it('count no revision as a newer message', async () => {
      const fixture = await stage(open);
      fixture.clock.advance(1000 * SECOND);
      for (const webhook of [messages(sent('b', 2)), messages(sent('a', 1))]) await fixture.record(webhook);
      await fixture.settle(await firstDue(fixture), 'delivered');
      await fixture.record(revisions({ ...sent('b', 2), text: { body: 'edited' } }));
      expect(await fixture.store.outbox.chatFacts(await firstDue(fixture), BOTH)).toMatchObject({ isFollowed: false });
    });

    it('never answer a message of the number itself, nor a body with one', async () => {
      const answer = messages(sent('c', 3, { mine: true }));
      expect(await factsAfter(open, messages(sent('a', 1, { mine: true })), answer)).toMatchObject({
        isAnswered: false,
      });
      const batch = messages(sent('a', 1), sent('b', 2, { mine: true }));
      expect(await factsAfter(open, batch, answer)).toMatchObject({ isAnswered: false });
    });

    it('survive a restart', async () => {
      const fixture = await stage(open);
      fixture.clock.advance(1000 * SECOND);
      await fixture.record(messages(sent('a', 1)));
      await fixture.record(messages(sent('b', 2, { mine: true })));
      await fixture.restart();
      expect(await fixture.store.outbox.chatFacts(await firstDue(fixture), BOTH)).toMatchObject({ isAnswered: true });
    });
  });

  describe('I4: a delivery that was left out', () => {
    it.each(['superseded', 'answered', 'withheld'] as const)(
      'as %s is listed, and its items are held',
      async (status) => {
        const { fixture, id } = await stageLeftOut(open, status);
        const listed = await fixture.store.outbox.deliveries({ status }, { limit: 50, cursor: null });
        expect(only(listed.data)).toMatchObject({ id, status, attempts: 0, lastError: 'Not sent.' });
        expect(await heldIds(fixture)).toEqual(['old']);
      },
    );

    it('lets the next one of its chat go, also after a restart', async () => {
      const { fixture } = await stageLeftOut(open);
      await fixture.record(messages('new'));
      await fixture.restart();
      expect(idsIn([await fixture.claimOne()])).toEqual(['new']);
    });

    it('can be released: its items are sent once, however old they are', async () => {
      const { fixture } = await stageLeftOut(open);
      await fixture.store.outbox.release('main', 'old', null);
      expect(await heldIds(fixture)).toEqual([]);
      expect(only(await fixture.deliverAll())).toMatchObject({ newestMessageAt: null, verdicts: ['new'] });
      await expect(fixture.store.outbox.release('main', 'old', null)).rejects.toEqual(refusal('GW_NOT_HELD'));
    });

    it('can be retried: it is sent however old it is, and its items are held no more', async () => {
      const { fixture, id } = await stageLeftOut(open);
      await fixture.store.outbox.retry(id);
      expect(await heldIds(fixture)).toEqual([]);
      expect(only(await fixture.deliverAll())).toMatchObject({ id, newestMessageAt: null });
    });

    it('is retried with many others', async () => {
      const { fixture, id } = await stageLeftOut(open);
      await fixture.store.jobs.add({ kind: 'retry', filter: { status: 'superseded' } });
      while ((await fixture.store.jobs.step()) !== null);
      expect(only(await fixture.deliverAll())).toMatchObject({ id });
      expect(await heldIds(fixture)).toEqual([]);
    });

    it.each([
      ['itself', 0],
      ['a newer copy of its message', 1],
    ])('is skipped by a bulk retry once %s was released', async (_, copies) => {
      const { fixture } = await stageLeftOut(open);
      for (let copy = 0; copy < copies; copy += 1) await fixture.record(messages('old'));
      const retry = await fixture.store.jobs.add({ kind: 'retry', filter: { status: 'superseded' } });
      await fixture.store.outbox.release('main', 'old', null);
      while ((await fixture.store.jobs.step()) !== null);
      expect(await fixture.store.jobs.get(retry.id)).toMatchObject({ total: 1, done: 0, skipped: 1 });
      expect(await fixture.deliverAll()).toHaveLength(1);
    });

    it('holds only its own items', async () => {
      const fixture = await stage(open, [target('bot', { split: 'item' }), target('other')]);
      await fixture.record(messages(sent('a', 1), sent('b', 2)));
      for (const { id, lease, body } of (await fixture.claim()).deliveries) {
        const status = idsIn([{ body }]).join() === 'a' ? 'superseded' : 'delivered';
        await fixture.store.outbox.settle({ id, lease, status, attempt: null });
      }
      expect(await heldIds(fixture)).toEqual(['a']);
    });
  });
}
