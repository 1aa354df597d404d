import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { deliveriesOf, expectProblem, startApi } from '../support/api.js';
import type { DeliveryJson, List } from '../support/api.js';
import { startBot } from '../support/bot.js';
import type { Client } from '../support/client.js';
import { samplePayload } from '../support/files.js';
import { until } from '../support/intervals.js';
import { DAY, HOUR, MINUTE } from '../support/store.js';
import { textWebhook } from '../support/texts.js';

interface PreviewJson {
  readonly since: string;
  readonly complete: boolean;
  readonly webhooks: number;
  readonly notes: string[];
  readonly targets: {
    target: string;
    before: Record<string, number>;
    after: Record<string, number>;
    differences: { before: string; after: string; count: number; items: Record<string, unknown>[] }[];
  }[];
}

/** Every sample of Whapi's, twice, and webhooks that repeat items or bring registered ones back. */
const SAMPLES: readonly string[] = readdirSync(new URL('../fixtures', import.meta.url))
  .filter((name) => name.endsWith('.json'))
  .map((name) => samplePayload(name.slice(0, -'.json'.length)).toString());
const BODIES: readonly string[] = [...SAMPLES, ...SAMPLES, textWebhook('lost', 'unseen', 'fresh', 'fresh')];

const EVERYTHING = { deliver: ['new', 'late', 'restored', 'duplicate', 'event'], split: 'item' };

