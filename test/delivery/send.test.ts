import { request as httpRequest } from 'node:http';
import type { ServerResponse } from 'node:http';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { destinationOf } from '../../src/delivery/send.js';
import { TARGET_MODES } from '../../src/model.js';
import type { Target } from '../../src/model.js';
import { startBot } from '../support/bot.js';
import type { BotAnswer, BotRequest } from '../support/bot.js';
import { WEBHOOK_SECRET } from '../support/client.js';
import { startClock } from '../support/clock.js';
import { deliveriesOf, deliveryOf, requestTo, startDelivery } from '../support/delivery.js';
import { QUICK_RETRIES_MS, until } from '../support/intervals.js';
import { outgoing, startSender } from '../support/sender.js';
import { textWebhook } from '../support/texts.js';

/** Valid JSON that no serializer would write this way. */
const ODD_BODY =
  '{ "messages" :\t[ {"id":"m-1","chat_id":"c","timestamp":1.7e9,"n":18014398509481985,"x":1.10,"id2":"\\u00e9\\/é👋"} ],\r\n "event":{"type":"messages","event":"post"}}\n';

const intervals = { retryDelaysMs: QUICK_RETRIES_MS };

/** Each within the answer to one attempt. */
const BREAKS: readonly { where: string; fail: (response: ServerResponse) => void }[] = [
  { where: 'before a byte', fail: ({ socket }) => socket?.destroy() },
  { where: 'with a reset', fail: ({ socket }) => socket?.resetAndDestroy() },
  { where: 'in the first line', fail: ({ socket }) => socket?.end('HTTP/1.1 20') },
  { where: 'in the headers', fail: ({ socket }) => socket?.end('HTTP/1.1 200 OK\r\nx-a') },
  { where: 'with something that is no HTTP', fail: ({ socket }) => socket?.end('hello, world\r\n\r\n') },
];

/** An independent verification that throws on a wrong signature for these bytes. */
function verify({ headers, body }: BotRequest, secret: string, bytes = body): unknown {
  return new Webhook(secret).verify(bytes, headers as Record<string, string>);
}

function header(name: string): (request: BotRequest) => unknown {
  return ({ headers }) => headers[name];
}

describe('the signature', () => {
  it('verifies the exact bytes that the bot receives, and no others', async () => {
    const { gateway, bot, target } = await startDelivery();
    await gateway.webhook(ODD_BODY);
    const request = await requestTo(bot);
    expect(request.body.toString()).toBe(ODD_BODY);
    expect(() => verify(request, target.secret)).not.toThrow();
    expect(() => verify(request, target.secret, Buffer.from(ODD_BODY.trim()))).toThrow(WebhookVerificationError);
  });

  it("uses the user's secret, and the new one after a change", async () => {
    const [first, second] = ['first', 'second'].map(
      (word) => `whsec_${Buffer.from(word.repeat(6)).toString('base64')}`,
    );
    const { gateway, bot, target } = await startDelivery({ secret: first });
    await gateway.webhook(textWebhook('m-1'));
    const before = await requestTo(bot);
    await gateway.call('PATCH', `/v1/targets/${target.id}`, { secret: second });
    await gateway.webhook(textWebhook('m-2'));
    const after = await requestTo(bot, 2);
    expect(() => verify(before, first ?? '')).not.toThrow();
    expect(() => verify(after, second ?? '')).not.toThrow();
  });

  it('is new for each attempt, while webhook-id stays the same (I5)', async () => {
    const clock = startClock();
    const { gateway, bot, target } = await startDelivery({}, { effects: clock.effects, intervals });
    const failTwoSecondsLater: BotAnswer = (_request, response) => {
      clock.advance(2000);
      response.writeHead(500).end();
    };
    bot.answers.push(failTwoSecondsLater, failTwoSecondsLater);
    await gateway.webhook(textWebhook('m-1'));
    const requests = await bot.received(3);
    const different = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(
      (name) => new Set(requests.map(header(name))).size,
    );
    expect(different).toEqual([1, 3, 3]);
    for (const request of requests) expect(() => verify(request, target.secret)).not.toThrow();
  });

  it('also covers a body from which items were withheld', async () => {
    const { gateway, bot, target } = await startDelivery();
    await gateway.webhook(textWebhook('m-1'));
    await gateway.webhook(textWebhook('m-1', 'm-2'));
    const request = await requestTo(bot, 2);
    expect(request.ids).toEqual(['m-2']);
    expect(() => verify(request, target.secret)).not.toThrow();
  });
});

