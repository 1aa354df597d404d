import { describe, expect, it } from 'vitest';
import { expectProblem, finishedJob, pagesOf, startApi } from '../support/api.js';
import type { DeliveryJson, List } from '../support/api.js';
import { startBot } from '../support/bot.js';
import type { Answer, Client } from '../support/client.js';
import { startLocal } from '../support/gateway.js';
import type { LocalOptions } from '../support/gateway.js';
import { LONG_AGO, textWebhook } from '../support/texts.js';

interface ItemJson {
  readonly id: string;
  readonly webhook: string;
  readonly position: number;
  readonly carrier: string;
  readonly event: string;
  readonly message_id: string | null;
  readonly verdict: string;
  readonly rule: number;
  readonly held: boolean;
  readonly evidence: { resyncs: string[]; first_seen_at: string | null; first_webhook: string | null };
}

interface SummaryJson {
  readonly id: string;
  readonly channel: string;
  readonly event: string;
}

interface WebhookJson {
  readonly body: string;
  readonly items: (ItemJson & { start: number; end: number })[];
  readonly deliveries: (DeliveryJson & { positions: number[]; released: boolean })[];
}

const RECEIPT = receipt('a');
const JOIN = JSON.stringify({
  groups_participants: [{ group_id: 'g@g.us', participants: ['x'], action: 'add' }],
  event: { type: 'groups', event: 'put' },
});

describe('GET /v1/items', () => {
  it('lists every judged item, newest first, with its verdict and the evidence', async () => {
    const { gateway } = await withBot();
    const resync = await register(gateway, 'lost');
    for (const body of [textWebhook('a'), RECEIPT, JOIN, textWebhook('lost')]) await gateway.webhook(body);
    const [lost, group, read, a] = await items(gateway);
    expect([lost, group, read, a].map((item) => item?.carrier)).toEqual([
      ...['messages', 'groups_participants', 'statuses', 'messages'],
    ]);
    expect(lost).toMatchObject({
      ...{ position: 0, event: 'messages.post', message_id: 'lost', verdict: 'restored', rule: 3, held: true },
      ...{ channel: 'main', reason: expect.stringContaining('registered') as unknown, audit: null },
      evidence: { resyncs: [resync], first_webhook: lost?.webhook, first_seen_at: expect.any(String) as unknown },
    });
    expect(group).toMatchObject({ message_id: null, evidence: { resyncs: [], first_seen_at: null } });
  });

  it('filters by event, verdict, held, resync, message id and time, alone and together', async () => {
    const { gateway } = await withBot();
    const resync = await register(gateway, 'lost');
    for (const body of [textWebhook('a'), RECEIPT, RECEIPT, textWebhook('lost')]) await gateway.webhook(body);
    const found = async (query: string) => (await items(gateway, query)).map((item) => `${item.carrier} ${item.rule}`);
    expect(await found('?event=statuses')).toEqual(['statuses 13', 'statuses 14']);
    expect(await found('?event=messages.*&held=true')).toEqual(['messages 3']);
    expect(await found('?held=true')).toEqual(['messages 3', 'statuses 13']);
    expect(await found(`?resync=${resync}`)).toEqual(['messages 3']);
    expect(await found('?message_id=a&verdict=duplicate')).toEqual(['statuses 13']);
    expect(await found('?channel=nobody')).toEqual([]);
    expect(await found('?until=2020-01-01T00:00:00Z')).toEqual([]);
  });

  it('refuses invalid filters and names their path', async () => {
    const gateway = await startLocal();
    for (const [query, path] of [
      ['verdict=old', '/verdict'],
      ['held=yes', '/held'],
      ['event=a.b.c', '/event'],
      ['event=mesages.post', '/event'],
      ['since=yesterday', '/since'],
      ['carrier=messages', '/carrier'],
    ]) {
      const answer = await gateway.call('GET', `/v1/items?${query}`);
      expect([query, expectProblem(answer, 400, 'GW_BAD_REQUEST')]).toEqual([query, [path]]);
    }
  });
});

