import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { expectProblem, startApi } from '../support/api.js';
import type { DeliveryJson, List } from '../support/api.js';
import { startBot } from '../support/bot.js';
import type { Answer, Client } from '../support/client.js';
import { samplePayload } from '../support/files.js';
import { textWebhook } from '../support/texts.js';

interface TrialJson {
  readonly event: string;
  readonly items: {
    position: number;
    message_id: string | null;
    verdict: string;
    rule: number;
    held: boolean;
    start: number;
    end: number;
    evidence: Record<string, unknown>;
  }[];
  readonly routes: {
    target: string;
    requests: { positions: number[]; bytes: number }[];
    held: number[];
  }[];
}

interface WebhookJson {
  readonly items: (Pick<TrialJson['items'][number], 'verdict' | 'rule' | 'held' | 'start'> & { id: string })[];
  readonly deliveries: DeliveryJson[];
}

/** Every sample of Whapi's, and webhooks that repeat items of others or of themselves. */
const BODIES: readonly string[] = [
  ...readdirSync(new URL('../fixtures', import.meta.url))
    .filter((name) => name.endsWith('.json'))
    .map((name) => samplePayload(name.slice(0, -'.json'.length)).toString()),
  textWebhook('twice', 'twice'),
  textWebhook('lost', 'twice', 'unseen'),
  textWebhook('unseen', 'fresh'),
];

describe('POST /v1/judge with a body', () => {
  it('gives the verdicts and routes that recording it gives, and writes nothing', { timeout: 120_000 }, async () => {
    const { gateway } = await withTargets();
    for (const body of [...BODIES, ...BODIES.slice(0, 20)]) {
      const before = await counts(gateway);
      const first = await judge(gateway, { channel: 'main', body });
      expect([first.status, await judge(gateway, { channel: 'main', body })]).toMatchObject([
        200,
        { body: first.body },
      ]);
      expect(await counts(gateway)).toEqual(before);
      await gateway.webhook(body);
      const recorded = await newestWebhook(gateway);
      expect(first.body.items.map(factsOf)).toEqual(recorded.items.map(factsOf));
      expect(sentBy(first.body)).toEqual(sentOf(recorded));
    }
  });

  it('shows the evidence, with items of real webhooks', async () => {
    const { gateway } = await withTargets();
    await gateway.webhook(textWebhook('a'));
    const { items: known } = await newestWebhook(gateway);
    const { items } = (await judge(gateway, { channel: 'main', body: textWebhook('a', 'b') })).body;
    expect(items[0]).toMatchObject({ rule: 8, evidence: { first_item: known[0]?.id } });
    expect(items[1]).toMatchObject({ rule: 10, evidence: { earlier: null, late: null } });
  });

  it('tries other settings', async () => {
    const { gateway, bot } = await withTargets();
    const body = textWebhook('lost', 'fresh');
    const routeOf = async (settings: object) => {
      const trial = (await judge(gateway, { channel: 'main', body, settings })).body;
      return trial.routes.find(({ target }) => target === bot);
    };
    expect(await routeOf({})).toMatchObject({ requests: [{ positions: [1] }], held: [0] });
    const all = { [bot]: { deliver: ['new', 'restored'], split: 'item' } };
    expect(await routeOf({ targets: all })).toMatchObject({
      requests: [{ positions: [0] }, { positions: [1] }],
      held: [],
    });
    expect(await routeOf({ targets: { [bot]: { events: ['statuses'] } } })).toBeUndefined();
    expect(await routeOf({ targets: { [bot]: { channels: ['shop'] } } })).toBeUndefined();
  });

  it('refuses what it cannot judge, and names the reason', async () => {
    const gateway = await startApi({ env: { MAX_BODY_BYTES: '2048' } });
    const body = textWebhook('a');
    for (const [request, status, code, path] of [
      [{ channel: 'nobody', body }, 404, 'GW_NOT_FOUND', []],
      [{ channel: 'main', body: '{' }, 400, 'GW_BAD_JSON', []],
      [{ channel: 'main', body: `"${'x'.repeat(2048)}"` }, 413, 'GW_TOO_LARGE', []],
      [{ channel: 'main' }, 400, 'GW_BAD_REQUEST', ['/body']],
      [{ body }, 400, 'GW_BAD_REQUEST', ['/channel']],
      [{ webhook: '00000000000', body }, 400, 'GW_BAD_REQUEST', ['/body']],
      [{ webhook: '00000000000' }, 404, 'GW_NOT_FOUND', []],
      [{ channel: 'main', body, settings: { targets: { tgt_none: {} } } }, 404, 'GW_NOT_FOUND', []],
      [{ channel: 'main', body, settings: { mode: 'path' } }, 400, 'GW_BAD_REQUEST', ['/settings/mode']],
    ] as const) {
      const answer: Answer = await gateway.call('POST', '/v1/judge', request);
      expect([request, expectProblem(answer, status, code)]).toEqual([request, path]);
    }
  });
});

