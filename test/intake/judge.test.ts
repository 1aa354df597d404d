import { describe, expect, it } from 'vitest';
import type { Item } from '../../src/intake/decode.js';
import { isUnseen, judge, writesLedger } from '../../src/intake/judge.js';
import type { Memory } from '../../src/intake/judge.js';
import type { Verdict } from '../../src/model.js';
import { AT, HOUR_MS, itemOf, memory, message, NOW, NOW_SECONDS } from '../support/items.js';

/** The newest message of the chat is from now and was received more than an hour ago. */
const newestOfOldReceipt = { timestamp: NOW_SECONDS, receivedAt: NOW - HOUR_MS - 1 };
/** Everything that can be remembered about an item. */
const all = memory({ registered: true, known: true, recorded: true, newestInChat: newestOfOldReceipt });

const vote = (change: Partial<Item> = {}) => message({ type: 'poll_update', ...change });
const position = (change: Partial<Item> = {}) => message({ type: 'live_location', sequence: 7, ...change });
const placeholder = (change: Partial<Item> = {}) => message({ type: 'unknown', ...change });
const put = (change: Partial<Item> = {}) => message({ method: 'put', ...change });
const update = (change: Partial<Item> = {}) => itemOf('messages_updates', 'update', { method: 'patch', ...change });
const chat = (change: Partial<Item> = {}) => itemOf('chats', 'chat', change);
const status = (change: Partial<Item> = {}) => itemOf('statuses', 'other', change);
const presence = (change: Partial<Item> = {}) => itemOf('presences', 'other', { repeatable: false, ...change });
const withoutId = (change: Partial<Item> = {}) => message({ kind: 'other', messageId: null, ...change });

type Case = readonly [what: string, item: Item, remembered: Partial<Memory>, verdict: Verdict, rule: number];

function expectEach(cases: readonly Case[]): void {
  it.each(cases)('%s', (_what, item, remembered, verdict, rule) => {
    expect(judge(item, memory(remembered), AT)).toEqual({ verdict, rule });
  });
}

describe('a vote is judged by its bytes, because it reuses the id of its poll (rows 1 and 2):', () => {
  expectEach([
    ['a vote with bytes recorded before is a duplicate', vote(), { recorded: true }, 'duplicate', 1],
    ['a vote with other bytes is an event', vote(), {}, 'event', 2],
    ['a vote under a known id is an event', vote(), { known: true }, 'event', 2],
    ['a vote on a poll being resynced is an event', vote(), { registered: true, known: true }, 'event', 2],
    ['a repeated vote is a duplicate even while its poll is resynced', vote(), all, 'duplicate', 1],
    ['a vote on put is judged the same way', vote({ method: 'put' }), all, 'duplicate', 1],
    ['a vote on patch is judged the same way', vote({ method: 'patch' }), {}, 'event', 2],
    ['a vote is never late', vote({ timestamp: 1 }), { newestInChat: newestOfOldReceipt }, 'event', 2],
  ]);
});

describe('a registered message is restored (row 3)', () => {
  expectEach([
    ['on post', message(), { registered: true }, 'restored', 3],
    ['on put', put(), { registered: true }, 'restored', 3],
    ['even if its id and bytes are known', message(), all, 'restored', 3],
    ['on put with known bytes', put(), all, 'restored', 3],
    ['also as a live location with a known position', position(), all, 'restored', 3],
    ['also as an action, by its own id', message({ type: 'action' }), { registered: true }, 'restored', 3],
    ['also without a type', message({ type: null }), { registered: true }, 'restored', 3],
    ['and never late, however old it is', message({ timestamp: 1 }), { ...all, known: false }, 'restored', 3],
    ['on patch', message({ method: 'patch' }), { registered: true }, 'restored', 3],
    ['on delete', message({ method: 'delete' }), { registered: true }, 'restored', 3],
    ['also as a placeholder', placeholder(), { registered: true, recorded: true }, 'restored', 3],
  ]);
});

describe('a message that equals a registered one, but for its id, is restored (row 18)', () => {
  expectEach([
    ['on post', message(), { resembles: true }, 'restored', 18],
    ['on put', put(), { resembles: true }, 'restored', 18],
    ['also if it came before under this id', message(), { resembles: true, known: true }, 'restored', 18],
    ['also on post after puts', message(), { resembles: true, known: true, unposted: true }, 'restored', 18],
    [
      'and never late',
      message({ timestamp: 1 }),
      { resembles: true, newestInChat: newestOfOldReceipt },
      'restored',
      18,
    ],
    ['but by row 3 if its own id is registered', message(), { resembles: true, registered: true }, 'restored', 3],
    ['and a vote is still a vote', vote(), { resembles: true }, 'event', 2],
    ['and an update still an event', update(), { resembles: true }, 'event', 14],
  ]);
});

