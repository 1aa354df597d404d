import { describe, expect, it } from 'vitest';
import { quoted } from '../../src/quoted.js';
import { startApi } from '../support/api.js';
import type { LocalGateway } from '../support/gateway.js';

interface ProblemJson {
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

const TARGET = { name: 'bot', url: 'http://127.0.0.1:3000/hook' };
const URL_WORDS = 'an http:// or https:// URL, for example https://bot.example.com/hook';

async function problemOf(gateway: LocalGateway, method: string, path: string, body?: unknown): Promise<ProblemJson> {
  const answer = await gateway.call<ProblemJson>(method, path, body);
  expect(answer.status).toBe(400);
  return answer.body;
}

describe('an invalid request body', () => {
  it.each([
    [{ ...TARGET, url: 'localhost:3000/hook' }, `"url" is "localhost:3000/hook"; expected ${URL_WORDS}.`],
    [{ ...TARGET, mode: 'foo' }, '"mode" is "foo"; expected one of as_received, body, path, method.'],
    [{ ...TARGET, channnels: ['main'] }, 'unknown field "channnels"; did you mean "channels"?'],
    [{ name: 'bot' }, `missing field "url"; expected ${URL_WORDS}.`],
    [{ ...TARGET, timeout_ms: 5 }, '"timeout_ms" is 5; expected a whole number from 100 to 120,000.'],
    [
      { ...TARGET, max_age_seconds: 0 },
      '"max_age_seconds" is 0; expected a whole number from 1 to 31,536,000, or null.',
    ],
    [
      { ...TARGET, rate_per_second: 0 },
      '"rate_per_second" is 0; expected a number above 0 and up to 100,000, or null.',
    ],
    [{ ...TARGET, name: '' }, '"name" is empty; expected a text of 1 to 100 characters.'],
    [{ ...TARGET, name: 'x'.repeat(300) }, '"name" is 300 characters long; expected a text of 1 to 100 characters.'],
    [{ ...TARGET, channels: [] }, '"channels" is an empty list; expected a list of 1 to 1,000 items.'],
    [{ ...TARGET, deliver: ['new', 'new'] }, '"deliver" has "new" twice.'],
    [{ ...TARGET, enabled: 'yes' }, '"enabled" is "yes"; expected true or false.'],
    [{ ...TARGET, events: ['mesages'] }, /"events\[0\]" is "mesages", which is not an event of Whapi; expected \*, or/],
    ['text', 'expected a JSON object, not a string.'],
    [[], 'expected a JSON object, not a list.'],
  ])('%j is described with the value and what is right', async (body, words) => {
    const { detail } = await problemOf(await startApi(), 'POST', '/v1/targets', body);
    if (typeof words === 'string') expect(detail).toBe(`Invalid request body: ${words}`);
    else expect(detail).toMatch(words);
    expect(detail).not.toMatch(/\^|must |\/\w+ /);
  });

  it('names each wrong field in errors, in the same words', async () => {
    const body = { ...TARGET, url: 'x', colour: 'red' };
    const { detail, errors } = await problemOf(await startApi(), 'POST', '/v1/targets', body);
    expect(errors).toHaveLength(2);
    expect(errors).toEqual(
      expect.arrayContaining([
        { path: '/url', message: `"url" is "x"; expected ${URL_WORDS}` },
        {
          path: '/colour',
          message: expect.stringMatching(/^unknown field "colour"; expected one of name, url, /) as unknown,
        },
      ]),
    );
    expect(detail).toContain(`"url" is "x"; expected ${URL_WORDS}.`);
  });

  it('with ten thousand wrong ids is described briefly: the first few and how many more', async () => {
    const ids = Array.from({ length: 10_000 }, (_, index) => `not an id ${index}`);
    const body = { channel: 'main', message_ids: ids };
    const { detail, errors } = await problemOf(await startApi(), 'POST', '/v1/resyncs', body);
    expect(detail).toBe(
      'Invalid request body: "message_ids" has 10,000 invalid items: "not an id 0", "not an id 1", "not an id 2" and 9,997 ' +
        'more; expected a message id: 1 to 256 letters, digits, ".", "_", "~" or "-", for example p.w30M7fgwWD4XwHu.g4CA-gNcCzMdVPg.',
    );
    expect(errors).toHaveLength(20);
  });

  it('is shortened where a value is long', async () => {
    const { detail } = await problemOf(await startApi(), 'POST', '/v1/targets', { ...TARGET, url: 'x'.repeat(2000) });
    expect(detail).toContain(`"url" is "${'x'.repeat(80)}…"`);
  });

  it.each([
    ['/v1/channels', { name: 'shop', whapi_token: 'hush hush' }],
    ['/v1/channels', { name: 'shop', whapi_token: 'a', webhook_secret: 'hush!' }],
    ['/v1/targets', { ...TARGET, secret: 'hush' }],
    ['/v1/targets', { ...TARGET, secret: `hush${'x'.repeat(200)}` }],
    ['/v1/targets', { ...TARGET, headers: { 'X-Key': 'hush\n' } }],
    ['/v1/targets', { ...TARGET, url: 'http://me:hush@127.0.0.1:3000' }],
  ])('never repeats a secret: %s %j', async (path, body) => {
    const { detail, errors } = await problemOf(await startApi(), 'POST', path, body);
    expect(JSON.stringify([detail, errors])).not.toContain('hush');
    expect(errors).toHaveLength(1);
  });
});

describe('a secret in a field of another kind', () => {
  it.each([
    'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD',
    'whsec_hush',
    'Bearer hush',
    'Fh3LpQ2xZk8TnV6cRb1YwJ9sDm4GuA7e',
    '5f1c0a9be27d4463a8c1f0d2b7e95a3c41d08e6f7b2a9c10',
    'C2FVsBQIhrscChlQIMV/b5sSYspob7oDC2FVsBQIhrs=',
  ])('is not repeated: %s', async (secret) => {
    const gateway = await startApi();
    for (const body of [
      { ...TARGET, url: secret },
      { ...TARGET, url: `localhost:3000/?token=${secret}` },
      { ...TARGET, url: `ftp://me:${secret}@127.0.0.1` },
      { ...TARGET, mode: secret },
      { ...TARGET, channels: [`${secret}!`] },
      { ...TARGET, events: [secret] },
      { ...TARGET, deliver: [secret, secret] },
      { ...TARGET, timeout_ms: secret },
      { ...TARGET, headers: { [secret]: 'a\nb' } },
      { ...TARGET, [secret]: 1 },
      { name: secret.padEnd(300) },
    ]) {
      const { detail, errors } = await problemOf(gateway, 'POST', '/v1/targets', body);
      expect([body, JSON.stringify([detail, errors]).includes(secret)]).toEqual([body, false]);
    }
    const query = `?${encodeURIComponent(secret)}=1&limit=${encodeURIComponent(secret)}`;
    expect(JSON.stringify(await problemOf(gateway, 'GET', `/v1/items${query}`))).not.toContain(secret);
    expect(JSON.stringify(gateway.logs)).not.toContain(secret);
  });

  it.each([
    'https://my-bot-production-2.example.com/hook/v1/messages',
    'a-name-of-a-target-with-a-number-2',
    'messages_updates.after_update.2026',
    'p.w30M7fgwWD4XwHu.g4CA-gNcCzMdVPg',
    'tgt_eKn66wZKiYb6OnZ45o36',
    'x'.repeat(60),
    '2026-01-31T12:00:00Z',
  ])('is not seen in an ordinary value: %s', (value) => {
    expect(quoted(value)).toBe(JSON.stringify(value));
  });
});

describe('an invalid query', () => {
  it.each([
    ['/v1/items?limit=9999', '"limit" is 9999; expected a whole number from 1 to 500.'],
    ['/v1/items?limit=many', '"limit" is "many"; expected a whole number from 1 to 500.'],
    ['/v1/items?held=maybe', '"held" is "maybe"; expected true or false.'],
    ['/v1/items?chanel=shop', 'unknown parameter "chanel"; did you mean "channel"?'],
    ['/v1/items?verdict=old', '"verdict" is "old"; expected one of new, late, restored, duplicate, event.'],
    ['/v1/items?channel=Shop', /^"channel" is "Shop"; expected a channel name: .*, for example shop\.$/],
  ])('%s is described with the value and what is right', async (path, words) => {
    const { detail } = await problemOf(await startApi(), 'GET', path);
    expect(detail.replace('Invalid query: ', '')).toEqual(
      typeof words === 'string' ? words : (expect.stringMatching(words) as unknown),
    );
  });

  it('of a time or a cursor says how to write it, or where it comes from', async () => {
    const gateway = await startApi();
    expect(await problemOf(gateway, 'GET', '/v1/items?since=yesterday')).toMatchObject({
      detail:
        'Invalid time: "since" is "yesterday"; expected an ISO 8601 time with a zone, for example 2026-01-31T12:00:00Z.',
    });
    expect((await problemOf(gateway, 'GET', '/v1/items?cursor=nonsense')).detail).toMatch(/^Invalid cursor\. /);
  });
});
