import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { deliveriesOf, expectProblem, startApi, unreachableUrl } from '../support/api.js';
import type { List } from '../support/api.js';
import { startBot } from '../support/bot.js';
import type { Bot, BotRequest } from '../support/bot.js';
import { startLocal } from '../support/gateway.js';
import { textWebhook } from '../support/texts.js';

const URL_OF_A_BOT = 'http://127.0.0.1:9/hook';
const DEFAULTS = {
  channels: ['*'],
  events: ['*'],
  deliver: ['new', 'late', 'event'],
  mode: 'as_received',
  split: 'none',
  headers: {},
  previous_secrets_expire_at: [],
  timeout_ms: 30_000,
  max_attempts: 10,
  retry_delays_seconds: null,
  max_age_seconds: null,
  concurrency: 16,
  rate_per_second: null,
  backlog_policy: 'all',
  backlog_after_seconds: 600,
  backlog_rate_per_minute: null,
  skip_answered: false,
  enabled: true,
};
const NO_LOAD = { pending: 0, oldest_pending_at: null, dead_last_day: 0, unhandled_last_day: 0 };
const OTHERS = {
  name: 'another name',
  url: 'https://bot.example/other?of=it',
  channels: ['main', 'shop'],
  events: ['messages', 'messages.patch', 'statuses.*'],
  deliver: ['new', 'late', 'restored', 'duplicate', 'event'],
  mode: 'method',
  split: 'chat',
  headers: { 'x-tenant': 'seven' },
  timeout_ms: 100,
  max_attempts: 1,
  retry_delays_seconds: [1, 2.5, 604_800],
  max_age_seconds: 60,
  concurrency: 1,
  rate_per_second: 0.5,
  enabled: false,
};
const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const SENSELESS: readonly [Record<string, unknown>, path: string][] = [
  [{ name: '' }, '/name'],
  [{ name: null }, '/name'],
  [{ name: 'x'.repeat(101) }, '/name'],
  [{ url: 'ftp://bot.example' }, '/url'],
  [{ url: 'http://' }, '/url'],
  [{ url: 'not a url' }, '/url'],
  [{ url: null }, '/url'],
  [{ channels: [] }, '/channels'],
  [{ channels: 'main' }, '/channels'],
  [{ channels: ['Main'] }, '/channels/0'],
  [{ events: [] }, '/events'],
  [{ events: ['messages.post', 'messages.read'] }, '/events/1'],
  [{ events: ['message', 'newsletters.post'] }, '/events/1'],
  [{ events: ['calls.patch'] }, '/events/0'],
  [{ events: ['post'] }, '/events/0'],
  [{ events: ['messages.post.'] }, '/events/0'],
  [{ events: [''] }, '/events/0'],
  [{ deliver: [] }, '/deliver'],
  [{ deliver: ['new', 'old'] }, '/deliver/1'],
  [{ deliver: ['new', 'new'] }, '/deliver'],
  [{ mode: 'query' }, '/mode'],
  [{ mode: null }, '/mode'],
  [{ split: 'message' }, '/split'],
  [{ split: null }, '/split'],
  [{ headers: { 'x-a': 1 } }, '/headers/x-a'],
  [{ headers: { 'x-a': 'line\r\nbreak' } }, '/headers/x-a'],
  [{ headers: { 'x a': 'b' } }, '/headers/x a'],
  [{ headers: { Host: 'elsewhere' } }, '/headers/Host'],
  [{ headers: { 'content-length': '1' } }, '/headers/content-length'],
  [{ headers: { 'Webhook-Id': 'mine' } }, '/headers/Webhook-Id'],
  [{ headers: { 'x-gateway-verdicts': 'new' } }, '/headers/x-gateway-verdicts'],
  [{ headers: null }, '/headers'],
  [{ timeout_ms: 99 }, '/timeout_ms'],
  [{ timeout_ms: 120_001 }, '/timeout_ms'],
  [{ timeout_ms: '15000' }, '/timeout_ms'],
  [{ timeout_ms: null }, '/timeout_ms'],
  [{ max_attempts: 0 }, '/max_attempts'],
  [{ max_attempts: 1.5 }, '/max_attempts'],
  [{ retry_delays_seconds: [] }, '/retry_delays_seconds'],
  [{ retry_delays_seconds: 5 }, '/retry_delays_seconds'],
  [{ retry_delays_seconds: Array<number>(51).fill(5) }, '/retry_delays_seconds'],
  [{ max_age_seconds: 0 }, '/max_age_seconds'],
  [{ max_age_seconds: '60' }, '/max_age_seconds'],
  [{ concurrency: 0 }, '/concurrency'],
  [{ concurrency: null }, '/concurrency'],
  [{ rate_per_second: 0 }, '/rate_per_second'],
  [{ rate_per_second: -1 }, '/rate_per_second'],
  [{ enabled: 'true' }, '/enabled'],
  [{ enabled: null }, '/enabled'],
  [{ secret: 'whsec_c2hvcnQ=' }, '/secret'],
  [{ secret: 'no prefix at all, and long enough' }, '/secret'],
  [{ secret: null }, '/secret'],
  [{ id: 'tgt_mine' }, '/id'],
  [{ colour: 'red' }, '/colour'],
];

