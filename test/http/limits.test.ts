import { describe, expect, it } from 'vitest';
import { expectProblem, pagesOf, startApi } from '../support/api.js';
import type { List } from '../support/api.js';
import type { Answer, Client } from '../support/client.js';
import { startLocal } from '../support/gateway.js';
import { textWebhook } from '../support/texts.js';

/** A list of the API: creates the given number of entries and returns the path and the key of each entry. */
interface Lister {
  readonly name: string;
  readonly key: string;
  readonly fill: (gateway: Client, count: number) => Promise<string>;
}

const LISTS: readonly Lister[] = [
  {
    name: '/v1/channels',
    key: 'name',
    fill: async (gateway, count) => {
      // One exists already.
      for (const number of range(count - 1)) await gateway.addChannel({ name: `channel-${number}` });
      return '/v1/channels';
    },
  },
  {
    name: '/v1/targets',
    key: 'id',
    fill: async (gateway, count) => {
      for (const number of range(count)) await addTarget(gateway, `target-${number}`);
      return '/v1/targets';
    },
  },
  {
    name: '/v1/resyncs',
    key: 'id',
    fill: async (gateway, count) => {
      for (const number of range(count)) await resync(gateway, [`message-${number}`]);
      return '/v1/resyncs';
    },
  },
  {
    name: '/v1/resyncs/{id}/messages',
    key: 'message_id',
    fill: async (gateway, count) => {
      const id = await resync(
        gateway,
        range(count).map((number) => `message-${number}`),
      );
      return `/v1/resyncs/${id}/messages`;
    },
  },
  {
    name: '/v1/messages',
    key: 'message_id',
    fill: async (gateway, count) => {
      // Three in one webhook, so that a page ends in the middle of one.
      const ids = range(count).map((number) => `message-${number}`);
      for (let at = 0; at < count; at += 3) await gateway.webhook(textWebhook(...ids.slice(at, at + 3)));
      return '/v1/messages';
    },
  },
  {
    name: '/v1/deliveries',
    key: 'id',
    fill: async (gateway, count) => {
      await addTarget(gateway, 'bot');
      for (const number of range(count)) await gateway.webhook(textWebhook(`message-${number}`));
      return '/v1/deliveries';
    },
  },
];

describe.each(LISTS)('the list $name', ({ fill, key }) => {
  it('returns every entry exactly once over its pages, and no cursor with the last page', async () => {
    const gateway = await startApi();
    const path = await fill(gateway, 7);
    const [all] = await pagesOf<Record<string, string>>(gateway, path, 500);
    const keys = (all ?? []).map((entry) => entry[key]);
    expect(new Set(keys).size).toBe(7);
    const pages = await pagesOf<Record<string, string>>(gateway, path, 3);
    expect(pages.map((page) => page.length)).toEqual([3, 3, 1]);
    expect(pages.flat().map((entry) => entry[key])).toEqual(keys);
  });

  it('returns no cursor if the last page is full', async () => {
    const gateway = await startApi();
    const path = await fill(gateway, 4);
    expect((await pagesOf(gateway, path, 2)).map((page) => page.length)).toEqual([2, 2]);
    expect((await pagesOf(gateway, path, 4)).map((page) => page.length)).toEqual([4]);
  });

  it('returns 50 entries by default', async () => {
    const gateway = await startApi();
    const path = await fill(gateway, 52);
    const { body } = await gateway.call<List<unknown>>('GET', path);
    expect(body.data).toHaveLength(50);
    expect(body.next_cursor).not.toBeNull();
  });

  it('accepts limits from 1 to 500 and refuses others', async () => {
    const gateway = await startApi();
    const path = await fill(gateway, 1);
    for (const limit of ['1', '500']) expect((await gateway.call('GET', `${path}?limit=${limit}`)).status).toBe(200);
    for (const limit of ['0', '501', '-1', '1.5', 'ten', '', '1&limit=2']) {
      const answer = await gateway.call('GET', `${path}?limit=${limit}`);
      expect([limit, expectProblem(answer, 400, 'GW_BAD_REQUEST')]).toEqual([limit, ['/limit']]);
    }
  });

  it('refuses an invalid cursor and unknown query parameters', async () => {
    const gateway = await startApi();
    const path = await fill(gateway, 1);
    for (const cursor of ['', 'abc', '!', '{}', '[]', '[1.5]', '[1,2,3]', 'null'].map(base64)) {
      const answer = await gateway.call('GET', `${path}?cursor=${cursor}`);
      expect([cursor, answer.status]).toEqual([cursor, 400]);
      expectProblem(answer, 400, 'GW_BAD_REQUEST');
    }
    expectProblem(await gateway.call('GET', `${path}?cursor=%00%ff`), 400, 'GW_BAD_REQUEST');
    expect(expectProblem(await gateway.call('GET', `${path}?page=2`), 400, 'GW_BAD_REQUEST')).toEqual(['/page']);
  });
});

