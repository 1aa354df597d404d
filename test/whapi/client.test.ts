import type { ServerResponse } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createWhapiClient } from '../../src/whapi/client.js';
import type { WhapiAnswer } from '../../src/whapi/answers.js';
import type { WhapiClient } from '../../src/whapi/client.js';
import { guardOf } from '../support/guard.js';
import { startBot } from '../support/bot.js';
import type { Bot, BotAnswer } from '../support/bot.js';
import { requestTo } from '../support/delivery.js';
import { samplePayload } from '../support/files.js';
import { until } from '../support/intervals.js';

const TOKEN = 'the-token-of-the-channel';
const ID = 'p.w30M7fgwWD4XwHu.g4CA-gNcCzMdVPg';

interface Stage {
  readonly client: WhapiClient;
  /** Plays Whapi. */
  readonly whapi: Bot;
  ask(options?: { resync?: boolean; timeoutMs?: number; id?: string; path?: string }): Promise<WhapiAnswer>;
}

async function stage(answer: BotAnswer = 200): Promise<Stage> {
  const whapi = await startBot();
  whapi.otherwise = answer;
  const client = createWhapiClient(guardOf('private'));
  onTestFinished(async () => await client.destroy());
  return {
    client,
    whapi,
    ask: async ({ resync = true, timeoutMs = 10_000, id = ID, path = '' } = {}) =>
      await client.getMessage({ baseUrl: whapi.url + path, token: TOKEN }, id, { resync, timeoutMs }),
  };
}

