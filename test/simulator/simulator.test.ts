import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, describe, expect, it } from 'vitest';

import { type Effects, systemEffects } from '../../src/effects.js';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../src/simulator/simulator.js';
import { control } from '../../src/simulator/control.js';
import type { EventName, WebhookSetting, WhapiMessage } from '../../src/whapi/wire.js';

const MESSAGES_POST: EventName = { type: 'messages', method: 'post' };
const POST_MARK = { type: 'messages', event: 'post' };
const CHAT = '12025550142@s.whatsapp.net';

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Recorded {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Body;
}

type Body = Readonly<Record<string, unknown>>;

interface Recorder {
  readonly url: string;
  readonly seen: Recorded[];
  /** The answers to the next requests, then 200. */
  readonly answers: number[];
}

async function startRecorder(): Promise<Recorder> {
  const seen: Recorded[] = [];
  const answers: number[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      seen.push({ method, url, headers, body: JSON.parse(Buffer.concat(chunks).toString()) as Body });
      response.writeHead(answers.shift() ?? 200).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, answers };
}

async function start(options: SimulatorOptions = {}): Promise<Simulator> {
  const simulator = await startSimulator({ timeScale: 1000, ...options });
  open.push(async () => await simulator.close());
  return simulator;
}

/** A simulator with one webhook, by default in mode body and subscribed to messages.post. */
async function startWithHook(
  webhook: Partial<WebhookSetting> = {},
  options: SimulatorOptions = {},
): Promise<{ whapi: Simulator; hook: Recorder }> {
  const [whapi, hook] = await Promise.all([start(options), startRecorder()]);
  whapi.setWebhooks([{ url: hook.url, events: [MESSAGES_POST], ...webhook }]);
  return { whapi, hook };
}

/** A clock whose sleepers wake on request: `wake(ms)` ends every sleep of that length, including later ones. */
function wakeableSleep(): { effects: Effects; wake: (ms: number) => void } {
  const alarms = new EventTarget();
  const woken = new Set<number>();
  const sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    if (woken.has(ms) || signal?.aborted) return;
    await Promise.race([once(alarms, String(ms)), ...(signal ? [once(signal, 'abort')] : [])]);
  };
  const wake = (ms: number): void => {
    woken.add(ms);
    alarms.dispatchEvent(new Event(String(ms)));
  };
  return { effects: { ...systemEffects, sleep }, wake };
}

interface Answer {
  readonly status: number;
  readonly body: Body;
}

async function call(whapi: Simulator, path: string, init: RequestInit = {}): Promise<Answer> {
  const headers = { authorization: `Bearer ${whapi.token}` };
  const response = await fetch(whapi.url + path, { headers, ...init });
  const text = await response.text();
  return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as Body };
}

function messageOf(id: string, more: Partial<WhapiMessage> = {}): WhapiMessage {
  return { id, type: 'text', chat_id: CHAT, from_me: false, timestamp: 1_712_995_245, text: { body: id }, ...more };
}

function refused(status: number, message: string): object {
  return { status, body: { error: { code: status, message } } };
}

describe('authorization', () => {
  it('accepts the token as bearer or as query parameter', async () => {
    const whapi = await start({ token: 'secret' });
    expect(await call(whapi, '/health')).toMatchObject({ status: 200 });
    expect(await call(whapi, '/health?token=secret', { headers: {} })).toMatchObject({ status: 200 });
  });

  it('answers 404 "Channel not found" to a wrong or missing token', async () => {
    const whapi = await start();
    const wrong = { authorization: 'Bearer nobody' };
    expect(await call(whapi, '/health', { headers: wrong })).toEqual(refused(404, 'Channel not found'));
    expect(await call(whapi, '/health', { headers: {} })).toEqual(refused(404, 'Channel not found'));
  });
});

