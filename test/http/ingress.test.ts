import { request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startBot } from '../support/bot.js';
import type { Bot } from '../support/bot.js';
import { WEBHOOK_SECRET } from '../support/client.js';
import { startLocal } from '../support/gateway.js';
import type { LocalGateway, LocalOptions } from '../support/gateway.js';

const BEARER = { authorization: `Bearer ${WEBHOOK_SECRET}` };
const METHODS = ['POST', 'PUT', 'PATCH', 'DELETE'];

/** A gateway with the channel `main` and one bot. */
async function setUp(
  options: LocalOptions = {},
  target: Record<string, unknown> = {},
): Promise<{ gateway: LocalGateway; bot: Bot }> {
  const gateway = await startLocal(options);
  const bot = await startBot();
  await gateway.addChannel();
  await gateway.addTarget({ url: `${bot.url}/hook`, ...target });
  return { gateway, bot };
}

function webhookOf(...ids: string[]): string {
  return JSON.stringify({ messages: ids.map((id) => ({ id, type: 'text', chat_id: 'chat', timestamp: 1712995245 })) });
}

interface RawRequest {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: OutgoingHttpHeaders;
  /** Written one after the other. */
  readonly body?: readonly (string | Buffer)[];
  /** The body never ends. */
  readonly unfinished?: boolean;
}

/** A request that `fetch` would normalize: its path, headers and framing. */
async function send(
  { url }: LocalGateway,
  { method = 'POST', path = '/webhooks/main', headers = BEARER, body = [], unfinished = false }: RawRequest,
): Promise<{ status: number | undefined; headers: IncomingHttpHeaders; body: Record<string, unknown> }> {
  return await new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const length = body.reduce((sum, part) => sum + Buffer.byteLength(part), 0);
    const isFramed = length === 0 || 'transfer-encoding' in headers || 'content-length' in headers;
    const framed = isFramed ? headers : { ...headers, 'content-length': length };
    const request = httpRequest({ hostname, port, method, path, headers: framed, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({
          status: response.statusCode,
          headers: response.headers,
          body: JSON.parse(text) as Record<string, unknown>,
        });
        request.destroy();
      });
    });
    request.on('error', reject);
    for (const part of body) request.write(part);
    if (!unfinished) request.end();
  });
}

/** The numbers of recorded messages, deliveries and channel ids. */
async function recorded(gateway: LocalGateway): Promise<{ messages: number; deliveries: number; channelId: unknown }> {
  const [messages, deliveries] = await Promise.all(
    ['messages', 'deliveries'].map(
      async (list) => (await gateway.call<{ data: unknown[] }>('GET', `/v1/${list}`)).body.data.length,
    ),
  );
  const { body } = await gateway.call('GET', '/v1/channels/main');
  return { messages: messages ?? NaN, deliveries: deliveries ?? NaN, channelId: body['channel_id'] };
}

const NOTHING = { messages: 0, deliveries: 0, channelId: null };

