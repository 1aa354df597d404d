import { describe, expect, it } from 'vitest';
import type { BotAnswer } from '../support/bot.js';
import { startBot } from '../support/bot.js';
import { audit, auditIsOver, auditOf, missingIn, seed, startAudits, storeHistory } from '../support/audit.js';
import type { AuditJson, AuditStage } from '../support/audit.js';
import { idsSentTo } from '../support/delivery.js';
import { startLocal } from '../support/gateway.js';
import { until } from '../support/intervals.js';
import { addWhapi, callsOf, finished, lose, intervalsWith, pausedWith, resync } from '../support/resync.js';
import { textMessage, textWebhook } from '../support/texts.js';
import type { Text } from '../support/texts.js';

function texts(begun: number, ...ids: string[]): Text[] {
  return ids.map((id, at) => ({ id, chat: 'alice', at: begun + 60 * at }));
}

/** Whapi has three messages, of which no webhook carried the second and third. */
async function stageWithGap(): Promise<AuditStage & { id: string }> {
  const stage = await startAudits();
  await storeHistory(stage, texts(stage.begun, 'came', 'lost-1', 'lost-2'), ({ id }) => id !== 'came');
  const id = await audit(stage);
  await auditIsOver(stage, id);
  return Object.assign(stage, { id });
}

interface ReleaseJson {
  readonly dry_run: boolean;
  readonly messages: number;
  readonly came_meanwhile: number;
  readonly deliveries: number;
}

async function release({ gateway }: AuditStage, id: string, body?: unknown): Promise<ReleaseJson> {
  return (await gateway.call<ReleaseJson & Record<string, unknown>>('POST', `/v1/audits/${id}/release`, body)).body;
}