describe('POST /v1/targets', () => {
  it('adds a target with the defaults and shows the generated secret', async () => {
    const gateway = await startLocal();
    const { status, body } = await gateway.call('POST', '/v1/targets', { name: 'bot', url: URL_OF_A_BOT });
    expect(status).toBe(201);
    expect(body).toEqual({
      ...DEFAULTS,
      name: 'bot',
      url: URL_OF_A_BOT,
      disabled_reason: null,
      warnings: [],
      ...NO_LOAD,
      breaker: { state: 'closed', consecutive_failures: 0, opened_at: null, next_probe_at: null, concurrency: null },
      id: expect.stringMatching(/^tgt_[\w-]{20}$/) as unknown,
      secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/) as unknown,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown,
    });
  });

  it('shows the pending count, its oldest time and the dead count, for one target and in the list', async () => {
    const gateway = await startApi();
    const { id } = await gateway.addTarget({ url: await unreachableUrl(), max_attempts: 1 });
    await gateway.webhook(textWebhook('a'));
    await gateway.settled();
    await gateway.call('PATCH', `/v1/targets/${id}`, { enabled: false });
    await gateway.webhook(textWebhook('b', 'c'));
    const [waiting] = await deliveriesOf(gateway, '?status=pending');
    const load = { ...NO_LOAD, pending: 1, oldest_pending_at: waiting?.created_at, dead_last_day: 1 };
    expect((await gateway.call('GET', `/v1/targets/${id}`)).body).toMatchObject(load);
    expect((await gateway.call<List<unknown>>('GET', '/v1/targets')).body.data).toMatchObject([load]);
  });

  it('stores every given setting', async () => {
    const gateway = await startLocal();
    const { status, body } = await gateway.call('POST', '/v1/targets', { ...OTHERS, secret: SECRET });
    expect({ status, body }).toMatchObject({ status: 201, body: { ...OTHERS, secret: SECRET } });
    expect((await gateway.call('GET', `/v1/targets/${String(body['id'])}`)).body).toMatchObject(OTHERS);
  });

  it('stores null as no limit', async () => {
    const gateway = await startLocal();
    const none = { max_age_seconds: null, rate_per_second: null };
    const { body } = await gateway.call('POST', '/v1/targets', { name: 'bot', url: URL_OF_A_BOT, ...none });
    expect(body).toMatchObject(none);
    expect((await gateway.call('GET', `/v1/targets/${String(body['id'])}`)).body).toMatchObject(none);
  });

  it('refuses an invalid value, names its path and adds nothing', async () => {
    const gateway = await startLocal();
    for (const [fields, path] of SENSELESS) {
      const answer = await gateway.call('POST', '/v1/targets', { name: 'bot', url: URL_OF_A_BOT, ...fields });
      expect([fields, expectProblem(answer, 400, 'GW_BAD_REQUEST')]).toEqual([fields, [path]]);
    }
    expect((await gateway.call<List<unknown>>('GET', '/v1/targets')).body.data).toEqual([]);
  });

  it('reports only the actual problem of a nullable setting', async () => {
    const gateway = await startLocal();
    const target = { name: 'bot', url: URL_OF_A_BOT, max_age_seconds: 0 };
    const { body } = await gateway.call('POST', '/v1/targets', target);
    const message = '"max_age_seconds" is 0; expected a whole number from 1 to 31,536,000, or null';
    expect(body['errors']).toEqual([{ path: '/max_age_seconds', message }]);
  });

  it('names an unknown event, and the events that exist', async () => {
    const gateway = await startLocal();
    const events = ['messages.post', 'mesages'];
    const { body } = await gateway.call('POST', '/v1/targets', { name: 'bot', url: URL_OF_A_BOT, events });
    expect(body['detail']).toMatch(
      /"mesages", which is not an event.*messages \(post, put, patch, delete\).*service \(post\)/,
    );
  });

  it("replaces Whapi's legacy event names by the current ones, without repetitions", async () => {
    const gateway = await startLocal();
    const events = ['message', 'ack.put', 'chat.*', 'Messages', 'status.post', 'channels'];
    const { id } = await gateway.addTarget({ url: URL_OF_A_BOT, events });
    const saved = ['messages', 'statuses.put', 'chats.*', 'statuses.post', 'channel'];
    expect((await gateway.call('GET', `/v1/targets/${id}`)).body['events']).toEqual(saved);
    const changed = await gateway.call('PATCH', `/v1/targets/${id}`, { events: ['ack'] });
    expect(changed.body['events']).toEqual(['statuses']);
  });

  it('warns about another target with the same URL that gets some of the same events', async () => {
    const gateway = await startLocal();
    const first = await gateway.addTarget({ name: 'first', url: 'http://127.0.0.1:9/' });
    const { body } = await gateway.call('POST', '/v1/targets', { name: 'second', url: 'http://127.0.0.1:9' });
    expect(body['warnings']).toMatchObject([
      { code: 'same_url', message: expect.stringContaining(first.id) as unknown },
    ]);
    for (const change of [{ channels: ['shop'] }, { events: ['messages'] }]) {
      const apart = Object.hasOwn(change, 'channels') ? { channels: ['main'] } : { events: ['statuses'] };
      await gateway.call('PATCH', `/v1/targets/${first.id}`, { ...{ channels: ['*'], events: ['*'] }, ...apart });
      const path = `/v1/targets/${String(body['id'])}`;
      expect((await gateway.call('PATCH', path, { name: 'second' })).body['warnings']).toHaveLength(1);
      expect((await gateway.call('PATCH', path, change)).body['warnings']).toEqual([]);
      await gateway.call('PATCH', path, { channels: ['*'], events: ['*'] });
    }
  });

  it('names the allowed values if there are few', async () => {
    const gateway = await startLocal();
    const { body } = await gateway.call('POST', '/v1/targets', { name: 'bot', url: URL_OF_A_BOT, deliver: ['old'] });
    expect(JSON.stringify(body['errors'])).toContain('new, late, restored, duplicate, event');
  });

  it('names the path of the one invalid delay in a schedule', async () => {
    const gateway = await startLocal();
    const schedule = { retry_delays_seconds: [5, 0] };
    const answer = await gateway.call('POST', '/v1/targets', { name: 'bot', url: URL_OF_A_BOT, ...schedule });
    expect(expectProblem(answer, 400, 'GW_BAD_REQUEST')).toContain('/retry_delays_seconds/1');
  });

  it('requires a name and a URL', async () => {
    const gateway = await startLocal();
    const answer = await gateway.call('POST', '/v1/targets', {});
    expectProblem(answer, 400, 'GW_BAD_REQUEST');
    expect(JSON.stringify(answer.body['errors'])).toMatch(/name.*url/);
  });

  it.each([
    ['private', ['http://169.254.169.254/', 'http://[fe80::1]/', 'http://0.0.0.0/', 'http://224.0.0.1/']],
    ['public', ['http://127.0.0.1/', 'http://[::1]/', 'http://10.0.0.7/', 'http://2130706433/', 'http://0x7f.1/']],
    ['10.1.0.0/16', ['http://127.0.0.1/', 'http://10.2.0.1/', 'http://[::ffff:10.2.0.1]/']],
  ])('refuses addresses that TARGET_NETWORKS=%s does not allow, on create and on update', async (networks, urls) => {
    const gateway = await startLocal({ env: { TARGET_NETWORKS: networks } });
    const { id } = await gateway.addTarget({ url: 'https://93.184.215.14/' });
    for (const url of urls) {
      const added = await gateway.call('POST', '/v1/targets', { name: 'bot', url });
      expect([url, expectProblem(added, 400, 'GW_BAD_REQUEST')]).toEqual([url, ['/url']]);
      const changed = await gateway.call('PATCH', `/v1/targets/${id}`, { url });
      expect([url, expectProblem(changed, 400, 'GW_BAD_REQUEST')]).toEqual([url, ['/url']]);
    }
  });
});

