import { describe, expect, it } from 'vitest';
import { answerLater, deliveriesOf, expectProblem, postText, startApi, unreachableUrl } from '../support/api.js';
import type { List, ResyncJson } from '../support/api.js';
import { startBareWhapi, startBot } from '../support/bot.js';
import { startLocal } from '../support/gateway.js';
import { textWebhook } from '../support/texts.js';

const SECRET = 'another-secret-of-a-webhook';
const SENSELESS: readonly [Record<string, unknown>, path: string][] = [
  [{ name: null }, '/name'],
  [{ whapi_token: 'a b' }, '/whapi_token'],
  [{ whapi_token: '' }, '/whapi_token'],
  [{ whapi_token: 12 }, '/whapi_token'],
  [{ webhook_secret: 'short' }, '/webhook_secret'],
  [{ webhook_secret: 'a/secret/with/slashes' }, '/webhook_secret'],
  [{ webhook_secret: null }, '/webhook_secret'],
  [{ whapi_base_url: 'ftp://whapi.example' }, '/whapi_base_url'],
  [{ whapi_base_url: 'http://' }, '/whapi_base_url'],
  [{ late_after_seconds: -1 }, '/late_after_seconds'],
  [{ late_after_seconds: '900' }, '/late_after_seconds'],
  [{ late_after_seconds: null }, '/late_after_seconds'],
  [{ resync_spacing_ms: -1 }, '/resync_spacing_ms'],
  [{ resync_spacing_ms: 3_600_001 }, '/resync_spacing_ms'],
  [{ resync_spacing_ms: '1000' }, '/resync_spacing_ms'],
  [{ daily_call_budget: 0 }, '/daily_call_budget'],
  [{ daily_call_budget: 1.5 }, '/daily_call_budget'],
  [{ auto_resync: 'true' }, '/auto_resync'],
  [{ auto_resync: null }, '/auto_resync'],
  [{ token: 'x' }, '/token'],
  [{ channel_id: 'MANTIS' }, '/channel_id'],
];
const SENSELESS_CHANGES: readonly [Record<string, unknown>, path: string][] = [
  [{}, ''],
  [{ name: 'other' }, '/name'],
  [{ channel_id: 'OTHER' }, '/channel_id'],
  [{ whapi_token: null }, '/whapi_token'],
  [{ webhook_secret: null }, '/webhook_secret'],
  [{ late_after_seconds: null }, '/late_after_seconds'],
  [{ auto_resync: 1 }, '/auto_resync'],
  [{ whapi_base_url: 'https://' }, '/whapi_base_url'],
  [{ webhook_url: 'https://example.com' }, '/webhook_url'],
  [{ on_replay: 'drop' }, '/on_replay'],
  [{ replay_after_seconds: 3599 }, '/replay_after_seconds'],
  [{ replay_messages: 0 }, '/replay_messages'],
];
const SHOWN = [
  ...['auto_resync', 'channel_id', 'created_at', 'daily_call_budget', 'last_replay', 'last_webhook_at'],
  ...['late_after_seconds', 'name', 'on_replay', 'refused', 'replay_after_seconds', 'replay_messages'],
  ...['resync_spacing_ms', 'webhook_url', 'whapi_base_url'],
];

