import { describe, expect, it } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import type { Effects } from '../../src/effects.js';
import { expectProblem, finishedJob, startApi } from '../support/api.js';
import type { DeliveryJson, List, ResyncMessageJson } from '../support/api.js';
import { startBareWhapi, startBot } from '../support/bot.js';
import type { Bot } from '../support/bot.js';
import type { Answer, Client } from '../support/client.js';
import { samplePayload, temporaryFolder } from '../support/files.js';
import type { LocalOptions } from '../support/gateway.js';
import { startLocal } from '../support/gateway.js';
import { until } from '../support/intervals.js';
import { textWebhook } from '../support/texts.js';

interface MessageJson {
  readonly channel: string;
  readonly message_id: string;
  readonly event: string;
  readonly verdict: string;
  readonly rule: number;
  readonly held: boolean;
  readonly seen_at: string;
}

interface ExplanationJson {
  readonly channel: string;
  readonly message_id: string;
  readonly ledger: {
    first_seen_at: string | null;
    last_seen_at: string;
    rule: number | null;
    seeded_at: string | null;
  } | null;
  readonly timeline: { at: string; kind: string; text: string }[];
  readonly sightings: (MessageJson & { carrier: string; webhook: string })[];
  readonly resyncs: ResyncMessageJson[];
  readonly deliveries: (DeliveryJson & { log: { status: number | null; error: string | null }[] })[];
}

const DAY_MS = 24 * 60 * 60 * 1000;

describe('GET /v1/messages', () => {
  it('lists each sighting of a message, newest first, with its verdict and rule', async () => {
    const { gateway } = await withBot();
    await register(gateway, 'lost');
    for (const ids of [['a', 'b'], ['lost'], ['a']]) await gateway.webhook(textWebhook(...ids));
    const listed = await messages(gateway);
    expect(listed.map(({ message_id, verdict, rule, held }) => [message_id, verdict, rule, held])).toEqual([
      ['a', 'duplicate', 8, true],
      ['lost', 'restored', 3, true],
      ['b', 'new', 10, false],
      ['a', 'new', 10, false],
    ]);
    expect(listed[0]).toMatchObject({ channel: 'main', event: 'messages.post' });
    expect(new Date(listed[0]?.seen_at ?? '').toISOString()).toBe(listed[0]?.seen_at);
  });

  it('lists only messages, not items that merely name one', async () => {
    const { gateway } = await withBot();
    for (const name of ['statuses.post.read', 'chats.post.with-last-message', 'messages.patch.edited'])
      expect((await gateway.webhook(samplePayload(name))).status).toBe(200);
    expect(await messages(gateway)).toEqual([]);
  });

  it('filters by channel, verdict and held, alone and together', async () => {
    const { gateway } = await withBot();
    await gateway.addChannel({ name: 'shop' });
    await register(gateway, 'lost');
    for (const ids of [['a'], ['lost'], ['a']]) await gateway.webhook(textWebhook(...ids));
    await gateway.webhook(textWebhook('s'), { channel: 'shop' });
    const ids = async (query: string) => (await messages(gateway, query)).map(({ message_id }) => message_id);
    expect(await ids('?channel=shop')).toEqual(['s']);
    expect(await ids('?verdict=new')).toEqual(['s', 'a']);
    expect(await ids('?verdict=restored')).toEqual(['lost']);
    expect(await ids('?verdict=late')).toEqual([]);
    expect(await ids('?held=true')).toEqual(['a', 'lost']);
    expect(await ids('?held=false')).toEqual(['s', 'a']);
    expect(await ids('?channel=main&verdict=new&held=false')).toEqual(['a']);
    expect(await ids('?channel=nobody')).toEqual([]);
  });

  it('refuses invalid filters and names their path', async () => {
    const gateway = await startLocal();
    for (const [query, path] of [
      ['verdict=old', '/verdict'],
      ['verdict=new&verdict=late', '/verdict'],
      ['held=yes', '/held'],
      ['held=', '/held'],
      ['channel=No%20Name', '/channel'],
      ['since=yesterday', '/since'],
      ['event=mesages.post', '/event'],
      ['rule=nine', '/rule'],
    ]) {
      const answer = await gateway.call('GET', `/v1/messages?${query}`);
      expect([query, expectProblem(answer, 400, 'GW_BAD_REQUEST')]).toEqual([query, [path]]);
    }
  });
});

