import { describe, expect, it } from 'vitest';
import { answerLater, deliveriesOf, expectProblem, finishedJob, startApi } from '../support/api.js';
import type { DeliveryJson } from '../support/api.js';
import { startBot } from '../support/bot.js';
import { samplePayload, temporaryFolder } from '../support/files.js';
import type { LocalOptions } from '../support/gateway.js';
import { startLocal } from '../support/gateway.js';
import { until } from '../support/intervals.js';
import { textWebhook } from '../support/texts.js';

interface Detail extends DeliveryJson {
  readonly body: string;
  readonly log: { started_at: string; duration_ms: number; status: number | null; error: string | null }[];
}

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown;

describe('GET /v1/deliveries', () => {
  it('lists deliveries newest first with their results', async () => {
    const { gateway, bot, target } = await withBot();
    bot.answers.push(200, 500);
    for (const id of ['a', 'b']) {
      await gateway.webhook(textWebhook(id));
      await gateway.settled();
    }
    const shown = { target, channel: 'main', event: 'messages.post', verdicts: ['new'], attempts: 1 };
    const settled = { created_at: TIME, settled_at: TIME, next_attempt_at: null, waits_for: null, released: false };
    const content = { positions: [0], lanes: 1, waits_for_delivery: null, expires_at: null };
    const [webhook, bytes] = [expect.stringMatching(/^[0-9a-z]{11}$/) as unknown, textWebhook('a').length];
    const id = expect.stringMatching(/^dlv_[0-9a-z]{11}$/) as unknown;
    expect(await deliveriesOf(gateway)).toEqual([
      { ...shown, ...settled, ...content, id, webhook, bytes, status: 'dead', last_error: 'The target answered 500.' },
      { ...shown, ...settled, ...content, id, webhook, bytes, status: 'delivered', last_error: null },
    ]);
  });

  it('shows what of its webhook each carries, and how many bytes', async () => {
    const { gateway, bot, target } = await withBot();
    const archive = await gateway.addTarget({ name: 'archive', url: bot.url, deliver: ['new', 'duplicate'] });
    await gateway.webhook(textWebhook('a'));
    await gateway.settled();
    const body = textWebhook('b', 'a', 'c');
    await gateway.webhook(body);
    await gateway.settled();
    const [whole] = await deliveriesOf(gateway, `?target=${archive.id}`);
    const [cut] = await deliveriesOf(gateway, `?target=${target}`);
    expect(whole).toMatchObject({ positions: [0, 1, 2], bytes: body.length });
    expect(cut).toMatchObject({ positions: [0, 2], webhook: whole?.webhook });
    const { body: sent } = (await gateway.call<Detail>('GET', `/v1/deliveries/${cut?.id ?? ''}`)).body;
    expect([sent.length, JSON.parse(sent)]).toMatchObject([cut?.bytes, { messages: [{ id: 'b' }, { id: 'c' }] }]);
  });

  it('names the delivery that one waits for, also across lanes, and when it expires', async () => {
    const { gateway, bot } = await withBot({}, { max_age_seconds: 3600 });
    const first = answerLater();
    bot.answers.push(first.answer);
    const at = Math.floor(Date.now() / 1000);
    const inChat = (id: string, chat_id: string) => ({ id, chat_id, timestamp: at, type: 'text', text: { body: id } });
    for (const messages of [[inChat('a', 'one')], [inChat('b', 'one'), inChat('c', 'two')], [inChat('d', 'two')]])
      await gateway.webhook(JSON.stringify({ messages, event: { type: 'messages', event: 'post' } }));
    await bot.received(1);
    const [d, batch, a] = await deliveriesOf(gateway);
    const waits = (each?: DeliveryJson) => [each?.waits_for, each?.waits_for_delivery, each?.lanes];
    expect([waits(a), waits(batch), waits(d)]).toEqual([
      [null, null, 1],
      ['earlier_delivery', a?.id, 2],
      ['earlier_delivery', a?.id, 1],
    ]);
    expect(d?.expires_at).toBe(new Date((at + 3600) * 1000).toISOString());
    const { webhook, id } = d ?? { webhook: '', id: '' };
    const detail = (await gateway.call<Detail>('GET', `/v1/deliveries/${id}`)).body;
    const { deliveries } = (await gateway.call<{ deliveries: DeliveryJson[] }>('GET', `/v1/webhooks/${webhook}`)).body;
    first.give(200);
    for (const each of [detail, deliveries[0]])
      expect(each).toMatchObject({ waits_for_delivery: a?.id, positions: [0] });
  });

  it('filters by status, target and channel, alone and together', async () => {
    const { gateway, bot, target } = await withBot();
    const other = await gateway.addTarget({ name: 'other', url: bot.url, channels: ['shop'], max_age_seconds: 1 });
    await gateway.addChannel({ name: 'shop' });
    bot.answers.push(500);
    await gateway.webhook(textWebhook('a'));
    await gateway.settled();
    await gateway.webhook(textWebhook('s'), { channel: 'shop' });
    await gateway.settled();
    const list = async (query: string) =>
      (await deliveriesOf(gateway, query)).map(({ target, status }) => `${target} ${status}`);
    expect(await list('?status=dead')).toEqual([`${target} dead`]);
    expect(await list('?status=expired')).toEqual([`${other.id} expired`]);
    expect(await list('?status=delivered')).toEqual([`${target} delivered`]);
    expect(await list('?status=pending')).toEqual([]);
    expect(await list(`?target=${other.id}`)).toEqual([`${other.id} expired`]);
    expect(await list(`?channel=shop&target=${target}`)).toEqual([`${target} delivered`]);
    expect(await list('?channel=main&status=delivered')).toEqual([]);
    expect(await list('?target=tgt_none')).toEqual([]);
  });

  it('filters by event, since and until', async () => {
    const clock = { at: Date.UTC(2026, 0, 1) };
    const { gateway } = await withBot({ effects: { now: () => clock.at } });
    for (const name of ['messages.post.text', 'statuses.post.read']) {
      await gateway.webhook(samplePayload(name));
      await gateway.settled();
      clock.at += 60_000;
    }
    const list = async (query: string) => (await deliveriesOf(gateway, query)).map(({ event }) => event);
    expect(await list('?event=messages.post')).toEqual(['messages.post']);
    expect(await list('?event=statuses')).toEqual(['statuses.post']);
    expect(await list('?event=*')).toHaveLength(2);
    expect(await list('?event=statuses.*&until=2026-01-01T00:01:00Z')).toEqual([]);
    expect(await list('?since=2026-01-01T00:01:00Z')).toEqual(['statuses.post']);
    expect(await list('?until=2026-01-01T00:01:00Z')).toEqual(['messages.post']);
    expect(await list('?since=2026-01-01T01:00:00%2B01:00')).toEqual(['statuses.post', 'messages.post']);
  });

  it('refuses invalid filters and names their path', async () => {
    const gateway = await startLocal();
    for (const [query, path] of [
      ['status=failed', '/status'],
      ['status=', '/status'],
      ['channel=No%20Name', '/channel'],
      ['event=messages.get', '/event'],
      ['since=yesterday', '/since'],
      ['until=2026-01-01', '/until'],
      ['age=7', '/age'],
    ]) {
      const answer = await gateway.call('GET', `/v1/deliveries?${query}`);
      expect([query, expectProblem(answer, 400, 'GW_BAD_REQUEST')]).toEqual([query, [path]]);
    }
  });

  it('shows when the next attempt is due, unchanged by a restart (I4)', async () => {
    const folder = temporaryFolder();
    const { gateway, bot } = await withBot({ folder, intervals: { retryDelaysMs: [3_600_000] } }, { max_attempts: 5 });
    bot.otherwise = 503;
    await gateway.webhook(textWebhook('a'));
    await bot.received(1);
    await gateway.close();
    const after = await startLocal({ folder });
    const [delivery] = await deliveriesOf(after, '?status=pending');
    expect(delivery).toMatchObject({ attempts: 1, settled_at: null, last_error: 'The target answered 503.' });
    const pauseMs = Date.parse(delivery?.next_attempt_at ?? '') - Date.parse(delivery?.created_at ?? '');
    expect(pauseMs).toBeGreaterThan(0.79 * 3_600_000);
    expect(pauseMs).toBeLessThan(1.25 * 3_600_000);
    expect(bot.requests).toHaveLength(1);
  });

  it('shows no next attempt while an earlier delivery of the chat is unsettled (I6)', async () => {
    const { gateway, bot } = await withBot();
    const first = answerLater();
    bot.answers.push(first.answer);
    for (const id of ['a', 'b']) await gateway.webhook(textWebhook({ id, chat: 'one' }));
    await bot.received(1);
    const [second] = await deliveriesOf(gateway);
    expect(second).toMatchObject({ status: 'pending', attempts: 0, next_attempt_at: null });
    first.give(200);
    await gateway.settled();
    expect((await deliveriesOf(gateway)).map(({ status }) => status)).toEqual(['delivered', 'delivered']);
  });
});