describe('the next page', () => {
  it.each(['/v1/messages', '/v1/deliveries', '/v1/resyncs'])(
    'of %s continues after the previous one even if newer entries came in between',
    async (name) => {
      const gateway = await startApi();
      const list = LISTS.find((lister) => lister.name === name);
      const path = (await list?.fill(gateway, 4)) ?? '';
      const whole = await gateway.call<List<unknown>>('GET', path);
      const first = await gateway.call<List<unknown>>('GET', `${path}?limit=2`);
      await gateway.webhook(textWebhook('newer'));
      await resync(gateway, ['newest']);
      const second = await gateway.call<List<unknown>>('GET', `${path}?limit=2&cursor=${first.body.next_cursor ?? ''}`);
      expect([...first.body.data, ...second.body.data]).toEqual(whole.body.data);
    },
  );
});

describe('API_RATE_PER_MINUTE', () => {
  it('answers requests over the limit with 429 and Retry-After', async () => {
    const gateway = await startLocal({ env: { API_RATE_PER_MINUTE: '3' } });
    const statuses = [];
    for (const path of ['/v1/channels', '/v1/targets', '/v1/resyncs'])
      statuses.push((await gateway.call('GET', path)).status);
    expect(statuses).toEqual([200, 200, 200]);
    const answer = await gateway.call('GET', '/v1/deliveries');
    expectProblem(answer, 429, 'GW_RATE_LIMITED');
    expectRetryWithinAMinute(answer);
  });

  it('does not apply to webhooks and the operation routes', async () => {
    const gateway = await startLocal({ env: { API_RATE_PER_MINUTE: '1' } });
    await gateway.addChannel();
    expect((await gateway.call('GET', '/v1/channels')).status).toBe(429);
    for (const number of range(3)) expect((await gateway.webhook(textWebhook(`m-${number}`))).status).toBe(200);
    for (const path of ['/healthz', '/readyz', '/openapi.json'])
      expect((await gateway.call('GET', path)).status).toBe(200);
  });

  it('sets no limit at 0', async () => {
    const gateway = await startLocal({ env: { API_RATE_PER_MINUTE: '0' } });
    const answers = await Promise.all(range(50).map(async () => await gateway.call('GET', '/v1/channels')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  });
});

describe('the admin token', () => {
  it('is required for every kind of request to /v1', async () => {
    const gateway = await startApi();
    for (const authorization of ['', 'Bearer', 'Bearer wrong', 'Basic YWRtaW46YWRtaW4='])
      expectProblem(await gateway.call('GET', '/v1/channels', undefined, { authorization }), 401, 'GW_UNAUTHORIZED');
    const change = await gateway.call('DELETE', '/v1/channels/main', undefined, { authorization: 'Bearer wrong' });
    expectProblem(change, 401, 'GW_UNAUTHORIZED');
    expect((await gateway.call('GET', '/v1/channels/main')).status).toBe(200);
  });

  it.each([
    [{}, 'the token in the file admin-token, beside the database'],
    [{ ADMIN_TOKEN: 'a-token-that-is-long-enough' }, 'the value of ADMIN_TOKEN'],
  ])(
    'that is missing or wrong is refused in words that say which, and where the right one is (%j)',
    async (env, place) => {
      const gateway = await startLocal({ env });
      for (const [authorization, problem] of [
        ['', 'Missing admin token'],
        ['Bearer wrong', 'Wrong admin token'],
      ] as const) {
        const { body } = await gateway.call('GET', '/v1/channels', undefined, { authorization });
        expect(body['detail']).toBe(`${problem}. Send "Authorization: Bearer <token>" with ${place}.`);
      }
    },
  );

  it('is not accepted in the query', async () => {
    const gateway = await startLocal({ env: { ADMIN_TOKEN: 'a-token-that-is-long-enough' } });
    const answer = await gateway.call('GET', '/v1/channels?token=a-token-that-is-long-enough', undefined, {
      authorization: '',
    });
    expectProblem(answer, 401, 'GW_UNAUTHORIZED');
  });

  it('is checked before the body', async () => {
    const gateway = await startLocal();
    const answer = await gateway.call('POST', '/v1/channels', { nonsense: true }, { authorization: 'Bearer wrong' });
    expect(expectProblem(answer, 401, 'GW_UNAUTHORIZED')).toEqual([]);
  });

  it('that is wrong twenty times is answered 429 with Retry-After, while the right one still works', async () => {
    const gateway = await startLocal();
    const guess = async () => await gateway.call('GET', '/v1/channels', undefined, { authorization: 'Bearer wrong' });
    for (const number of range(20)) expect([number, (await guess()).status]).toEqual([number, 401]);
    const answer = await guess();
    expectProblem(answer, 429, 'GW_RATE_LIMITED');
    expectRetryWithinAMinute(answer);
    expect((await gateway.call('GET', '/v1/channels')).status).toBe(200);
    expect((await guess()).status).toBe(429);
  });
});

describe('a large API body', () => {
  it('may contain ten thousand ids of a resync, and no more', async () => {
    const gateway = await startApi();
    const ids = (count: number) => range(count).map((number) => `${String(number).padStart(6, '0')}${'x'.repeat(54)}`);
    const call = async (message_ids: string[]) =>
      await gateway.call('POST', '/v1/resyncs', { channel: 'main', message_ids });
    const answer = await call(ids(10_001));
    expect(expectProblem(answer, 400, 'GW_BAD_REQUEST')).toEqual(['/message_ids']);
    expect((await call(ids(10_000))).status).toBe(202);
  });

  it('is refused elsewhere with 413 GW_TOO_LARGE', async () => {
    const gateway = await startLocal();
    const name = 'x'.repeat(2 * 1024 * 1024);
    expectProblem(await gateway.call('POST', '/v1/targets', { name, url: 'http://x' }), 413, 'GW_TOO_LARGE');
  });

  it('with very many problems is answered with only some of them', async () => {
    const gateway = await startApi();
    const answer = await gateway.call('POST', '/v1/resyncs', {
      channel: 'main',
      message_ids: Array<string>(5000).fill('a b'),
    });
    const paths = expectProblem(answer, 400, 'GW_BAD_REQUEST');
    expect(paths[0]).toBe('/message_ids/0');
    expect(paths.length).toBeLessThanOrEqual(20);
  });
});

function range(count: number): number[] {
  return [...Array(count).keys()];
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64url');
}

function expectRetryWithinAMinute({ headers }: Answer): void {
  const seconds = Number(headers.get('retry-after'));
  expect(seconds).toBeGreaterThanOrEqual(1);
  expect(seconds).toBeLessThanOrEqual(60);
}

/** Nothing is sent to it, because these tests only read lists. */
async function addTarget(gateway: Client, name: string): Promise<void> {
  await gateway.addTarget({ name, url: 'http://127.0.0.1:9', enabled: false });
}

async function resync(gateway: Client, ids: readonly string[]): Promise<string> {
  const { status, body } = await gateway.call<{ id: string }>('POST', '/v1/resyncs', {
    channel: 'main',
    message_ids: ids,
  });
  expect(status).toBe(202);
  return body.id;
}
