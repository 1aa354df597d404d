import { describe, expect, it } from 'vitest';
import { compare, factsOf, isCopy, likenessOf } from '../../src/probe/likeness.js';
import type { Comparison } from '../../src/probe/likeness.js';

const IMAGE = {
  ...{ id: 'm-1', type: 'image', chat_id: '4917012345678@s.whatsapp.net', from_me: false, timestamp: 1_712_995_245 },
  image: { id: 'f-1', sha256: 'abc', link: 'https://media.example/1', caption: 'Look' },
};

function comparison(changes: Record<string, unknown>): Comparison {
  const [original, copy] = [likenessOf(IMAGE), likenessOf({ ...IMAGE, ...changes })];
  if (!original || !copy) throw new Error('They are messages.');
  return compare(original, copy);
}

describe('a likeness', () => {
  it('keeps nothing of a message that can be read', () => {
    const text = JSON.stringify(likenessOf(IMAGE));
    for (const part of ['m-1', '4917012345678', 'Look', 'abc', '1712995245']) expect(text).not.toContain(part);
  });

  it.each([
    [{}, { id: true, chatId: true, timestamp: true, content: true, otherFields: [] }],
    [{ id: 'm-2' }, { id: false, content: true }],
    [{ chat_id: '555@lid' }, { chatId: false, id: true }],
    [{ timestamp: 1 }, { timestamp: false }],
    [{ image: { ...IMAGE.image, link: 'https://media.example/2' } }, { content: true }],
    [{ image: { caption: 'Look', link: 'x', sha256: 'abc', id: 'f-1' } }, { content: true }],
    [{ image: { ...IMAGE.image, caption: 'Look here' } }, { content: false, otherFields: [] }],
    [
      { status: 'read', from_me: true },
      { id: true, otherFields: ['from_me', 'status'] },
    ],
  ])('of a copy with %j shows what differs', (changes, expected) => {
    expect(comparison(changes)).toMatchObject(expected);
  });

  it.each([
    [{ id: 'm-2' }, true],
    [{ id: 'm-2', chat_id: '555@lid' }, true],
    [{ id: 'm-2', timestamp: 1 }, true],
    [{ id: 'm-2', timestamp: 1, chat_id: '555@lid' }, false],
    [{ id: 'm-2', image: { caption: 'Hello' } }, false],
  ])('tells whether %j is the same message under another id: %s', (changes, expected) => {
    expect(isCopy(comparison(changes))).toBe(expected);
  });

  it('is null for anything but an object', () => {
    expect([likenessOf('text'), likenessOf(undefined), likenessOf([])]).toEqual([null, null, null]);
  });
});

describe('what is said of a message in public', () => {
  it.each([
    ['4917012345678@s.whatsapp.net', 'person'],
    ['555@lid', 'lid'],
    ['120363@g.us', 'group'],
    ['120363@newsletter', 'newsletter'],
    ['stories', 'story'],
    [undefined, 'other'],
  ])('is the kind of the chat %s: %s', (chatId, chat) => {
    expect(factsOf({ ...IMAGE, chat_id: chatId }, 1_713_000_000_000)).toEqual({
      ...{ type: 'image', fromMe: false, age: 4755, chat },
    });
  });
});
