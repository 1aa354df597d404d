import { describe, expect, it } from 'vitest';
import { nameOf } from '../../src/intake/event.js';
import { wantedEvents, eventsNamed, maskedUrl, planConnect } from '../../src/connect/policy.js';
import type { DesiredWebhook } from '../../src/connect/policy.js';
import { warningsAboutTargets, warningsAboutUrl } from '../../src/connect/warnings.js';
import type { Target } from '../../src/model.js';
import type { Settings } from '../../src/whapi/wire.js';
import { target } from '../support/store.js';

const URL_OF_OURS = 'https://gateway.example/webhooks/main';
const WISH: DesiredWebhook = {
  ...{ url: URL_OF_OURS, urls: [URL_OF_OURS], secret: 'the-secret-of-the-channel', mode: null, events: null },
  leastEvents: [{ type: 'messages', method: 'post' }],
};

function changesFor(settings: Settings, wish: Partial<DesiredWebhook> = {}): readonly string[] {
  return planConnect({ callback_persist: true, ...settings }, { ...WISH, ...wish }).changes;
}

const CONNECTED = planConnect({}, WISH).after;

describe('the plan to connect', () => {
  it('changes nothing for settings that are already connected', () => {
    expect(changesFor({ ...CONNECTED })).toEqual([]);
  });

  it.each([
    ['a trailing slash', { url: `${URL_OF_OURS}/` }, 'points'],
    ['the secret in the URL', { url: `${URL_OF_OURS}/s/the-secret-of-the-channel` }, 'points'],
    ['another public URL, but our secret', { url: 'https://old.example/webhooks/main' }, 'points'],
    ['another secret', { headers: { Authorization: 'Bearer of-before' } }, 'sets its secret header'],
    ['no events', { events: [] }, 'subscribes it to messages.post'],
    ['a legacy event', { events: [{ type: 'message', method: 'put' }] }, 'unsubscribes it from message.put'],
  ] as const)('recognizes our webhook with %s, and repairs it', (_what, difference, change) => {
    const [ours] = CONNECTED.webhooks;
    const plan = planConnect({ webhooks: [{ ...ours, url: URL_OF_OURS, ...difference }] }, WISH);
    expect(plan.changes.join('; ')).toContain(change);
    expect(plan.after.webhooks).toEqual(CONNECTED.webhooks);
  });

  it('does not take a URL with the same beginning for ours', () => {
    const others = ['https://gateway.example/webhooks/main-2', 'https://gateway.example/webhooks'].map((url) => ({
      url,
    }));
    expect(planConnect({ webhooks: others }, WISH).after.webhooks).toEqual([...others, ...CONNECTED.webhooks]);
  });

  it("keeps the user's headers on our webhook, and a lower-case header name", () => {
    const headers = { 'x-own': 'kept', authorization: 'Bearer of-before' };
    const plan = planConnect({ webhooks: [{ url: URL_OF_OURS, headers }] }, WISH);
    expect(plan.after.webhooks[0]?.headers).toEqual({
      'x-own': 'kept',
      authorization: 'Bearer the-secret-of-the-channel',
    });
  });

  it('keeps one of two webhooks of ours', () => {
    const twice = [...CONNECTED.webhooks, { url: `${URL_OF_OURS}/s/the-secret-of-the-channel` }];
    expect(changesFor({ webhooks: twice })).toEqual([
      "removes 1 more of the gateway's webhooks: every event would arrive twice",
    ]);
    expect(planConnect({ webhooks: twice }, WISH).after.webhooks).toEqual(CONNECTED.webhooks);
  });
});

describe('the subscribed events', () => {
  const namesFor = (...targets: Target[]): string[] => wantedEvents(targets, 'main').map(nameOf);

  it('are all but presences for a target that takes everything', () => {
    const types = new Set(wantedEvents([target('bot')], 'main').map(({ type }) => type));
    expect([types.has('chats'), types.has('presences')]).toEqual([true, false]);
  });

  it('include presences if a target names them', () => {
    expect(namesFor(target('bot'), target('watcher', { events: ['presences'] }))).toContain('presences.post');
  });

  it("are only those of the channel's enabled targets, and the state of the channel", () => {
    const elsewhere = target('elsewhere', { channels: ['second'], events: ['calls'] });
    const off = target('off', { events: ['chats'], enabled: false });
    const here = target('here', { channels: ['main'], events: ['statuses.put', 'messages.post'] });
    expect(namesFor(elsewhere, off, here)).toEqual(['messages.post', 'statuses.put', 'channel.post']);
  });

  it('are new messages and the state of the channel if no target takes any', () => {
    const none = ['messages.post', 'channel.post'];
    expect([namesFor(), namesFor(target('off', { enabled: false }))]).toEqual([none, none]);
    expect(warningsAboutTargets([], 'main')).toMatchObject([{ code: 'no_targets' }]);
    expect(warningsAboutTargets([target('bot')], 'main')).toEqual([]);
  });

  it('include an unknown type that a target names', () => {
    expect(eventsNamed(['newsletters.post', 'polls']).map(nameOf)).toEqual([
      ...['newsletters.post', 'polls.post', 'polls.put', 'polls.patch', 'polls.delete'],
    ]);
  });
});

describe('a webhook URL in connect', () => {
  it('is shown without its secrets', () => {
    expect(maskedUrl('https://me:pw@crm.example/s/secret/x?key=value&k=')).toBe(
      'https://crm.example/s/***/x?key=***&k=***',
    );
  });

  it.each([
    ['http://127.0.0.1:8080/webhooks/a', 'private_url'],
    ['http://localhost/webhooks/a', 'private_url'],
    ['https://192.168.1.5/webhooks/a', 'private_url'],
    ['http://[::1]/webhooks/a', 'private_url'],
    ['http://gateway.example/webhooks/a', 'insecure_url'],
  ])('%s causes the warning %s', (url, code) => {
    expect(warningsAboutUrl(url, 'https://gate.whapi.cloud')).toMatchObject([{ code }]);
  });

  it('causes no warning with https, nor next to a simulated Whapi', () => {
    expect(warningsAboutUrl('https://gateway.example/webhooks/a', 'https://gate.whapi.cloud')).toEqual([]);
    expect(warningsAboutUrl('http://127.0.0.1:8080/webhooks/a', 'http://127.0.0.1:8090')).toEqual([]);
  });
});
