import { describe, expect, it } from 'vitest';
import {
  DAY,
  HOUR,
  idsIn,
  judgements,
  message,
  messages,
  MINUTE,
  revisions,
  stage,
  START,
  status,
} from '../../support/store.js';
import type { OpenFixture } from '../../support/store.js';

const position = (sequence: number, latitude: number): Record<string, unknown> =>
  message('P', 'alice', { type: 'live_location', live_location: { sequence_number: sequence, latitude } });

const vote = (...voters: string[]): Record<string, unknown> =>
  message('poll', 'alice', { type: 'poll_update', poll: { total: voters.length, voters } });

const text = (words: string): Record<string, unknown> => message('A', 'alice', { text: { body: words } });

const participants = (action: string): Record<string, unknown> => ({
  groups_participants: [{ group_id: 'g', participants: ['1'], action }],
});

const muted = (until: number): Record<string, unknown> => ({
  chats_updates: [
    { before_update: { id: 'c' }, after_update: { id: 'c', mute_until: until }, changes: ['mute_until'] },
  ],
});

const label = (name: string): Record<string, unknown> => ({ labels: [{ id: '1', name }] });

const contact = { contacts: [{ id: 'alice' }] };

const call = { calls: [{ id: 'C', chat_id: 'alice' }] };

/** I3: tells Whapi's repetitions from further genuine items (rules 1, 2, 4 to 8 and 13). */
export function repetitionsContract(open: OpenFixture): void {
  describe('an id that comes again', () => {
    it('as a vote is an event for each new tally and a duplicate for a repeated one (rules 1, 2)', async () => {
      const fixture = await stage(open);
      await fixture.record(messages(message('poll', 'alice', { type: 'poll' })));
      for (const body of [vote('bob'), vote('bob', 'carol'), vote('bob'), vote('carol')]) {
        await fixture.record(messages(body));
        fixture.clock.advance(DAY);
      }
      expect(await judgements(fixture, 'poll')).toEqual(['new 10', 'event 2', 'event 2', 'duplicate 1', 'event 2']);
    });

    it('as a vote before its poll does not make the poll a duplicate', async () => {
      const fixture = await stage(open);
      await fixture.record(messages(vote('bob')));
      await fixture.record(messages(message('poll', 'alice', { type: 'poll' })));
      expect(await judgements(fixture, 'poll')).toEqual(['event 2', 'new 10']);
    });

    it('as a live location is an event for each new sequence number, independent of its other bytes (rules 4, 5)', async () => {
      const fixture = await stage(open);
      for (const body of [position(1, 10), position(2, 10), position(1, 11), position(2, 10), position(3, 10)]) {
        await fixture.record(messages(body));
        fixture.clock.advance(DAY);
      }
      expect(await judgements(fixture, 'P')).toEqual(['new 10', 'event 5', 'duplicate 4', 'duplicate 4', 'event 5']);
    });

    it('as a revision is an event with new bytes and a duplicate with known ones (rules 6, 7)', async () => {
      const fixture = await stage(open);
      await fixture.record(messages(text('first')));
      for (const words of ['first', 'second', 'second', 'third', 'second']) {
        await fixture.record(revisions(text(words)));
        fixture.clock.advance(DAY);
      }
      const expected = ['new 10', 'duplicate 6', 'event 7', 'duplicate 6', 'event 7', 'duplicate 6'];
      expect(await judgements(fixture, 'A')).toEqual(expected);
    });

    it('as a post is a duplicate, with the same or other bytes (rule 8)', async () => {
      const fixture = await stage(open);
      await fixture.record(messages(text('first')));
      await fixture.record(messages(text('second')));
      expect(await judgements(fixture, 'A')).toEqual(['new 10', 'duplicate 8']);
    });

    it('as the first post after puts is new, once (rule 17)', async () => {
      const fixture = await stage(open);
      for (const body of [revisions(text('second')), revisions(text('third'))]) await fixture.record(body);
      for (let times = 0; times < 2; times += 1) await fixture.record(messages(text('first')));
      expect(await judgements(fixture, 'A')).toEqual(['new 10', 'event 7', 'new 17', 'duplicate 8']);
      expect(idsIn(await fixture.deliverAll())).toEqual(['A', 'A', 'A']);
    });

    it('as a put after its post does not make the next post new', async () => {
      const fixture = await stage(open);
      for (const body of [messages(text('first')), revisions(text('second'))]) await fixture.record(body);
      expect(await fixture.record(messages(text('first')))).toEqual(['duplicate']);
    });

    it('after a placeholder is new, and the placeholder itself is then a duplicate', async () => {
      const fixture = await stage(open);
      const placeholder = message('A', 'alice', { type: 'unknown' });
      for (const body of [placeholder, placeholder, text('first'), placeholder, text('first')]) {
        await fixture.record(messages(body));
      }
      const expected = ['event 16', 'duplicate 15', 'new 10', 'duplicate 8', 'duplicate 8'];
      expect(await judgements(fixture, 'A')).toEqual(expected);
    });

    it('as a placeholder does not count as activity of its chat', async () => {
      const fixture = await stage(open);
      await fixture.record(messages(message('A', 'alice', { type: 'unknown', timestamp: START / 1000 })));
      fixture.clock.advance(2 * HOUR);
      const old = message('B', 'alice', { timestamp: START / 1000 - 5000 });
      expect(await fixture.record(messages(old))).toEqual(['new']);
    });

    it('is an event each time if it is empty', async () => {
      const fixture = await stage(open);
      for (const words of ['one', 'two', 'two']) {
        expect(await fixture.record(messages(message('', 'alice', { text: words })))).toEqual(['event']);
      }
    });
  });

  describe('an item without a message of its own (rule 13)', () => {
    it.each([
      [2 * HOUR - 1, 'duplicate'],
      [2 * HOUR + 1, 'event'],
    ])('that comes again after %i ms with the same bytes is: %s', async (pause, verdict) => {
      const fixture = await stage(open);
      expect(await fixture.record(status('A'))).toEqual(['event']);
      fixture.clock.advance(pause);
      expect(await fixture.record(status('A'))).toEqual([verdict]);
    });

    it('is an event with another event name or other bytes', async () => {
      const fixture = await stage(open);
      await fixture.record(status('A', 'alice', 'post'));
      expect(await fixture.record(status('A', 'alice', 'put'))).toEqual(['event']);
      expect(await fixture.record(status('A', 'bob', 'post'))).toEqual(['event']);
    });

    it.each([
      ['join, leave, join', [participants('add'), participants('remove'), participants('add')]],
      ['mute, unmute, mute', [muted(1), muted(0), muted(1)]],
      ['a label renamed and renamed back', [label('VIP'), label('Old'), label('VIP')]],
      ['a label made, removed and made again', [label('VIP'), { labels_removed: ['VIP'] }, label('VIP')]],
      [
        'a chat removed, made and removed again',
        [{ chats_removed: ['c'] }, { chats: [{ id: 'c' }] }, { chats_removed: ['c'] }],
      ],
      ['a contact removed and made again', [contact, { contacts_removed: ['alice'] }, contact]],
      [
        'a group left and joined again',
        [{ groups: [{ id: 'g' }] }, { groups_removed: ['g'] }, { groups: [{ id: 'g' }] }],
      ],
      [
        'a label changed and made again',
        [label('VIP'), { labels_updates: [{ after_update: { id: '1' } }] }, label('VIP')],
      ],
      ['a call that goes on', [call, { calls_updates: [{ after_update: { id: 'C' } }] }, call]],
    ])('that comes back after another change of its object is an event each time: %s', async (_, bodies) => {
      const fixture = await stage(open);
      for (const body of bodies) expect(await fixture.record(body)).toEqual(['event']);
      expect(await fixture.record(bodies[2])).toEqual(['duplicate']);
    });

    it('of a chat is an event when the chat is removed again after a message came in between', async () => {
      const fixture = await stage(open);
      const removal = { chats_removed: ['alice'] };
      await fixture.record(removal);
      fixture.clock.advance(MINUTE);
      await fixture.record(messages(message('A', 'alice')));
      expect(await fixture.record(removal)).toEqual(['event']);
    });

    it('does not extend its two hours by a repeat', async () => {
      const fixture = await stage(open);
      const verdicts: unknown[] = [];
      for (let times = 0; times < 4; times += 1) {
        verdicts.push(...(await fixture.record(status('A'))));
        fixture.clock.advance(HOUR - 1);
      }
      expect(verdicts).toEqual(['event', 'duplicate', 'duplicate', 'event']);
    });

    it('I3: is a duplicate in a repeated webhook that has several items about one object', async () => {
      const fixture = await stage(open);
      const body = { groups_participants: ['add', 'remove', 'add'].map((action) => ({ group_id: 'g', action })) };
      expect(await fixture.record(body)).toEqual(['event', 'event', 'event']);
      expect(await fixture.record(body)).toEqual(['duplicate', 'duplicate', 'duplicate']);
    });

    it('is remembered separately from items about other objects', async () => {
      const fixture = await stage(open);
      await fixture.record(status('A'));
      await fixture.record(status('B'));
      expect(await fixture.record(status('A'))).toEqual(['duplicate']);
    });

    it('does not make the message it is about known', async () => {
      const fixture = await stage(open);
      await fixture.record(status('A'));
      expect(await fixture.record(messages('A'))).toEqual(['new']);
      expect(await judgements(fixture, 'A')).toEqual(['event 14', 'new 10']);
    });

    it.each([
      ['contacts', 'duplicate', { contacts: [{ id: 'alice' }] }],
      ['messages_removed', 'duplicate', { messages_removed: ['A'] }],
      ['calls', 'duplicate', { calls: [{ id: 'C', chat_id: 'alice' }] }],
      ['an array that Whapi may add', 'duplicate', { stories_updates: [{ id: 'S' }] }],
      ['presences', 'event', { presences: [{ contact_id: 'alice', status: 'typing' }] }],
    ])('of %s that comes twice is at the second time: %s', async (_, verdict, body) => {
      const fixture = await stage(open);
      expect(await fixture.record(body)).toEqual(['event']);
      fixture.clock.advance(MINUTE);
      expect(await fixture.record(body)).toEqual([verdict]);
    });
  });
}