describe('GET /v1/messages/{channel}/{message_id}', () => {
  it('explains the whole history of an id in order of time', async () => {
    const { gateway, bot } = await withBot({ effects: tickingClock() });
    const whapi = await startBareWhapi();
    whapi.otherwise = 404;
    await gateway.call('PATCH', '/v1/channels/main', { whapi_base_url: whapi.url, resync_spacing_ms: 0 });
    const resync = await register(gateway, 'lost');
    await whapi.received(1);
    await gateway.webhook(textWebhook('lost'));
    const [delivery] = (await release(gateway, 'lost')).body.deliveries;
    await bot.received(1);
    await gateway.settled();
    const { timeline } = await explain(gateway, 'lost');
    expect(timeline.map(({ kind }) => kind)).toEqual([
      'registered',
      'asked',
      'sighting',
      'restored',
      'release',
      'attempt',
    ]);
    expect(timeline.map(({ at }) => at)).toEqual(timeline.map(({ at }) => at).sort());
    expect(timeline[0]?.text).toContain(resync);
    expect(timeline[2]?.text).toMatch(/messages\.post.*restored.*rule 3/);
    expect(timeline[4]?.text).toMatch(/^released to target tgt_.* manually/);
    expect(timeline[5]?.text).toMatch(new RegExp(`${delivery ?? '-'}.*200`));
  });

  it('shows each sighting, each resync, and each delivery with its attempts', async () => {
    const { gateway, bot, target } = await withBot({ intervals: { retryDelaysMs: [1] } });
    bot.answers.push(500);
    await register(gateway, 'a');
    await gateway.webhook(textWebhook('a', 'b'));
    await gateway.webhook(textWebhook('b'));
    await gateway.settled();
    const a = await explain(gateway, 'a');
    const b = await explain(gateway, 'b');
    expect(a).toMatchObject({ channel: 'main', message_id: 'a', resyncs: [{ status: 'restored' }], deliveries: [] });
    expect(a.sightings).toMatchObject([{ carrier: 'messages', verdict: 'restored', rule: 3, held: true }]);
    expect(b.sightings).toMatchObject([
      { verdict: 'new', rule: 10, held: false, webhook: a.sightings[0]?.webhook },
      { verdict: 'duplicate', rule: 8, held: true },
    ]);
    expect(b.resyncs).toEqual([]);
    expect(b.deliveries).toMatchObject([{ target, status: 'delivered', verdicts: ['new'], attempts: 2 }]);
    expect(b.deliveries[0]?.log.map(({ status }) => status)).toEqual([500, 200]);
  });

  it('shows when the ledger first and last saw the id', async () => {
    const clock = { at: Date.UTC(2026, 0, 1) };
    const { gateway } = await withBot({ effects: { now: () => clock.at } });
    await gateway.webhook(textWebhook('a'));
    clock.at += DAY_MS;
    await gateway.webhook(textWebhook('a'));
    expect((await explain(gateway, 'a')).ledger).toEqual({
      first_seen_at: '2026-01-01T00:00:00.000Z',
      last_seen_at: '2026-01-02T00:00:00.000Z',
      rule: 10,
      seeded_at: null,
    });
  });

  it('explains an id that was registered and never came', async () => {
    const { gateway } = await withBot();
    const resync = await register(gateway, 'lost');
    const found = await explain(gateway, 'lost');
    expect(found).toMatchObject({ ledger: null, sightings: [], deliveries: [], resyncs: [{ resync }] });
  });

  it('answers 404 for an id that is unknown in this channel', async () => {
    const { gateway } = await withBot();
    await gateway.webhook(textWebhook('a'));
    expectProblem(await gateway.call('GET', '/v1/messages/main/b'), 404, 'GW_NOT_FOUND');
    expectProblem(await gateway.call('GET', '/v1/messages/shop/a'), 404, 'GW_NOT_FOUND');
  });

  it('finds ids with any characters and length', async () => {
    const { gateway } = await withBot();
    for (const id of ['p.w30M7fgwWD4XwHu.g4CA-gNcCzMdVPg', 'a/b?c=d#e%2F f', 'ünïcode-😀', 'x'.repeat(1000)]) {
      await gateway.webhook(textWebhook(id));
      expect(await explain(gateway, id)).toMatchObject({ message_id: id, sightings: [{ verdict: 'new' }] });
    }
  });
});