describe('GET /v1/targets', () => {
  it('lists all targets in order of creation, without their secrets', async () => {
    const gateway = await startLocal();
    for (const name of ['c', 'a', 'b']) await gateway.addTarget({ name, url: URL_OF_A_BOT });
    const { status, body } = await gateway.call<List<Record<string, unknown>>>('GET', '/v1/targets');
    expect({ status, next_cursor: body.next_cursor }).toEqual({ status: 200, next_cursor: null });
    expect(body.data.map(({ name }) => name)).toEqual(['c', 'a', 'b']);
    for (const target of body.data) expect(target).not.toHaveProperty('secret');
  });

  it('shows one target as in the list, and masks headers that carry secrets', async () => {
    const gateway = await startLocal();
    const headers = { Authorization: 'Bearer hush', 'X-Api-Key': 'hush', Cookie: 'hush', 'X-Tenant': 'seven' };
    const { id } = await gateway.addTarget({ url: URL_OF_A_BOT, headers });
    const { body } = await gateway.call('GET', `/v1/targets/${id}`);
    expect(body['headers']).toEqual({ Authorization: '***', 'X-Api-Key': '***', Cookie: '***', 'X-Tenant': 'seven' });
    expect((await gateway.call<List<unknown>>('GET', '/v1/targets')).body.data).toEqual([body]);
  });

  it('answers 404 for an unknown target', async () => {
    const gateway = await startLocal();
    expectProblem(await gateway.call('GET', '/v1/targets/tgt_none'), 404, 'GW_NOT_FOUND');
    expectProblem(await gateway.call('PATCH', '/v1/targets/tgt_none', { name: 'bot' }), 404, 'GW_NOT_FOUND');
    expectProblem(await gateway.call('DELETE', '/v1/targets/tgt_none'), 404, 'GW_NOT_FOUND');
    expectProblem(await gateway.call('POST', '/v1/targets/tgt_none/test'), 404, 'GW_NOT_FOUND');
  });
});

