import { describe, expect, it } from 'vitest';
import { findingsOf } from '../../src/probe/findings.js';
import type { ProbeCopy, ProbeFacts } from '../../src/store/probes.js';
import type { Probe } from '../../src/contract/probes.js';
import { startLocal } from '../support/gateway.js';
import { until } from '../support/intervals.js';
import { faultsOf, openApiOf } from '../support/openapi.js';
import { deviations, PRIVATE, startProbe } from '../support/probe.js';
import type { ProbeStage } from '../support/probe.js';
import { callsOf, explain } from '../support/resync.js';
import { HOUR } from '../support/store.js';

const FOUND = { plain_get: { found_at: expect.any(String) as string } };

/** A probe's webhooks, in this number at least. */
const carried = (count: number) => ({ webhooks: Array.from({ length: count }, () => ({})) });

describe('a probe', () => {
  it('of a channel that behaves as documented finds that all assumptions hold', async () => {
    const { begin, probeIs, finished } = await startProbe();
    expect(await begin()).toMatchObject({ status: 202, body: { status: 'running' } });
    await probeIs({ ...FOUND, ...carried(1) });
    const probe = await finished();
    expect(probe.findings.filter(({ holds }) => holds !== true)).toEqual([]);
    expect(probe).toMatchObject({
      status: 'finished',
      summary: 'All assumptions hold on this channel.',
      call: { status: 404, outcome: 'missing', duration_ms: expect.any(Number) as number },
      compared_with: 'webhook',
      webhooks: [{ event: 'messages.post', verdict: 'restored', rule: 3, deliveries: 0, same_id: true }],
    });
  });

  it('never sends the message to a bot, even if its webhook comes before the answer to the call (I2)', async () => {
    const { begin, probeIs, finished, bot, gateway } = await startProbe({ restoredAfterMs: 0 });
    await begin();
    await probeIs({ ...FOUND, ...carried(1) });
    expect(await finished()).toMatchObject({ status: 'finished' });
    await gateway.settled();
    expect(bot.requests).toHaveLength(1); // the live message
    const { resyncs } = await explain(gateway, PRIVATE.id);
    expect(resyncs).toMatchObject([{ status: 'restored', calls: 1 }]);
  });

  it('makes one call with resync=true, and one call at a time', async () => {
    const { begin, probeIs, whapi } = await startProbe();
    await begin();
    await probeIs({ ...FOUND, ...carried(1) });
    expect(callsOf(whapi).filter(({ resync }) => resync)).toHaveLength(1);
    expect(whapi.mostCallsAtOnce).toBe(1);
  });

  it.each([
    ['another chat id', { restoredAs: { chat_id: '55512345678@lid' } }, { same_chat: 'another chat id' }],
    ['another timestamp', { restoredAs: { timestamp: 1_712_995_999 } }, { same_time: 'another timestamp' }],
    ['other content', { restoredAs: { text: { body: 'something else' } } }, { same_content: 'other content' }],
    ['a put', { restoredEvent: { type: 'messages', method: 'put' } }, { event: 'messages.put' }],
    [
      'an update',
      { restoredEvent: { type: 'messages', method: 'patch' } },
      { event: 'messages.patch (messages_updates)' },
    ],
    ['a last message', { restoredEvent: { type: 'chats', method: 'post' } }, { event: 'chats.post (chats)' }],
  ] as const)('notices %s, and what it means', async (_name, faults, expected) => {
    const { begin, probeIs, finished, bot, gateway } = await startProbe(faults);
    await begin();
    await probeIs({ ...FOUND, ...carried(1) });
    const probe = await finished();
    expect(deviations(probe)).toEqual(expected);
    expect(probe.findings.filter(({ holds }) => holds === false).every(({ meaning }) => meaning !== null)).toBe(true);
    expect(probe.summary).toBe('1 assumption of 11 does not hold on this channel.');
    const logged = { level: 40, msg: 'probe finished', channel: 'main', deviations: Object.keys(expected) };
    await until(() => expect(gateway.logs).toContainEqual(expect.objectContaining(logged)));
    expect(bot.requests).toHaveLength(1);
  });

  it('notices two webhooks, and holds both', async () => {
    const { begin, probeIs, finished, bot } = await startProbe({ resyncWebhooks: 2 });
    await begin();
    await probeIs({ ...FOUND, ...carried(2) });
    expect(deviations(await finished())).toEqual({ count: '2 webhooks' });
    expect(bot.requests).toHaveLength(1);
  });

  it('has the doctor warn of what does not hold, until the next probe', async () => {
    const { begin, probeIs, finished, gateway, whapi } = await startProbe({ resyncWebhooks: 2 });
    const warnings = async () => {
      const { body } = await gateway.call<{ checks: { name: string }[] }>('GET', '/v1/doctor');
      return body.checks.filter(({ name }) => name === 'probe');
    };
    expect(await warnings()).toEqual([]);
    await begin();
    await probeIs({ ...FOUND, ...carried(2) });
    await finished();
    expect(await warnings()).toMatchObject([
      { subject: 'main', status: 'warn', message: expect.stringContaining('saw: 2 webhooks.') as string },
    ]);
    whapi.faults.resyncWebhooks = 1;
    await begin();
    expect(await warnings()).toEqual([]);
  });

  it('notices that no webhook comes, when its time is over', async () => {
    const { begin, probeIs, clock } = await startProbe({ resyncSendsWebhook: false });
    await begin();
    await probeIs(FOUND);
    clock.advance(HOUR);
    await probeIs({ status: 'running' });
    clock.advance(HOUR);
    const probe = await probeIs({ status: 'finished', webhooks: [] });
    expect(deviations(probe)).toEqual({ webhook: expect.stringMatching(/^none in 2 h/) as string });
    expect(probe.summary).toContain('8 assumptions could not be checked.');
  });

  it('notices a webhook that comes an hour late, and holds it', async () => {
    const { begin, probeIs, finished, clock, bot } = await startProbe({ webhookAfterMs: 1000 * HOUR });
    await begin();
    await probeIs(FOUND);
    clock.advance(HOUR); // the simulated Whapi follows this clock
    await probeIs(carried(1));
    expect(deviations(await finished())).toEqual({ soon: expect.stringMatching(/^after 1 h/) as string });
    expect(bot.requests).toHaveLength(1);
  });

  it('notices another id by the content that an earlier webhook carried, and holds the copy', async () => {
    const { begin, probeIs, clock, bot } = await startProbe({ restoredAs: { id: 'another-id' } });
    await begin();
    await probeIs(carried(1));
    clock.advance(2 * HOUR);
    const probe = await probeIs({ status: 'finished' });
    expect(deviations(probe)).toEqual({ same_id: 'another id', plain_get: expect.stringMatching(/^404 in/) as string });
    expect(probe.webhooks).toMatchObject([{ same_id: false, same_content: true, verdict: 'restored', rule: 18 }]);
    expect(bot.requests).toHaveLength(1);
  });

  it('compares with what Whapi shows afterwards where nothing else is known', async () => {
    const { begin, probeIs, finished, whapi } = await startProbe();
    whapi.store({ ...PRIVATE, id: 'never-seen' }, { cached: false });
    await begin({ message_id: 'never-seen' });
    await probeIs({ ...FOUND, webhooks: [{ same_id: true, same_content: true }] });
    expect(await finished()).toMatchObject({ compared_with: 'whapi_after', status: 'finished' });
  });

  it.each([
    [{ restStatus: 403 as const }, '403'],
    [{ channelNotFound: true }, 'Channel not found'],
  ])('that Whapi refuses fails at once, with the reason: %j', async (faults, words) => {
    const { begin, probeIs, whapi } = await startProbe(faults);
    await begin();
    const { summary } = await probeIs({ status: 'failed', call: null });
    expect(summary).toMatch(new RegExp(`^The probe could not be made: Whapi said: .*${words}`));
    expect(callsOf(whapi).filter(({ resync }) => resync)).toEqual([]);
  });

  it('goes on after a restart, without a second call', async () => {
    const stage = await startProbe({ resyncSendsWebhook: false });
    await stage.begin();
    await stage.probeIs(FOUND);
    await stage.gateway.close();
    const next = await startLocal({ effects: stage.clock.effects, folder: stage.gateway.folder });
    expect((await next.call<Probe>('GET', '/v1/channels/main/probe')).body).toMatchObject({
      status: 'running',
      ...FOUND,
    });
    stage.clock.advance(2 * HOUR);
    await until(async () =>
      expect((await next.call<Probe>('GET', '/v1/channels/main/probe')).body).toMatchObject({ status: 'finished' }),
    );
    expect(callsOf(stage.whapi).filter(({ resync }) => resync)).toHaveLength(1);
  });
});