describe('GET /messages/{id}', () => {
  it('answers with the bare message if it is cached, otherwise with 404', async () => {
    const whapi = await start();
    whapi.store(messageOf('kept-g1'));
    whapi.store(messageOf('lost-g1'), { cached: false });
    expect(await call(whapi, '/messages/kept-g1')).toEqual({ status: 200, body: messageOf('kept-g1') });
    expect(await call(whapi, '/messages/lost-g1')).toEqual(refused(404, 'Specified message not found'));
  });

  it.each(['1', '0', 'TRUE', ''])('refuses resync=%s, because only true and false are booleans', async (word) => {
    const whapi = await start();
    expect(await call(whapi, `/messages/kept-g1?resync=${word}`)).toMatchObject({ status: 400 });
  });

  it('counts the calls that are in flight at the same time', async () => {
    const { effects, wake } = wakeableSleep();
    const whapi = await start({ effects, timeScale: 1 });
    whapi.faults.slowAnswerMs = 50_000;
    const answers = ['a-1', 'b-1', 'c-1'].map(async (id) => await call(whapi, `/messages/${id}`));
    await expect.poll(() => whapi.calls.length).toBe(3);
    wake(50_000);
    await Promise.all(answers);
    await call(whapi, '/messages/d-1');
    expect(whapi.mostCallsAtOnce).toBe(3);
    expect(whapi.calls.map(({ messageId }) => messageId).sort()).toEqual(['a-1', 'b-1', 'c-1', 'd-1']);
    expect(whapi.calls.at(-1)).toMatchObject({ method: 'GET', resync: false, status: 404, inFlight: 1 });
  });
});

describe('a resync', () => {
  it('is answered 404 after 15 s, and the message is back after 60 s with an ordinary messages.post', async () => {
    const { effects, wake } = wakeableSleep();
    const { whapi, hook } = await startWithHook({}, { effects, timeScale: 2 });
    whapi.store(messageOf('lost-g1'), { cached: false });
    const answer = call(whapi, '/messages/lost-g1?resync=true');
    wake(15_000 / 2);
    expect(await answer).toEqual(refused(404, 'Specified message not found'));
    expect(await call(whapi, '/messages/lost-g1')).toMatchObject({ status: 404 });
    wake(60_000 / 2);
    await whapi.idle();
    expect(await call(whapi, '/messages/lost-g1')).toMatchObject({ status: 200 });
    const body = { messages: [messageOf('lost-g1')], event: POST_MARK, channel_id: whapi.channelId };
    expect(hook.seen.map((request) => request.body)).toEqual([body]);
  });

  it('of an id unknown to the phone has no effect, for any fault settings', async () => {
    const { whapi, hook } = await startWithHook();
    whapi.faults.resyncAnswers = 200;
    expect(await call(whapi, '/messages/nobody-g1?resync=true')).toMatchObject({ status: 404 });
    await whapi.idle();
    expect(await call(whapi, '/messages/nobody-g1')).toMatchObject({ status: 404 });
    expect(hook.seen).toEqual([]);
  });

  it('can be answered 200 with the message', async () => {
    const whapi = await start();
    whapi.store(messageOf('lost-g1'), { cached: false });
    whapi.faults.resyncAnswers = 200;
    expect(await call(whapi, '/messages/lost-g1?resync=true')).toEqual({ status: 200, body: messageOf('lost-g1') });
    expect(await call(whapi, '/messages/lost-g1')).toMatchObject({ status: 200 });
  });

  it('that hangs is never answered but still brings the message back', async () => {
    const { whapi, hook } = await startWithHook();
    whapi.store(messageOf('lost-g1'), { cached: false });
    whapi.faults.resyncHangs = true;
    const caller = new AbortController();
    const answer = call(whapi, '/messages/lost-g1?resync=true', { signal: caller.signal }).catch(() => 'given up');
    await expect.poll(() => hook.seen.length).toBe(1);
    caller.abort();
    expect(await answer).toBe('given up');
    expect(whapi.calls).toMatchObject([{ messageId: 'lost-g1', resync: true, status: null }]);
  });

  it('can send several webhooks, or none', async () => {
    const { whapi, hook } = await startWithHook();
    whapi.store(messageOf('lost-g1'), { cached: false });
    whapi.faults.resyncWebhooks = 3;
    await call(whapi, '/messages/lost-g1?resync=true');
    await whapi.idle();
    whapi.faults.resyncSendsWebhook = false;
    await call(whapi, '/messages/lost-g1?resync=true');
    await whapi.idle();
    expect(hook.seen).toHaveLength(3);
  });

  it('can make the restored message the last one of its chat', async () => {
    const { whapi, hook } = await startWithHook({ events: [{ type: 'chats', method: 'patch' }] });
    whapi.store(messageOf('newer-g1', { timestamp: 1_800_000_000 }));
    whapi.store(messageOf('lost-g1'), { cached: false });
    whapi.faults.resyncSideEffect = true;
    await call(whapi, '/messages/lost-g1?resync=true');
    await whapi.idle();
    const update = {
      before_update: { last_message: { id: 'newer-g1' } },
      after_update: { last_message: { id: 'lost-g1' } },
    };
    expect(hook.seen[0]?.body).toMatchObject({ chats_updates: [update], event: { type: 'chats', event: 'patch' } });
  });

  it('brings nothing back while the channel is not AUTH', async () => {
    const { whapi, hook } = await startWithHook();
    whapi.store(messageOf('lost-g1'), { cached: false });
    whapi.faults.healthText = 'SYNC_ERROR';
    await call(whapi, '/messages/lost-g1?resync=true');
    await whapi.idle();
    expect(await call(whapi, '/messages/lost-g1')).toMatchObject({ status: 404 });
    expect(hook.seen).toEqual([]);
  });

  it('has no effect when refused with 429, but may bring the message back when it fails with 500', async () => {
    const { whapi, hook } = await startWithHook();
    whapi.store(messageOf('lost-g1'), { cached: false });
    for (const status of [429, 500] as const) {
      whapi.faults.restStatus = status;
      expect(await call(whapi, '/messages/lost-g1?resync=true')).toMatchObject({ status });
      await whapi.idle();
      expect(hook.seen).toHaveLength(status === 500 ? 1 : 0);
    }
  });
});