describe('POST /v1/messages/{channel}/{message_id}/release', () => {
  it('sends a held message, which is then no longer held', async () => {
    const { gateway, bot, target } = await withBot();
    await hold(gateway, 'lost');
    const { status, body } = await release(gateway, 'lost');
    expect(status).toBe(202);
    const [request] = await bot.received(1);
    expect(request?.body.toString()).toBe(textWebhook('lost'));
    expect(request?.headers).toMatchObject({
      'webhook-id': body.deliveries[0],
      'x-gateway-verdicts': 'restored',
    });
    expect(await messages(gateway, '?held=true')).toEqual([]);
    expect((await explain(gateway, 'lost')).deliveries).toMatchObject([{ id: body.deliveries[0], target }]);
  });

  it('sends only the released message of a batch', async () => {
    const { gateway, bot } = await withBot();
    await register(gateway, 'lost', 'other');
    await gateway.webhook(textWebhook('a', 'lost', 'other'));
    await bot.received(1);
    await release(gateway, 'lost');
    expect((await bot.received(2)).map(({ ids }) => ids)).toEqual([['a'], ['lost']]);
    expect((await messages(gateway, '?held=true')).map(({ message_id }) => message_id)).toEqual(['other']);
  });

  it('sends it only to the chosen targets and leaves it held for the others', async () => {
    const { gateway, bot } = await withBot();
    const second = await startBot();
    const { id } = await gateway.addTarget({ name: 'second', url: second.url });
    await hold(gateway, 'lost');
    expect((await release(gateway, 'lost', { targets: [id] })).body.deliveries).toHaveLength(1);
    await second.received(1);
    expect((await messages(gateway, '?held=true')).map(({ message_id }) => message_id)).toEqual(['lost']);
    expect((await release(gateway, 'lost')).body.deliveries).toHaveLength(1);
    expect((await bot.received(1))[0]?.ids).toEqual(['lost']);
    expect(second.requests).toHaveLength(1);
    expect(await messages(gateway, '?held=true')).toEqual([]);
  });

  it('sends it once for many simultaneous requests (I3)', async () => {
    const { gateway, bot } = await withBot();
    await hold(gateway, 'lost');
    const answers = await Promise.all(Array.from({ length: 6 }, async () => await release(gateway, 'lost')));
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 409, 409, 409, 409, 409]);
    await gateway.settled();
    expect(bot.requests).toHaveLength(1);
  });

  it('answers 409 GW_NOT_HELD if every target received the message', async () => {
    const { gateway } = await withBot();
    await gateway.webhook(textWebhook('a'));
    expectProblem(await releaseProblem(gateway, 'a'), 409, 'GW_NOT_HELD');
    await hold(gateway, 'lost');
    await release(gateway, 'lost');
    expectProblem(await releaseProblem(gateway, 'lost'), 409, 'GW_NOT_HELD');
  });

  it('answers 409 GW_NOT_HELD if no target subscribes any more, unless one is chosen', async () => {
    const { gateway, bot, target } = await withBot();
    await hold(gateway, 'lost');
    await gateway.call('PATCH', `/v1/targets/${target}`, { events: ['statuses'] });
    expectProblem(await releaseProblem(gateway, 'lost'), 409, 'GW_NOT_HELD');
    expect((await release(gateway, 'lost', { targets: [target] })).status).toBe(202);
    expect((await bot.received(1))[0]?.ids).toEqual(['lost']);
  });

  it('answers 404 for an unknown message or target', async () => {
    const { gateway } = await withBot();
    await hold(gateway, 'lost');
    expectProblem(await releaseProblem(gateway, 'never-seen'), 404, 'GW_NOT_FOUND');
    expectProblem(await releaseProblem(gateway, 'lost', { targets: ['tgt_none'] }), 404, 'GW_NOT_FOUND');
    expect(await messages(gateway, '?held=true')).toHaveLength(1);
  });

  it('accepts an empty object for all targets and refuses other bodies', async () => {
    const { gateway } = await withBot();
    await hold(gateway, 'lost');
    for (const body of [{ targets: [] }, { targets: 'all' }, { targets: [7] }, { target: 'tgt' }, 'all', []])
      expectProblem(await releaseProblem(gateway, 'lost', body), 400, 'GW_BAD_REQUEST');
    expect((await release(gateway, 'lost', {})).status).toBe(202);
  });
});