describe('the secret of a webhook', () => {
  it('is required for each method, with the same answer for none, a wrong one and an unknown channel', async () => {
    const { gateway } = await setUp();
    const wrong: RawRequest[] = [
      ...METHODS.map((method) => ({ method, headers: {} })),
      ...METHODS.map((method) => ({ method, headers: { authorization: 'Bearer wrong' } })),
      ...METHODS.map((method) => ({ method, path: '/webhooks/nowhere' })),
      { path: '/webhooks/nowhere/messages/post', headers: {} },
      { path: '/webhooks/main/s/wrong', headers: {} },
      { headers: { authorization: `Basic ${WEBHOOK_SECRET}` } },
    ];
    const answers = await Promise.all(
      wrong.map(async (given) => await send(gateway, { ...given, body: ['{no json'] })),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 401));
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    expect(answers[0]?.body['code']).toBe('GW_UNAUTHORIZED');
  });

  it('is checked before the body is read', async () => {
    const { gateway } = await setUp({ env: { MAX_BODY_BYTES: '1024' } });
    const headers = { 'content-length': 1_000_000 };
    const answer = await send(gateway, { headers, body: ['{"messages":'], unfinished: true });
    expect(answer.status).toBe(401);
  });

  it('may be in the path for webhooks without custom headers, and is hidden from the bot', async () => {
    const { gateway, bot } = await setUp();
    const path = `/webhooks/main/s/${WEBHOOK_SECRET}`;
    const bare = await send(gateway, { path, headers: {}, body: [webhookOf('a')] });
    const deep = await send(gateway, { path: `${path}/messages/post`, headers: {}, body: [webhookOf('b')] });
    expect([bare.status, deep.status]).toEqual([200, 200]);
    const requests = await bot.received(2);
    expect(requests.map(({ url }) => url).sort()).toEqual(['/hook', '/hook/messages/post']);
    expect(JSON.stringify(requests)).not.toContain(WEBHOOK_SECRET);
  });

  it('is not forwarded in the header either', async () => {
    const { gateway, bot } = await setUp();
    await gateway.webhook(webhookOf('a'));
    const [request] = await bot.received(1);
    expect(JSON.stringify(request?.headers)).not.toContain(WEBHOOK_SECRET);
  });

  it('can be changed, after which the old one is refused', async () => {
    const { gateway } = await setUp();
    expect((await gateway.webhook(webhookOf('a'))).status).toBe(200);
    await gateway.call('PATCH', '/v1/channels/main', { webhook_secret: 'another-secret-of-it' });
    expect((await gateway.webhook(webhookOf('b'))).status).toBe(401);
    expect((await gateway.webhook(webhookOf('b'), { secret: 'another-secret-of-it' })).status).toBe(200);
  });

  it('of one channel is refused by another', async () => {
    const { gateway } = await setUp();
    await gateway.addChannel({ name: 'second', webhook_secret: 'the-secret-of-the-second' });
    expect((await gateway.webhook(webhookOf('a'), { channel: 'second' })).status).toBe(401);
  });

  it('is answered 401 up to twenty times a minute when wrong, then 429, while the right one is accepted', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const { gateway } = await setUp();
    const wrong = async (channel: string) => await gateway.webhook('{}', { channel, secret: 'wrong' });
    const statuses: number[] = [];
    for (let count = 0; count < 20; count++) statuses.push((await wrong(count % 2 ? 'main' : 'nowhere')).status);
    expect(new Set(statuses)).toEqual(new Set([401]));

    vi.advanceTimersByTime(20_000);
    const refused = await wrong('main');
    expect([refused.status, refused.body.code, refused.headers.get('retry-after')]).toEqual([
      429,
      'GW_RATE_LIMITED',
      '40',
    ]);
    expect((await gateway.webhook(webhookOf('a'))).status).toBe(200);

    vi.advanceTimersByTime(40_000);
    expect((await wrong('main')).status).toBe(401);
  });
});