describe('a cancelled probe', () => {
  const cancel = async ({ gateway }: Pick<ProbeStage, 'gateway'>) =>
    await gateway.call<Probe>('DELETE', '/v1/channels/main/probe');

  it('says what it knows by then, and which assumptions are not known', async () => {
    const stage = await startProbe({ resyncSendsWebhook: false });
    await stage.begin({ message_id: 'mistyped' });
    await stage.probeIs({ call: { status: 404 } });
    const { status, body } = await cancel(stage);
    expect([status, body.status, deviations(body)]).toEqual([200, 'cancelled', {}]);
    expect(body.summary).toMatch(/^The probe was cancelled after .* 10 assumptions could not be checked\.$/);
    expect(body.findings.filter(({ holds }) => holds !== null)).toMatchObject([{ assumption: 'call', holds: true }]);
    expect(await stage.probe()).toEqual(body);
    const logged = { level: 30, msg: 'probe cancelled', channel: 'main', summary: body.summary };
    expect(stage.gateway.logs).toContainEqual(expect.objectContaining(logged));
  });

  it('makes room for another one, and holds what it asked Whapi for', async () => {
    const stage = await startProbe({ webhookAfterMs: 1000 * HOUR });
    await stage.begin();
    await stage.probeIs({ call: { status: 404 }, ...FOUND }); // Whapi has the message again, and waits with its webhook
    expect(await stage.begin({ message_id: 'b' })).toMatchObject(
      refusal(409, 'GW_CONFLICT', 'channels probe main --cancel'),
    );
    await cancel(stage);
    expect((await stage.begin({ message_id: 'b' })).status).toBe(202);
    await stage.probeIs({ message_id: 'b', call: {} });
    stage.clock.advance(HOUR); // the simulated Whapi follows this clock
    await until(async () =>
      expect(await explain(stage.gateway, PRIVATE.id)).toMatchObject({
        sightings: [{ verdict: 'new' }, { verdict: 'restored' }],
      }),
    );
    expect(stage.bot.requests).toHaveLength(1);
  });

  it('ends during its call, and says that the call was made', async () => {
    const stage = await startProbe({ resyncHangs: true });
    await stage.begin();
    await until(() => expect(callsOf(stage.whapi).some(({ resync }) => resync)).toBe(true));
    const { body } = await cancel(stage);
    const reason = 'the probe was cancelled during the call';
    expect(body).toMatchObject({ status: 'cancelled', call: { outcome: 'interrupted', reason } });
    expect(body.findings).toContainEqual(
      expect.objectContaining({ assumption: 'call', holds: null, observed: reason }),
    );
  });

  it('stays cancelled after a restart', async () => {
    const stage = await startProbe({ resyncSendsWebhook: false });
    await stage.begin();
    await stage.probeIs(FOUND);
    const { body } = await cancel(stage);
    await stage.gateway.close();
    const next = await startLocal({ effects: stage.clock.effects, folder: stage.gateway.folder });
    expect((await next.call<Probe>('GET', '/v1/channels/main/probe')).body).toEqual(body);
    expect((await cancel({ gateway: next })).body).toMatchObject({
      code: 'GW_CONFLICT',
      detail: expect.stringMatching(/^No probe of channel "main" is running: the last one ended at 20/) as string,
    });
  });

  it('is refused where there is none, or no channel', async () => {
    const { gateway } = await startProbe();
    expect(await cancel({ gateway })).toMatchObject(refusal(404, 'GW_NOT_FOUND', 'never probed'));
    const answer = await gateway.call('DELETE', '/v1/channels/none/probe');
    expect(answer).toMatchObject(refusal(404, 'GW_NOT_FOUND', 'no channel'));
  });
});

