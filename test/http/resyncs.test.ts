import { describe, expect, it } from 'vitest';
import { answerLater, expectProblem, pagesOf, startApi, unreachableUrl } from '../support/api.js';
import type { List, ResyncJson, ResyncMessageJson } from '../support/api.js';
import { startBareWhapi } from '../support/bot.js';
import type { Bot, BotAnswer } from '../support/bot.js';
import type { Answer, Client } from '../support/client.js';
import { samplePayload, temporaryFolder } from '../support/files.js';
import { startLocal } from '../support/gateway.js';
import { until } from '../support/intervals.js';
import { pausedWith } from '../support/resync.js';
import { startProcess } from '../support/process.js';
import { textWebhook } from '../support/texts.js';

const NO_COUNTS = { queued: 0, requesting: 0, waiting: 0, restored: 0, not_restored: 0, failed: 0, cancelled: 0 };
const SENSELESS: readonly [Record<string, unknown>, path: string][] = [
  [{ channel: null }, '/channel'],
  [{ channel: 'No Name' }, '/channel'],
  [{ message_ids: 'a' }, '/message_ids'],
  [{ message_ids: null }, '/message_ids'],
  [{ message_ids: [] }, '/message_ids'],
  [{ message_ids: ['a', ''] }, '/message_ids/1'],
  [{ message_ids: ['a b'] }, '/message_ids/0'],
  [{ message_ids: ['../a'] }, '/message_ids/0'],
  [{ message_ids: ['x'.repeat(257)] }, '/message_ids/0'],
  [{ message_ids: [7] }, '/message_ids/0'],
  [{ message_ids: [null] }, '/message_ids/0'],
  [{ deliver_unseen: 'true' }, '/deliver_unseen'],
  [{ deliver_unseen: null }, '/deliver_unseen'],
  [{ window_seconds: 59 }, '/window_seconds'],
  [{ window_seconds: 2_592_001 }, '/window_seconds'],
  [{ window_seconds: '3600' }, '/window_seconds'],
  [{ window_seconds: null }, '/window_seconds'],
  [{ ids: ['a'] }, '/ids'],
];

describe('POST /v1/resyncs', () => {
  it('answers 202 with the registration and the defaults', async () => {
    const gateway = await startApi();
    const { status, body } = await resync(gateway, ['a', 'b']);
    expect({ status, body }).toEqual({
      status: 202,
      body: {
        id: expect.stringMatching(/^rsy_[\w-]{20}$/) as unknown,
        channel: 'main',
        status: 'running',
        total: 2,
        counts: { ...NO_COUNTS, queued: 2 },
        ...{ pause: null, rate_per_minute: expect.toBeOneOf([0, null]) as unknown, eta_seconds: null },
        deliver_unseen: false,
        window_seconds: 259_200,
        created_at: expect.stringMatching(/^\d{4}-.*T.*Z$/) as unknown,
        finished_at: null,
      },
    });
  });

  it('stores the given settings', async () => {
    const gateway = await startApi();
    const settings = { deliver_unseen: true, window_seconds: 60 };
    const { body } = await resync(gateway, ['a'], settings);
    expect(body).toMatchObject(settings);
    expect((await gateway.call('GET', `/v1/resyncs/${body.id}`)).body).toMatchObject(settings);
  });

  it('registers a repeated id once and keeps the requested order', async () => {
    const gateway = await startApi();
    const { body } = await resync(gateway, ['c', 'a', 'c', 'b', 'a']);
    expect(body.counts['queued']).toBe(3);
    expect((await messagesOf(gateway, body.id)).map(({ message_id }) => message_id)).toEqual(['c', 'a', 'b']);
  });

  it('refuses an invalid value, names its path and registers nothing', async () => {
    const gateway = await startApi();
    for (const [fields, path] of SENSELESS) {
      const answer = await gateway.call('POST', '/v1/resyncs', { channel: 'main', message_ids: ['a'], ...fields });
      expect([fields, expectProblem(answer, 400, 'GW_BAD_REQUEST')]).toEqual([fields, [path]]);
    }
    expect(await resyncs(gateway)).toEqual([]);
  });

  it('refuses the ids "." and "..", which would address another resource of Whapi', async () => {
    const gateway = await startApi();
    for (const id of ['.', '..']) {
      const answer = await gateway.call('POST', '/v1/resyncs', { channel: 'main', message_ids: [id] });
      expect(expectProblem(answer, 400, 'GW_BAD_REQUEST')).toEqual(['/message_ids/0']);
    }
  });

  it('answers 404 for an unknown channel', async () => {
    const gateway = await startApi();
    const answer = await gateway.call('POST', '/v1/resyncs', { channel: 'nobody', message_ids: ['a'] });
    expectProblem(answer, 404, 'GW_NOT_FOUND');
    expect(await resyncs(gateway)).toEqual([]);
  });

  it('has committed every id when it answers 202, so that a kill -9 loses none (I2)', async () => {
    const gateway = await startProcess();
    await gateway.client.addChannel({ whapi_base_url: await unreachableUrl() });
    const ids = Array.from({ length: 2000 }, (_, number) => `message-${number}`);
    const { status, body } = await resync(gateway.client, ids);
    await gateway.end('SIGKILL');
    await gateway.start();
    expect(status).toBe(202);
    const pages = await pagesOf<ResyncMessageJson>(gateway.client, `/v1/resyncs/${body.id}/messages`, 500);
    expect(pages.flat().map(({ message_id }) => message_id)).toEqual(ids);
    expect((await gateway.client.webhook(textWebhook('message-1999'))).body.verdicts).toEqual({ restored: 1 });
  });
});