describe('a webhook body', () => {
  it('of an unknown shape is an event and is forwarded unchanged', async () => {
    const { gateway, bot } = await setUp();
    const deep = '['.repeat(200) + ']'.repeat(200);
    const odd = ['{}', '[]', '"text"', '7', 'null', ' {"x":[1.10, 18446744073709552000]}\n', '{"messages":[]}', deep];
    const bodies = [...odd, '[{"messages":[{"id":"a"}]}]', '{"messages":{"id":"a"}}', '{"something":[{"id":"a"}]}'];
    for (const body of bodies) {
      const answer = await gateway.webhook(body);
      expect(answer).toMatchObject({ status: 200, body: { items: 1, verdicts: { event: 1 } } });
    }
    const requests = await bot.received(bodies.length);
    expect(requests.map(({ body }) => body.toString()).sort()).toEqual(bodies.sort());
  });

  it('that is not JSON is answered 400 and recorded nowhere, so that a corrected one is new', async () => {
    const { gateway } = await setUp();
    const valid = '{"messages":[{"id":"a","text":"é"}],"channel_id":"ONE"}';
    const bodies = [
      valid.slice(0, -1),
      `\ufeff\ufeff${valid}`,
      Buffer.from(valid, 'latin1'),
      `${valid},`,
      'messages=a',
      ' ',
    ];
    for (const body of bodies) {
      const answer = await gateway.webhook(body);
      expect([answer.status, answer.body.code]).toEqual([400, 'GW_BAD_JSON']);
    }
    expect(await recorded(gateway)).toEqual(NOTHING);
    expect((await gateway.webhook(valid)).body.verdicts).toEqual({ new: 1 });
  });

  it('that is missing is answered 400 for each method', async () => {
    const { gateway } = await setUp();
    for (const method of METHODS) {
      for (const headers of [BEARER, { ...BEARER, 'content-type': 'application/json' }]) {
        expect(await send(gateway, { method, headers })).toMatchObject({ status: 400, body: { code: 'GW_BAD_JSON' } });
      }
    }
    expect(await recorded(gateway)).toEqual(NOTHING);
  });

  it('may have MAX_BODY_BYTES and no more, with or without a Content-Length', async () => {
    const { gateway, bot } = await setUp({ env: { MAX_BODY_BYTES: '1024' } });
    const allowed = `"${'x'.repeat(1022)}"`;
    const chunked = { ...BEARER, 'transfer-encoding': 'chunked' };
    expect((await gateway.webhook(allowed)).status).toBe(200);
    expect(await gateway.webhook(`${allowed} `)).toMatchObject({ status: 413, body: { code: 'GW_TOO_LARGE' } });
    expect((await send(gateway, { headers: chunked, body: [allowed, ' '] })).status).toBe(413);
    await gateway.settled();
    expect(bot.requests).toHaveLength(1);
  });

  it('may be chunked', async () => {
    const { gateway, bot } = await setUp();
    const text = webhookOf('a', 'b');
    const parts = [text.slice(0, 1), text.slice(1, 20), text.slice(20)];
    const answer = await send(gateway, { headers: { ...BEARER, 'transfer-encoding': 'chunked' }, body: parts });
    expect(answer).toMatchObject({ status: 200, body: { items: 2, verdicts: { new: 2 } } });
    expect((await bot.received(1))[0]?.body.toString()).toBe(text);
  });

  it('is read as JSON with any content type, which is forwarded unchanged', async () => {
    const { gateway, bot } = await setUp();
    const odd = ['multipart/form-data', 'text/plain;charset=iso-8859-1', ';;; nonsense/ /', 'json', '"'];
    const types = ['application/json', 'application/json; charset=utf-8', 'application/x-www-form-urlencoded', ...odd];
    for (const type of types) {
      const answer = await send(gateway, { headers: { ...BEARER, 'content-type': type }, body: [webhookOf(type)] });
      expect(answer).toMatchObject({ status: 200, body: { verdicts: { new: 1 } } });
    }
    const requests = await bot.received(types.length);
    expect(requests.map(({ headers }) => headers['content-type'])).toEqual(types);
  });

  it('is read for each method, with and without a content type', async () => {
    const { gateway, bot } = await setUp();
    for (const method of METHODS) {
      const typed = { ...BEARER, 'content-type': 'application/json' };
      await send(gateway, { method, headers: typed, body: [webhookOf(`${method} typed`)] });
      await send(gateway, { method, body: [webhookOf(method)] });
    }
    const requests = await bot.received(8);
    const seen = requests.map(({ method, ids }) => [method, ...ids]);
    expect(seen).toEqual(
      METHODS.flatMap((method) => [
        [method, `${method} typed`],
        [method, method],
      ]),
    );
  });

  it('with a message that has an unusual timestamp is accepted and forwarded', async () => {
    const { gateway, bot } = await setUp();
    const times = ['1e400', '-1e400', '1712995245.5', '-0.0', '1712995245000', '18446744073709552000', '"1"', 'null'];
    const bodies = times.map((time, at) => `{"messages":[{"id":"${at}","chat_id":"chat","timestamp":${time}}]}`);
    for (const body of bodies) {
      const answer = await gateway.webhook(body);
      expect([answer.status, answer.body.verdicts]).toEqual([200, { new: 1 }]);
    }
    expect((await bot.received(bodies.length)).map(({ body }) => body.toString())).toEqual(bodies);
  });
});