it('blames Whapi for no second webhook if the gateway stopped during the call, which is then made again', () => {
  const call = { at: 2, tookMs: null, status: null, outcome: 'interrupted', reason: 'the gateway stopped' } as const;
  const copyOf = (webhookId: string): ProbeCopy => ({
    ...{ webhookId, position: 0, receivedAt: 3, event: 'messages.post', carrier: 'messages', deliveries: 0 },
    ...{ verdict: 'restored', rule: 3, id: true, chatId: true, timestamp: true, content: true, otherFields: [] },
  });
  const facts: ProbeFacts = {
    ...{ watchUntil: 9, before: null, call, lastGet: null, gets: 1, foundAt: 4 },
    ...{ original: null, originalFrom: null, message: null, copies: [copyOf('one'), copyOf('two')] },
  };
  const findings = findingsOf({ channel: 'main', messageId: 'm', startedAt: 1, finishedAt: 9, facts });
  expect(findings.find(({ assumption }) => assumption === 'count')).toMatchObject({
    ...{ holds: null, observed: '2 webhooks, perhaps of two calls' },
  });
});

describe('its report', () => {
  it('can be pasted into an issue: it has no id, number, name, text, address or time of day', async () => {
    const { begin, probeIs, finished, whapi, gateway } = await startProbe({ resyncWebhooks: 2 });
    await begin();
    await probeIs({ ...FOUND, ...carried(2) });
    const { report } = await finished();
    const secrets = [PRIVATE.id, '4917012345678', 'Alice', '4711', whapi.token, whapi.url, gateway.url, 'main'];
    for (const secret of secrets) expect(report).not.toContain(secret);
    expect(report).not.toMatch(/\d{4}-\d\d-\d\d|\d\d:\d\d/);
    expect(report).toContain('| One resync causes one webhook. | **no** | 2 webhooks |');
    expect(report).toMatch(/message: text, received, \d+ d.* old, chat: person/);
  });
});