function json(status: number, body: string | Buffer, headers: Record<string, string> = {}): BotAnswer {
  return (_request, response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
}

function error(code: number, message: string, more: Record<string, unknown> = {}): string {
  return JSON.stringify({ error: { code, message, ...more } });
}

describe('a call to Whapi', () => {
  it('requests the message with resync=true, and the token only in a header', async () => {
    const { whapi, ask } = await stage();
    await ask();
    const { method, url, headers } = await requestTo(whapi);
    expect(`${method} ${url}`).toBe(`GET /messages/${ID}?resync=true`);
    expect(headers.authorization).toBe(`Bearer ${TOKEN}`);
    expect(headers['user-agent']).toMatch(/^whapi-resync-gateway\/\d+\.\d+\.\d+$/);
  });

  it('requests it without the parameter for a poll', async () => {
    const { whapi, ask } = await stage();
    await ask({ resync: false });
    expect((await requestTo(whapi)).url).toBe(`/messages/${ID}`);
  });

  it.each(['', '/', '/proxy', '/proxy/'])('stays below a base URL that ends in "%s"', async (path) => {
    const { whapi, ask } = await stage();
    await ask({ path });
    expect((await requestTo(whapi)).url).toBe(`${path.replace(/\/$/, '')}/messages/${ID}?resync=true`);
  });

  it('keeps an unusual id in one path segment', async () => {
    const { whapi, ask } = await stage();
    await ask({ id: 'a/b?c#d e' });
    expect((await requestTo(whapi)).url).toBe('/messages/a%2Fb%3Fc%23d%20e?resync=true');
  });

  it('does not follow a redirect, which would reveal the token to another server', async () => {
    const elsewhere = await startBot();
    const { ask } = await stage(json(302, '', { location: elsewhere.url }));
    expect(await ask()).toMatchObject({ kind: 'missing' });
    expect(elsewhere.requests).toEqual([]);
  });
});

describe("Whapi's answer", () => {
  it('200 means that it has the message', async () => {
    const shown = samplePayload('api/get_message.resync.200').toString();
    const { ask } = await stage(json(200, shown));
    expect(await ask()).toEqual({ kind: 'found', message: JSON.parse(shown) as unknown });
  });

  it.each([true, false])('200 with a placeholder (resync: %s) means that the message is missing', async (resync) => {
    const { ask } = await stage(json(200, '{"id":"m-1","type":"unknown","chat_id":"c","from_me":false}'));
    expect(await ask({ resync })).toMatchObject({ kind: 'missing' });
  });

  it.each([
    ['a message larger than any placeholder', `{"type":"unknown","preview":"${'x'.repeat(100_000)}"}`],
    ['unreadable JSON', '{"type":"unknown"'],
  ])('200 with %s means that it has the message, whatever that is', async (_what, body) => {
    const { ask } = await stage(json(200, body));
    expect(await ask()).toEqual({ kind: 'found' });
  });

  it('200 with a text that says "unknown" means that it has the message', async () => {
    const { ask } = await stage(json(200, '{"type":"text","text":{"body":"unknown"}}'));
    expect(await ask()).toEqual({ kind: 'found', message: { type: 'text', text: { body: 'unknown' } } });
  });

  it.each([
    ['an empty body', ''],
    ["a proxy's page", '<html>Log in</html>'],
    ['another kind of JSON', '[]'],
    ['an error', '{"error":{"code":500,"message":"no"}}'],
    ['a large text', 'x'.repeat(100_000)],
  ])('200 with %s means that the message is missing', async (_what, body) => {
    const { ask } = await stage(json(200, body));
    expect(await ask()).toMatchObject({ kind: 'missing', reason: '200, but the body is not a message' });
  });

  it.each(['api/get_message.404', 'api/get_message.resync.404'])('404 %s means that it is missing', async (name) => {
    const { ask } = await stage(json(404, samplePayload(name)));
    expect(await ask()).toMatchObject({
      kind: 'missing',
      reason: expect.stringMatching(/^404 .*not found/) as unknown,
    });
  });

  it('404 about the channel means that every call is refused, because the token is wrong', async () => {
    const { ask } = await stage(json(404, samplePayload('api/error.404.channel')));
    expect(await ask()).toMatchObject({
      ...{ kind: 'refused', for: 'token' },
      reason: expect.stringMatching(/^404 Channel not found/) as unknown,
    });
  });

  it('404 about a message counts as that even if its details name a channel', async () => {
    const { ask } = await stage(json(404, error(404, 'Specified message not found', { details: 'in this channel' })));
    expect(await ask()).toMatchObject({ kind: 'missing' });
  });

  it.each([
    [400, 'api/get_message.400', { kind: 'refused' }],
    [401, 'api/error.401', { kind: 'refused', for: 'login' }],
    [402, 'api/error.402', { kind: 'refused', for: 'quota' }],
    [403, 'api/error.403', { kind: 'refused' }],
  ])("%i refuses this call or every call of the channel, with Whapi's reason", async (status, name, meaning) => {
    const { ask } = await stage(json(status, samplePayload(name)));
    const { error: said } = JSON.parse(samplePayload(name).toString()) as { error: { message: string } };
    expect(await ask()).toMatchObject({
      ...meaning,
      reason: expect.stringContaining(`${status} ${said.message}`) as unknown,
    });
  });

  it.each([429, 500, 502, 503, 504])('%i means that it is busy', async (status) => {
    const { ask } = await stage(json(status, error(status, 'Too much')));
    expect(await ask()).toEqual({ kind: 'busy', reason: `${status} Too much`, retryAfter: null });
  });

  it('429 with a Retry-After means that it is busy for that time', async () => {
    const { ask } = await stage(json(429, error(429, 'Too many requests'), { 'retry-after': '30' }));
    expect(await ask()).toEqual({ kind: 'busy', reason: '429 Too many requests', retryAfter: '30' });
  });

  it('includes the details in the reason', async () => {
    const { ask } = await stage(json(400, error(400, 'Wrong request parameters', { details: 'MessageID is odd' })));
    expect(await ask()).toMatchObject({ reason: '400 Wrong request parameters: MessageID is odd' });
  });

  it.each(['<html>Bad gateway</html>', '', 'null', '[]', '"words"', '{}', '{"error":null}', '{"error":{"message":7}}'])(
    'gives no reason if the body is %s',
    async (body) => {
      const { ask } = await stage(json(502, body));
      expect(await ask()).toEqual({ kind: 'busy', reason: 'HTTP status 502', retryAfter: null });
    },
  );
});

describe('a call without an answer', () => {
  it('ends at its timeout', async () => {
    const { ask } = await stage(() => undefined);
    expect(await ask({ timeoutMs: 50 })).toEqual({ kind: 'timeout' });
  });

  it('ends at its timeout even if an error keeps trickling in', async () => {
    const { ask } = await stage((_request, response) => drip(response));
    expect(await ask({ timeoutMs: 50 })).toEqual({ kind: 'timeout' });
  });

  it('is distinguished from one that Whapi may have received if the connection is refused', async () => {
    const { whapi, ask } = await stage();
    await whapi.close();
    expect(await ask()).toMatchObject({
      kind: 'unreachable',
      reason: expect.stringContaining('ECONNREFUSED') as unknown,
    });
  });

  it('reports a broken connection', async () => {
    const { ask } = await stage((_request, { socket }) => socket?.resetAndDestroy());
    const answer = await ask();
    expect(answer.kind).toBe('unreachable');
    expect('reason' in answer && answer.reason).toMatch(/.../);
  });

  it('ends when the client is closed', async () => {
    const { client, whapi, ask } = await stage(() => undefined);
    const answer = ask();
    await whapi.received(1);
    await client.destroy();
    expect((await answer).kind).toBe('unreachable');
  });

  it('never rejects, not even with an invalid base URL', async () => {
    const { client } = await stage();
    const access = { baseUrl: 'http://', token: TOKEN };
    expect(await client.getMessage(access, ID, { resync: true, timeoutMs: 1000 })).toMatchObject({
      kind: 'unreachable',
    });
  });
});

describe('a huge answer', () => {
  it('with an error is read only up to a limit, and its reason is shortened', async () => {
    const { ask } = await stage(json(400, error(400, 'x'.repeat(1_000_000))));
    const answer = await ask();
    expect(answer.kind).toBe('refused');
    expect('reason' in answer && answer.reason.length).toBeLessThan(2000);
  });

  it('with a long error message from Whapi is cut to a readable length', async () => {
    const { ask } = await stage(json(400, error(400, 'x'.repeat(50_000))));
    const answer = await ask();
    expect('reason' in answer && answer.reason.length).toBeLessThan(2000);
  });

  it('without an end is cut off', async () => {
    const poured = { isOver: false };
    const { ask } = await stage((_request, response) => pour(response, poured));
    expect(await ask()).toMatchObject({ kind: 'missing' });
    await until(() => expect(poured.isOver).toBe(true));
  });
});

/** Answers 500 and sends a byte now and then, without end. */
function drip(response: ServerResponse): void {
  response.writeHead(500).write('.');
  const drops = setInterval(() => response.write('.'), 10);
  response.on('close', () => clearInterval(drops));
}

/** Answers 200 and writes as fast as the client reads, without end. */
function pour(response: ServerResponse, poured: { isOver: boolean }): void {
  const more = (): void => void response.write(Buffer.alloc(64 * 1024, 'a'));
  response.writeHead(200).on('drain', more);
  response.on('close', () => (poured.isOver = true));
  more();
}
