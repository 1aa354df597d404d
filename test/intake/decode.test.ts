import { describe, expect, it } from 'vitest';
import { decode } from '../../src/intake/decode.js';
import { cut } from '../../src/intake/route.js';
import type { Document, Item } from '../../src/intake/decode.js';
import type { WebhookHttpMethod } from '../../src/model.js';

const ID = 'p.w30M7fgwWD4XwHu.g4CA-gNcCzMdVPg';
const CHAT = '12025550142@s.whatsapp.net';

function decoded(body: string | Buffer, method: WebhookHttpMethod = 'POST', suffix = ''): Document {
  return decode(Buffer.from(body), { method, suffix });
}

/** The only item of a payload. */
function only(payload: unknown): Item {
  const [item, ...more] = decoded(JSON.stringify(payload)).items;
  if (!item || more.length > 0) throw new Error(`There are ${1 + more.length} items in ${JSON.stringify(payload)}.`);
  return item;
}

function texts({ body, items }: Document): string[] {
  return items.map(({ span }) => body.toString('utf8', span.start, span.end));
}

describe('an item', () => {
  it.each([
    ['messages', { id: ID }, 'message', ID],
    ['messages_updates', { id: ID }, 'update', ID],
    ['messages_updates', { after_update: { id: ID } }, 'update', ID],
    ['messages_updates', { before_update: { id: ID } }, 'update', ID],
    ['messages_removed', ID, 'other', ID],
    ['statuses', { id: ID }, 'other', ID],
    ['chats', { id: CHAT, last_message: { id: ID } }, 'chat', ID],
    ['groups', { id: CHAT, last_message: { id: ID } }, 'chat', ID],
    ['chats_updates', { after_update: { last_message: { id: ID } } }, 'chat', ID],
    ['groups_updates', { after_update: { last_message: { id: ID } } }, 'chat', ID],
    ['chats', { id: CHAT }, 'other', null],
    ['groups', { id: CHAT, last_message: { id: 5 } }, 'other', null],
    ['chats_updates', { after_update: { id: CHAT } }, 'other', null],
    ['groups_participants', { group_id: CHAT }, 'other', null],
    ['contacts', { id: CHAT }, 'other', null],
    ['contacts_updates', { after_update: { id: CHAT } }, 'other', null],
    ['presences', { contact_id: CHAT }, 'other', null],
    ['calls', { id: 'call', chat_id: CHAT }, 'other', null],
    ['labels', { id: 'label' }, 'other', null],
    ['labels_removed', 'label', 'other', null],
    ['chats_removed', CHAT, 'other', null],
    ['stories_updates', { id: ID }, 'other', null],
    ['stories_removed', ID, 'other', null],
  ])('of %s, %j, has the kind %s', (carrier, element, kind, messageId) => {
    expect(only({ [carrier]: [element] })).toMatchObject({ carrier, kind, messageId });
  });

  it.each([
    ['messages', false],
    ['presences', false],
    ['messages_updates', true],
    ['messages_removed', true],
    ['statuses', true],
    ['calls', true],
    ['groups_participants', true],
    ['labels', true],
    ['contacts', true],
    ['chats', true],
    ['groups', true],
    ['stories_updates', true],
    ['stories_removed', true],
  ])('of %s counts as a retry of Whapi when repeated (row 13): %s', (carrier, repeatable) => {
    expect(only({ [carrier]: [{}] }).repeatable).toBe(repeatable);
  });

  it.each([
    [{ after_update: { last_message: { id: ID } }, before_update: { last_message: { id: 'other' } } }, ID],
    [{ after_update: { last_message: { id: ID } }, before_update: {} }, ID],
    [{ after_update: { last_message: { id: ID } }, before_update: null }, ID],
    [{ after_update: { last_message: { id: ID } }, before_update: { last_message: { id: ID } } }, null],
    [{ after_update: {}, before_update: { last_message: { id: ID } } }, null],
  ])('of a chat update, %j, has the new last message %s', (element, messageId) => {
    expect(only({ chats_updates: [element] }).messageId).toBe(messageId);
    expect(only({ groups_updates: [element] }).messageId).toBe(messageId);
  });

  it.each([
    [undefined, false],
    [null, false],
    [{}, false],
    [{ id: 5 }, false],
    [{ id: ID }, false],
    [{ id: 'an action of its own' }, true],
  ])('of an update with the trigger %j has its own trigger message: %s', (trigger, ownTrigger) => {
    expect(only({ messages_updates: [{ id: ID, trigger }] })).toMatchObject({ messageId: ID, ownTrigger });
  });

  it('of a message has its chat, type and time', () => {
    const item = only({ messages: [{ id: ID, chat_id: CHAT, type: 'text', timestamp: 1712995245 }] });
    expect(item).toMatchObject({ messageId: ID, chatId: CHAT, type: 'text', timestamp: 1712995245, sequence: null });
  });

  it('of a message with fields of unusual types is still a message', () => {
    const item = only({ messages: [{ id: ID, chat_id: 5, type: [], timestamp: 'noon' }] });
    expect(item).toMatchObject({ kind: 'message', messageId: ID, chatId: null, type: null, timestamp: null });
  });

  it.each([
    [1712995245, 1712995245],
    ['1712995245', 1712995245],
    [1712995245123, 1712995245.123],
    ['1712995245123', 1712995245.123],
    [99_999_999_999, 99_999_999_999],
    [0, 0],
    ['1712995245.5', 1712995245.5],
    ['', null],
    ['-1', null],
    ['0x10', null],
    [null, null],
    [[1712995245], null],
  ])('of a message with the timestamp %j has the time %j', (timestamp, seconds) => {
    expect(only({ messages: [{ id: ID, timestamp }] }).timestamp).toBe(seconds);
  });

  it('of a message that names others has its own id', () => {
    const context = { quoted_id: 'quoted', quoted_content: { id: 'quoted' } };
    const element = { id: ID, context, action: { target: 'target', id: 'target' }, type: 'action' };
    expect(only({ messages: [element] }).messageId).toBe(ID);
  });

  it.each([[{ id: '' }], [{ id: 5 }], [{ id: null }], [{ id: [ID] }], [{}], [[]], [ID], [7], [null], [true]])(
    'of the message %j has no id',
    (element) => {
      expect(only({ messages: [element] })).toMatchObject({ kind: 'other', carrier: 'messages', messageId: null });
    },
  );

  it.each([
    [1713200421000001, 1713200421000001],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    [1.5, null],
    ['1', null],
    [null, null],
  ])('of a live location with the sequence number %j has the position %s', (number, sequence) => {
    const element = { id: ID, type: 'live_location', live_location: { sequence_number: number } };
    expect(only({ messages: [element] }).sequence).toBe(sequence);
  });

  it('of a live location has no position above 2^53, where two of them could be rounded to one', () => {
    const body = (digits: string) =>
      `{"messages":[{"id":"${ID}","type":"live_location","live_location":{"sequence_number":${digits}}}]}`;
    expect(decoded(body('9007199254740992')).items[0]?.sequence).toBeNull();
    expect(decoded(body('18446744073709552000')).items[0]?.sequence).toBeNull();
  });

  it('of another type than live location has no sequence number', () => {
    const element = { id: ID, type: 'text', live_location: { sequence_number: 5 } };
    expect(only({ messages: [element] }).sequence).toBeNull();
  });
});