describe('the headers', () => {
  it('name the delivery, the channel and one verdict per sent item', async () => {
    const { gateway, bot } = await startDelivery({ deliver: ['new', 'duplicate'] });
    await gateway.webhook(textWebhook('m-1'));
    await gateway.webhook(textWebhook('m-1', 'm-2', 'm-3'));
    await gateway.settled();
    expect(bot.requests.map(header('x-gateway-verdicts'))).toEqual(['new', 'duplicate,new,new']);
    expect(bot.requests.map(header('x-gateway-channel'))).toEqual(['main', 'main']);
    expect(header('webhook-id')(await requestTo(bot))).toBe((await deliveriesOf(gateway, 'm-1'))[0]?.id);
  });

  it('name only the verdicts of the sent items when others were withheld', async () => {
    const { gateway, bot } = await startDelivery();
    await gateway.webhook(textWebhook('m-1'));
    await gateway.webhook(textWebhook('m-1', 'm-2'));
    expect(header('x-gateway-verdicts')(await requestTo(bot, 2))).toBe('new');
  });

  it("contain the target's own headers and Whapi's content type unchanged", async () => {
    const { gateway, bot } = await startDelivery({ headers: { 'X-Own': 'yes', authorization: 'Bearer of the bot' } });
    await gateway.webhook(textWebhook('m-1'), { headers: { 'content-type': 'application/json; charset="utf-8"' } });
    expect((await requestTo(bot)).headers).toMatchObject({
      'x-own': 'yes',
      authorization: 'Bearer of the bot',
      'content-type': 'application/json; charset="utf-8"',
    });
  });

  it("default to application/json, and forward neither Whapi's secret nor any other header", async () => {
    const { gateway, bot } = await startDelivery();
    const authorization = `Bearer ${WEBHOOK_SECRET}`;
    const headers = { authorization, 'x-forwarded-for': '192.0.2.7', cookie: 'a=b' };
    httpRequest(`${gateway.url}/webhooks/main`, { method: 'POST', headers }).end(textWebhook('m-1'));
    const { headers: sent } = await requestTo(bot);
    expect(sent['content-type']).toBe('application/json');
    expect([sent.authorization, sent['x-forwarded-for'], sent.cookie]).toEqual([undefined, undefined, undefined]);
  });

  it('omit the list of verdicts for a batch whose header a server would refuse', async () => {
    const { gateway, bot } = await startDelivery();
    const ids = Array.from({ length: 5000 }, (_, number) => `m-${number}`);
    await gateway.webhook(textWebhook(...ids));
    const request = await requestTo(bot);
    expect(request.ids).toEqual(ids);
    expect(header('x-gateway-verdicts')(request)).toBeUndefined();
  });
});