describe('a message of a replay that its channel holds is restored (row 19)', () => {
  expectEach([
    ['if it was never seen', message(), { replayed: true }, 'restored', 19],
    ['on put too', put(), { replayed: true }, 'restored', 19],
    ['and not late', message({ timestamp: 1 }), { replayed: true, newestInChat: newestOfOldReceipt }, 'restored', 19],
    ['but a known one is a duplicate', message(), { replayed: true, known: true }, 'duplicate', 8],
    ['and a registered one restored by row 3', message(), { replayed: true, registered: true }, 'restored', 3],
    ['and a first post after puts new', message(), { replayed: true, known: true, unposted: true }, 'new', 17],
    ['and a placeholder an event', placeholder(), { replayed: true }, 'event', 16],
    ['and a vote an event', vote(), { replayed: true }, 'event', 2],
    ['and a status an event', status(), { replayed: true }, 'event', 14],
  ]);
});

describe('a placeholder is not the message (rows 15 and 16):', () => {
  expectEach([
    ['a placeholder of an unknown id is an event', placeholder(), {}, 'event', 16],
    ['a repeated one is a duplicate', placeholder(), { recorded: true }, 'duplicate', 15],
    ['on put it is an event too', placeholder({ method: 'put' }), {}, 'event', 16],
    ['it is never late', placeholder({ timestamp: 1 }), { newestInChat: newestOfOldReceipt }, 'event', 16],
    ['on post for a known message it is a duplicate', placeholder(), { known: true }, 'duplicate', 8],
    ['on post after puts it is a duplicate too', placeholder(), { known: true, unposted: true }, 'duplicate', 8],
  ]);
});

describe('a put that overtakes its post (row 17)', () => {
  const onlyPut = { known: true, unposted: true };
  expectEach([
    ['leaves its first post new', message(), onlyPut, 'new', 17],
    ['also with the same bytes', message(), { ...onlyPut, recorded: true }, 'new', 17],
    ['even when old', message({ timestamp: 1 }), { ...onlyPut, newestInChat: newestOfOldReceipt }, 'new', 17],
    ['also for a live location', position(), { ...onlyPut, recorded: true }, 'new', 17],
    ['and a second put an event as usual', put(), onlyPut, 'event', 7],
    ['and a vote an event as usual', vote(), onlyPut, 'event', 2],
    ['and a registered message restored', message(), { ...onlyPut, registered: true }, 'restored', 3],
  ]);
});

describe('a live location has several positions under one id (rows 4 and 5):', () => {
  expectEach([
    ['the same position again is a duplicate', position(), { known: true, recorded: true }, 'duplicate', 4],
    ['another position is an event', position(), { known: true }, 'event', 5],
    ['the first position is new', position(), {}, 'new', 10],
    ['a position recorded under an unknown id is new', position(), { recorded: true }, 'new', 10],
    ['on put a repeated one is too', position({ method: 'put' }), { known: true, recorded: true }, 'duplicate', 4],
    ['on put another position is an event', position({ method: 'put' }), { known: true }, 'event', 5],
    ['on patch another position is an event', position({ method: 'patch' }), { known: true }, 'event', 5],
  ]);
});

describe('a message that the ledger knows (rows 6 to 8)', () => {
  expectEach([
    ['on put with the same bytes is a duplicate', put(), { known: true, recorded: true }, 'duplicate', 6],
    ['on put with other bytes is a revision, an event', put(), { known: true }, 'event', 7],
    ['on post is a duplicate', message(), { known: true }, 'duplicate', 8],
    ['on post with the same bytes is a duplicate too', message(), { known: true, recorded: true }, 'duplicate', 8],
    ['is never late', message({ timestamp: 1 }), { known: true, newestInChat: newestOfOldReceipt }, 'duplicate', 8],
    ['on patch is not new', message({ method: 'patch' }), { known: true }, 'event', 14],
    ['on delete is not new', message({ method: 'delete' }), { known: true, recorded: true }, 'event', 14],
  ]);
});