describe('the method of an item', () => {
  it.each([
    ['{"messages":[{"id":"a"}],"event":{"type":"messages","event":"put"}}', ['put']],
    ['{"messages":[{"id":"a"}],"event":{"type":"messages","method":"put"}}', ['put']],
    ['{"messages":[{"id":"a"}],"event":{"type":"message","event":"PUT"}}', ['put']],
    ['{"messages":[{"id":"a"}],"event":{"type":"messages","event":"changed"}}', ['post']],
    ['{"messages":[{"id":"a"}],"event":{"type":"chats","event":"put"}}', ['post']],
    ['{"messages":[{"id":"a"}],"event":"messages.put"}', ['post']],
    ['{"messages":[{"id":"a"}]}', ['post']],
    ['{"messages":[{"id":"a"}],"messages_updates":[{"id":"b"}]}', ['post', 'patch']],
    ['{"statuses":[{"id":"b"}],"messages":[{"id":"a"}]}', ['post', 'post']],
  ])('in %s is %j', (body, methods) => {
    expect(decoded(body).items.map(({ method }) => method)).toEqual(methods);
  });

  it('derived from keys is that of its own key, so that an earlier key does not let a message through', () => {
    const { items } = decoded('{"messages_updates":[{"id":"b"}],"messages":[{"id":"a"}]}');
    expect(items.find(({ carrier }) => carrier === 'messages')?.method).toBe('post');
  });

  it('comes from the HTTP method or the path if the body has no event', () => {
    const body = '{"messages":[{"id":"a"}]}';
    expect(decoded(body, 'PUT', '/messages').items[0]?.method).toBe('put');
    expect(decoded(body, 'POST', '/message/put').items[0]?.method).toBe('put');
    expect(decoded(body, 'PUT').event).toEqual({ type: 'messages', method: 'put' });
  });
});

