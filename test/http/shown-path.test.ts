import { describe, expect, it } from 'vitest';
import { shownRoot, shownWebhookPath } from '../../src/http/shown-path.js';

describe('what is shown of a URL', () => {
  it.each([
    ['/webhooks/main', 'main', '/webhooks/main'],
    ['/webhooks/main/?token=the-secret', 'main', '/webhooks/main'],
    ['/webhooks/main/messages/post', 'main', '/webhooks/main/…'],
    ['/webhooks/main/s/the-secret/messages', 'main', '/webhooks/main/…'],
    ['//webhooks//main//the-secret', 'main', '/webhooks/main/…'],
    ['/webhooks/the-secret', null, '/webhooks/…'],
  ])('of a webhook, %s of channel %s, is %s', (url, channel, shown) => {
    expect(shownWebhookPath(url, channel)).toBe(shown);
  });

  it.each([
    ['/v1/nothing', '/v1/…'],
    ['/healthz?x=the-secret', '/healthz'],
    ['//webhooks/main/s/the-secret', '/webhooks/…'],
    ['/webhooks%2Fmain%2Fs%2Fthe-secret', '/…'],
    ['/the-secret', '/…'],
    ['http://the-secret@gateway/webhooks/main#the-secret', '/webhooks/…'],
    ['*', '/…'],
    ['', '/…'],
  ])('that matches no route, %s, is %s', (url, shown) => {
    expect(shownRoot(url)).toBe(shown);
  });
});
