import { describe, expect, it } from 'vitest';
import { expectProblem, finishedJob, startApi } from '../support/api.js';
import type { JobJson, List, ResyncJson } from '../support/api.js';
import { startBot } from '../support/bot.js';
import type { Client } from '../support/client.js';
import { startLocal } from '../support/gateway.js';
import { textWebhook } from '../support/texts.js';

interface ItemJson {
  readonly message_id: string | null;
  readonly carrier?: string;
  readonly rule: number;
}

/** Two restored messages, a duplicate of each, and an update, in two channels; all held. Returns the resync. */
async function withHeld(): Promise<{ gateway: Client; resync: string }> {
  const gateway = await startApi();
  await gateway.addChannel({ name: 'shop' });
  const bot = await startBot();
  await gateway.addTarget({ url: bot.url });
  const body = { channel: 'main', message_ids: ['a', 'b'], window_seconds: 3600 };
  const { id } = (await gateway.call<{ id: string }>('POST', '/v1/resyncs', body)).body;
  for (const ids of [['a'], ['b'], ['new']]) await gateway.webhook(textWebhook(...ids));
  await gateway.webhook(PUT);
  for (const ids of [['s'], ['s']]) await gateway.webhook(textWebhook(...ids), { channel: 'shop' });
  return { gateway, resync: id };
}

/** A resync may bring a message back as a put. */
const PUT = JSON.stringify({
  messages: [{ id: 'b', chat_id: 'c@s.whatsapp.net', timestamp: 1, type: 'text', text: { body: 'edited' } }],
  event: { type: 'messages', event: 'put' },
});

describe('what a bulk release matches', () => {
  it.each([
    ['{}', {}, ['b', 'b', 'a']],
    ['event', { event: 'messages.put' }, ['b']],
    ['message id', { message_id: 'b' }, ['b', 'b']],
    ['channel', { channel: 'shop', verdict: 'duplicate' }, ['s']],
    ['rule', { rule: 3 }, ['b', 'b', 'a']],
    ['rule and message id', { rule: 8, message_id: 's', verdict: 'duplicate' }, ['s']],
    ['time', { until: '2020-01-01T00:00:00Z' }, []],
    ['since', { since: '2020-01-01T00:00:00Z', verdict: 'restored' }, ['b', 'b', 'a']],
  ])('is listed by the same filter, for messages and for items: %s', async (_, filter, expected) => {
    const { gateway } = await withHeld();
    for (const list of ['messages', 'items']) {
      const query = new URLSearchParams({ ...(filter as Record<string, string>), held: 'true' });
      const { data } = (await gateway.call<List<ItemJson>>('GET', `/v1/${list}?${query.toString()}`)).body;
      const isReleased = ({ rule }: ItemJson): boolean => 'verdict' in filter || rule !== 8;
      expect([list, data.filter(isReleased).map(({ message_id }) => message_id)]).toEqual([list, expected]);
      const dry = await gateway.call('POST', `/v1/${list}/release`, { ...filter, held: true, dry_run: true });
      const sent = new Set(expected).size; // the sightings of one message are released together
      expect([dry.status, dry.body]).toMatchObject([202, { dry_run: true, count: sent }]);
    }
  });

  it('can be narrowed to a resync in the list of messages', async () => {
    const { gateway, resync } = await withHeld();
    const found = await gateway.call<List<ItemJson>>('GET', `/v1/messages?resync=${resync}&event=messages.post`);
    expect(found.body.data.map(({ message_id }) => message_id)).toEqual(['b', 'a']);
  });
});

describe('GET /v1/resyncs', () => {
  it('filters by status and channel, alone and together', async () => {
    const { gateway } = await withHeld();
    for (const [channel, id] of [
      ['main', 'waits'],
      ['shop', 'waits'],
      ['shop', 'gone'],
    ])
      await gateway.call('POST', '/v1/resyncs', { channel, message_ids: [id] });
    const [newest] = await resyncs(gateway, '');
    await gateway.call('POST', `/v1/resyncs/${newest?.id ?? ''}/cancel`);
    const found = async (query: string) => (await resyncs(gateway, query)).map((each) => [each.channel, each.status]);
    expect(await found('?status=running')).toEqual([
      ['shop', 'running'],
      ['main', 'running'],
    ]);
    expect(await found('?status=finished')).toEqual([['main', 'finished']]);
    expect(await found('?status=cancelled')).toEqual([['shop', 'cancelled']]);
    expect(await found('?channel=shop&status=running')).toEqual([['shop', 'running']]);
    expect(await found('?channel=main')).toHaveLength(2);
  });
});

describe('GET /v1/audits', () => {
  it('filters by status and channel', async () => {
    const gateway = await startApi();
    await gateway.addChannel({ name: 'shop' });
    const since = new Date(Date.now() - 7_200_000).toISOString();
    const begin = async (channel: string) =>
      (await gateway.call<{ id: string }>('POST', '/v1/audits', { channel, since })).body.id;
    const [main, shop] = [await begin('main'), await begin('shop')];
    await gateway.call('POST', `/v1/audits/${shop}/cancel`);
    const found = async (query: string) =>
      (await gateway.call<List<{ id: string }>>('GET', `/v1/audits${query}`)).body.data.map(({ id }) => id);
    expect(await found('?status=running')).toEqual([main]);
    expect(await found('?status=cancelled')).toEqual([shop]);
    expect(await found('?channel=main')).toEqual([main]);
    expect(await found('?channel=main&status=cancelled')).toEqual([]);
  });
});

describe('GET /v1/jobs', () => {
  it('filters by status, kind and the channel of its filter', async () => {
    const { gateway } = await withHeld();
    await gateway.settled();
    const start = async (path: string, body: object) =>
      await finishedJob(gateway, (await gateway.call('POST', path, body)).body);
    const retry = await start('/v1/deliveries/retry', { status: 'dead', channel: 'shop' });
    const release = await start('/v1/items/release', { channel: 'main' });
    const found = async (query: string) =>
      (await gateway.call<List<JobJson>>('GET', `/v1/jobs${query}`)).body.data.map(({ id }) => id);
    expect(await found('')).toEqual([release.id, retry.id]);
    expect(await found('?kind=retry')).toEqual([retry.id]);
    expect(await found('?channel=main')).toEqual([release.id]);
    expect(await found('?status=finished&channel=shop')).toEqual([retry.id]);
    expect(await found('?status=running')).toEqual([]);
  });
});

it('lists of runs refuse invalid filters and name their path', async () => {
  const gateway = await startLocal();
  for (const [list, query, path] of [
    ['resyncs', 'status=done', '/status'],
    ['audits', 'channel=No%20Name', '/channel'],
    ['jobs', 'kind=other', '/kind'],
    ['jobs', 'held=true', '/held'],
  ]) {
    const answer = await gateway.call('GET', `/v1/${list}?${query}`);
    expect([list, expectProblem(answer, 400, 'GW_BAD_REQUEST')]).toEqual([list, [path]]);
  }
});

async function resyncs(gateway: Client, query: string): Promise<ResyncJson[]> {
  return (await gateway.call<List<ResyncJson>>('GET', `/v1/resyncs${query}`)).body.data;
}