describe('an item has exactly its bytes', () => {
  it.each([
    ['{"messages":[{"id":"a"},{"id":"b"}]}', ['{"id":"a"}', '{"id":"b"}']],
    ['\n{ "messages" :\t[ {"id" : "a"} ,\r\n {"id":"b"}\n] }\n', ['{"id" : "a"}', '{"id":"b"}']],
    ['{"messages":[ 1.10 , -0.0,1e400 ,"]" ,null, [[]] ]}', ['1.10', '-0.0', '1e400', '"]"', 'null', '[[]]']],
    ['{"messages":["\\"]","\\\\",{"a":"}\\\\\\""}]}', ['"\\"]"', '"\\\\"', '{"a":"}\\\\\\""}']],
    ['{"messages":["é👋","\\ud83d\\udc4b"]}', ['"é👋"', '"\\ud83d\\udc4b"']],
    ['{"x":{"messages":[1]},"messages":[{"messages":[2]}],"y":[3]}', ['{"messages":[2]}']],
    ['{"statuses":[1],"x":0,"messages":[2,3],"chats":[]}', ['1', '2', '3']],
    ['{"mess\\u0061ges":[{"id":"a"}]}', ['{"id":"a"}']],
  ])('in %j: %j', (body, elements) => {
    expect(texts(decoded(body))).toEqual(elements);
  });

  it('with strings of megabytes full of quotes and backslashes', () => {
    const long = JSON.stringify('"\\'.repeat(500_000) + 'é'.repeat(100_000));
    const document = decoded(`{"x":${long},"messages":[{"id":${long}},{"id":"b","text":${long}}]}`);
    expect(texts(document)).toEqual([`{"id":${long}}`, `{"id":"b","text":${long}}`]);
  });

  it.each([61, 62, 63, 64, 65, 66])('with a backslash at byte %i of a string', (length) => {
    const text = `"${'a'.repeat(length)}\\\\","${'a'.repeat(length)}\\"]"`;
    expect(texts(decoded(`{"messages":[${text},1]}`)).join()).toBe(`${text},1`);
  });

  it('with 100,000 nested brackets, in an element and elsewhere', () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000);
    expect(texts(decoded(`{"x":${deep},"messages":[${deep},{"id":"a"}]}`))).toEqual([deep, '{"id":"a"}']);
  });

  it('among thousands of elements', () => {
    const elements = Array.from({ length: 5000 }, (_, index) => `{"id":"${index}"}`);
    const document = decoded(`{"messages":[${elements.join(' , ')}]}`);
    expect(texts(document)).toEqual(elements);
    expect(document.items.map(({ messageId }) => messageId)).toEqual(elements.map((_, index) => String(index)));
  });
});

describe('a repeated key', () => {
  it.each([
    ['two arrays', '{"messages":[{"id":"a"}],"messages":[{"id":"b"}]}', ['a', 'b']],
    ['the same array', '{"messages":[{"id":"a"}],"messages":[{"id":"a"}]}', ['a', 'a']],
    ['an empty array last', '{"messages":[{"id":"a"}],"messages":[]}', ['a']],
    ['one written with an escape', '{"messages":[{"id":"a"}],"\\u006dessages":[{"id":"b"}]}', ['a', 'b']],
    ['null last', '{"messages":[{"id":"a"}],"messages":null}', ['a']],
    ['a number last', '{"messages":[{"id":"a"}],"messages":5}', ['a']],
    ['a string last', '{"messages":[{"id":"a"}],"messages":"b"}', ['a']],
    ['an object last', '{"messages":[{"id":"a"}],"messages":{"0":{"id":"b"}}}', ['a']],
  ])('of %s has all of its items judged, because a bot may read either', (_what, body, ids) => {
    expect(decoded(body).items.map(({ kind, messageId }) => (kind === 'message' ? messageId : kind))).toEqual(ids);
  });
});

describe('a document without items is itself the only item:', () => {
  it.each([
    ['{}'],
    ['[]'],
    ['"messages"'],
    ['7'],
    ['1e400'],
    ['null'],
    ['true'],
    [' {"messages":[]} \n'],
    ['{"messages":[ ],"statuses":[]}'],
    ['{"messages":{"0":{"id":"a"}}}'],
    ['{"messages_removed_all":"12025550142@s.whatsapp.net"}'],
    ['{"something":[{"id":"a"}]}'],
    ['{"data":{"messages":[{"id":"a"}]}}'],
    ['[{"messages":[{"id":"a"}]}]'],
    ['{"__proto__":{"messages":[{"id":"a"}]}}'],
    ['['.repeat(100_000) + ']'.repeat(100_000)],
  ])('%.60s', (body) => {
    const document = decoded(body);
    expect(document.items).toHaveLength(1);
    expect(document.items[0]).toMatchObject({ kind: 'other', carrier: '', messageId: null, repeatable: false });
    expect(texts(document)).toEqual([body]);
  });

  it('and has the event that its keys mean', () => {
    expect(decoded('{"messages_updates":[]}').event).toEqual({ type: 'messages', method: 'patch' });
    expect(decoded('{}').event).toEqual({ type: 'unknown', method: 'post' });
  });
});