describe('an event that Whapi does not have, as a filter', () => {
  it.each([
    ['GET', '/v1/items?event=mesages.post', undefined],
    ['GET', '/v1/deliveries?event=mesages.post', undefined],
    ['POST', '/v1/items/release', { event: 'mesages.post', dry_run: true }],
    ['POST', '/v1/deliveries/retry', { status: 'dead', event: 'mesages.post', dry_run: true }],
  ])('is refused with the nearest name: %s %s', async (method, path, body) => {
    const gateway = await startLocal();
    const answer = await gateway.call(method, path, body);
    expect(expectProblem(answer, 400, 'GW_BAD_REQUEST')).toEqual(['/event']);
    expect(answer.body['detail']).toBe(
      'Invalid filter: "event" is "mesages.post", which is not an event of Whapi; did you mean "messages.post"?',
    );
  });

  it("is taken in Whapi's old spelling", async () => {
    const { gateway } = await withBot();
    await gateway.webhook(RECEIPT);
    expect(await items(gateway, '?event=status')).toHaveLength(1);
  });
});

describe('POST /v1/items/{id}/release', () => {
  it.each([
    ['a receipt', RECEIPT, 'statuses'],
    ['a group event', JOIN, 'groups'],
  ])('sends %s that was withheld (I4)', async (_, body, event) => {
    const { gateway, bot } = await withBot();
    for (let time = 0; time < 2; time += 1) await gateway.webhook(body);
    await bot.received(1);
    const [held] = await items(gateway, `?event=${event}&held=true`);
    const { status, body: made } = await release(gateway, held?.id ?? '');
    expect([status, made.deliveries.length]).toEqual([202, 1]);
    const [, second] = await bot.received(2);
    expect(second?.body.toString()).toBe(body);
    expect(second?.headers).toMatchObject({
      'webhook-id': made.deliveries[0],
      'x-gateway-verdicts': 'duplicate',
    });
    expect(await items(gateway, '?held=true')).toEqual([]);
  });

  it('sends it however old its message is, and shows it as released', async () => {
    const { gateway, bot, target } = await withBot({}, { max_age_seconds: 60 });
    await register(gateway, 'lost');
    await gateway.webhook(textWebhook({ id: 'lost', at: LONG_AGO }));
    const [held] = await items(gateway, '?held=true');
    const { deliveries } = (await release(gateway, held?.id ?? '', { targets: [target] })).body;
    expect((await bot.received(1)).map(({ ids }) => ids)).toEqual([['lost']]);
    await gateway.settled();
    const delivery = await gateway.call('GET', `/v1/deliveries/${deliveries[0] ?? ''}`);
    expect(delivery.body).toMatchObject({ status: 'delivered', released: true });
  });

  it('answers 404 for an unknown item or target, and 409 for an item that is not held', async () => {
    const { gateway } = await withBot();
    for (let time = 0; time < 2; time += 1) await gateway.webhook(RECEIPT);
    const [held, sent] = await items(gateway);
    const refused = async (id = '', body?: unknown) => await gateway.call('POST', `/v1/items/${id}/release`, body);
    expectProblem(await refused('itm_none'), 404, 'GW_NOT_FOUND');
    expectProblem(await refused(held?.id, { targets: ['tgt_none'] }), 404, 'GW_NOT_FOUND');
    expectProblem(await refused(held?.id, { targets: [] }), 400, 'GW_BAD_REQUEST');
    expectProblem(await refused(sent?.id), 409, 'GW_NOT_HELD');
    expect(await items(gateway, '?held=true')).toHaveLength(1);
  });
});