describe('PATCH /v1/targets/{id}', () => {
  it('changes each setting separately and leaves the rest', async () => {
    const gateway = await startLocal();
    const { id } = await gateway.addTarget({ url: URL_OF_A_BOT });
    let before = (await gateway.call('GET', `/v1/targets/${id}`)).body;
    for (const [setting, value] of Object.entries(OTHERS)) {
      const { status, body } = await gateway.call('PATCH', `/v1/targets/${id}`, { [setting]: value });
      const { warnings, ...shown } = body;
      expect({ status, shown, warnings }).toEqual({
        status: 200,
        shown: { ...before, [setting]: value },
        warnings: [],
      });
      before = shown;
    }
    expect((await gateway.call('GET', `/v1/targets/${id}`)).body).toEqual(before);
  });

  it('removes a limit with null', async () => {
    const gateway = await startLocal();
    const { id } = await gateway.addTarget({ url: URL_OF_A_BOT, max_age_seconds: 60, rate_per_second: 5 });
    const { body } = await gateway.call('PATCH', `/v1/targets/${id}`, { max_age_seconds: null });
    expect(body).toMatchObject({ max_age_seconds: null, rate_per_second: 5 });
  });

  it('refuses an invalid value, names its path and changes nothing', async () => {
    const gateway = await startLocal();
    const { id } = await gateway.addTarget({ url: URL_OF_A_BOT });
    const before = (await gateway.call('GET', `/v1/targets/${id}`)).body;
    for (const [fields, path] of [...SENSELESS, [{}, ''], [{ created_at: 'now' }, '/created_at']] as typeof SENSELESS) {
      const answer = await gateway.call('PATCH', `/v1/targets/${id}`, { ...fields });
      expect([fields, expectProblem(answer, 400, 'GW_BAD_REQUEST')]).toEqual([fields, [path]]);
    }
    expect((await gateway.call('GET', `/v1/targets/${id}`)).body).toEqual(before);
  });

  it('signs with a new secret from then on, without showing it', async () => {
    const { gateway, bot, id, secret } = await withBot();
    await gateway.webhook(textWebhook('a'));
    const { body } = await gateway.call('PATCH', `/v1/targets/${id}`, { secret: SECRET });
    expect(JSON.stringify(body)).not.toContain('whsec_');
    await gateway.settled();
    await gateway.webhook(textWebhook('b'));
    const [before, after] = await bot.received(2);
    expect([isSignedBy(secret, before), isSignedBy(SECRET, before)]).toEqual([true, false]);
    expect([isSignedBy(secret, after), isSignedBy(SECRET, after)]).toEqual([false, true]);
  });

  it('keeps the value of a masked header when another setting changes', async () => {
    const { gateway, bot, id } = await withBot({ headers: { authorization: 'Bearer hush' } });
    await gateway.call('PATCH', `/v1/targets/${id}`, { name: 'renamed' });
    await gateway.webhook(textWebhook('a'));
    expect((await bot.received(1))[0]?.headers.authorization).toBe('Bearer hush');
  });

  it('keeps both of two simultaneous changes', async () => {
    const gateway = await startLocal();
    const { id } = await gateway.addTarget({ url: URL_OF_A_BOT });
    const change = async (body: unknown) => await gateway.call('PATCH', `/v1/targets/${id}`, body);
    for (let round = 1; round <= 10; round++) {
      await Promise.all([change({ concurrency: round + 1 }), change({ max_attempts: round + 1 })]);
      const { body } = await gateway.call('GET', `/v1/targets/${id}`);
      expect(body).toMatchObject({ concurrency: round + 1, max_attempts: round + 1 });
    }
  });

  it('holds back the deliveries of a disabled target, and sends them in order once it is enabled (I4, I6)', async () => {
    const { gateway, bot, id } = await withBot({ enabled: false });
    for (const message of ['a', 'b', 'c']) await gateway.webhook(textWebhook({ id: message, chat: 'one' }));
    expect((await deliveriesOf(gateway)).map(({ status, attempts }) => [status, attempts])).toEqual(
      Array<unknown>(3).fill(['pending', 0]),
    );
    expect(bot.requests).toEqual([]);
    await gateway.call('PATCH', `/v1/targets/${id}`, { enabled: true });
    expect((await bot.received(3)).flatMap(({ ids }) => ids)).toEqual(['a', 'b', 'c']);
  });
});

