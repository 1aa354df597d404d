import { describe, expect, it } from 'vitest';
import { eventOf } from '../../src/intake/event.js';
import type { WebhookHttpMethod } from '../../src/model.js';

/** The event of a webhook that came this way, as `type.method`. */
function named(field: unknown, method: WebhookHttpMethod = 'POST', suffix = '', usual: string | null = null): string {
  const [type = '', word = ''] = usual?.split('.') ?? [];
  const { event } = eventOf(field, { method, suffix }, usual === null ? null : { type, method: word as 'post' });
  return `${event.type}.${event.method}`;
}

describe('the event field', () => {
  it.each([
    [{ type: 'messages', event: 'post' }, 'messages.post'],
    [{ type: 'messages', method: 'put' }, 'messages.put'],
    [{ type: 'messages', event: 'patch', method: 'put' }, 'messages.patch'],
    [{ type: 'messages', event: 'created', method: 'delete' }, 'messages.delete'],
    [{ type: 'MESSAGES', event: 'POST' }, 'messages.post'],
    [{ type: 'statuses', event: 'post', extra: 1 }, 'statuses.post'],
    [{ type: 'something_new', event: 'put' }, 'something_new.put'],
  ])('%j is read as %s', (field, expected) => {
    expect(named(field)).toBe(expected);
  });

  it.each([
    ['message', 'messages'],
    ['status', 'statuses'],
    ['ack', 'statuses'],
    ['chat', 'chats'],
    ['contact', 'contacts'],
    ['group', 'groups'],
    ['presence', 'presences'],
    ['call', 'calls'],
    ['label', 'labels'],
    ['user', 'users'],
    ['channel', 'channel'],
    ['service', 'service'],
  ])('replaces the legacy name %s by %s, in the body and in the path', (old, current) => {
    expect(named({ type: old, event: 'put' })).toBe(`${current}.put`);
    expect(named(undefined, 'POST', `/${old}/put`)).toBe(`${current}.put`);
    expect(named(undefined, 'PUT', `/${old}`)).toBe(`${current}.put`);
  });

  it.each([[undefined], [null], ['messages.post'], [7], [[]], [['messages', 'post']], [{}], [{ type: 5, event: {} }]])(
    'is ignored as %j, and the rest of the webhook names the event',
    (field) => {
      expect(named(field, 'POST', '/chats/patch')).toBe('chats.patch');
      expect(named(field, 'POST', '', 'statuses.post')).toBe('statuses.post');
      expect(named(field)).toBe('unknown.post');
    },
  );

  it('takes precedence over the path, the HTTP method and the keys of the body', () => {
    expect(named({ type: 'messages', event: 'post' }, 'DELETE', '/chats/patch', 'statuses.put')).toBe('messages.post');
  });

  it('is completed from the path if a part is missing', () => {
    expect(named({ type: 'messages' }, 'POST', '/messages/put')).toBe('messages.put');
    expect(named({ event: 'put' }, 'POST', '/messages/post')).toBe('messages.put');
  });

  it.each(['', 'x'.repeat(65)])('is ignored with the type %j', (type) => {
    expect(named({ type, event: 'post' }, 'POST', '', 'messages.post')).toBe('messages.post');
  });
});

describe('a webhook without an event field', () => {
  it.each([
    ['POST', '/messages/post', 'messages.post'],
    ['POST', '/messages/put', 'messages.put'],
    ['POST', '/messages/delete', 'messages.delete'],
    ['PUT', '/messages/patch', 'messages.patch'],
    ['POST', '/some/where/messages/patch', 'messages.patch'],
    ['POST', '/messages/patch/', 'messages.patch'],
  ] as const)('in path mode: %s %s is %s', (method, suffix, expected) => {
    expect(named(undefined, method, suffix)).toBe(expected);
  });

  it.each([
    ['POST', '/messages', 'messages.post'],
    ['PUT', '/messages', 'messages.put'],
    ['PATCH', '/chats', 'chats.patch'],
    ['DELETE', '/users', 'users.delete'],
    ['PUT', '/some/where/messages', 'messages.put'],
  ] as const)('in method mode: %s %s is %s', (method, suffix, expected) => {
    expect(named(undefined, method, suffix)).toBe(expected);
  });

  it('in body mode takes the event from the keys of the body, because all requests are POST', () => {
    expect(named(undefined, 'POST', '', 'messages.patch')).toBe('messages.patch');
    expect(named(undefined, 'POST', '/some/where', 'messages.patch')).toBe('messages.patch');
  });

  it('takes the event from a verb other than POST before the keys of the body', () => {
    expect(named(undefined, 'PUT', '', 'messages.post')).toBe('messages.put');
    expect(named(undefined, 'DELETE', '/some/where', 'messages.post')).toBe('messages.delete');
  });

  it('takes the type from the keys of the body if the path has unknown words', () => {
    expect(named(undefined, 'POST', '/something/put', 'messages.post')).toBe('messages.put');
    expect(named(undefined, 'POST', '/put', 'messages.post')).toBe('messages.post');
  });
});