describe('other REST calls', () => {
  it('list messages newest first, by chat, time, direction and page', async () => {
    const whapi = await start();
    const times = [100, 300, 200];
    for (const timestamp of times) whapi.store(messageOf(`m-${timestamp}`, { timestamp, from_me: timestamp === 300 }));
    whapi.store(messageOf('other-1', { chat_id: '1@g.us', timestamp: 250 }));
    const ids = async (path: string): Promise<unknown> => {
      const { body } = await call(whapi, path);
      return (body['messages'] as WhapiMessage[]).map(({ id }) => id);
    };
    expect(await ids('/messages/list')).toEqual(['m-300', 'other-1', 'm-200', 'm-100']);
    expect(await ids(`/messages/list/${CHAT}?sort=asc`)).toEqual(['m-100', 'm-200', 'm-300']);
    expect(await ids('/messages/list?time_from=200&time_to=300&from_me=false')).toEqual(['other-1', 'm-200']);
    expect(await ids('/messages/list?count=2&offset=1')).toEqual(['other-1', 'm-200']);
  });

  it('include paging counts in a list, and refuse an unknown chat and a count above 500', async () => {
    const whapi = await start();
    whapi.store(messageOf('m-1'));
    const page = { messages: [messageOf('m-1')], count: 100, total: 1, offset: 0, first: 0, last: 0 };
    expect(await call(whapi, '/messages/list')).toEqual({ status: 200, body: page });
    expect(await call(whapi, '/messages/list/9@g.us')).toEqual(refused(404, 'Specified chat not found'));
    expect(await call(whapi, '/messages/list?count=501')).toMatchObject({ status: 400 });
  });

  it('change only the given settings, and webhooks as a whole', async () => {
    const { whapi } = await startWithHook();
    const webhooks = [{ url: 'https://bot.example/hook' }];
    const patch = { method: 'PATCH', body: JSON.stringify({ webhooks, callback_persist: true }) };
    const { status, body } = await call(whapi, '/settings', patch);
    expect(status).toBe(200);
    expect(body).toMatchObject({ after_update: { webhooks, pdo_sync: true }, changes: ['webhooks'] });
    expect(await call(whapi, '/settings')).toEqual({ status: 200, body: body['after_update'] });
  });

  it.each([
    { webhooks: [{ url: 'ftp://bot.example' }] },
    { webhooks: [{ url: 'https://bot.example', mode: 'tree' }] },
    { webhooks: [{ url: 'https://bot.example', headers: { a: '', b: '', c: '', d: '', e: '', f: '' } }] },
    { callback_backoff_delay_ms: 10 },
    { webhooks: {} },
  ])('refuse the settings %j', async (patch) => {
    const whapi = await start();
    const answer = await call(whapi, '/settings', { method: 'PATCH', body: JSON.stringify(patch) });
    expect(answer).toEqual(refused(400, 'Wrong settings format'));
  });

  it('return the health, the events and empty limits', async () => {
    const whapi = await start();
    whapi.faults.healthText = 'QR';
    expect(await call(whapi, '/health?wakeup=false')).toMatchObject({ body: { status: { code: 3, text: 'QR' } } });
    expect((await call(whapi, '/settings/events')).body).toContainEqual(MESSAGES_POST);
    expect(await call(whapi, '/limits')).toEqual({ status: 204, body: {} });
  });

  it('send a text, which comes back as its own webhook', async () => {
    const { whapi, hook } = await startWithHook();
    const text = { method: 'POST', body: JSON.stringify({ to: '12025550142', body: 'Hi' }) };
    const { body } = await call(whapi, '/messages/text', text);
    await whapi.idle();
    expect(body).toMatchObject({ sent: true, message: { from_me: true, source: 'api', chat_id: CHAT } });
    expect(hook.seen[0]?.body).toMatchObject({ messages: [body['message']] });
  });

  it('send a text that quotes a cached message, and answer 404 for one that is not cached', async () => {
    const whapi = await start();
    const body = JSON.stringify({ to: CHAT, body: 'x', quoted: 'lost' });
    whapi.store(messageOf('lost'), { cached: false });
    const refusal = refused(404, 'Specified message not found');
    expect(await call(whapi, '/messages/text', { method: 'POST', body })).toMatchObject(refusal);
    whapi.store(messageOf('lost'));
    const sent = await call(whapi, '/messages/text', { method: 'POST', body });
    expect(sent).toMatchObject({ status: 200, body: { message: { context: { quoted_id: 'lost' } } } });
  });

  it('accept a file and return it', async () => {
    const { url, token } = await start();
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'image/png' };
    const body = new Uint8Array([0, 255, 13, 10]);
    const taken = (await (await fetch(`${url}/media`, { method: 'POST', headers, body })).json()) as {
      media: [{ id: string }];
    };
    const given = await fetch(`${url}/media/${taken.media[0].id}`, { headers });
    expect([given.headers.get('content-type'), new Uint8Array(await given.arrayBuffer())]).toEqual(['image/png', body]);
  });

  it('test a webhook with a body without any known key', async () => {
    const { whapi, hook } = await startWithHook();
    const test = { url: hook.url, type: 'messages', mode: 'path' };
    expect(await call(whapi, '/settings/webhook_test', { method: 'POST', body: JSON.stringify(test) })).toEqual({
      status: 200,
      body: { success: true },
    });
    expect(hook.seen).toMatchObject([{ method: 'POST', url: '/messages/post', body: { test: true } }]);
  });

  it.each([
    [400, 'Wrong request parameters'],
    [401, 'Need channel authorization'],
    [402, 'Trial version limit exceeded'],
    [403, 'It is forbidden to send to this group/recipient'],
    [429, 'Too many requests'],
    [500, 'Internal Error'],
  ] as const)("can be forced to answer %i with Whapi's error text", async (status, message) => {
    const whapi = await start();
    whapi.faults.restStatus = status;
    expect(await call(whapi, '/health')).toMatchObject({ status, body: { error: { code: status, message } } });
  });

  it('can pretend that the channel is gone', async () => {
    const whapi = await start();
    whapi.faults.channelNotFound = true;
    expect(await call(whapi, '/health')).toEqual(refused(404, 'Channel not found'));
  });
});