describe('Idempotency-Key', () => {
  const key = { 'idempotency-key': 'once' };

  it('returns the same resync for the same key and body, without a second one', async () => {
    const gateway = await startApi();
    const first = await resync(gateway, ['a'], {}, key);
    const again = await resync(gateway, ['a'], {}, key);
    expect([again.status, again.body.id]).toEqual([202, first.body.id]);
    expect(await resyncs(gateway)).toHaveLength(1);
  });

  it('creates one resync for many simultaneous requests with one key', async () => {
    const gateway = await startApi();
    const answers = await Promise.all(Array.from({ length: 8 }, async () => await resync(gateway, ['a'], {}, key)));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(await resyncs(gateway)).toHaveLength(1);
  });

  it('refuses the same key with another body with 422 and registers nothing', async () => {
    const gateway = await startApi();
    await resync(gateway, ['a'], {}, key);
    for (const settings of [{ message_ids: ['b'] }, { deliver_unseen: true }, { window_seconds: 60 }])
      expectProblem(await problemOf(resync(gateway, ['a'], settings, key)), 422, 'GW_IDEMPOTENCY_MISMATCH');
    expect(await resyncs(gateway)).toHaveLength(1);
    expect((await gateway.webhook(textWebhook('b'))).body.verdicts).toEqual({ new: 1 });
  });

  it('creates a resync per request without a key, and per key', async () => {
    const gateway = await startApi();
    const headers = [undefined, undefined, key, { 'idempotency-key': 'twice' }];
    const answers = await Promise.all(headers.map(async (header) => await resync(gateway, ['a'], {}, header)));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(4);
  });

  it('is remembered across a restart', async () => {
    const folder = temporaryFolder();
    const before = await startApi({ folder });
    const { body } = await resync(before, ['a'], {}, key);
    await before.close();
    const after = await startLocal({ folder });
    expect((await resync(after, ['a'], {}, key)).body.id).toBe(body.id);
    expectProblem(await problemOf(resync(after, ['b'], {}, key)), 422, 'GW_IDEMPOTENCY_MISMATCH');
  });

  it('is refused if it is empty or longer than 255 characters', async () => {
    const gateway = await startApi();
    for (const value of ['', 'x'.repeat(256)]) {
      const answer = await problemOf(resync(gateway, ['a'], {}, { 'idempotency-key': value }));
      expect(expectProblem(answer, 400, 'GW_BAD_REQUEST')).toEqual(['/idempotency-key']);
    }
    expect((await resync(gateway, ['a'], {}, { 'idempotency-key': 'x'.repeat(255) })).status).toBe(202);
  });
});