describe('POST /v1/judge with a stored webhook', () => {
  it('judges it as at its arrival, whatever has come since', { timeout: 120_000 }, async () => {
    const { gateway, bot } = await withTargets();
    for (const body of [...BODIES, ...BODIES]) await gateway.webhook(body);
    const { data } = (await gateway.call<List<{ id: string }>>('GET', '/v1/webhooks?limit=500')).body;
    expect(data).toHaveLength(2 * BODIES.length);
    for (const { id } of data) {
      const stored = (await gateway.call<WebhookJson>('GET', `/v1/webhooks/${id}`)).body;
      const trial = (await judge(gateway, { webhook: id })).body;
      expect(trial.items.map(factsOf)).toEqual(stored.items.map(factsOf));
      expect(sentBy(trial)).toEqual(sentOf(stored));
    }
    const settings = { targets: { [bot]: { deliver: ['duplicate'] } } };
    const again = (await judge(gateway, { webhook: data[0]?.id ?? '', settings })).body;
    expect(again.routes.find(({ target }) => target === bot)).toMatchObject({
      requests: [{ positions: [1] }],
      held: [0],
    });
  });

  it('decides again whether a late message is late', async () => {
    const clock = { at: Date.UTC(2026, 0, 5, 12) };
    const gateway = await startApi({ effects: { now: () => clock.at } });
    const sent = (id: string, ago: number) =>
      JSON.stringify({
        messages: [{ id, chat_id: 'c', type: 'text', timestamp: clock.at / 1000 - ago }],
        event: { type: 'messages', event: 'post' },
      });
    await gateway.webhook(sent('newest', 0));
    clock.at += 7_200_000;
    await gateway.webhook(sent('old', 10_000));
    const { data } = (await gateway.call<List<{ id: string }>>('GET', '/v1/webhooks')).body;
    const verdictWith = async (late_after_seconds: number) =>
      (await judge(gateway, { webhook: data[0]?.id ?? '', settings: { late_after_seconds } })).body.items[0]?.verdict;
    expect([await verdictWith(900), await verdictWith(3600)]).toEqual(['late', 'new']);
  });
});

/** `bot` takes the default verdicts, `archive` everything in one request per item; two resyncs have registered two ids. */
async function withTargets(): Promise<{ gateway: Client; bot: string }> {
  const gateway = await startApi();
  const { url } = await startBot();
  const { id: bot } = await gateway.addTarget({ url });
  const deliver = ['new', 'late', 'restored', 'duplicate', 'event'];
  await gateway.addTarget({ name: 'archive', url: `${url}/archive`, deliver, split: 'item' });
  for (const [id, deliver_unseen] of [
    ['lost', false],
    ['unseen', true],
  ])
    await gateway.call('POST', '/v1/resyncs', { channel: 'main', message_ids: [id], deliver_unseen });
  return { gateway, bot };
}

async function judge(gateway: Client, request: object): Promise<Answer<TrialJson>> {
  return await gateway.call('POST', '/v1/judge', request);
}

async function newestWebhook(gateway: Client): Promise<WebhookJson> {
  const { data } = (await gateway.call<List<{ id: string }>>('GET', '/v1/webhooks?limit=1')).body;
  return (await gateway.call<WebhookJson>('GET', `/v1/webhooks/${data[0]?.id ?? ''}`)).body;
}

async function counts(gateway: Client): Promise<number[]> {
  const lists = ['webhooks', 'items', 'deliveries', 'channels', 'targets'];
  const pages = lists.map(async (list) => await gateway.call<List<unknown>>('GET', `/v1/${list}?limit=500`));
  return (await Promise.all(pages)).map(({ body }) => body.data.length);
}

function factsOf({ verdict, rule, held, start }: WebhookJson['items'][number] | TrialJson['items'][number]): unknown[] {
  return [verdict, rule, held, start];
}

type Sent = Record<string, [number[], number][]>;

function sentBy({ routes }: TrialJson): Sent {
  const sent = routes.filter(({ requests }) => requests.length > 0);
  return Object.fromEntries(
    sent.map(({ target, requests }) => [target, requests.map(({ positions, bytes }) => [positions, bytes])]),
  );
}

function sentOf({ deliveries }: WebhookJson): Sent {
  const sent: Sent = {};
  for (const { target, positions, bytes } of deliveries) (sent[target] ??= []).push([positions, bytes]);
  return sent;
}