describe('POST /v1/messages/release', () => {
  it('sends all held messages in order of time and reports its progress', async () => {
    const { gateway, bot } = await withBot();
    await register(gateway, 'one', 'two', 'three');
    await gateway.webhook(textWebhook('a', { id: 'one', chat: 'c' }, { id: 'two', chat: 'c' }));
    await gateway.webhook(textWebhook({ id: 'three', chat: 'c' }));
    const { status, body } = await gateway.call('POST', '/v1/messages/release', { verdict: 'restored' });
    const told = { kind: 'release', status: 'running', filter: { verdict: 'restored' }, total: 3, done: 0, count: 3 };
    expect({ status, body }).toMatchObject({ status: 202, body: { ...told, dry_run: false } });
    expect(await finishedJob(gateway, body)).toMatchObject({ total: 3, done: 3, skipped: 0 });
    expect((await bot.received(4)).map(({ ids }) => ids)).toEqual([['a'], ['one'], ['two'], ['three']]);
    expect(await messages(gateway, '?held=true')).toEqual([]);
  });

  it('with dry_run only counts, without repetitions unless they are requested', async () => {
    const { gateway, bot } = await withBot();
    await hold(gateway, 'lost');
    for (let i = 0; i < 2; i += 1) await gateway.webhook(textWebhook('a'));
    await bot.received(1);
    const count = async (filter: Record<string, unknown>) =>
      (await gateway.call('POST', '/v1/messages/release', { ...filter, dry_run: true })).body;
    expect(await count({})).toMatchObject({ count: 1, dry_run: true });
    expect(await count({ verdict: 'duplicate' })).toMatchObject({ count: 1, dry_run: true });
    const nothing = { count: 0, dry_run: true, by_target: {}, by_verdict: {}, sample: [] };
    expect(await count({ channel: 'main', until: '2020-01-01T00:00:00Z' })).toEqual(nothing);
    expect((await gateway.call('GET', '/v1/jobs')).body['data']).toEqual([]);
    expect(bot.requests).toHaveLength(1);
  });

  it('sends messages of one resync to the chosen targets', async () => {
    const { gateway, bot } = await withBot();
    const second = await startBot();
    const { id } = await gateway.addTarget({ name: 'second', url: second.url });
    await hold(gateway, 'one');
    const resync = await register(gateway, 'two');
    await gateway.webhook(textWebhook('two'));
    const { body } = await gateway.call('POST', '/v1/messages/release', { resync, targets: [id] });
    await finishedJob(gateway, body);
    expect((await second.received(1)).map(({ ids }) => ids)).toEqual([['two']]);
    expect(bot.requests).toEqual([]);
  });

  it('refuses an invalid body, names its path and creates no job', async () => {
    const { gateway } = await withBot();
    for (const [fields, path] of [
      [{ verdict: 'old' }, '/verdict'],
      [{ channel: 'No Name' }, '/channel'],
      [{ since: 'yesterday' }, '/since'],
      [{ until: 7 }, '/until'],
      [{ targets: [] }, '/targets'],
      [{ resync: 7 }, '/resync'],
      [{ dry_run: 'true' }, '/dry_run'],
      [{ status: 'dead' }, '/status'],
    ] as const) {
      const answer = await gateway.call('POST', '/v1/messages/release', fields);
      expect([fields, expectProblem(answer, 400, 'GW_BAD_REQUEST')]).toEqual([fields, [path]]);
    }
    for (const fields of [{ targets: ['tgt_none'] }, { resync: 'rsy_none', dry_run: true }])
      expectProblem(await gateway.call('POST', '/v1/messages/release', fields), 404, 'GW_NOT_FOUND');
    expect((await gateway.call('GET', '/v1/jobs')).body['data']).toEqual([]);
  });
});