describe('GET /v1/resyncs', () => {
  it('lists resyncs newest first, in the same form as a single one', async () => {
    const gateway = await startApi();
    const made: string[] = [];
    for (const id of ['a', 'b', 'c']) made.push((await resync(gateway, [id])).body.id);
    const listed = await resyncs(gateway);
    expect(listed.map(({ id }) => id)).toEqual(made.reverse());
    const one = await gateway.call<ResyncJson>('GET', `/v1/resyncs/${listed[0]?.id ?? ''}`);
    expect(one).toMatchObject({ status: 200, body: { id: made[0], channel: 'main', window_seconds: 259_200 } });
  });

  it('answers 404 for an unknown resync', async () => {
    const gateway = await startApi();
    for (const [method, rest] of Object.entries({ GET: ['', '/messages'], POST: ['/cancel'] }))
      for (const end of rest)
        expectProblem(await gateway.call(method, `/v1/resyncs/rsy_none${end}`), 404, 'GW_NOT_FOUND');
  });
});

describe('the messages of a resync', () => {
  it('wait with an open window after Whapi answered 404, while the resync is running', async () => {
    const { gateway, whapi } = await withWhapi();
    whapi.otherwise = answered(404, 'api/get_message.resync.404');
    const { body } = await resync(gateway, ['a'], { window_seconds: 3600 });
    const message = await messageWith(gateway, body.id, 'waiting');
    expect(message).toMatchObject({ resync: body.id, message_id: 'a', calls: 1, restored_at: null, error: null });
    const windowMs = Date.parse(message.window_closes_at ?? '') - Date.parse(message.asked_at ?? '');
    expect(windowMs / 1000).toBeCloseTo(3600, -2);
    expect(await countsOf(gateway, body.id)).toEqual({ status: 'running', counts: { ...NO_COUNTS, waiting: 1 } });
  });

  it('are requesting until Whapi answers', async () => {
    const { gateway, whapi } = await withWhapi();
    whapi.otherwise = () => undefined;
    const { body } = await resync(gateway, ['a', 'b']);
    await whapi.received(1);
    expect((await messagesOf(gateway, body.id)).map(({ status, calls }) => [status, calls])).toEqual([
      ['requesting', 1],
      ['queued', 0],
    ]);
  });

  it('are restored when their webhook comes, and the resync is finished', async () => {
    const { gateway, whapi } = await withWhapi();
    whapi.otherwise = answered(404, 'api/get_message.resync.404');
    const { body } = await resync(gateway, ['a', 'b']);
    await gateway.webhook(textWebhook('a', 'b'));
    const messages = await messagesOf(gateway, body.id);
    expect(messages.map(({ status }) => status)).toEqual(['restored', 'restored']);
    for (const { restored_at } of messages) expect(restored_at).toMatch(/Z$/);
    expect(await countsOf(gateway, body.id)).toEqual({ status: 'finished', counts: { ...NO_COUNTS, restored: 2 } });
  });

  it("fail with Whapi's reason if it refuses, and the resync is finished", async () => {
    const { gateway, whapi } = await withWhapi();
    whapi.otherwise = answered(403, 'api/error.403');
    const { body } = await resync(gateway, ['a']);
    const message = await messageWith(gateway, body.id, 'failed');
    expect(message.error).toBe('403 It is forbidden to send to this group/recipient');
    expect(await countsOf(gateway, body.id)).toEqual({ status: 'finished', counts: { ...NO_COUNTS, failed: 1 } });
  });

  it('stay queued with the reason while Whapi is unreachable', async () => {
    const gateway = await startApi();
    const { body } = await resync(gateway, ['a']);
    const { status, counts } = await pausedWith(gateway, body.id, 'busy', 'ECONNREFUSED');
    expect({ status, queued: counts['queued'] }).toEqual({ status: 'running', queued: 1 });
  });
});