describe('the answer to a webhook', () => {
  it('counts the items and their verdicts', async () => {
    const { gateway } = await setUp();
    await gateway.webhook(webhookOf('a'));
    const { body } = await gateway.webhook(
      '{"messages":[{"id":"a"},{"id":"b"},{"id":"c"},{"no":"id"}],"statuses":[{"id":"a"}],"event":{"type":"messages","event":"post"}}',
    );
    expect(body).toEqual({ items: 5, verdicts: { duplicate: 1, new: 2, event: 2 } });
  });

  it('I3: counts the second of two equal items in one webhook as a duplicate', async () => {
    const { gateway, bot } = await setUp();
    expect((await gateway.webhook(webhookOf('a', 'b', 'a'))).body.verdicts).toEqual({ new: 2, duplicate: 1 });
    expect((await bot.received(1))[0]?.ids).toEqual(['a', 'b']);
  });

  it('I3: is 200 for each of several equal simultaneous webhooks, and only one makes a delivery', async () => {
    const { gateway, bot } = await setUp();
    const answers = await Promise.all(Array.from({ length: 8 }, async () => await gateway.webhook(webhookOf('a'))));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(answers.map(({ body }) => Object.keys(body.verdicts).join()).sort()).toEqual([
      ...Array<string>(7).fill('duplicate'),
      'new',
    ]);
    await gateway.settled();
    expect(bot.requests.map(({ ids }) => ids)).toEqual([['a']]);
  });

  it('I1: is 200 only once the webhook is stored, so that a new gateway on the same data knows it', async () => {
    const { gateway } = await setUp();
    expect((await gateway.webhook(webhookOf('a'))).status).toBe(200);
    await gateway.close();
    const next = await startLocal({ folder: gateway.folder });
    expect((await next.webhook(webhookOf('a'))).body.verdicts).toEqual({ duplicate: 1 });
  });

  it('is 404 for a method that Whapi does not use', async () => {
    const { gateway } = await setUp();
    const answers = await Promise.all(['GET', 'OPTIONS'].map(async (method) => await send(gateway, { method })));
    expect(answers.map(({ status, body }) => [status, body['code']])).toEqual(answers.map(() => [404, 'GW_NOT_FOUND']));
    expect(await recorded(gateway)).toEqual(NOTHING);
  });
});