describe('a simulated webhook', () => {
  it.each([
    ['body', 'post', 'POST', '/hook'],
    ['body', 'delete', 'POST', '/hook'],
    ['path', 'patch', 'POST', '/hook/messages/patch'],
    ['method', 'post', 'POST', '/hook/messages'],
    ['method', 'put', 'PUT', '/hook/messages'],
    ['method', 'patch', 'PATCH', '/hook/messages'],
    ['method', 'delete', 'DELETE', '/hook/messages'],
  ] as const)('in mode %s for messages.%s is sent as %s %s', async (mode, method, verb, url) => {
    const { whapi, hook } = await startWithHook();
    whapi.setWebhooks([{ url: `${hook.url}/hook`, mode, events: [{ type: 'messages', method }] }]);
    whapi.emit({ type: 'messages', method }, { messages_removed: ['a-1'] });
    await whapi.idle();
    const body = { messages_removed: ['a-1'], event: { type: 'messages', event: method } };
    expect(hook.seen).toMatchObject([{ method: verb, url, body }]);
  });

  it('is sent to each subscriber of the event with its headers, and to no other', async () => {
    const { whapi, hook } = await startWithHook();
    const headers = { 'X-Secret': 'one' };
    const calls: EventName = { type: 'calls', method: 'post' };
    whapi.setWebhooks([
      { url: `${hook.url}/a`, events: [MESSAGES_POST], headers },
      { url: `${hook.url}/b`, events: [calls, MESSAGES_POST] },
      { url: `${hook.url}/c`, events: [calls] },
    ]);
    whapi.receive(messageOf('live-1'));
    await whapi.idle();
    expect(hook.seen.map(({ url, headers }) => [url, headers['x-secret']]).sort()).toEqual([
      ['/a', 'one'],
      ['/b', undefined],
    ]);
  });

  it('is repeated until the answer is exactly 200', async () => {
    const { whapi, hook } = await startWithHook();
    hook.answers.push(500, 204, 302, 200);
    whapi.receive(messageOf('live-1'));
    await whapi.idle();
    expect(hook.seen).toHaveLength(4);
    expect(new Set(hook.seen.map(({ body }) => JSON.stringify(body))).size).toBe(1);
  });

  it('waits 3 s longer after each failure, up to the limit', async () => {
    const slept: number[] = [];
    const sleep = async (ms: number): Promise<void> => await Promise.resolve(void slept.push(ms));
    const { whapi, hook } = await startWithHook({}, { timeScale: 1, effects: { ...systemEffects, sleep } });
    hook.answers.push(...Array.from({ length: 301 }, () => 503));
    whapi.receive(messageOf('live-1'));
    await whapi.idle();
    expect(slept.slice(0, 3)).toEqual([3_000, 6_000, 9_000]);
    expect(slept.slice(-2)).toEqual([900_000, 900_000]);
  });

  it('can be doubled', async () => {
    const { whapi, hook } = await startWithHook();
    whapi.faults.duplicateWebhooks = 2;
    whapi.receive(messageOf('live-1'));
    await whapi.idle();
    expect(hook.seen).toHaveLength(3);
  });

  it('can overtake another', async () => {
    const { whapi, hook } = await startWithHook();
    whapi.faults.reorderWebhooks = true;
    for (const id of ['a-1', 'b-1']) whapi.receive(messageOf(id));
    await whapi.idle();
    whapi.receive(messageOf('c-1'));
    await whapi.idle();
    expect(hook.seen.map(({ body }) => (body['messages'] as WhapiMessage[])[0]?.id)).toEqual(['b-1', 'a-1', 'c-1']);
  });
});