describe('/v1/channels/{name}/probe', () => {
  it('needs consent', async () => {
    const { begin, whapi } = await startProbe();
    for (const consent of [undefined, false, 'yes'])
      expect((await begin({ consent })).body).toMatchObject({ code: 'GW_BAD_REQUEST' });
    expect(callsOf(whapi)).toEqual([]);
  });

  it('runs one probe of a channel at a time, and keeps the last one', async () => {
    const { begin, probeIs, finished, gateway } = await startProbe();
    expect(await gateway.call('GET', '/v1/channels/main/probe')).toMatchObject(
      refusal(404, 'GW_NOT_FOUND', 'never probed'),
    );
    await begin();
    expect(await gateway.call('POST', '/v1/channels/main/probe', { message_id: 'b', consent: true })).toMatchObject(
      refusal(409, 'GW_CONFLICT', 'is running'),
    );
    await probeIs({ ...FOUND, ...carried(1) });
    await finished();
    expect((await begin()).status).toBe(202);
    expect(await probeIs(carried(1))).toMatchObject({ status: 'running' });
  });

  it('is gone with its channel', async () => {
    const { begin, gateway } = await startProbe();
    await begin();
    await gateway.call('DELETE', '/v1/channels/main?force=true');
    expect(await gateway.call('GET', '/v1/channels/main/probe')).toMatchObject(
      refusal(404, 'GW_NOT_FOUND', 'no channel'),
    );
    await gateway.addChannel();
    expect(await gateway.call('GET', '/v1/channels/main/probe')).toMatchObject(
      refusal(404, 'GW_NOT_FOUND', 'never probed'),
    );
  });

  it('is as the OpenAPI document describes it', async () => {
    const { begin, probeIs, finished, gateway } = await startProbe();
    const document = await openApiOf(gateway);
    const route = '/v1/channels/{name}/probe';
    expect(faultsOf(document, `POST ${route}`, (await begin()) as never)).toEqual([]);
    await probeIs({ ...FOUND, ...carried(1) });
    await finished();
    expect(faultsOf(document, `GET ${route}`, await gateway.call('GET', '/v1/channels/main/probe'))).toEqual([]);
  });
});

function refusal(status: number, code: string, words: string): object {
  return { status, body: { code, detail: expect.stringContaining(words) as string } };
}