describe('an audit', () => {
  it('finds missing messages and skips system messages, for which there are no webhooks', async () => {
    const stage = await startAudits();
    await storeHistory(stage, texts(stage.begun, 'came', 'lost'), ({ id }) => id === 'lost');
    stage.whapi.store({ ...textMessage({ id: 'joined', at: stage.begun }), type: 'system' });
    const id = await audit(stage);
    const { status, counts, warnings } = await auditIsOver(stage, id);
    expect({ status, counts }).toMatchObject({ status: 'finished', counts: { whapi_has: 2, seen: 1, never_came: 1 } });
    expect(await missingIn(stage, id)).toEqual(['lost']);
    expect(warnings.join()).toContain('last hour');
  });

  it("takes turns with the channel's resyncs, so that Whapi gets one call at a time", async () => {
    const stage = await startAudits();
    await storeHistory(stage, texts(stage.begun, 'came'));
    stage.whapi.faults.resyncTakesMs = 200_000; // At a thousand times real speed.
    lose(stage.whapi, ['m-1', 'm-2']);
    const besideLists: number[] = [];
    stage.onList = () => besideLists.push(callsOf(stage.whapi).filter(({ status }) => status === null).length);
    const { id: run } = await resync(stage.gateway, ['m-1', 'm-2']);
    await until(() => expect(callsOf(stage.whapi)).not.toEqual([]));
    await auditIsOver(stage, await audit(stage));
    expect((await finished(stage.gateway, run)).counts).toMatchObject({ restored: 2 });
    expect(besideLists.length).toBeGreaterThan(0);
    expect(Math.max(...besideLists)).toBe(0);
  });

  it('reports that nothing is known about the time before the channel was added', async () => {
    const stage = await startAudits();
    await storeHistory(stage, texts(stage.begun - 1000, 'before'), () => true);
    const id = await audit(stage, { since: '2020-01-01T00:00:00Z' });
    const { counts, warnings } = await auditIsOver(stage, id);
    expect(counts).toMatchObject({ whapi_has: 1, before_memory: 1, never_came: 0 });
    expect(warnings.join()).toContain('before_memory');
  });

  it('does not count messages as missing whose webhook comes while the list is read', async () => {
    const stage = await startAudits();
    const late: Text = { id: 'late', at: stage.begun + 5 };
    await storeHistory(stage, [late], () => true);
    const webhook = new Promise((resolve) => {
      stage.onList = (call) => {
        if (call === 2) resolve(stage.gateway.webhook(textWebhook(late)));
      };
    });
    const id = await audit(stage);
    await webhook;
    expect((await auditIsOver(stage, id)).counts).toMatchObject({ whapi_has: 1, seen: 1, never_came: 0 });
    expect(await missingIn(stage, id)).toEqual([]);
  });

  it('shows why it waits while Whapi cannot take its calls, and resumes when Whapi can', async () => {
    const stage = await startAudits();
    stage.whapi.faults.restStatus = 500;
    const id = await audit(stage);
    await until(async () => expect(await auditOf(stage, id)).toMatchObject({ error: '500 Internal Error' }));
    stage.whapi.faults.restStatus = null;
    expect(await auditIsOver(stage, id)).toMatchObject({ status: 'finished', error: null });
  });

  it.each([
    ['401', { restStatus: 401 } as const, '401 Need channel authorization'],
    ['"Channel not found"', { channelNotFound: true } as const, '404 Channel not found'],
  ])('that Whapi refuses with %s fails with that reason', async (_name, faults, error) => {
    const stage = await startAudits();
    Object.assign(stage.whapi.faults, faults);
    expect(await auditIsOver(stage, await audit(stage))).toMatchObject({ status: 'failed', error });
  });

  it('makes no more calls once it is cancelled', async () => {
    const stage = await startAudits();
    stage.whapi.faults.restStatus = 429;
    const id = await audit(stage);
    await until(() => expect(stage.whapi.calls.length).toBeGreaterThan(1));
    await stage.gateway.call('POST', `/v1/audits/${id}/cancel`);
    stage.whapi.faults.restStatus = null;
    const next = await audit(stage);
    expect(await auditIsOver(stage, next)).toMatchObject({ status: 'finished' });
    expect(await auditOf(stage, id)).toMatchObject({ status: 'cancelled', counts: { whapi_has: 0 } });
  });

  it('stops at the daily budget with a reason, and resumes when the budget is raised', async () => {
    const stage = await startAudits();
    await stage.gateway.call('PATCH', '/v1/channels/main', { daily_call_budget: 3 });
    await storeHistory(stage, texts(stage.begun, ...Array.from({ length: 4000 }, (_, at) => `m-${at}`)), () => true);
    const id = await seed(stage);
    const error = expect.stringMatching(/^The channel's budget of 3 calls a day .* midnight UTC/) as unknown;
    await until(async () => expect(await auditOf(stage, id)).toMatchObject({ status: 'running', error }));
    expect(stage.whapi.calls).toHaveLength(3);
    await stage.gateway.call('PATCH', '/v1/channels/main', { daily_call_budget: 100 });
    await until(async () => expect(await auditOf(stage, id)).toMatchObject({ status: 'finished', error: null }));
  });

  it('shares the budget with resyncs, and continues the next day', async () => {
    const stage = await startAudits();
    await stage.gateway.call('PATCH', '/v1/channels/main', { daily_call_budget: 2 });
    await storeHistory(stage, texts(stage.begun, 'came'));
    const id = await audit(stage);
    await until(() => expect(stage.whapi.calls).toHaveLength(2));
    const { id: run } = await resync(stage.gateway, ['m-1']);
    await pausedWith(stage.gateway, run, 'budget');
    stage.clock.advance(86_400_000);
    expect(await auditIsOver(stage, id)).toMatchObject({ status: 'finished', error: null });
  });

  it('respects the pause from an answer to another caller, and shows it', async () => {
    const stage = await startAudits();
    Object.assign(stage.whapi.faults, { restStatus: 401 });
    const headers = { authorization: `Bearer ${stage.whapi.token}` };
    await fetch(`${stage.gateway.url}/whapi/messages/m-1?resync=true`, { headers });
    stage.whapi.faults.restStatus = null;
    await stage.gateway.call('PATCH', '/v1/channels/main', { daily_call_budget: 24 }); // Checks are an hour apart.
    stage.whapi.faults.restStatus = 401;
    const id = await audit(stage);
    const error = expect.stringContaining('not logged in to WhatsApp') as unknown;
    await until(async () => expect(await auditOf(stage, id)).toMatchObject({ status: 'running', error }));
    stage.whapi.faults.restStatus = null;
    stage.clock.advance(2 * 3_600_000);
    expect(await auditIsOver(stage, id)).toMatchObject({ status: 'finished' });
  });

  it('does not wait for another channel whose Whapi does not answer', async () => {
    const stage = await startAudits();
    const other = await addWhapi(stage.gateway, 'other');
    stage.whapi.faults.restStatus = 500;
    other.store(textMessage({ id: 'o-1', at: stage.begun }));
    await audit(stage);
    const { counts } = await auditIsOver(stage, await audit(stage, { channel: 'other' }));
    expect(counts).toMatchObject({ whapi_has: 1 });
  });

  it('asks for fewer messages when an answer would exceed the size limit', async () => {
    const gateway = await startLocal({ intervals: intervalsWith() });
    const whapi = await startBot();
    whapi.otherwise = fatList;
    await gateway.addChannel({ whapi_base_url: whapi.url });
    const request = { channel: 'main', since: '2020-01-01T00:00:00Z', until: '2020-01-01T00:00:00Z' };
    const { body } = await gateway.call<AuditJson>('POST', '/v1/audits', request);
    await until(async () => {
      const { body: view } = await gateway.call<AuditJson>('GET', `/v1/audits/${body.id}`);
      expect(view).toMatchObject({ status: 'finished', counts: { whapi_has: 30, before_memory: 30 } });
    });
    const asked = whapi.requests.map(({ url }) => new URL(url, whapi.url).searchParams.get('count'));
    expect(asked).toContain('500');
    expect(asked).toContain('15');
  });
});

/** Thirty messages of half a megabyte in the first second of 2020. */
const fatList: BotAnswer = ({ url }, response) => {
  const query = new URL(url, 'http://whapi').searchParams;
  const [offset, count] = [Number(query.get('offset')), Number(query.get('count'))];
  const all = Array.from({ length: 30 }, (_, at) => ({
    ...textMessage({ id: `m-${at}`, at: 1_577_836_800 }),
    preview: 'x'.repeat(500_000),
  }));
  const messages = all.slice(offset, offset + count);
  response.writeHead(200).end(JSON.stringify({ messages, count, offset, total: all.length }));
};

describe('releasing what an audit found', () => {
  it('sends each message to the bot once, in order, as late, and its explanation names the audit', async () => {
    const stage = await stageWithGap();
    const { gateway, bot, id } = stage;
    expect(await release(stage, id, { dry_run: true })).toMatchObject({ dry_run: true, messages: 2, deliveries: 0 });
    expect(await release(stage, id)).toEqual({ dry_run: false, messages: 2, came_meanwhile: 0, deliveries: 2 });
    expect(await release(stage, id)).toMatchObject({ messages: 0, deliveries: 0 });
    await gateway.settled();
    expect(idsSentTo(bot)).toEqual(['came', 'lost-1', 'lost-2']);
    expect(bot.requests.at(-1)?.headers).toMatchObject({ 'x-gateway-verdicts': 'late' });
    const { body } = await gateway.call<{ timeline: { kind: string; text: string }[] }>(
      'GET',
      '/v1/messages/main/lost-1',
    );
    expect(body.timeline.map(({ kind }) => kind)).toEqual(['found', 'sighting', 'delivery', 'attempt']);
    expect(body.timeline[1]?.text).toBe(`released by audit ${id}, not by a webhook: late by rule 9`);
    expect(body).toMatchObject({ sightings: [{ audit: id, reason: expect.stringContaining('audit') as unknown }] });
  });

  it('keeps a webhook that comes later from the bot', async () => {
    const stage = await stageWithGap();
    await release(stage, stage.id);
    const { body } = await stage.gateway.webhook(textWebhook('lost-1', 'lost-2'));
    expect(body.verdicts).toEqual({ duplicate: 2 });
    await stage.gateway.settled();
    expect(idsSentTo(stage.bot)).toEqual(['came', 'lost-1', 'lost-2']);
  });
});

describe('a seeding', () => {
  it('makes a duplicate of an older message whose resync another program started', async () => {
    const stage = await startAudits();
    const { gateway, whapi, bot, clock } = stage;
    whapi.store(textMessage({ id: 'old', at: stage.begun }));
    expect(await auditIsOver(stage, await seed(stage))).toMatchObject({ kind: 'seed', counts: { seeded: 1, seen: 0 } });
    clock.advance(3_600_000);
    const headers = { authorization: `Bearer ${whapi.token}` };
    await fetch(`${whapi.url}/messages/old?resync=true`, { headers }); // Started by another program.
    await whapi.idle();
    const { body } = await gateway.call('GET', '/v1/messages/main/old');
    expect(body).toMatchObject({ sightings: [{ verdict: 'duplicate', rule: 8, held: true }] });
    expect(body['timeline']).toMatchObject([{ kind: 'seeded' }, { kind: 'sighting' }]);
    expect(bot.requests).toEqual([]);
  });

  it('does not change what a resync of the gateway restores', async () => {
    const stage = await startAudits();
    lose(stage.whapi, ['m-1']);
    await resync(stage.gateway, ['m-1']);
    await auditIsOver(stage, await seed(stage));
    await stage.whapi.idle();
    const { body } = await stage.gateway.call('GET', '/v1/messages/main/m-1');
    expect(body).toMatchObject({ sightings: [{ verdict: 'restored', rule: 3 }] });
  });
});