describe('POST /v1/targets/{id}/preview', () => {
  it('gives each item the outcome that a target with those settings gives it, and writes nothing', async () => {
    const { gateway, bot, archive } = await withTwoTargets();
    for (const body of BODIES) await gateway.webhook(body);
    const before = await counts(gateway);
    const { targets, webhooks } = await preview(gateway, bot, EVERYTHING);
    expect(webhooks).toBe(BODIES.length);
    const [{ before: stored, after: changed, differences } = none()] = targets;
    expect(stored).toMatchObject({ sent: await itemsSentTo(gateway, bot), expired: 0, not_subscribed: 0 });
    expect(changed).toMatchObject({ sent: await itemsSentTo(gateway, archive), held: 0 });
    expect(differences).toMatchObject([{ before: 'held', after: 'sent', count: stored['held'] }]);
    expect(await counts(gateway)).toEqual(before);
  });

  it('shows which held message would be sent', async () => {
    const { gateway, bot } = await withTwoTargets();
    await gateway.webhook(textWebhook('lost', 'fresh'));
    const { targets } = await preview(gateway, bot, { deliver: ['new', 'restored'] });
    const difference = { before: 'held', after: 'sent', count: 1 };
    const item = { channel: 'main', event: 'messages.post', message_id: 'lost', verdict: 'restored', rule: 3 };
    expect(targets).toMatchObject([{ target: bot, differences: [{ ...difference, items: [item] }] }]);
    const { data } = (await gateway.call<List<{ id: string; webhook: string }>>('GET', '/v1/items?held=true')).body;
    const held = { id: data[0]?.id, webhook: data[0]?.webhook };
    expect(targets[0]?.differences[0]?.items[0]).toMatchObject(held);
  });

  it('tells what would expire, by the time at which it was delivered', async () => {
    const clock = { at: Date.UTC(2026, 0, 5, 12) };
    const gateway = await startApi({ effects: { now: () => clock.at } });
    const { url } = await startBot();
    const { id } = await gateway.addTarget({ url });
    const old = { id: 'old', at: (clock.at - 2 * HOUR) / 1000 };
    await gateway.webhook(textWebhook(old));
    await gateway.webhook(textWebhook({ id: 'young', at: clock.at / 1000 }));
    await until(async () => expect(await deliveriesOf(gateway, '?status=delivered')).toHaveLength(2));
    clock.at += 10 * HOUR;
    const changes = { max_age_seconds: 3600 };
    const difference = { before: 'sent', after: 'expired', count: 1, items: [{ message_id: 'old' }] };
    expect((await preview(gateway, id, changes)).targets[0]).toMatchObject({
      ...{ before: { sent: 2 }, after: { sent: 1, expired: 1 }, differences: [difference] },
    });
  });

  it('expires what still waits by its age now', async () => {
    const clock = { at: Date.UTC(2026, 0, 5, 12) };
    const gateway = await startApi({ effects: { now: () => clock.at } });
    const { id } = await gateway.addTarget({ url: 'http://127.0.0.1:9', enabled: false });
    await gateway.webhook(textWebhook({ id: 'waits', at: clock.at / 1000 }));
    clock.at += 2 * HOUR;
    expect((await preview(gateway, id, { max_age_seconds: 3600 })).targets[0]?.after).toMatchObject({ expired: 1 });
    expect((await preview(gateway, id, { max_age_seconds: 9000 })).targets[0]?.after).toMatchObject({ sent: 1 });
  });

  it.each([
    [{ backlog_policy: 'newest_per_chat' }, { sent: 3, superseded: 2 }],
    [{ backlog_policy: 'hold' }, { sent: 1, withheld: 4 }],
    [{ skip_answered: true }, { sent: 4, answered: 1 }],
    [
      { backlog_policy: 'newest_per_chat', skip_answered: true },
      { sent: 2, superseded: 2, answered: 1 },
    ],
  ])('tells of %j what then becomes of the backlog', async (changes, outcomes) => {
    const clock = { at: Date.UTC(2026, 0, 5, 12) };
    const gateway = await startApi({ effects: { now: () => clock.at } });
    const bot = await startBot();
    const { id } = await gateway.addTarget({ url: bot.url, enabled: false, events: ['messages.post'] });
    const at = clock.at / 1000;
    for (const [text, chat] of [
      ['A1', 'a'],
      ['A2', 'a'],
      ['B1', 'b'],
      ['A3', 'a'],
    ])
      await gateway.webhook(textWebhook({ id: String(text), chat: String(chat), at }));
    clock.at += HOUR;
    await gateway.webhook(textWebhook({ id: 'C1', chat: 'c', at: clock.at / 1000 }));
    const own = { id: 'own', chat_id: 'b', type: 'text', from_me: true, timestamp: clock.at / 1000 };
    const event = { type: 'messages', event: 'put' }; // the target does not take it
    await gateway.webhook(JSON.stringify({ messages: [own], event }));

    const { after } = (await preview(gateway, id, changes)).targets[0] ?? none();
    expect(after).toMatchObject({ ...outcomes, held: 0, expired: 0, not_subscribed: 0 });
    await gateway.call('PATCH', `/v1/targets/${id}`, { ...changes, enabled: true });
    const ended = await until(async () => {
      const deliveries = await deliveriesOf(gateway, `?target=${id}`);
      expect(deliveries.filter(({ status }) => status === 'pending')).toEqual([]);
      return deliveries.map(({ status }) => (status === 'delivered' ? 'sent' : status));
    });
    for (const [outcome, count] of Object.entries(outcomes))
      expect([outcome, ended.filter((each) => each === outcome).length]).toEqual([outcome, count]);
  });

  it('tells what a change of events or channels adds and takes away', async () => {
    const { gateway, bot } = await withTwoTargets();
    await gateway.webhook(textWebhook('a', 'b'));
    for (const changes of [{ events: ['statuses'] }, { channels: ['shop'] }])
      expect((await preview(gateway, bot, changes)).targets[0]?.differences).toMatchObject([
        { before: 'sent', after: 'not_subscribed', count: 2 },
      ]);
  });

  it('reads what was recorded since a time, by default a day ago, and shows a hundred items', async () => {
    const clock = { at: Date.UTC(2026, 0, 5, 12) };
    const gateway = await startApi({ effects: { now: () => clock.at } });
    const { id } = await gateway.addTarget({ url: 'http://127.0.0.1:9', enabled: false });
    await gateway.webhook(textWebhook('old'));
    clock.at += DAY + MINUTE;
    const texts = Array.from({ length: 150 }, (_, at) => `new-${at}`);
    await gateway.webhook(textWebhook(...texts));
    const changes = { deliver: ['restored'] };
    const { webhooks, complete, targets } = await preview(gateway, id, changes);
    expect([webhooks, complete, targets[0]?.differences[0]?.count]).toEqual([1, true, 150]);
    expect(targets[0]?.differences[0]?.items.map(({ message_id }) => message_id)).toEqual(texts.slice(0, 100));
    const all = await preview(gateway, id, changes, new Date(clock.at - 2 * DAY).toISOString());
    expect([all.webhooks, all.targets[0]?.before['sent']]).toEqual([2, 151]);
  });

  it('refuses unknown targets and wrong settings', async () => {
    const { gateway, bot } = await withTwoTargets();
    const call = async (id: string, body: object) => await gateway.call('POST', `/v1/targets/${id}/preview`, body);
    expectProblem(await call('tgt_none', { changes: { split: 'chat' } }), 404, 'GW_NOT_FOUND');
    for (const [body, path] of [
      [{ changes: {} }, '/changes'],
      [{ changes: { split: 'half' } }, '/changes/split'],
      [{ changes: { split: 'chat' }, since: 'yesterday' }, '/since'],
      [{}, ''],
    ] as const)
      expect(expectProblem(await call(bot, body), 400, 'GW_BAD_REQUEST')).toEqual([path]);
  });
});