describe('POST /v1/channels', () => {
  it('adds a channel with the defaults and shows the generated webhook secret', async () => {
    const gateway = await startLocal();
    const { status, body } = await gateway.call('POST', '/v1/channels', { name: 'shop', whapi_token: 'token' });
    expect(status).toBe(201);
    expect(Object.keys(body).sort()).toEqual([...SHOWN, 'webhook_secret'].sort());
    expect(body).toMatchObject({
      name: 'shop',
      channel_id: null,
      webhook_url: '/webhooks/shop',
      whapi_base_url: 'https://gate.whapi.cloud',
      late_after_seconds: 900,
      resync_spacing_ms: null,
      daily_call_budget: null,
      auto_resync: false,
      ...{ on_replay: 'deliver', replay_after_seconds: 432_000, replay_messages: 20, last_replay: null },
      webhook_secret: expect.stringMatching(/^[\w-]{32}$/) as unknown,
    });
    expect(new Date(body['created_at'] as string).toISOString()).toBe(body['created_at']);
  });

  it('generates a different webhook secret for each channel and accepts webhooks that carry it', async () => {
    const gateway = await startLocal();
    const add = async (name: string) =>
      (await gateway.call<{ webhook_secret: string }>('POST', '/v1/channels', { name, whapi_token: 'token' })).body;
    const [one, two] = [await add('one'), await add('two')];
    expect(one.webhook_secret).not.toBe(two.webhook_secret);
    const send = async (channel: string, secret: string) =>
      (await gateway.webhook(textWebhook('a'), { channel, secret })).status;
    expect(await send('one', one.webhook_secret)).toBe(200);
    expect(await send('one', two.webhook_secret)).toBe(401);
  });

  it('stores the given settings', async () => {
    const gateway = await startLocal();
    const { body } = await gateway.call('POST', '/v1/channels', {
      name: 'shop',
      whapi_token: 'token',
      webhook_secret: SECRET,
      whapi_base_url: 'http://127.0.0.1:9/whapi/',
      late_after_seconds: 0,
      ...{ resync_spacing_ms: 0, daily_call_budget: 33 },
      ...{ on_replay: 'hold', replay_after_seconds: 3600, replay_messages: 1 },
    });
    expect(body).toMatchObject({
      webhook_secret: SECRET,
      whapi_base_url: 'http://127.0.0.1:9/whapi',
      late_after_seconds: 0,
      ...{ resync_spacing_ms: 0, daily_call_budget: 33 },
      ...{ on_replay: 'hold', replay_after_seconds: 3600, replay_messages: 1 },
    });
    expect((await gateway.webhook(textWebhook('a'), { channel: 'shop', secret: SECRET })).status).toBe(200);
  });

  it('shows the full webhook URL if PUBLIC_URL is set, and WHAPI_BASE_URL as the default', async () => {
    const gateway = await startLocal({
      env: { PUBLIC_URL: 'https://gateway.example/base/', WHAPI_BASE_URL: 'https://whapi.example' },
    });
    const { body } = await gateway.call('POST', '/v1/channels', { name: 'shop', whapi_token: 'token' });
    expect(body).toMatchObject({
      webhook_url: 'https://gateway.example/base/webhooks/shop',
      whapi_base_url: 'https://whapi.example',
    });
  });

  it('refuses a taken name with 409 and leaves the existing channel unchanged', async () => {
    const gateway = await startApi();
    const again = { name: 'main', whapi_token: 'other', webhook_secret: SECRET };
    expectProblem(await gateway.call('POST', '/v1/channels', again), 409, 'GW_CONFLICT');
    expect((await gateway.webhook(textWebhook('a'), { secret: SECRET })).status).toBe(401);
    expect((await gateway.webhook(textWebhook('a'))).status).toBe(200);
  });

  it('gives a name to only one of many simultaneous requests', async () => {
    const gateway = await startLocal();
    const add = async () => (await gateway.call('POST', '/v1/channels', { name: 'one', whapi_token: 't' })).status;
    const statuses = await Promise.all(Array.from({ length: 8 }, add));
    expect(statuses.sort()).toEqual([201, ...Array<number>(7).fill(409)]);
  });

  it('accepts names of up to 63 lower-case letters, digits and dashes, and refuses others', async () => {
    const gateway = await startLocal();
    const statusOf = async (name: string) =>
      (await gateway.call('POST', '/v1/channels', { name, whapi_token: 'token' })).status;
    for (const name of ['a', '0', 'a-', 'x'.repeat(63)]) expect([name, await statusOf(name)]).toEqual([name, 201]);
    for (const name of ['', 'Main', '-main', 'ma in', 'ma.in', 'main/x', 'ä', 'a\n', 'x'.repeat(64)])
      expect([name, await statusOf(name)]).toEqual([name, 400]);
  });

  it('refuses an invalid value and names its path', async () => {
    const gateway = await startLocal();
    for (const [fields, path] of SENSELESS) {
      const answer = await gateway.call('POST', '/v1/channels', { name: 'shop', whapi_token: 'token', ...fields });
      expect([fields, expectProblem(answer, 400, 'GW_BAD_REQUEST')]).toEqual([fields, [path]]);
    }
    expect((await gateway.call<List<unknown>>('GET', '/v1/channels')).body.data).toEqual([]);
  });

  it('reports all problems of a body at once and names the missing fields', async () => {
    const gateway = await startLocal();
    const answer = await gateway.call('POST', '/v1/channels', { late_after_seconds: 'soon', colour: 'red' });
    expect(expectProblem(answer, 400, 'GW_BAD_REQUEST')).toEqual(
      expect.arrayContaining(['/late_after_seconds', '/colour']),
    );
    const told = JSON.stringify(answer.body['errors']);
    for (const missing of ['name', 'whapi_token']) expect(told).toContain(missing);
  });

  it('names the path of an unknown field as a JSON pointer, also if its name contains a slash', async () => {
    const gateway = await startLocal();
    const body = { name: 'shop', whapi_token: 'token', 'a/b~c': 1 };
    const answer = await gateway.call('POST', '/v1/channels', body);
    expect(expectProblem(answer, 400, 'GW_BAD_REQUEST')).toEqual(['/a~1b~0c']);
  });

  it('refuses a body that is not an object', async () => {
    const gateway = await startLocal();
    const codes = { '[]': 'GW_BAD_REQUEST', null: 'GW_BAD_REQUEST', '{"name":': 'GW_BAD_JSON', '': 'GW_BAD_JSON' };
    for (const [text, code] of Object.entries(codes))
      expectProblem(await postText(gateway, '/v1/channels', text), 400, code);
    expectProblem(await gateway.call('POST', '/v1/channels'), 400, 'GW_BAD_REQUEST');
  });
});