describe('DELETE /v1/targets/{id}', () => {
  it('removes the target with an empty 204, then answers 404 and sends it nothing more', async () => {
    const { gateway, bot, id } = await withBot();
    expect(await gateway.call('DELETE', `/v1/targets/${id}`)).toMatchObject({ status: 204, body: null });
    expectProblem(await gateway.call('GET', `/v1/targets/${id}`), 404, 'GW_NOT_FOUND');
    expectProblem(await gateway.call('DELETE', `/v1/targets/${id}`), 404, 'GW_NOT_FOUND');
    await gateway.webhook(textWebhook('a'));
    expect(await deliveriesOf(gateway)).toEqual([]);
    expect(bot.requests).toEqual([]);
  });

  it('ends its pending deliveries as dead and keeps them visible (I4)', async () => {
    const { gateway, id } = await withBot({ enabled: false });
    await gateway.webhook(textWebhook('a'));
    await gateway.call('DELETE', `/v1/targets/${id}?force=true`);
    const [delivery] = await deliveriesOf(gateway, `?status=dead&target=${id}`);
    expect(delivery).toMatchObject({ target: id, next_attempt_at: null, last_error: 'The target was removed.' });
    const path = `/v1/deliveries/${delivery?.id ?? ''}`;
    expect((await gateway.call('GET', path)).body['body']).toBe(textWebhook('a'));
    expectProblem(await gateway.call('POST', `${path}/retry`), 409, 'GW_CONFLICT');
  });
});