describe('POST /v1/items/release', () => {
  it('with dry_run returns counts by target and verdict, and the first items', async () => {
    const { gateway, target } = await withHeld(25);
    const { status, body } = await releaseMany(gateway, { dry_run: true });
    expect(status).toBe(202);
    expect(body).toMatchObject({
      ...{ dry_run: true, count: 25, by_target: { [target]: 25 }, by_verdict: { restored: 25 } },
    });
    expect((body['sample'] as ItemJson[]).map(({ message_id: id }) => id)).toEqual(
      Array.from({ length: 20 }, (_, at) => `m${at}`),
    );
    expect((await gateway.call('GET', '/v1/jobs')).body['data']).toEqual([]);
  });

  it('releases all matching items in a job, receipts included', async () => {
    const { gateway, bot } = await withHeld(3);
    for (let time = 0; time < 2; time += 1) await gateway.webhook(RECEIPT);
    await bot.received(1);
    const filter = { event: 'statuses.post', verdict: 'duplicate', message_id: 'a', held: true };
    const { body } = await releaseMany(gateway, filter);
    expect(body).toMatchObject({ kind: 'release', filter, total: 1, count: 1, dry_run: false });
    await finishedJob(gateway, body);
    expect((await bot.received(2)).map((each) => each.body.toString())).toEqual([RECEIPT, RECEIPT]);
    expect(await finishedJob(gateway, (await releaseMany(gateway, {})).body)).toMatchObject({ done: 3 });
    expect(await items(gateway, '?held=true')).toEqual([]);
  });

  it.each(['/v1/items/release', '/v1/messages/release'])(
    '%s answers 409 with both numbers if it matches over a tenth more than expected_count',
    async (path) => {
      const { gateway } = await withHeld(12);
      const answer = await gateway.call('POST', path, { expected_count: 10 });
      expectProblem(answer, 409, 'GW_CONFLICT');
      expect(answer.body['detail']).toMatch(/\b12\b.*\b10\b/);
      expect((await gateway.call('GET', '/v1/jobs')).body['data']).toEqual([]);
      expect((await gateway.call('POST', path, { expected_count: 11 })).status).toBe(202);
    },
  );

  it('refuses an invalid body, names its path and creates no job', async () => {
    const { gateway } = await withHeld(1);
    for (const [fields, path] of [
      [{ held: false }, '/held'],
      [{ verdict: 'old' }, '/verdict'],
      [{ expected_count: -1 }, '/expected_count'],
      [{ since: 'yesterday' }, '/since'],
      [{ targets: [] }, '/targets'],
      [{ status: 'dead' }, '/status'],
    ] as const) {
      const answer = await releaseMany(gateway, fields);
      expect([fields, expectProblem(answer, 400, 'GW_BAD_REQUEST')]).toEqual([fields, [path]]);
    }
    expectProblem(await releaseMany(gateway, { resync: 'rsy_none' }), 404, 'GW_NOT_FOUND');
    expect((await gateway.call('GET', '/v1/jobs')).body['data']).toEqual([]);
  });
});

describe('a preview of a release', () => {
  it('says how many items each target would be sent, and how many it was sent already', async () => {
    const { gateway, bot, target } = await withHeld(3);
    const late = await gateway.addTarget({ name: 'late', url: bot.url });
    const [first] = await items(gateway, '?held=true');
    await release(gateway, first?.id ?? '', { targets: [target] });
    expect((await releaseMany(gateway, { dry_run: true })).body).toMatchObject({
      count: 3,
      by_target: { [target]: 2, [late.id]: 3 },
      already_sent: { [target]: 1 },
    });
    const { body } = await releaseMany(gateway, { dry_run: true, targets: [target] });
    expect(body).toMatchObject({ count: 2, by_target: { [target]: 2 }, already_sent: { [target]: 1 } });
    expect(body['sample']).toHaveLength(2);
  });
});

describe('GET /v1/webhooks', () => {
  it('lists stored webhooks newest first, each with its verdicts and size', async () => {
    const { gateway } = await withBot();
    await gateway.addChannel({ name: 'shop' });
    await register(gateway, 'lost');
    const batch = textWebhook('ä', 'lost', 'b');
    await gateway.webhook(batch, { suffix: '/messages/post' });
    await gateway.webhook(RECEIPT);
    await gateway.webhook(textWebhook('s'), { channel: 'shop' });
    const [first, ...more] = (await pagesOf<SummaryJson>(gateway, '/v1/webhooks', 2)).flat();
    expect([first?.channel, ...more.map(({ event }) => event)]).toEqual(['shop', 'statuses.post', 'messages.post']);
    expect(more[1]).toMatchObject({
      ...{ channel: 'main', method: 'POST', suffix: '/messages/post', audit: null, content_type: 'application/json' },
      ...{ items: 3, held: 1, verdicts: { new: 2, restored: 1 }, bytes: Buffer.byteLength(batch) },
    });
    const detail = (await gateway.call<WebhookJson>('GET', `/v1/webhooks/${more[1]?.id ?? ''}`)).body;
    expect(detail.items).toHaveLength(3);
  });

  it('filters by channel, event and time, and refuses what is no filter', async () => {
    const { gateway } = await withBot();
    for (const body of [textWebhook('a'), RECEIPT]) await gateway.webhook(body);
    const found = async (query: string) =>
      (await gateway.call<List<SummaryJson>>('GET', `/v1/webhooks${query}`)).body.data.map(({ event }) => event);
    expect(await found('?event=statuses')).toEqual(['statuses.post']);
    expect(await found('?event=messages.*&since=2020-01-01T00:00:00Z')).toEqual(['messages.post']);
    expect(await found('?until=2020-01-01T00:00:00Z')).toEqual([]);
    expect(await found('?channel=nobody')).toEqual([]);
    for (const [query, path] of [
      ['event=mesages', '/event'],
      ['since=yesterday', '/since'],
      ['verdict=new', '/verdict'],
    ]) {
      const answer = await gateway.call('GET', `/v1/webhooks?${query}`);
      expect([query, expectProblem(answer, 400, 'GW_BAD_REQUEST')]).toEqual([query, [path]]);
    }
  });
});