describe('GET /v1/channels', () => {
  it('lists all channels by name, without their secrets', async () => {
    const gateway = await startLocal();
    for (const name of ['shop', 'alpha', 'main']) await gateway.addChannel({ name });
    const { status, body } = await gateway.call<List<Record<string, unknown>>>('GET', '/v1/channels');
    expect({ status, next_cursor: body.next_cursor }).toEqual({ status: 200, next_cursor: null });
    expect(body.data.map(({ name }) => name)).toEqual(['alpha', 'main', 'shop']);
    for (const channel of body.data) expect(Object.keys(channel).sort()).toEqual(SHOWN);
  });

  it('shows one channel as in the list', async () => {
    const gateway = await startApi();
    const { body } = await gateway.call<List<unknown>>('GET', '/v1/channels');
    expect((await gateway.call('GET', '/v1/channels/main')).body).toEqual(body.data[0]);
  });

  it('answers 404 for an unknown channel', async () => {
    const gateway = await startApi();
    const change = { late_after_seconds: 1 };
    expectProblem(await gateway.call('GET', '/v1/channels/nobody'), 404, 'GW_NOT_FOUND');
    expectProblem(await gateway.call('PATCH', '/v1/channels/nobody', change), 404, 'GW_NOT_FOUND');
    expectProblem(await gateway.call('DELETE', '/v1/channels/nobody'), 404, 'GW_NOT_FOUND');
  });
});

describe('PATCH /v1/channels/{name}', () => {
  it('changes the given fields only', async () => {
    const gateway = await startApi();
    const before = (await gateway.call('GET', '/v1/channels/main')).body;
    const { status, body } = await gateway.call('PATCH', '/v1/channels/main', { late_after_seconds: 60 });
    expect({ status, body }).toEqual({ status: 200, body: { ...before, late_after_seconds: 60 } });
    expect((await gateway.call('GET', '/v1/channels/main')).body).toEqual(body);
    expect((await gateway.webhook(textWebhook('a'))).status).toBe(200);
  });

  it('sets another webhook secret without showing it, and the old one is refused', async () => {
    const gateway = await startApi();
    const { status, body } = await gateway.call('PATCH', '/v1/channels/main', { webhook_secret: SECRET });
    expect({ status, keys: Object.keys(body).sort() }).toEqual({ status: 200, keys: SHOWN });
    expect((await gateway.webhook(textWebhook('a'))).status).toBe(401);
    expect((await gateway.webhook(textWebhook('a'), { secret: SECRET })).status).toBe(200);
  });

  it('sets another Whapi token and URL, which the next call to Whapi uses', async () => {
    const gateway = await startApi();
    const whapi = await startBareWhapi();
    whapi.otherwise = 404;
    await gateway.call('PATCH', '/v1/channels/main', { whapi_token: 'the-new-token', whapi_base_url: whapi.url });
    await gateway.call('POST', '/v1/resyncs', { channel: 'main', message_ids: ['lost'] });
    const [call] = await whapi.received(1);
    expect(call?.headers.authorization).toBe('Bearer the-new-token');
    expect(call?.url).toBe('/messages/lost?resync=true');
  });

  it('clears the learned channel id with null, and the next webhook sets it again', async () => {
    const gateway = await startApi();
    const of = (channelId: string) => JSON.stringify({ health: {}, channel_id: channelId });
    const channelId = async () => (await gateway.call('GET', '/v1/channels/main')).body['channel_id'];
    await gateway.webhook(of('FIRST'));
    expect(await channelId()).toBe('FIRST');
    expect(await gateway.webhook(of('SECOND'))).toMatchObject({ status: 409, body: { code: 'GW_CHANNEL_MISMATCH' } });
    expect((await gateway.call('PATCH', '/v1/channels/main', { channel_id: null })).body['channel_id']).toBeNull();
    expect((await gateway.webhook(of('SECOND'))).status).toBe(200);
    expect(await channelId()).toBe('SECOND');
  });

  it('refuses an invalid change, names its path and changes nothing', async () => {
    const gateway = await startApi();
    const before = (await gateway.call('GET', '/v1/channels/main')).body;
    for (const [change, path] of SENSELESS_CHANGES) {
      const answer = await gateway.call('PATCH', '/v1/channels/main', { ...change });
      expect([change, expectProblem(answer, 400, 'GW_BAD_REQUEST')]).toEqual([change, [path]]);
    }
    expect((await gateway.call('GET', '/v1/channels/main')).body).toEqual(before);
  });

  it('keeps both of two simultaneous changes', async () => {
    const gateway = await startApi();
    const change = async (body: unknown) => await gateway.call('PATCH', '/v1/channels/main', body);
    await Promise.all([change({ late_after_seconds: 1 }), change({ whapi_base_url: 'http://127.0.0.1:9' })]);
    expect((await gateway.call('GET', '/v1/channels/main')).body).toMatchObject({
      late_after_seconds: 1,
      whapi_base_url: 'http://127.0.0.1:9',
    });
  });
});