describe('a message that was not seen before (rows 9 and 10)', () => {
  const newestCame = (agoMs: number): Partial<Memory> => ({
    newestInChat: { timestamp: NOW_SECONDS, receivedAt: NOW - agoMs },
  });
  const behind = (seconds: number, change: Partial<Item> = {}) =>
    message({ timestamp: NOW_SECONDS - seconds, ...change });
  expectEach([
    ['is new in a chat without recorded messages, however old', message({ timestamp: 1 }), {}, 'new', 10],
    ['is late 901 seconds behind one received over an hour ago', behind(901), newestCame(HOUR_MS + 1), 'late', 9],
    ['is new exactly 900 seconds behind', behind(900), newestCame(HOUR_MS + 1), 'new', 10],
    ['is late 900.5 seconds behind', behind(900.5), newestCame(HOUR_MS + 1), 'late', 9],
    ['is new behind one received exactly an hour ago', behind(901), newestCame(HOUR_MS), 'new', 10],
    ['is new behind one received just now', behind(1_000_000), newestCame(0), 'new', 10],
    ['is new ahead of the newest', behind(-901), newestCame(HOUR_MS + 1), 'new', 10],
    ['is new without a timestamp', message({ timestamp: null }), { newestInChat: newestOfOldReceipt }, 'new', 10],
    ['is late on put too', behind(901, { method: 'put' }), newestCame(HOUR_MS + 1), 'late', 9],
    ['is late on patch too', behind(901, { method: 'patch' }), newestCame(HOUR_MS + 1), 'late', 9],
    ['is new on put', put(), {}, 'new', 10],
    ['is new on put even if its bytes came as another item', put(), { recorded: true }, 'new', 10],
    ['is new on patch', message({ method: 'patch' }), {}, 'new', 10],
    ['is new on delete', message({ method: 'delete' }), {}, 'new', 10],
    ['is new as an action', message({ type: 'action' }), {}, 'new', 10],
  ]);

  it.each([
    [0, 1, 'late'],
    [0, 0, 'new'],
    [86_400, 86_400, 'new'],
    [86_400, 86_401, 'late'],
  ])('with late_after_seconds %i and %i seconds behind is %s', (lateAfterSeconds, seconds, verdict) => {
    const item = behind(seconds);
    const at = { ...AT, lateAfterSeconds };
    expect(judge(item, memory({ newestInChat: newestOfOldReceipt }), at).verdict).toBe(verdict);
  });
});

describe('a side effect of a resync (rows 11 and 12):', () => {
  expectEach([
    ['an update of a registered message is restored', update(), { registered: true }, 'restored', 11],
    ['also when its bytes were recorded', update(), { registered: true, recorded: true }, 'restored', 11],
    ['one with its own trigger is an event', update({ ownTrigger: true }), { registered: true }, 'event', 14],
    ['an update of a known message is an event', update(), { known: true }, 'event', 14],
    ['a chat whose last message is registered is restored', chat(), { registered: true }, 'restored', 12],
    ['also when its bytes were recorded', chat(), { registered: true, recorded: true }, 'restored', 12],
    ['a chat whose last message is only known is an event', chat(), { known: true }, 'event', 14],
    ['a status of a registered message is an event', status(), { registered: true }, 'event', 14],
    ['a chat is never late', chat({ timestamp: 1 }), { newestInChat: newestOfOldReceipt }, 'event', 14],
  ]);
});

describe('a repetition of an item that is not a message (row 13):', () => {
  expectEach([
    ['a status with recently recorded bytes is a duplicate', status(), { recorded: true }, 'duplicate', 13],
    ['so is an update', update(), { recorded: true }, 'duplicate', 13],
    ['so is an update with a trigger', update({ ownTrigger: true }), all, 'duplicate', 13],
    ['so is a chat', chat(), { recorded: true, known: true }, 'duplicate', 13],
    ['so is a status of a registered message', status(), all, 'duplicate', 13],
    ['a status with other bytes is an event', status(), {}, 'event', 14],
  ]);
});

describe('any other item is an event (row 14):', () => {
  const document = itemOf('', 'other', { array: -1, messageId: null, chatId: null, repeatable: false });
  expectEach([
    ['a presence, even a repeated one', presence(), all, 'event', 14],
    ['a document without items, even a repeated one', document, all, 'event', 14],
    ['a message without an id', withoutId(), all, 'event', 14],
    ['a vote without an id', withoutId({ type: 'poll_update' }), all, 'event', 14],
    ['a live location without an id', withoutId({ type: 'live_location' }), all, 'event', 14],
    ['a put of a message without an id', withoutId({ method: 'put' }), all, 'event', 14],
  ]);
});

describe('the ledger records an id', () => {
  const rules = Array.from({ length: 19 }, (_, index) => index + 1);
  const writtenOf = (item: Item) => rules.filter((rule) => writesLedger(item, { rule, verdict: 'event' }));

  it('for the verdicts of rows 3, 8, 9, 10 and 17 to 19 only', () => {
    expect(writtenOf(message())).toEqual([3, 8, 9, 10, 17, 18, 19]);
  });

  it('for no placeholder', () => {
    expect(writtenOf(placeholder())).toEqual([]);
  });
});

describe('an item counts as unseen by the bots', () => {
  it.each([
    ['a message that was not seen before', message(), false, false, true],
    ['a message that a post carried', message(), true, false, false],
    ['the first post after puts', message(), true, true, true],
    ['a second put without a post', put(), true, true, false],
    ['a placeholder', placeholder(), false, false, false],
  ])('%s (seen %s, only by puts %s): %s', (_what, item, seen, unposted, expected) => {
    expect(isUnseen(item, { seen, unposted })).toBe(expected);
  });
});
