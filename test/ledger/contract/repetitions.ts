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
  status,
} from '../../support/ledger.js';
import type { OpenStore } from '../../support/ledger.js';

const position = (sequence: number, latitude: number): Record<string, unknown> =>
  message('P', 'alice', { type: 'live_location', live_location: { sequence_number: sequence, latitude } });

const vote = (...voters: string[]): Record<string, unknown> =>
  message('poll', 'alice', { type: 'poll_update', poll: { total: voters.length, voters } });

const text = (words: string): Record<string, unknown> => message('A', 'alice', { text: { body: words } });

/** I3: what tells Whapi's repetition from a second genuine item (rules 1, 2, 4 to 8 and 13). */
export function repetitionsContract(open: OpenStore): void {
  describe('an id that comes again', () => {
    it('as a vote is an event for each new tally, and a duplicate for a tally that came before', async () => {
      const store = await stage(open);
      await store.record(messages(message('poll', 'alice', { type: 'poll' })));
      for (const body of [vote('bob'), vote('bob', 'carol'), vote('bob'), vote('carol')]) {
        await store.record(messages(body));
        store.clock.advance(DAY);
      }
      expect(await judgements(store, 'poll')).toEqual(['new 10', 'event 2', 'event 2', 'duplicate 1', 'event 2']);
    });

    it('as a vote before its poll does not make the poll a duplicate', async () => {
      const store = await stage(open);
      await store.record(messages(vote('bob')));
      await store.record(messages(message('poll', 'alice', { type: 'poll' })));
      expect(await judgements(store, 'poll')).toEqual(['event 2', 'new 10']);
    });

    it('as a live location is an event for each new position, whatever else its bytes say', async () => {
      const store = await stage(open);
      for (const body of [position(1, 10), position(2, 10), position(1, 11), position(2, 10), position(3, 10)]) {
        await store.record(messages(body));
        store.clock.advance(DAY);
      }
      expect(await judgements(store, 'P')).toEqual(['new 10', 'event 5', 'duplicate 4', 'duplicate 4', 'event 5']);
    });

    it('as a revision is an event for other bytes, and a duplicate for bytes that came before', async () => {
      const store = await stage(open);
      await store.record(messages(text('first')));
      for (const words of ['first', 'second', 'second', 'third', 'second']) {
        await store.record(revisions(text(words)));
        store.clock.advance(DAY);
      }
      const expected = ['new 10', 'duplicate 6', 'event 7', 'duplicate 6', 'event 7', 'duplicate 6'];
      expect(await judgements(store, 'A')).toEqual(expected);
    });

    it('as a post is a duplicate whatever its bytes are', async () => {
      const store = await stage(open);
      await store.record(messages(text('first')));
      await store.record(messages(text('second')));
      expect(await judgements(store, 'A')).toEqual(['new 10', 'duplicate 8']);
    });

    it('after it was first met as a revision is a duplicate', async () => {
      const store = await stage(open);
      await store.record(revisions(text('second')));
      await store.record(messages(text('first')));
      expect(await judgements(store, 'A')).toEqual(['new 10', 'duplicate 8']);
      expect(idsIn(await store.deliverAll())).toEqual(['A']);
    });
  });

  describe('an item without a message of its own', () => {
    it.each([
      [2 * HOUR - 1, 'duplicate'],
      [2 * HOUR + 1, 'event'],
    ])('that comes again after %i ms with the same bytes: %s', async (pause, verdict) => {
      const store = await stage(open);
      expect(await store.record(status('A'))).toEqual(['event']);
      store.clock.advance(pause);
      expect(await store.record(status('A'))).toEqual([verdict]);
    });

    it('is an event under another event name and with other bytes', async () => {
      const store = await stage(open);
      await store.record(status('A', 'alice', 'post'));
      expect(await store.record(status('A', 'alice', 'put'))).toEqual(['event']);
      expect(await store.record(status('A', 'bob', 'post'))).toEqual(['event']);
    });

    it('does not make the message that it is about known', async () => {
      const store = await stage(open);
      await store.record(status('A'));
      expect(await store.record(messages('A'))).toEqual(['new']);
      expect(await judgements(store, 'A')).toEqual(['event 14', 'new 10']);
    });

    it.each([
      ['contacts', 'duplicate', { contacts: [{ id: 'alice' }] }],
      ['messages_removed', 'duplicate', { messages_removed: ['A'] }],
      ['calls', 'duplicate', { calls: [{ id: 'C', chat_id: 'alice' }] }],
      ['an array that Whapi may add', 'duplicate', { stories_updates: [{ id: 'S' }] }],
      ['presences', 'event', { presences: [{ contact_id: 'alice', status: 'typing' }] }],
    ])('of %s that comes twice is at the second time: %s', async (_, verdict, body) => {
      const store = await stage(open);
      expect(await store.record(body)).toEqual(['event']);
      store.clock.advance(MINUTE);
      expect(await store.record(body)).toEqual([verdict]);
    });
  });
}