describe('DELETE /v1/channels/{name}', () => {
  it('removes the channel with an empty 204, then answers 404 and refuses its webhooks', async () => {
    const gateway = await startApi();
    expect(await gateway.call('DELETE', '/v1/channels/main')).toMatchObject({ status: 204, body: null });
    expectProblem(await gateway.call('GET', '/v1/channels/main'), 404, 'GW_NOT_FOUND');
    expectProblem(await gateway.call('DELETE', '/v1/channels/main'), 404, 'GW_NOT_FOUND');
    expect((await gateway.webhook(textWebhook('a'))).status).toBe(401);
  });

  it('continues the deliveries that are already recorded (I4)', async () => {
    const gateway = await startApi({ intervals: { retryDelaysMs: [1] } });
    const bot = await startBot();
    const first = answerLater();
    bot.answers.push(first.answer);
    await gateway.addTarget({ url: bot.url });
    await gateway.webhook(textWebhook('a'));
    await bot.received(1);
    await gateway.call('DELETE', '/v1/channels/main?force=true');
    first.give(500);
    expect((await bot.received(2))[1]?.ids).toEqual(['a']);
    await gateway.settled();
    expect(await deliveriesOf(gateway, '?channel=main')).toMatchObject([{ status: 'delivered', attempts: 2 }]);
  });

  it('cancels the resyncs of the channel', async () => {
    const gateway = await startApi();
    const ids = { channel: 'main', message_ids: ['a', 'b'] };
    const { body } = await gateway.call<ResyncJson>('POST', '/v1/resyncs', ids);
    await gateway.call('DELETE', '/v1/channels/main?force=true');
    const now = await gateway.call<ResyncJson>('GET', `/v1/resyncs/${body.id}`);
    expect(now.body).toMatchObject({ status: 'cancelled', counts: { cancelled: 2 } });
  });

  it('answers 409 with the numbers of what is under way and changes nothing, unless it is forced', async () => {
    const gateway = await startApi();
    await gateway.addTarget({ url: await unreachableUrl(), enabled: false });
    await gateway.call('POST', '/v1/resyncs', { channel: 'main', message_ids: ['a', 'b'] });
    await gateway.webhook(textWebhook('a'));
    for (const message of ['c', 'c']) await gateway.webhook(textWebhook(message));
    await gateway.call('POST', '/v1/audits', { channel: 'main', since: '2026-01-01T00:00:00Z' });
    const refused = await gateway.call('DELETE', '/v1/channels/main');
    expect(expectProblem(refused, 409, 'GW_UNDER_WAY')).toEqual(
      expect.arrayContaining(['/open_resyncs', '/held_items']),
    );
    const messages = (refused.body['errors'] as { message: string }[]).map(({ message }) => message);
    expect(messages).toContain('1 running resync (would be cancelled)');
    expect(messages).toContain('1 held item (would stay releasable until pruned)');
    expect(messages).toContain('1 pending delivery (would still be sent)');
    expect((await gateway.call('GET', '/v1/channels/main')).status).toBe(200);
    expect((await gateway.call('DELETE', '/v1/channels/main?force=true')).status).toBe(204);
  });

  it('frees the name, and messages seen under it are still duplicates', async () => {
    const gateway = await startApi();
    await gateway.webhook(textWebhook('a'));
    await gateway.call('DELETE', '/v1/channels/main');
    await gateway.addChannel({ whapi_base_url: await unreachableUrl() });
    expect((await gateway.webhook(textWebhook('a', 'b'))).body.verdicts).toEqual({ duplicate: 1, new: 1 });
  });
});