describe('DELETE /v1/targets/{id} with pending deliveries', () => {
  it('answers 409 with their number and changes nothing, unless it is forced', async () => {
    const { gateway, id } = await withBot({ name: 'bot', enabled: false });
    for (const message of ['a', 'b']) await gateway.webhook(textWebhook(message));
    const refused = await gateway.call('DELETE', `/v1/targets/${id}`);
    expect(expectProblem(refused, 409, 'GW_UNDER_WAY')).toEqual(['/pending_deliveries']);
    expect(refused.body['detail']).toMatch(
      /^The target "bot" has work under way: 2 pending deliveries \(would end as dead\)\. .*force=true/,
    );
    expect((await gateway.call('GET', `/v1/targets/${id}`)).body).toMatchObject({ pending: 2 });
    expect((await gateway.call('DELETE', `/v1/targets/${id}?force=true`)).status).toBe(204);
    expect(await deliveriesOf(gateway, '?status=dead')).toHaveLength(2);
  });
});

describe('POST /v1/targets/{id}/test', () => {
  it('sends a signed event without content past the queue, and returns the result', async () => {
    const { gateway, bot, id, secret } = await withBot({ headers: { 'x-tenant': 'seven' } });
    const { status, body } = await gateway.call('POST', `/v1/targets/${id}/test`);
    expect({ status, body }).toMatchObject({ status: 200, body: { delivered: true, status: 200, error: null } });
    expect(isSignedBy(secret, bot.requests[0])).toBe(true);
    expect(bot.requests[0]).toMatchObject({ ids: [], headers: { 'x-tenant': 'seven', 'x-gateway-channel': 'test' } });
    expect(await deliveriesOf(gateway)).toEqual([]);
  });

  const WHERE: readonly (readonly [Record<string, unknown>, string, string, string])[] = [
    [{}, 'messages.post', 'POST', '/hook'],
    [{ mode: 'method' }, 'messages.post', 'POST', '/hook/messages'],
    [{ mode: 'path', events: ['chats', 'message'] }, 'messages.post', 'POST', '/hook/messages/post'],
    [{ mode: 'method', events: ['statuses.put', 'chats'] }, 'statuses.put', 'PUT', '/hook/statuses'],
    [{ mode: 'body', events: ['messages.patch'] }, 'messages.patch', 'POST', '/hook'],
    [{ mode: 'path', events: ['groups.put'] }, 'groups.put', 'POST', '/hook/groups/put'],
  ];
  it.each(WHERE)('for a target with %j sends an empty %s by %s to %s, and reports that', async (settings, ...sent) => {
    const gateway = await startApi();
    const bot = await startBot();
    const { id } = await gateway.addTarget({ url: `${bot.url}/hook?key=hush`, ...settings });
    const { body } = await gateway.call('POST', `/v1/targets/${id}/test`);
    const [event, method, path] = sent;
    expect(body).toMatchObject({ delivered: true, event, method, path, fix: null });
    expect(bot.requests[0]).toMatchObject({ method, url: `${path}?key=hush` });
    expect(JSON.parse(bot.requests[0]?.body.toString() ?? '')).toMatchObject(EMPTY[event] ?? {});
  });

  it('uses the form of the last webhook of that event', async () => {
    const { gateway, bot, id } = await withBot();
    const received = { method: 'PUT', suffix: '/statuses' };
    await gateway.webhook('{"statuses":[{"id":"a"}],"event":{"type":"statuses","event":"put"}}', received);
    await gateway.webhook(textWebhook('a'), { suffix: '/messages' });
    await gateway.settled();
    expect((await gateway.call('POST', `/v1/targets/${id}/test`)).body).toMatchObject({ path: '/messages' });
    expect(bot.requests.at(-1)).toMatchObject({ method: 'POST', url: '/messages', ids: [] });
    await gateway.call('PATCH', `/v1/targets/${id}`, { events: ['statuses.put'], channels: ['main'] });
    expect((await gateway.call('POST', `/v1/targets/${id}/test`)).body).toMatchObject({
      method: 'PUT',
      path: '/statuses',
    });
    await gateway.call('PATCH', `/v1/targets/${id}`, { channels: ['another'] });
    expect((await gateway.call('POST', `/v1/targets/${id}/test`)).body).toMatchObject({ method: 'POST', path: '/' });
  });

  it.each([
    ['POST', '/presences/post', 'POST', '/messages/post'],
    ['POST', '/presences', 'POST', '/messages'],
    ['POST', '', 'POST', '/'],
  ] as const)('uses the form of another event that came as %s %s: %s %s', async (verb, suffix, method, path) => {
    const { gateway, id } = await withBot();
    await gateway.webhook('{"presences":[{"contact_id":"a"}]}', { method: verb, suffix });
    await gateway.settled();
    expect((await gateway.call('POST', `/v1/targets/${id}/test`)).body).toMatchObject({ method, path });
  });

  it('takes the path of the event that it sends, whatever the last webhook was', async () => {
    const { gateway, id } = await withBot({ mode: 'method' });
    await gateway.webhook('{"test":true}');
    await gateway.settled();
    expect((await gateway.call('POST', `/v1/targets/${id}/test`)).body).toMatchObject({
      event: 'messages.post',
      path: '/messages',
    });
  });

  it.each([404, 405, 501])('reports a missing handler and its fix when it is answered %d', async (status) => {
    const { gateway, bot, id } = await withBot({ mode: 'method' });
    bot.otherwise = status;
    const { body } = await gateway.call('POST', `/v1/targets/${id}/test`);
    expect(body).toMatchObject({ delivered: false, status });
    expect(body['error']).toBe(`The target answers, but not at POST /messages (${status}).`);
    expect(body['fix']).toMatch(/path of the URL.* mode.*targets set .* --mode body --events messages\.post/);
  });

  it('suggests the path below the URL when the URL itself is answered 404', async () => {
    const { gateway, bot, id } = await withBot();
    bot.otherwise = 404;
    const { body } = await gateway.call('POST', `/v1/targets/${id}/test`);
    expect(body['fix']).toMatch(/targets set .* --mode method --events messages\.post/);
  });

  it('reports a refusal with its status', async () => {
    const { gateway, bot, id } = await withBot();
    bot.otherwise = 503;
    const { status, body } = await gateway.call('POST', `/v1/targets/${id}/test`);
    expect({ status, body }).toMatchObject({ status: 200, body: { delivered: false, status: 503 } });
    expect(body['error']).toContain('503');
    expect(bot.requests).toHaveLength(1);
  });

  it('reports a failed connection and a timeout with a clear error', async () => {
    const { gateway, bot, id } = await withBot({ timeout_ms: 100 });
    bot.otherwise = () => undefined;
    const slow = await gateway.call('POST', `/v1/targets/${id}/test`);
    expect(slow.body).toMatchObject({ delivered: false, status: null, error: 'No answer within 100 ms.' });
    await gateway.call('PATCH', `/v1/targets/${id}`, { url: await unreachableUrl() });
    const refused = await gateway.call('POST', `/v1/targets/${id}/test`);
    expect(refused.body).toMatchObject({ delivered: false, status: null });
    expect(refused.body['error']).toContain('ECONNREFUSED');
  });

  it('works for a disabled target too', async () => {
    const { gateway, id } = await withBot({ enabled: false });
    expect((await gateway.call('POST', `/v1/targets/${id}/test`)).body['delivered']).toBe(true);
  });
});

/** The parts that the body of a test must have. */
const EMPTY: Readonly<Record<string, unknown>> = {
  'messages.post': { messages: [], event: { type: 'messages', event: 'post' } },
  'statuses.put': { statuses: [], event: { type: 'statuses', event: 'put' } },
  'messages.patch': { messages_updates: [], event: { type: 'messages', event: 'patch' } },
  'groups.put': { groups_participants: [], event: { type: 'groups', event: 'put' } },
};

async function withBot(settings: Record<string, unknown> = {}) {
  const gateway = await startApi();
  const bot: Bot = await startBot();
  return { gateway, bot, ...(await gateway.addTarget({ url: bot.url, ...settings })) };
}

function isSignedBy(secret: string, request: BotRequest | undefined): boolean {
  try {
    new Webhook(secret).verify(request?.body ?? '', request?.headers as Record<string, string>);
    return true;
  } catch {
    return false;
  }
}