describe('POST /v1/resyncs/{id}/cancel', () => {
  it('makes no more calls and answers with the cancelled resync', async () => {
    const { gateway, whapi } = await withWhapi();
    const first = answerLater();
    whapi.answers.push(first.answer);
    const { body } = await resync(gateway, ['a', 'b', 'c']);
    await whapi.received(1);
    const cancelled = await gateway.call('POST', `/v1/resyncs/${body.id}/cancel`);
    first.give(404);
    await resync(gateway, ['z']);
    expect(cancelled).toMatchObject({
      status: 200,
      body: { id: body.id, status: 'cancelled', total: 3, counts: { ...NO_COUNTS, cancelled: 3 }, pause: null },
    });
    expect((await whapi.received(2)).map(({ url }) => url)).toEqual(
      ['a', 'z'].map((id) => `/messages/${id}?resync=true`),
    );
    expect(await countsOf(gateway, body.id)).toMatchObject({ status: 'cancelled', counts: { cancelled: 3 } });
  });

  it('can be repeated', async () => {
    const gateway = await startApi();
    const { body } = await resync(gateway, ['a']);
    const cancel = async () => await gateway.call('POST', `/v1/resyncs/${body.id}/cancel`);
    const first = await cancel();
    expect(first.body['status']).toBe('cancelled');
    expect(await cancel()).toMatchObject({ status: 200, body: first.body });
  });

  it('keeps the window open for ids that Whapi was asked for and closes it for the others', async () => {
    const { gateway, whapi } = await withWhapi();
    whapi.answers.push(() => undefined);
    const { body } = await resync(gateway, ['asked', 'queued']);
    await whapi.received(1);
    await gateway.call('POST', `/v1/resyncs/${body.id}/cancel`);
    expect((await gateway.webhook(textWebhook('asked'))).body.verdicts).toEqual({ restored: 1 });
    expect((await gateway.webhook(textWebhook('queued'))).body.verdicts).toEqual({ new: 1 });
  });

  it('leaves a finished resync finished', async () => {
    const gateway = await startApi();
    const { body } = await resync(gateway, ['a']);
    await gateway.webhook(textWebhook('a'));
    const { body: after } = await gateway.call<ResyncJson>('POST', `/v1/resyncs/${body.id}/cancel`);
    expect(after).toMatchObject({ status: 'finished', counts: { ...NO_COUNTS, restored: 1 } });
  });
});

async function withWhapi(): Promise<{ gateway: Client; whapi: Bot }> {
  const gateway = await startLocal();
  const whapi = await startBareWhapi();
  await gateway.addChannel({ whapi_base_url: whapi.url });
  return { gateway, whapi };
}

function answered(status: number, name: string): BotAnswer {
  return (_request, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(samplePayload(name));
}

async function resync(
  gateway: Client,
  ids: readonly string[],
  settings: Record<string, unknown> = {},
  headers: Record<string, string> = {},
): Promise<Answer<ResyncJson>> {
  return await gateway.call('POST', '/v1/resyncs', { channel: 'main', message_ids: ids, ...settings }, headers);
}

async function problemOf(answer: Promise<Answer<ResyncJson>>): Promise<Answer> {
  return (await answer) as unknown as Answer;
}

async function resyncs(gateway: Client): Promise<ResyncJson[]> {
  return (await gateway.call<List<ResyncJson>>('GET', '/v1/resyncs')).body.data;
}

async function messagesOf(gateway: Client, id: string): Promise<ResyncMessageJson[]> {
  return (await gateway.call<List<ResyncMessageJson>>('GET', `/v1/resyncs/${id}/messages`)).body.data;
}

/** The single message of a resync, once it has this status. */
async function messageWith(gateway: Client, id: string, status: string): Promise<ResyncMessageJson> {
  return await until(async () => {
    const [message] = await messagesOf(gateway, id);
    if (message?.status !== status) throw new Error(`It is ${message?.status ?? 'not there'}, not ${status}.`);
    return message;
  });
}

async function countsOf(gateway: Client, id: string): Promise<Pick<ResyncJson, 'status' | 'counts'>> {
  const { status, counts } = (await gateway.call<ResyncJson>('GET', `/v1/resyncs/${id}`)).body;
  return { status, counts };
}
