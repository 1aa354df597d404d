import { describe, expect, it } from 'vitest';
import { contentFingerprint } from '../../src/intake/content-fingerprint.js';

const TEXT = 'Could you send me the offer again, please?';
const HASH = '4pKb0c1uV0Q3m0u6d0Zr2f6Yp1n3Qw8sK5tB7xL9cE0=';
const message: Readonly<Record<string, unknown>> = {
  ...{ id: 'a', type: 'text', from_me: false, timestamp: 1_713_200_001, text: { body: TEXT } },
  ...{ chat_id: '12025550142@s.whatsapp.net', from: '12025550142', from_name: 'Alice', source: 'mobile' },
};
const image = { ...message, type: 'image', text: undefined, image: { sha256: HASH, caption: 'Look' } };
const inGroup = { ...message, chat_id: '120363000000000001@g.us' };
const own = { ...message, from_me: true, from: '12025550100' };

/** Whether two messages count as one, but for their ids. */
function areSame(one: Record<string, unknown>, other: Record<string, unknown>): boolean {
  const texts = contentFingerprint(other)?.texts ?? [];
  return contentFingerprint(one)?.texts.some((text) => texts.includes(text)) ?? false;
}

const text = (body: unknown) => ({ ...message, text: { body } });
const withImage = (change: Record<string, unknown>) => ({ ...image, image: { ...image.image, ...change } });

describe('two messages count as one, but for their ids, if they share content, time and person:', () => {
  it.each<readonly [string, Record<string, unknown>, Record<string, unknown>]>([
    ['a text', message, message],
    [
      'with another status, name, link or reaction',
      message,
      { ...message, status: 'read', from_name: 'A', reactions: [1] },
    ],
    ['with a time in milliseconds', message, { ...message, timestamp: '1713200001900' }],
    [
      'a file, wherever it is to be fetched',
      image,
      withImage({ link: 'https://files.example/1', id: 'jpeg-2', preview: '' }),
    ],
    ['an own message', own, own],
    ['in a group', inGroup, inGroup],
    ['under the LID of its chat', message, { ...message, chat_id: '204800000000142@lid' }],
    ['from the LID of its sender', message, { ...message, from: '204800000000142' }],
    ['a chat without a sender', message, { ...message, from: undefined }],
  ])('%s', (_, one, other) => {
    expect(areSame(one, other)).toBe(true);
  });
});

describe('two messages stay two if they differ in', () => {
  it.each<readonly [string, Record<string, unknown>, Record<string, unknown>]>([
    ['the second', message, { ...message, timestamp: 1_713_200_002 }],
    ['the text', message, text(`${TEXT} `)],
    ['the type', message, { ...message, type: 'link_preview', link_preview: { body: TEXT } }],
    ['from_me', message, { ...message, from_me: true }],
    ['the person', message, { ...message, chat_id: '12025550143@s.whatsapp.net', from: '12025550143' }],
    ['the chat of an own message, as in a broadcast', own, { ...own, chat_id: '12025550143@s.whatsapp.net' }],
    ['the group, as when it is forwarded to several', inGroup, { ...inGroup, chat_id: '120363000000000002@g.us' }],
    ['the member of the group', inGroup, { ...inGroup, from: '12025550143' }],
    ['group and chat', inGroup, message],
    ['the file', image, withImage({ sha256: HASH.toLowerCase() })],
    ['the caption of the file', image, withImage({ caption: 'Look!' })],
  ])('%s', (_, one, other) => {
    expect(areSame(one, other)).toBe(false);
  });
});

describe('what may be sent twice within a second has no fingerprint:', () => {
  it.each<readonly [string, Record<string, unknown>]>([
    ['a short text', text('ok')],
    ['a text of 19 characters', text('Is anyone in there?')],
    ['blanks around a short text', text(`   ${'ok'.padEnd(40)}`)],
    ['a row of letters', text('hahahahahahahahahahahahaha')],
    ['a row of emojis', text('😂🙏😂🙏😂🙏😂🙏😂🙏😂🙏😂🙏😂🙏😂🙏😂🙏')],
    ['a text that is none', text(7)],
    ['a sticker', { ...message, type: 'sticker', sticker: { sha256: HASH } }],
    [
      'a location',
      { ...message, type: 'location', location: { latitude: 52.520008, longitude: 13.404954, name: TEXT } },
    ],
    ['a reaction', { ...message, type: 'action', action: { type: 'reaction', target: 'x', emoji: '👍' } }],
    ['a tap on a button', { ...message, type: 'reply', reply: { buttons_reply: { id: 'yes', title: TEXT } } }],
    ['a file without a hash', withImage({ sha256: undefined })],
    ['a file with a hash that says nothing', withImage({ sha256: '' })],
    ['a placeholder', { ...message, type: 'unknown' }],
    ['a message without from_me', { ...message, from_me: undefined }],
    ['a group message without its sender', { ...inGroup, from: undefined }],
    ['a post of a newsletter', { ...message, chat_id: '120363000000000003@newsletter' }],
    ['a story', { ...message, chat_id: 'stories' }],
  ])('%s', (_, each) => {
    expect(contentFingerprint(each)?.texts).toEqual([]);
  });

  it.each([[null], ['a text'], [[message]], [{}], [{ ...message, timestamp: undefined }]])(
    '%j has no time',
    (value) => {
      expect(contentFingerprint(value)).toBeNull();
    },
  );
});