describe('GET /v1/deliveries/{id}', () => {
  it('shows the exact body that was sent, and every attempt', async () => {
    const { gateway, bot } = await withBot({ intervals: { retryDelaysMs: [1] } }, { max_attempts: 3 });
    // The first closes its connection: a kept-alive one that breaks would be repeated within the attempt.
    bot.answers.push(
      (_request, response) => response.writeHead(500, { connection: 'close' }).end(),
      (_request, response) => response.destroy(),
    );
    const body = `{ "odd" : [1.10, 12345678901234567890],\n"messages":[]}`;
    await gateway.webhook(body);
    await gateway.settled();
    const [delivery] = await deliveriesOf(gateway);
    const { status, body: detail } = await gateway.call<Detail>('GET', `/v1/deliveries/${delivery?.id ?? ''}`);
    expect(status).toBe(200);
    expect(detail).toMatchObject({ ...delivery, body, status: 'delivered', attempts: 3 });
    expect(detail.log.map((attempt) => attempt.status)).toEqual([500, null, 200]);
    expect(detail.log.map(({ error }) => error === null)).toEqual([false, false, true]);
    for (const attempt of detail.log)
      expect(attempt).toMatchObject({ started_at: TIME, duration_ms: expect.any(Number) as unknown });
  });

  it('shows the part of a batch that the target was sent', async () => {
    const { gateway, bot } = await withBot();
    await gateway.call('POST', '/v1/resyncs', { channel: 'main', message_ids: ['lost'] });
    await gateway.webhook(textWebhook('a', 'lost', 'b'));
    const [request] = await bot.received(1);
    const [delivery] = await deliveriesOf(gateway);
    const { body } = await gateway.call<Detail>('GET', `/v1/deliveries/${delivery?.id ?? ''}`);
    expect(request?.ids).toEqual(['a', 'b']);
    expect(body).toMatchObject({ body: request?.body.toString(), verdicts: ['new', 'new'] });
  });

  it('answers 404 for an unknown delivery', async () => {
    const gateway = await startLocal();
    for (const id of ['dlv_00000000000', 'dlv_none', 'none', "' OR 1=1"]) {
      const path = `/v1/deliveries/${encodeURIComponent(id)}`;
      expectProblem(await gateway.call('GET', path), 404, 'GW_NOT_FOUND');
      expectProblem(await gateway.call('POST', `${path}/retry`), 404, 'GW_NOT_FOUND');
    }
  });
});