describe('the channel id', () => {
  it.each([
    ['{"channel_id":"MANTIS-M72HC"}', 'MANTIS-M72HC'],
    ['{"channel_id":""}', null],
    ['{"channel_id":5}', null],
    ['{"channel_id":null}', null],
    ['{"messages":[{"channel_id":"MANTIS-M72HC"}]}', null],
    ['"channel_id"', null],
  ])('in %s is %s', (body, channelId) => {
    expect(decoded(body).channelId).toBe(channelId);
  });
});

describe('a body with a byte order mark', () => {
  it('is read like any other, and its items have the right byte ranges', () => {
    const document = decoded(`\ufeff{"messages":[{"id":"${ID}"},{"id":"b"}]}`);
    const texts = document.items.map(({ span }) => document.body.toString('utf8', span.start, span.end));
    expect(texts).toEqual([`{"id":"${ID}"}`, '{"id":"b"}']);
  });

  it('keeps it when items are withheld', () => {
    const document = decoded('\ufeff{"messages":[{"id":"a"},{"id":"b"}]}');
    expect(cut(document, [1]).toString()).toBe('\ufeff{"messages":[{"id":"b"}]}');
  });
});

describe('the object of an item', () => {
  it.each([
    ['chat 1@g.us', { groups_participants: [{ group_id: '1@g.us' }] }],
    ['chat 1@g.us', { groups_updates: [{ after_update: { id: '1@g.us' } }] }],
    ['chat 1@g.us', { groups: [{ id: '1@g.us' }] }],
    ['chat c', { chats: [{ id: 'c' }] }],
    ['chat c', { chats_updates: [{ before_update: { id: 'c' } }] }],
    ['chat c', { chats_removed: ['c'] }],
    ['contact c', { contacts: [{ id: 'c' }] }],
    ['contact c', { contacts_updates: [{ after_update: { id: 'c' } }] }],
    ['message m', { statuses: [{ id: 'm' }] }],
    ['message m', { messages_updates: [{ id: 'm' }] }],
    ['message m', { messages_removed: ['m'] }],
    ['call k', { calls: [{ id: 'k' }] }],
    ['labels', { labels: [{ id: '1', name: 'VIP' }] }],
    ['labels', { labels_removed: ['VIP'] }],
    ['stories s', { stories_updates: [{ id: 's' }] }],
    ['stories s', { stories_removed: ['s'] }],
    [null, { stories_updates: [{}] }],
    [null, { statuses: [{ id: '' }] }],
    [null, { messages: [{ id: 'm' }] }],
  ])('is %s in %j', (object, body) => {
    expect(only(body).object).toBe(object);
  });
});

describe('a body that is not JSON in UTF-8 is refused:', () => {
  it.each([
    ['nothing', ''],
    ['white space', ' \n'],
    ['a byte order mark alone', '\ufeff'],
    ['two byte order marks', '\ufeff\ufeff{}'],
    ['a byte order mark inside', '{\ufeff}'],
    ['a truncated body', '{"messages":[{"id":"a"}]'],
    ['text after the document', '{} {}'],
    ['a trailing comma', '{"messages":[{"id":"a"},]}'],
    ['a comment', '{/**/}'],
    ['single quotes', "{'a':1}"],
    ['NaN', '{"a":NaN}'],
    ['a raw line break in a string', '{"a":"\n"}'],
    ['a number with a leading zero', '[01]'],
    ['unclosed nesting', '['.repeat(100)],
    ['a value without a key', '{1}'],
    ['a key without a value', '{"messages":}'],
    ['a key without a colon', '{"a" 1}'],
    ['an array with a brace', '{"messages":[1}'],
    ['an element without a comma', '{"messages":[1 2]}'],
    ['a comma first', '{"messages":[,1]}'],
    ['a raw line break in a key', '{"a\n":1}'],
    ['a lone continuation byte', Buffer.from([0x22, 0x80, 0x22])],
    ['Latin-1', Buffer.from('{"a":"é"}', 'latin1')],
    ['an overlong slash', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['a truncated character', Buffer.from([0x22, 0xf0, 0x9f, 0x91, 0x22])],
    ['UTF-16', Buffer.from('{"a":1}', 'utf16le')],
    ['gzip', Buffer.from([0x1f, 0x8b, 0x08, 0x00])],
  ])('%s', (_what, body) => {
    expect(() => decoded(body)).toThrow(expect.objectContaining({ code: 'GW_BAD_JSON', status: 400 }) as Error);
  });

  it('without repeating the body in the error, which could reveal a message', () => {
    expect(() => decoded('{"text":"a secret" oops')).toThrow(/^The body is not valid JSON\.$/);
  });
});