describe('the mode of a target', () => {
  it.each([
    ['as_received', '/', 'POST', '', 'POST /'],
    ['as_received', '/', 'PUT', '/statuses', 'PUT /statuses'],
    ['as_received', '/hook', 'POST', '', 'POST /hook'],
    ['as_received', '/hook/', 'POST', '', 'POST /hook/'],
    ['as_received', '/hook?key=1&b=%2F', 'PATCH', '', 'PATCH /hook?key=1&b=%2F'],
    ['as_received', '/hook', 'DELETE', '/statuses', 'DELETE /hook/statuses'],
    ['as_received', '/hook/', 'POST', '/statuses/put', 'POST /hook/statuses/put'],
    ['as_received', '/hook/?key=1', 'PUT', '/statuses/', 'PUT /hook/statuses/?key=1'],
    ['as_received', '/a%20b/', 'PUT', '/st%C3%A4tuses', 'PUT /a%20b/st%C3%A4tuses'],
    ['body', '/hook', 'PUT', '/statuses', 'POST /hook'],
    ['body', '/hook/?key=1', 'POST', '/statuses/put', 'POST /hook/?key=1'],
    ['path', '/hook', 'PUT', '/statuses', 'POST /hook/statuses/put'],
    ['path', '/hook/?key=1', 'POST', '', 'POST /hook/statuses/put?key=1'],
    ['path', '/', 'POST', '', 'POST /statuses/put'],
    ['method', '/hook', 'POST', '', 'PUT /hook/statuses'],
    ['method', '/hook/?key=1', 'POST', '/statuses/put', 'PUT /hook/statuses?key=1'],
  ] as const)('%s with a target at %s: %s "%s" is sent as %s', (mode, path, method, suffix, expected) => {
    const target = { url: `https://bot.example${path}`, mode } as Target;
    const to = destinationOf({ target, method, suffix, event: { type: 'statuses', method: 'put' } });
    expect(`${to.method} ${to.url.pathname}${to.url.search}`).toBe(expected);
    expect(to.url.origin).toBe('https://bot.example');
  });

  it('determines the requests that the bots get, all with the same body', async () => {
    const { gateway, bot } = await startDelivery({ enabled: false });
    const body = '{"statuses":[{"id":"m-1","status":"read"}],"event":{"type":"statuses","event":"put"}}';
    for (const mode of TARGET_MODES) await gateway.addTarget({ mode, url: `${bot.url}/${mode}/?key=1` });
    await gateway.webhook(body, { method: 'PUT', suffix: '/status' });
    const requests = await bot.received(TARGET_MODES.length);
    expect(requests.map(({ method, url }) => `${method} ${url}`).sort()).toEqual([
      'POST /body/?key=1',
      'POST /path/statuses/put?key=1',
      'PUT /as_received/status?key=1',
      'PUT /method/statuses?key=1',
    ]);
    expect(new Set(requests.map((request) => request.body.toString()))).toEqual(new Set([body]));
  });

  it('as_received follows the method and the path of each webhook, however many there are', async () => {
    const bot = await startBot();
    const sender = startSender('private');
    const toBot = outgoing(`${bot.url}/hook`);
    const paths = Array.from({ length: 60 }, (_, number) => `/part-${number}`);
    for (const suffix of [...paths, ...paths])
      for (const method of ['POST', 'PUT'] as const) await sender.send({ ...toBot, method, suffix });
    const expected = paths.flatMap((path) => [`POST /hook${path}`, `PUT /hook${path}`]);
    expect(bot.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([...expected, ...expected]);
  });

  it('method gives each event its own verb and its body, also with DELETE', async () => {
    const { gateway, bot } = await startDelivery({ mode: 'method' });
    for (const event of ['post', 'put', 'patch', 'delete'])
      await gateway.webhook(`{"event":{"type":"messages","event":"${event}"}}`);
    const requests = await bot.received(4);
    expect(requests.map(({ method }) => method)).toEqual(['POST', 'PUT', 'PATCH', 'DELETE']);
    expect(requests.every(({ body }) => body.length > 0)).toBe(true);
  });

  it.each(['.', '..', 'a/../../b', 'a?b#c', '%2e%2e'])(
    "path keeps the event type %j in one segment below the target's path",
    async (type) => {
      const bot = await startBot();
      const { gateway } = await startDelivery({ mode: 'path', url: `${bot.url}/hook` });
      await gateway.webhook(`{"event":{"type":"${type}","event":"post"}}`);
      expect((await requestTo(bot)).url).toMatch(/^\/hook\/[^/?#]+\/post$/);
    },
  );
});

describe('a successful answer', () => {
  it('may have any 2xx status and is not followed by a repetition', async () => {
    const { gateway, bot } = await startDelivery();
    bot.answers.push(200, 201, 202, 204);
    for (const id of ['m-1', 'm-2', 'm-3', 'm-4']) await gateway.webhook(textWebhook({ id, chat: 'one' }));
    await gateway.settled();
    const deliveries = await Promise.all(['m-1', 'm-2', 'm-3', 'm-4'].map(async (id) => await deliveryOf(gateway, id)));
    expect(deliveries.map(({ log }) => log.map(({ status }) => status))).toEqual([[200], [201], [202], [204]]);
    expect(deliveries.map(({ last_error }) => last_error)).toEqual([null, null, null, null]);
  });
});

describe('an unsuccessful answer', () => {
  it('is followed by another attempt for every status other than 2xx and 410', async () => {
    const statuses = [300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 502, 503];
    const { gateway, bot } = await startDelivery({ max_attempts: 100 });
    bot.answers.push(...statuses);
    await gateway.webhook(textWebhook('m-1'));
    await bot.received(statuses.length + 1);
    await gateway.settled();
    const { status, log } = await deliveryOf(gateway, 'm-1');
    expect(status).toBe('delivered');
    expect(log.map((attempt) => attempt.status)).toEqual([...statuses, 200]);
    expect(log.map(({ error }) => error)).toEqual([...statuses.map((code) => `The target answered ${code}.`), null]);
  });

  it('is not followed if it is a redirect', async () => {
    const elsewhere = await startBot();
    const { gateway, bot } = await startDelivery();
    const redirect = (status: number): BotAnswer => {
      return (_request, response) => response.writeHead(status, { location: elsewhere.url }).end();
    };
    bot.answers.push(...[301, 302, 307, 308].map(redirect));
    await gateway.webhook(textWebhook('m-1'));
    await bot.received(5);
    expect(elsewhere.requests).toEqual([]);
  });

  it('is not an interim one, so that 102 before 200 is a success', async () => {
    const { gateway, bot } = await startDelivery();
    bot.otherwise = (_request, response) => {
      response.writeProcessing();
      response.writeHead(200).end();
    };
    await gateway.webhook(textWebhook('m-1'));
    await gateway.settled();
    expect(await deliveryOf(gateway, 'm-1')).toMatchObject({ status: 'delivered', attempts: 1 });
  });

  it.each([
    ['in seconds', () => '120'],
    ['as a date', (now: number) => new Date(now + 120_000).toUTCString()],
  ])('delays the next attempt by its Retry-After %s', async (_form, retryAfter) => {
    const clock = startClock();
    const { gateway, bot } = await startDelivery({}, { effects: clock.effects, intervals });
    bot.answers.push((_request, response) => response.writeHead(503, { 'retry-after': retryAfter(clock.now()) }).end());
    await gateway.webhook(textWebhook('m-1'));
    const { log, next_attempt_at } = await until(async () => {
      const found = await deliveryOf(gateway, 'm-1');
      expect(found.attempts).toBe(1);
      return found;
    });
    const pauseMs = Date.parse(next_attempt_at ?? '') - Date.parse(log[0]?.started_at ?? '');
    expect(pauseMs).toBeGreaterThan(118_000);
    expect(pauseMs).toBeLessThan(130_000);
    clock.advance(pauseMs);
    expect((await requestTo(bot, 2)).ids).toEqual(['m-1']);
  });
});

describe('an attempt without an answer', () => {
  it('fails at its timeout and is followed by another', async () => {
    const { gateway, bot } = await startDelivery({ timeout_ms: 100 });
    bot.answers.push(() => undefined);
    await gateway.webhook(textWebhook('m-1'));
    await bot.received(2);
    await gateway.settled();
    const { status, log } = await deliveryOf(gateway, 'm-1');
    expect(status).toBe('delivered');
    expect(log).toMatchObject([{ status: null, error: 'No answer within 100 ms.' }, { status: 200 }]);
    expect(log[0]?.duration_ms).toBeGreaterThanOrEqual(95);
  });

  it('is followed by another, wherever the connection breaks before the answer', async () => {
    const { gateway, bot } = await startDelivery({ max_attempts: 100 });
    bot.answers.push(
      ...BREAKS.map(
        ({ fail }): BotAnswer =>
          (_request, response) =>
            fail(response),
      ),
    );
    await gateway.webhook(textWebhook('m-1'));
    await bot.received(BREAKS.length + 1);
    await gateway.settled();
    const { status, log } = await deliveryOf(gateway, 'm-1');
    expect(status).toBe('delivered');
    expect(log.map((attempt) => attempt.status)).toEqual([...BREAKS.map(() => null), 200]);
    expect(log.slice(0, -1).every(({ error }) => error !== null && error !== '')).toBe(true);
  });

  it('is repeated while the connection is refused, until a server listens', async () => {
    const { gateway, bot } = await startDelivery({ max_attempts: 100 });
    await bot.close();
    await gateway.webhook(textWebhook('m-1'));
    const { log } = await until(async () => {
      const found = await deliveryOf(gateway, 'm-1');
      expect(found.attempts).toBeGreaterThan(1);
      return found;
    });
    expect(log[0]).toMatchObject({ status: null, error: expect.stringContaining('ECONNREFUSED') as unknown });
    const back = await startBot(Number(new URL(bot.url).port));
    expect((await requestTo(back)).ids).toEqual(['m-1']);
  });
});

describe('the body of an answer', () => {
  it('is read up to a limit, and a bot that never stops sending is cut off and counts as delivered', async () => {
    const { gateway, bot } = await startDelivery();
    const poured = { bytes: 0, isOver: false };
    bot.otherwise = (_request, response) => pour(response, poured);
    await gateway.webhook(textWebhook('m-1'));
    await gateway.settled();
    expect(await deliveryOf(gateway, 'm-1')).toMatchObject({ status: 'delivered', attempts: 1 });
    await until(() => expect(poured.isOver).toBe(true));
    expect(poured.bytes).toBeLessThan(64 * 1024 * 1024);
  });

  it('is not read when it announces a huge length', async () => {
    const { gateway, bot } = await startDelivery();
    bot.otherwise = (_request, response) =>
      void response.writeHead(200, { 'content-length': '99999999999' }).write('a');
    await gateway.webhook(textWebhook('m-1'));
    await gateway.settled();
    expect(await deliveryOf(gateway, 'm-1')).toMatchObject({ status: 'delivered', attempts: 1 });
  });

  it.each([
    ['never stops dripping', drip],
    ['never ends', (response: ServerResponse) => void response.writeHead(200).write('.')],
    ['never begins', (response: ServerResponse) => response.writeHead(200).flushHeaders()],
  ])('that %s does not affect a 200, because the attempt ends with the status', async (_how, answer) => {
    const { gateway, bot, target } = await startDelivery({ timeout_ms: 60_000 });
    bot.otherwise = (_request, response) => answer(response);
    for (const id of ['m-1', 'm-2', 'm-3']) await gateway.webhook(textWebhook({ id, chat: 'one' }));
    await gateway.settled();
    expect(await deliveryOf(gateway, 'm-3')).toMatchObject({ status: 'delivered', attempts: 1, last_error: null });
    expect(bot.requests).toHaveLength(3);
    const { body } = await gateway.call('GET', `/v1/targets/${target.id}`);
    expect(body).toMatchObject({ breaker: { state: 'closed', consecutive_failures: 0 } });
  });

  it('that stays open is cut off after a while, and only a few per target are read at all', async () => {
    const open = new Set<ServerResponse>();
    const { gateway, bot } = await startDelivery();
    bot.otherwise = (_request, response) => {
      open.add(response.on('close', () => open.delete(response)));
      response.writeHead(200).write('.');
    };
    for (let number = 0; number < 40; number += 1) await gateway.webhook(textWebhook(`m-${number}`));
    await bot.received(40);
    await until(() => expect(open.size).toBeLessThanOrEqual(16));
    await until(() => expect(open.size).toBe(0));
  });

  it('that breaks off does not affect a 200, because the bot has the message', async () => {
    const { gateway, bot } = await startDelivery();
    bot.otherwise = (_request, response) =>
      void response.writeHead(200, { 'content-length': '100' }).write('half', () => response.socket?.end());
    await gateway.webhook(textWebhook('m-1'));
    await gateway.settled();
    expect(await deliveryOf(gateway, 'm-1')).toMatchObject({ status: 'delivered', attempts: 1 });
    expect(bot.requests).toHaveLength(1);
  });
});

describe('a test of a target', () => {
  it('sends a signed test event at once and records no delivery', async () => {
    const { gateway, bot, target } = await startDelivery({ enabled: false });
    const { status, body } = await gateway.call('POST', `/v1/targets/${target.id}/test`);
    expect({ status, body }).toMatchObject({ status: 200, body: { delivered: true, status: 200, error: null } });
    const request = await requestTo(bot);
    expect(verify(request, target.secret)).toEqual({ messages: [], event: { type: 'messages', event: 'post' } });
    expect(await gateway.call('GET', '/v1/deliveries')).toMatchObject({ body: { data: [] } });
  });

  it('reports the failure and does not retry', async () => {
    const { gateway, bot, target } = await startDelivery();
    bot.answers.push(503);
    const { body } = await gateway.call('POST', `/v1/targets/${target.id}/test`);
    expect(body).toMatchObject({ delivered: false, status: 503, error: 'The target answered 503.' });
    expect(bot.requests).toHaveLength(1);
  });
});

const CHUNK = Buffer.alloc(64 * 1024, 'a');

/** Answers 200 and sends a byte now and then, without end. */
function drip(response: ServerResponse): void {
  response.writeHead(200).write('.');
  const drops = setInterval(() => response.write('.'), 10);
  response.on('close', () => clearInterval(drops));
}

/** Answers 200 and writes as fast as the client reads, without end. */
function pour(response: ServerResponse, poured: { bytes: number; isOver: boolean }): void {
  const more = (): void => {
    poured.bytes += CHUNK.length;
    response.write(CHUNK);
  };
  response.writeHead(200).on('drain', more);
  response.on('close', () => (poured.isOver = true));
  more();
}