describe('GET /v1/webhooks/{id}', () => {
  it('shows the content, the items with their byte ranges, and what each target was sent', async () => {
    const { gateway, bot, target } = await withBot();
    await register(gateway, 'lost');
    const body = textWebhook('ä', 'lost');
    await gateway.webhook(body, { suffix: '/messages/post' });
    await bot.received(1);
    const [lost] = await items(gateway, '?held=true');
    await release(gateway, lost?.id ?? '');
    await gateway.settled();
    const shown = (await gateway.call<WebhookJson>('GET', `/v1/webhooks/${lost?.webhook ?? ''}`)).body;
    expect(shown).toMatchObject({ method: 'POST', suffix: '/messages/post', event: 'messages.post', body });
    const bytes = Buffer.from(body);
    const pieces = shown.items.map(({ start, end }) => JSON.parse(bytes.toString('utf8', start, end)) as ItemJson);
    expect(pieces.map(({ id }) => id)).toEqual(['ä', 'lost']);
    expect(shown.deliveries.map((each) => [each.target, each.status, each.positions, each.released])).toEqual([
      [target, 'delivered', [0], false],
      [target, 'delivered', [1], true],
    ]);
  });

  it('answers 404 for an unknown webhook', async () => {
    const { gateway } = await withBot();
    expectProblem(await gateway.call('GET', '/v1/webhooks/00000000000'), 404, 'GW_NOT_FOUND');
    expectProblem(await gateway.call('GET', '/v1/webhooks/none'), 404, 'GW_NOT_FOUND');
  });
});

function receipt(id: string): string {
  return JSON.stringify({
    statuses: [{ id, code: 4, status: 'read', recipient_id: 'alice' }],
    event: { type: 'statuses', event: 'post' },
  });
}

async function withBot(options: LocalOptions = {}, target: Record<string, unknown> = {}) {
  const gateway = await startApi(options);
  const bot = await startBot();
  const { id } = await gateway.addTarget({ url: bot.url, ...target });
  return { gateway, bot, target: id };
}

/** The given number of messages that a resync brought back: m0, m1 … */
async function withHeld(count: number) {
  const stage = await withBot();
  const ids = Array.from({ length: count }, (_, at) => `m${at}`);
  await register(stage.gateway, ...ids);
  await stage.gateway.webhook(textWebhook(...ids));
  return stage;
}

async function register(gateway: Client, ...ids: string[]): Promise<string> {
  const body = { channel: 'main', message_ids: ids, window_seconds: 3600 };
  return (await gateway.call<{ id: string }>('POST', '/v1/resyncs', body)).body.id;
}

async function items(gateway: Client, query = ''): Promise<ItemJson[]> {
  return (await gateway.call<List<ItemJson>>('GET', `/v1/items${query}`)).body.data;
}

async function release(gateway: Client, id: string, body?: unknown): Promise<Answer<{ deliveries: string[] }>> {
  return await gateway.call('POST', `/v1/items/${id}/release`, body);
}

async function releaseMany(gateway: Client, body: Record<string, unknown>): Promise<Answer> {
  return await gateway.call('POST', '/v1/items/release', body);
}
