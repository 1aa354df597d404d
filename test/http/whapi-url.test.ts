import { describe, expect, it } from 'vitest';
import { parseWhapiUrl } from '../../src/http/whapi-url.js';

describe('a call asks for a resync', () => {
  it.each([
    ...[
      'resync=true',
      'resync=True',
      'resync=TRUE',
      'resync=1',
      'resync=yes',
      'resync=on',
      'resync=t',
      'resync=%74rue',
    ],
    ...['resync', 'resync=', 'resync=%20true', 'resync=+true', 'resync=anything', '%72esync=true', 'r%65s%79nc=1'],
    ...[
      '[resync]=true',
      '%5Bresync%5D=true',
      '[resync][]=1',
      'resync[][]=1',
      'resync.=1',
      '%00resync=true',
      'resync%00=1',
    ],
    ...['RESYNC=true', 'Resync=true', 'resync[]=true', 'resync%5B%5D=true', 'resync[0]=1', '+resync=true'],
    ...[
      'resync=false&resync=true',
      'resync=true&resync=false',
      'a=1;resync=true',
      'a=1&&resync=true&b',
      'token=x&resync=true',
    ],
  ])('with the query %s', (query) => {
    expect(parseWhapiUrl(`/whapi/messages/the-id?${query}`)).toMatchObject({ wantsResync: true, messageId: 'the-id' });
  });

  it.each([
    '',
    '?',
    '?resync=false',
    '?resync=False',
    '?resync=0',
    '?resync=no',
    '?sync=true',
    '?resyncs=true',
    '?resync_x=true',
    '?my-resync=true',
    '?a=resync',
  ])('unless its query is "%s"', (query) => {
    expect(parseWhapiUrl(`/whapi/messages/the-id${query}`).wantsResync).toBe(false);
  });
});

describe('the message id', () => {
  it.each([
    ['/messages/the-id', 'the-id'],
    ['/messages/the-id/', 'the-id'],
    ['//messages//the-id', 'the-id'],
    ['/Messages/the-id', 'the-id'],
    ['/%6dessages/%74he-id', 'the-id'],
    ['/messages%2Fthe-id', 'the-id'],
    ['/messages/a%2Eb.c_d-e', 'a.b.c_d-e'],
    ['/messages/list', null],
    ['/messages', null],
    ['/messages/list/12@s.whatsapp.net', null],
    ['/groups/the-id', null],
    ['/messages/the-id/reaction', null],
    ['/', null],
  ])('in %s is %s', (path, id) => {
    expect(parseWhapiUrl(`/whapi${path}?resync=true`).messageId).toBe(id);
  });
});

it.each([
  ['/messages/%20the-id', ['the-id', ' the-id']],
  ['/messages/the-id%00%09', ['the-id', 'the-id\0\t']],
  ['/messages/%E2%80%8Bthe-id%C2%A0', ['the-id', '\u200bthe-id\u00a0']],
  ['/messages/the-id/%20', ['the-id']],
  ['/messages/the-id', ['the-id']],
  ['/messages/a%2Fb', ['a/b']],
  ['/messages/a%5Cb/', ['a\\b']],
  ['/messages/the-id%2F', ['the-id', 'the-id/']],
  ['/messages/%20', []],
])('%s may be read by Whapi as one of %j', (path, ids) => {
  expect(parseWhapiUrl(`/whapi${path}?resync=true`).messageIds).toEqual(ids);
});

it.each(['/whapi', '/whapi?a=b', '/whapi/', '/whapi/a'])('%s is a proxied URL', (url) => {
  const target = url.slice('/whapi'.length);
  expect(parseWhapiUrl(url).target).toBe(target.startsWith('/') ? target : `/${target}`);
});

it.each(['/whapix', '/v1/whapi', 'http://host/whapi/a', '/%77hapi/a'])('%s is not a proxied URL', (url) => {
  expect(() => parseWhapiUrl(url)).toThrow(expect.objectContaining({ code: 'GW_NOT_FOUND' }) as Error);
});