describe('POST /v1/channels/{name}/preview', () => {
  it('judges messages again as late or new, for every target', async () => {
    const clock = { at: Date.UTC(2026, 0, 5, 12) };
    const gateway = await startApi({ effects: { now: () => clock.at } });
    const { id: live } = await gateway.addTarget({ url: 'http://127.0.0.1:9', deliver: ['new'], enabled: false });
    const sent = (id: string, ago: number) => textWebhook({ id, chat: 'c', at: (clock.at - ago) / 1000 });
    await gateway.webhook(sent('newest', 0));
    clock.at += 2 * HOUR;
    await gateway.webhook(sent('half an hour older', 2.5 * HOUR)); // late
    await gateway.webhook(sent('ten minutes older', 2 * HOUR + 10 * MINUTE)); // new
    const differencesWith = async (late_after_seconds: number) => {
      const answer = await gateway.call<PreviewJson>('POST', '/v1/channels/main/preview', {
        changes: { late_after_seconds },
      });
      expect(answer.body.targets).toMatchObject([{ target: live }]);
      return answer.body.targets[0]?.differences.map(({ before, after, items }) => [
        before,
        after,
        items[0]?.['message_id'],
      ]);
    };
    expect(await differencesWith(900)).toEqual([]);
    expect(await differencesWith(3600)).toEqual([['held', 'sent', 'half an hour older']]);
    expect(await differencesWith(300)).toEqual([['sent', 'held', 'ten minutes older']]);
  });

  it('tells what on_replay "hold" would hold of a replay that was delivered: what it then does hold', async () => {
    const [delivering, holding] = [await startReplay(), await startReplay()];
    await delivering.arrive(12);
    const { targets, notes } = await delivering.preview({ on_replay: 'hold', replay_messages: 5 });
    expect(targets[0]).toMatchObject({ before: { sent: 12, held: 0 }, after: { sent: 4, held: 8 } });
    expect(targets[0]?.differences).toMatchObject([{ before: 'sent', after: 'held', count: 8 }]);
    expect(targets[0]?.differences[0]?.items[0]).toMatchObject({ message_id: 'm4', verdict: 'restored', rule: 19 });
    expect(notes).toEqual([]);
    await holding.gateway.call('PATCH', '/v1/channels/main', { on_replay: 'hold', replay_messages: 5 });
    await holding.arrive(12);
    const held = await holding.gateway.call<List<unknown>>('GET', '/v1/items?held=true');
    expect(held.body.data).toHaveLength(8);
  });

  it.each([
    [{ on_replay: 'hold' }, 0], // 20 messages by default
    [{ on_replay: 'hold', replay_messages: 1 }, 12],
    [{ on_replay: 'hold', replay_messages: 5, replay_after_seconds: 31_536_000 }, 0],
    [{ replay_messages: 5 }, 0], // it delivers replays
    [{ late_after_seconds: 900 }, 0],
  ])('tells of %j that it would hold %i of twelve old messages', async (changes, held) => {
    const { arrive, preview } = await startReplay();
    await arrive(12);
    expect((await preview(changes)).targets[0]?.after).toMatchObject({ held, sent: 12 - held });
  });

  it('tells what on_replay "deliver" would send of a replay that was held', async () => {
    const { arrive, preview } = await startReplay({ on_replay: 'hold', replay_messages: 5 });
    await arrive(12);
    const { targets, notes } = await preview({ on_replay: 'deliver' });
    expect(targets[0]?.differences).toMatchObject([{ before: 'held', after: 'sent', count: 8 }]);
    expect(targets[0]?.differences[0]?.items[0]).toMatchObject({ message_id: 'm4', verdict: 'new', rule: 10 });
    expect(notes).toEqual([expect.stringMatching(/^8 messages may be late: .* It counts them as new\./)]);
    expect((await preview({ late_after_seconds: 60 })).targets[0]?.after).toMatchObject({ held: 8, sent: 4 });
  });

  it('says that old messages near its start may continue an earlier replay, and counts them as not held', async () => {
    const { arrive, preview, clock } = await startReplay();
    await arrive(25);
    clock.at += 2 * MINUTE;
    const since = new Date(clock.at).toISOString();
    await arrive(3, 25);
    clock.at += MINUTE;
    const late = await preview({ on_replay: 'hold' }, since);
    expect(late.targets[0]?.after).toMatchObject({ held: 0, sent: 3 });
    expect(late.notes).toEqual([expect.stringMatching(/^3 old messages near the start may continue a replay/)]);
    const early = await preview({ on_replay: 'hold' });
    expect([early.targets[0]?.after['held'], early.notes]).toEqual([9, []]);
  });

  it('refuses an unknown channel', async () => {
    const gateway = await startApi();
    const changes = { late_after_seconds: 60 };
    expectProblem(await gateway.call('POST', '/v1/channels/nobody/preview', { changes }), 404, 'GW_NOT_FOUND');
  });
});