describe('after RETENTION_DAYS', () => {
  it('the payload is deleted and the id is still known: a release answers 410, and the id is a duplicate', async () => {
    const folder = temporaryFolder();
    const before = await withBot({ folder });
    await hold(before.gateway, 'lost');
    await before.gateway.close();
    const after = await startLocal({ folder, effects: fastClock(8 * DAY_MS) });
    await until(async () => expect(await messages(after)).toEqual([]));
    expectProblem(await releaseProblem(after, 'lost'), 410, 'GW_PAYLOAD_GONE');
    expect(await explain(after, 'lost')).toMatchObject({ ledger: { rule: 3 }, sightings: [], deliveries: [] });
    expect((await after.webhook(textWebhook('lost'))).body.verdicts).toEqual({ duplicate: 1 });
  });
});

/** A clock that is ahead, and runs a thousand times faster: pruning waits until the time is confirmed for an hour. */
function fastClock(aheadMs: number): Partial<Effects> {
  const begun = systemEffects.monotonic();
  const passed = (): number => 1000 * (systemEffects.monotonic() - begun);
  return {
    now: () => Math.floor(systemEffects.now() + aheadMs + passed()),
    monotonic: () => begun + passed(),
    sleep: async (ms, signal) => await systemEffects.sleep(ms / 1000, signal),
  };
}

async function withBot(options: LocalOptions = {}) {
  const gateway = await startApi(options);
  const bot: Bot = await startBot();
  const { id: target } = await gateway.addTarget({ url: bot.url });
  return { gateway, bot, target };
}

/** Each read of the clock is one millisecond later than the last, so that later events have later times. */
function tickingClock(): { now(): number } {
  let now = systemEffects.now();
  return { now: () => (now += 1) };
}

async function register(gateway: Client, ...ids: string[]): Promise<string> {
  const { status, body } = await gateway.call<{ id: string }>('POST', '/v1/resyncs', {
    channel: 'main',
    message_ids: ids,
    window_seconds: 3600,
  });
  expect(status).toBe(202);
  return body.id;
}

/** A message that a resync brought back, so that no target was sent it. */
async function hold(gateway: Client, id: string): Promise<void> {
  await register(gateway, id);
  expect((await gateway.webhook(textWebhook(id))).body.verdicts).toEqual({ restored: 1 });
}

async function messages(gateway: Client, query = ''): Promise<MessageJson[]> {
  return (await gateway.call<List<MessageJson>>('GET', `/v1/messages${query}`)).body.data;
}

async function explain(gateway: Client, id: string): Promise<ExplanationJson> {
  return (await gateway.call<ExplanationJson>('GET', `/v1/messages/main/${encodeURIComponent(id)}`)).body;
}

async function release(gateway: Client, id: string, body?: unknown): Promise<Answer<{ deliveries: string[] }>> {
  return await gateway.call('POST', `/v1/messages/main/${id}/release`, body);
}

async function releaseProblem(gateway: Client, id: string, body?: unknown): Promise<Answer> {
  return await gateway.call('POST', `/v1/messages/main/${id}/release`, body);
}