describe('the simulator itself', () => {
  it('ends at once when it is closed, even with requests in flight', async () => {
    const { effects } = wakeableSleep();
    const { whapi, hook } = await startWithHook({}, { effects });
    hook.answers.push(500);
    whapi.store(messageOf('lost-g1'), { cached: false });
    const answer = call(whapi, '/messages/lost-g1?resync=true').catch(() => 'cut off');
    whapi.receive(messageOf('live-1'));
    await expect.poll(() => [hook.seen.length, whapi.calls.length]).toEqual([1, 1]);
    await Promise.all([whapi.close(), whapi.close()]);
    expect(await answer).toBe('cut off');
    await expect(fetch(whapi.url)).rejects.toThrow();
  });

  it('can be told to send a live message and to lose an old one', async () => {
    const whapi = await start({ control });
    const post = async (what: string, text?: string): Promise<Answer> =>
      await call(whapi, `/_simulator/${what}`, { method: 'POST', body: JSON.stringify({ text }), headers: {} });
    const live = await post('receive', 'Hello');
    const lost = await post('lose', 'Old');
    expect(await call(whapi, `/messages/${String(live.body['id'])}`)).toMatchObject({ status: 200 });
    expect(await call(whapi, `/messages/${String(lost.body['id'])}`)).toMatchObject({ status: 404 });
    expect(await post('lose')).toMatchObject({ status: 400 });
    expect(await post('dance', 'Hello')).toMatchObject({ status: 404 });
  });

  it('can be told to bring messages back in another way than documented', async () => {
    const { whapi, hook } = await startWithHook({ events: [{ type: 'messages', method: 'put' }] }, { control });
    const deviate = async (how: object): Promise<number> =>
      (await call(whapi, '/_simulator/deviate', { method: 'POST', body: JSON.stringify(how), headers: {} })).status;
    whapi.store(messageOf('lost-g1'), { cached: false });
    expect(await deviate({ id: 'other-1', event: 'messages.put', webhooks: 2 })).toBe(200);
    await call(whapi, '/messages/lost-g1?resync=true');
    await whapi.idle();
    const put = { messages: [{ id: 'other-1' }], event: { type: 'messages', event: 'put' } };
    expect(hook.seen.map(({ body }) => body)).toMatchObject([put, put]);
    expect(await call(whapi, '/messages/lost-g1')).toMatchObject({ status: 404 });
    expect([await deviate({ event: 'messages.dance' }), await deviate({ id: 1 })]).toEqual([400, 400]);
  });

  it('logs each event in one line', async () => {
    const lines: string[] = [];
    const { whapi } = await startWithHook({}, { onEvent: ({ kind }) => lines.push(kind) });
    whapi.store(messageOf('lost-g1'), { cached: false });
    await call(whapi, '/messages/lost-g1?resync=true');
    await whapi.idle();
    expect(lines).toEqual(['call', 'restored', 'webhook']);
  });
});