/** `bot` takes the default verdicts, `archive` everything in one request per item; two resyncs have registered two ids. */
async function withTwoTargets(): Promise<{ gateway: Client; bot: string; archive: string }> {
  const gateway = await startApi();
  const { url } = await startBot();
  const { id: bot } = await gateway.addTarget({ url });
  const { id: archive } = await gateway.addTarget({ name: 'archive', url: `${url}/archive`, ...EVERYTHING });
  for (const [id, deliver_unseen] of [
    ['lost', false],
    ['unseen', true],
  ])
    await gateway.call('POST', '/v1/resyncs', { channel: 'main', message_ids: [id], deliver_unseen });
  return { gateway, bot, archive };
}

/** A gateway whose channel has these settings, with a target; Whapi sends it messages that are a hundred days old. */
async function startReplay(settings: object = { on_replay: 'deliver' }) {
  const clock = { at: Date.UTC(2026, 0, 5, 12) };
  const gateway = await startApi({ effects: { now: () => clock.at } });
  await gateway.addTarget({ url: 'http://127.0.0.1:9', enabled: false });
  await gateway.call('PATCH', '/v1/channels/main', settings);
  const arrive = async (count: number, from = 0) => {
    const at = (clock.at - 100 * DAY) / 1000;
    const texts = Array.from({ length: count }, (_, index) => ({ id: `m${from + index}`, at }));
    await gateway.webhook(textWebhook(...texts));
  };
  const preview = async (changes: object, since?: string) => {
    const path = '/v1/channels/main/preview';
    return (await gateway.call<PreviewJson>('POST', path, { changes, since })).body;
  };
  return { gateway, clock, arrive, preview };
}

async function preview(gateway: Client, target: string, changes: object, since?: string): Promise<PreviewJson> {
  const answer = await gateway.call<PreviewJson>('POST', `/v1/targets/${target}/preview`, { changes, since });
  expect(answer).toMatchObject({ status: 200, body: { targets: [{ target }] } });
  return answer.body;
}

async function itemsSentTo(gateway: Client, target: string): Promise<number> {
  const { data } = (await gateway.call<List<DeliveryJson>>('GET', `/v1/deliveries?target=${target}&limit=500`)).body;
  return data.reduce((sum, { positions }) => sum + positions.length, 0);
}

async function counts(gateway: Client): Promise<number[]> {
  const lists = ['webhooks', 'items', 'deliveries', 'channels', 'targets', 'resyncs', 'jobs'];
  const pages = lists.map(async (list) => await gateway.call<List<unknown>>('GET', `/v1/${list}?limit=500`));
  return (await Promise.all(pages)).map(({ body }) => body.data.length);
}

function none(): never {
  throw new Error('There is no target.');
}