describe('POST /v1/deliveries/{id}/retry', () => {
  it('sends a dead delivery again under the same webhook-id and keeps its attempts', async () => {
    const { gateway, bot } = await withBot({}, { max_attempts: 2 }, [500]);
    const [dead] = await deliveriesOf(gateway, '?status=dead');
    const { status, body } = await gateway.call('POST', `/v1/deliveries/${dead?.id ?? ''}/retry`);
    expect({ status, body }).toMatchObject({
      status: 202,
      body: { id: dead?.id, status: 'pending', settled_at: null },
    });
    await gateway.settled();
    const requests = await bot.received(3);
    expect(new Set(requests.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([dead?.id]));
    expect(await deliveriesOf(gateway)).toMatchObject([{ status: 'delivered', attempts: 3, last_error: null }]);
  });

  it('resets its automatic attempts', async () => {
    const { gateway, bot } = await withBot({}, { max_attempts: 2 }, [500]);
    bot.otherwise = 500;
    const [dead] = await deliveriesOf(gateway, '?status=dead');
    await gateway.call('POST', `/v1/deliveries/${dead?.id ?? ''}/retry`);
    await gateway.settled();
    expect(bot.requests).toHaveLength(4);
    expect(await deliveriesOf(gateway)).toMatchObject([{ status: 'dead', attempts: 4 }]);
  });

  it('sends a delivered one again too', async () => {
    const { gateway, bot } = await withBot();
    await gateway.webhook(textWebhook('a'));
    await gateway.settled();
    const [delivered] = await deliveriesOf(gateway);
    expect((await gateway.call('POST', `/v1/deliveries/${delivered?.id ?? ''}/retry`)).status).toBe(202);
    expect((await bot.received(2)).map(({ ids }) => ids)).toEqual([['a'], ['a']]);
  });

  it('makes the next attempt of a pending one now and leaves its automatic attempts unchanged', async () => {
    const { gateway, bot } = await withBot({ intervals: { retryDelaysMs: [3_600_000] } }, { max_attempts: 2 });
    bot.otherwise = 503;
    await gateway.webhook(textWebhook('a'));
    const planned = await until(async () => {
      const [delivery] = await deliveriesOf(gateway, '?status=pending');
      expect(delivery).toMatchObject({ attempts: 1, last_error: 'The target answered 503.' });
      return delivery;
    });
    for (const attempts of [2, 3, 4]) {
      expect((await gateway.call('POST', `/v1/deliveries/${planned?.id ?? ''}/retry`)).status).toBe(202);
      await until(async () => expect(await deliveriesOf(gateway)).toEqual([{ ...planned, attempts }]));
    }
    expect(new Set(bot.requests.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([planned?.id]));
  });

  it('makes one more attempt after the one in progress, if that fails (I5)', async () => {
    const { gateway, bot } = await withBot({ intervals: { retryDelaysMs: [3_600_000] } }, { max_attempts: 5 });
    const first = answerLater();
    bot.answers.push(first.answer);
    await gateway.webhook(textWebhook('a'));
    await bot.received(1);
    const [underWay] = await deliveriesOf(gateway);
    expect((await gateway.call('POST', `/v1/deliveries/${underWay?.id ?? ''}/retry`)).status).toBe(202);
    expect(bot.requests).toHaveLength(1);
    first.give(500);
    await gateway.settled();
    expect(await deliveriesOf(gateway)).toMatchObject([{ status: 'delivered', attempts: 2 }]);
  });

  it('sends an expired one however old its message is', async () => {
    const { gateway, bot } = await withBot({}, { max_age_seconds: 1 });
    await gateway.webhook(textWebhook('a'));
    await gateway.settled();
    const [expired] = await deliveriesOf(gateway, '?status=expired');
    expect(bot.requests).toEqual([]);
    await gateway.call('POST', `/v1/deliveries/${expired?.id ?? ''}/retry`);
    await gateway.settled();
    expect(await deliveriesOf(gateway)).toMatchObject([{ status: 'delivered', attempts: 1 }]);
  });
});

describe('POST /v1/deliveries/retry', () => {
  it('retries all dead deliveries and returns their number', async () => {
    const { gateway, bot } = await withBot({}, {}, [500, 500, 500]);
    const { status, body } = await gateway.call('POST', '/v1/deliveries/retry', { status: 'dead' });
    expect({ status, body }).toMatchObject({
      status: 202,
      body: { count: 3, dry_run: false, kind: 'retry', total: 3 },
    });
    expect(await finishedJob(gateway, body)).toMatchObject({ total: 3, done: 3, skipped: 0, finished_at: TIME });
    await gateway.settled();
    expect(bot.requests).toHaveLength(6);
    expect((await deliveriesOf(gateway)).map((delivery) => delivery.status)).toEqual(
      Array<string>(3).fill('delivered'),
    );
  });

  it('with dry_run returns counts by target and verdict, and sends nothing', async () => {
    const { gateway, bot, target } = await withBot({}, {}, [500, 500]);
    const before = await deliveriesOf(gateway);
    const { status, body } = await gateway.call('POST', '/v1/deliveries/retry', { status: 'dead', dry_run: true });
    const counts = { count: 2, by_target: { [target]: 2 }, by_verdict: { new: 2 } };
    expect({ status, body }).toEqual({ status: 202, body: { dry_run: true, ...counts, sample: before.toReversed() } });
    expect(await deliveriesOf(gateway)).toEqual(before);
    expect(bot.requests).toHaveLength(2);
  });

  it('answers 409 and sends nothing if it matches over a tenth more than expected_count', async () => {
    const { gateway, bot } = await withBot({}, {}, [500, 500]);
    const refused = await gateway.call('POST', '/v1/deliveries/retry', { status: 'dead', expected_count: 1 });
    expectProblem(refused, 409, 'GW_CONFLICT');
    await gateway.settled();
    expect(bot.requests).toHaveLength(2);
  });

  it('filters by status, target and channel', async () => {
    const { gateway, bot, target } = await withBot({}, {}, [500]);
    const other = await gateway.addTarget({ name: 'other', url: bot.url, max_attempts: 1, channels: ['shop'] });
    await gateway.addChannel({ name: 'shop' });
    bot.otherwise = 500;
    await gateway.webhook(textWebhook('s'), { channel: 'shop' });
    await gateway.settled();
    const count = async (filter: Record<string, unknown>) =>
      (await gateway.call('POST', '/v1/deliveries/retry', { dry_run: true, ...filter })).body['count'];
    expect(await count({ status: 'dead', event: 'statuses' })).toBe(0);
    expect(await count({ status: 'dead' })).toBe(3);
    expect(await count({ status: 'delivered' })).toBe(0);
    expect(await count({ status: 'dead', target })).toBe(2);
    expect(await count({ status: 'dead', channel: 'shop' })).toBe(2);
    expect(await count({ status: 'dead', target: other.id, channel: 'main' })).toBe(0);
    const { body } = await gateway.call('POST', '/v1/deliveries/retry', { status: 'dead', target: other.id });
    await finishedJob(gateway, body);
    await gateway.settled();
    expect((await deliveriesOf(gateway, `?target=${other.id}`)).map(({ attempts }) => attempts)).toEqual([2]);
    expect((await deliveriesOf(gateway, `?target=${target}`)).map(({ attempts }) => attempts)).toEqual([1, 1]);
  });

  it('filters by the time of recording, from since up to but not including until', async () => {
    const clock = { at: Date.UTC(2026, 0, 1) };
    const { gateway } = await withBot({ effects: { now: () => clock.at } }, {}, []);
    for (const id of ['a', 'b', 'c']) {
      await gateway.webhook(textWebhook(id));
      await gateway.settled();
      clock.at += 60_000;
    }
    const count = async (filter: Record<string, unknown>) =>
      (await gateway.call('POST', '/v1/deliveries/retry', { status: 'delivered', dry_run: true, ...filter })).body[
        'count'
      ];
    expect(await count({ since: '2026-01-01T00:01:00Z' })).toBe(2);
    expect(await count({ since: '2026-01-01T00:01:00.001Z' })).toBe(1);
    expect(await count({ until: '2026-01-01T00:01:00Z' })).toBe(1);
    expect(await count({ since: '2026-01-01T01:01:00+01:00', until: '2026-01-01T00:02:00Z' })).toBe(1);
    expect(await count({ since: '2026-01-01T00:02:00Z', until: '2026-01-01T00:01:00Z' })).toBe(0);
  });

  it('refuses an invalid body, names its path and sends nothing', async () => {
    const { gateway, bot } = await withBot({}, {}, [500]);
    for (const [fields, path] of [
      [{ status: 'pending' }, '/status'],
      [{ status: null }, '/status'],
      [{ target: 7 }, '/target'],
      [{ channel: 'No Name' }, '/channel'],
      [{ since: 'yesterday' }, '/since'],
      [{ since: null }, '/since'],
      [{ until: 1_700_000_000 }, '/until'],
      [{ dry_run: 'true' }, '/dry_run'],
      [{ dry_run: null }, '/dry_run'],
      [{ dryRun: true }, '/dryRun'],
    ] as const) {
      const answer = await gateway.call('POST', '/v1/deliveries/retry', { status: 'dead', ...fields });
      expect([fields, expectProblem(answer, 400, 'GW_BAD_REQUEST')]).toEqual([fields, [path]]);
    }
    expectProblem(await gateway.call('POST', '/v1/deliveries/retry', {}), 400, 'GW_BAD_REQUEST');
    expect(await deliveriesOf(gateway)).toMatchObject([{ status: 'dead', attempts: 1 }]);
    expect(bot.requests).toHaveLength(1);
  });

  it('refuses a time that is not ISO 8601 with a time zone', async () => {
    const { gateway } = await withBot();
    for (const since of ['7', 'March 7', '2026-01-01T00:00:00', '2026-02-30T00:00:00Z']) {
      const body = { status: 'dead', since, dry_run: true };
      const answer = await gateway.call('POST', '/v1/deliveries/retry', body);
      expect([since, expectProblem(answer, 400, 'GW_BAD_REQUEST')]).toEqual([since, ['/since']]);
    }
  });

  it('answers 404 for an unknown target', async () => {
    const { gateway } = await withBot({}, {}, [500]);
    const body = { status: 'dead', target: 'tgt_none' };
    expectProblem(await gateway.call('POST', '/v1/deliveries/retry', body), 404, 'GW_NOT_FOUND');
  });

  it('skips deliveries whose target was removed', async () => {
    const { gateway, target } = await withBot({}, {}, [500]);
    await gateway.call('DELETE', `/v1/targets/${target}`);
    const { body } = await gateway.call('POST', '/v1/deliveries/retry', { status: 'dead' });
    expect(body).toMatchObject({ count: 0, total: 0, dry_run: false });
    expect(await finishedJob(gateway, body)).toMatchObject({ done: 0 });
  });
});

/** A gateway whose bot now answers 200, with one failed delivery per status in `failing`. */
async function withBot(
  options: LocalOptions = {},
  settings: Record<string, unknown> = {},
  failing: readonly number[] = [],
) {
  const gateway = await startApi({ intervals: { retryDelaysMs: [1] }, ...options });
  const bot = await startBot();
  const { id: target } = await gateway.addTarget({ url: bot.url, max_attempts: 1, ...settings });
  for (const [index, status] of failing.entries()) {
    bot.otherwise = status;
    await gateway.webhook(textWebhook(`failing-${index}`));
    await gateway.settled();
  }
  bot.otherwise = 200;
  return { gateway, bot, target };
}
