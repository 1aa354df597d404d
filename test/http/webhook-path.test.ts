import { describe, expect, it } from 'vitest';
import { parseWebhookPath } from '../../src/http/webhook-path.js';

describe('the path of a webhook', () => {
  it.each([
    ['/webhooks/main', 'main', null, ''],
    ['/webhooks/main/', 'main', null, ''],
    ['/webhooks/main//', 'main', null, ''],
    ['/webhooks//main', 'main', null, ''],
    ['/webhooks/main/messages/post', 'main', null, '/messages/post'],
    ['/webhooks/main//messages//post/', 'main', null, '/messages/post'],
    ['/webhooks/main/a%20b/%C3%A9', 'main', null, '/a%20b/%C3%A9'],
    ['/webhooks/main/a.b/..c/...', 'main', null, '/a.b/..c/...'],
    ['/webhooks/main?x=1', 'main', null, ''],
    ['/webhooks/main/messages?x=/s/secret', 'main', null, '/messages'],
    ['/webhooks/main/s/the-secret', 'main', 'the-secret', ''],
    ['/webhooks/main/s/the-secret/', 'main', 'the-secret', ''],
    ['/webhooks/main//s//the-secret//messages/', 'main', 'the-secret', '/messages'],
    ['/webhooks/main/s/the-secret/messages/post?x=1', 'main', 'the-secret', '/messages/post'],
    ['/webhooks/main/s/a%2Bb%7E', 'main', 'a+b~', ''],
    ['/webhooks/main/s/100%', 'main', '100%', ''],
    ['/webhooks/main/s/one/s/two', 'main', 'one', '/s/two'],
    ['/webhooks/main/s', 'main', null, '/s'],
    ['/webhooks/main/s/', 'main', null, '/s'],
    ['/webhooks/main/messages/s/the-secret', 'main', null, '/messages/s/the-secret'],
    ['/webhooks/s/s/s/s', 's', 's', '/s'],
  ])('%s has channel %s, secret %s and suffix %s', (url, channel, secret, suffix) => {
    expect(parseWebhookPath(url)).toEqual({ channel, secret, suffix });
  });

  it.each([
    ['/'],
    ['/webhooks'],
    ['/webhooks/'],
    ['/Webhooks/main'],
    ['/v1/webhooks/main'],
    ['http://127.0.0.1/webhooks/main'],
    ['*'],
    [''],
  ])('is not %s', (url) => {
    expect(parseWebhookPath(url)).toBeNull();
  });

  it.each([
    ['/..'],
    ['/.'],
    ['/../..'],
    ['/messages/../../v1'],
    ['/messages/..'],
    ['/%2e%2e/x'],
    ['/%2E%2e/x'],
    ['/.%2e/x'],
    ['/%2E'],
    ['/..%2fx'],
    ['/x%2F..%2F..'],
    ['/..\\x'],
    ['/..%5Cx'],
    ['/s/the-secret/../x'],
    ['/s/the-secret/%2e%2E/x'],
    ['/../?x=1'],
  ])("is refused if its suffix leads outside a target's URL: %s", (suffix) => {
    expect(parseWebhookPath(`/webhooks/main${suffix}`)).toBeNull();
  });
});