describe('the path suffix of a webhook', () => {
  it('is forwarded unchanged except for empty segments and a trailing slash', async () => {
    const { gateway, bot } = await setUp();
    const suffixes = ['', '/', '/messages/post', '/messages', '/something//else/', '/a%20b/%C3%A9%7E'];
    for (const suffix of suffixes) await send(gateway, { path: `/webhooks/main${suffix}`, body: [webhookOf(suffix)] });
    const requests = await bot.received(suffixes.length);
    const sent = ['', '', '/messages/post', '/messages', '/something/else', '/a%20b/%C3%A9%7E'];
    expect(requests.map(({ url }) => url)).toEqual(sent.map((suffix) => `/hook${suffix}`));
  });

  it("is refused if it leads outside the target's URL", async () => {
    const { gateway } = await setUp();
    for (const suffix of ['/..', '/../../v1/targets', '/messages/../../x', '/%2e%2e/x', '/..%2fx', '/%2E', '/..\\x']) {
      const answer = await send(gateway, { path: `/webhooks/main${suffix}`, body: [webhookOf('a')] });
      expect(answer).toMatchObject({ status: 404, body: { code: 'GW_NOT_FOUND' } });
    }
    expect(await recorded(gateway)).toEqual(NOTHING);
  });

  it.each(['path', 'method'])(
    'that the mode %s of a target adds does not lead outside its URL either',
    async (mode) => {
      const { gateway, bot } = await setUp({}, { mode });
      const types = ['..', '.', '../x', '%2e%2e'];
      for (const type of types) await gateway.webhook(JSON.stringify({ event: { type, event: 'post' } }));
      await gateway.settled();
      expect(bot.requests).toHaveLength(types.length);
      for (const { url } of bot.requests) expect(url).toMatch(/^\/hook\//);
    },
  );
});

describe('the Whapi id of a channel', () => {
  const of = (channelId: string, id: string) => `{"messages":[{"id":"${id}"}],"channel_id":"${channelId}"}`;

  it('is learned from the first webhook that carries one', async () => {
    const { gateway } = await setUp();
    await gateway.webhook(webhookOf('a'));
    expect((await recorded(gateway)).channelId).toBeNull();
    await gateway.webhook(of('ONE', 'b'));
    expect((await recorded(gateway)).channelId).toBe('ONE');
    expect((await gateway.webhook(webhookOf('c'))).status).toBe(200);
  });

  it("is answered 409 if it is another channel's, and nothing changes", async () => {
    const { gateway } = await setUp();
    await gateway.webhook(of('ONE', 'a'));
    const answer = await gateway.webhook(of('TWO', 'b'));
    expect([answer.status, answer.body.code]).toEqual([409, 'GW_CHANNEL_MISMATCH']);
    expect(await recorded(gateway)).toEqual({ messages: 1, deliveries: 1, channelId: 'ONE' });
    expect((await gateway.webhook(of('ONE', 'b'))).body.verdicts).toEqual({ new: 1 });
  });

  it('can be cleared and is then learned again', async () => {
    const { gateway } = await setUp();
    await gateway.webhook(of('ONE', 'a'));
    await gateway.call('PATCH', '/v1/channels/main', { channel_id: null });
    expect((await gateway.webhook(of('TWO', 'b'))).status).toBe(200);
    expect((await recorded(gateway)).channelId).toBe('TWO');
    expect((await gateway.webhook(of('ONE', 'c'))).status).toBe(409);
  });

  it('is set by only one of two simultaneous webhooks that disagree, and the other is answered 409', async () => {
    const { gateway, bot } = await setUp();
    const answers = await Promise.all([gateway.webhook(of('ONE', 'a')), gateway.webhook(of('TWO', 'b'))]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    await gateway.settled();
    expect(bot.requests).toHaveLength(1);
  });
});

describe('WEBHOOK_RATE_PER_SECOND', () => {
  async function limited(): Promise<{ gateway: LocalGateway; pass: (ms: number) => void }> {
    let now = Date.UTC(2025, 0, 15);
    const { gateway } = await setUp({ env: { WEBHOOK_RATE_PER_SECOND: '2' }, effects: { now: () => now } });
    return { gateway, pass: (ms) => (now += ms) };
  }

  async function statuses(gateway: LocalGateway, count: number, channel = 'main'): Promise<number[]> {
    const found: number[] = [];
    for (let sent = 0; sent < count; sent++) found.push((await gateway.webhook('{}', { channel })).status);
    return found;
  }

  it('accepts that many with a burst of one second, and answers the rest 429 with Retry-After', async () => {
    const { gateway } = await limited();
    expect(await statuses(gateway, 4)).toEqual([200, 200, 200, 200]);
    const refused = await gateway.webhook(webhookOf('a'));
    expect([refused.status, refused.body.code, refused.headers.get('retry-after')]).toEqual([
      429,
      'GW_RATE_LIMITED',
      '1',
    ]);
    expect((await recorded(gateway)).messages).toBe(0);
  });

  it('accepts as many as the elapsed time allows', async () => {
    const { gateway, pass } = await limited();
    await statuses(gateway, 4);
    pass(500);
    expect(await statuses(gateway, 2)).toEqual([200, 429]);
    pass(1000);
    expect(await statuses(gateway, 3)).toEqual([200, 200, 429]);
  });

  it('counts per channel, and only webhooks with the right secret', async () => {
    const { gateway } = await limited();
    await gateway.addChannel({ name: 'second' });
    for (let count = 0; count < 5; count++) await gateway.webhook('{}', { secret: 'wrong' });
    expect(await statuses(gateway, 5)).toEqual([200, 200, 200, 200, 429]);
    expect(await statuses(gateway, 1, 'second')).toEqual([200]);
  });

  it('sets no limit when it is unset', async () => {
    const { gateway } = await setUp({ effects: { now: () => Date.UTC(2025, 0, 15) } });
    expect(new Set(await statuses(gateway, 50))).toEqual(new Set([200]));
  });
});
