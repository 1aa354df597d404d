import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { retainForever } from '../../src/store/sqlite/database.js';
import { startSimulator } from '../../src/simulator/simulator.js';
import { adminTokenOf, deliveriesOf, expectProblem, startApi, unreachableUrl } from '../support/api.js';
import { startBot } from '../support/bot.js';
import { WEBHOOK_SECRET } from '../support/client.js';
import type { Answer, Client } from '../support/client.js';
import { startLocal } from '../support/gateway.js';
import { faultsOf, openApiOf, responsesOf, routesOf, schemasOf } from '../support/openapi.js';
import type { OpenApi, Route } from '../support/openapi.js';
import { startProcess } from '../support/process.js';
import { textWebhook } from '../support/texts.js';

/** Every route of /v1, as in the contract. */
const ROUTES = [
  'POST /v1/channels',
  'GET /v1/channels',
  'GET /v1/channels/{name}',
  'PATCH /v1/channels/{name}',
  'DELETE /v1/channels/{name}',
  'POST /v1/channels/{name}/connect',
  'POST /v1/channels/{name}/disconnect',
  'POST /v1/targets',
  'GET /v1/targets',
  'GET /v1/targets/{id}',
  'PATCH /v1/targets/{id}',
  'DELETE /v1/targets/{id}',
  'POST /v1/targets/{id}/test',
  'POST /v1/targets/{id}/rotate-secret',
  'POST /v1/resyncs',
  'GET /v1/resyncs',
  'GET /v1/resyncs/{id}',
  'GET /v1/resyncs/{id}/messages',
  'GET /v1/resyncs/{id}/report',
  'POST /v1/resyncs/{id}/cancel',
  'POST /v1/audits',
  'GET /v1/audits',
  'GET /v1/audits/{id}',
  'GET /v1/audits/{id}/messages',
  'POST /v1/audits/{id}/cancel',
  'POST /v1/audits/{id}/release',
  'POST /v1/channels/{name}/seed',
  'GET /v1/items',
  'POST /v1/items/{id}/release',
  'POST /v1/items/release',
  'GET /v1/webhooks',
  'GET /v1/webhooks/{id}',
  'POST /v1/judge',
  'GET /v1/messages',
  'GET /v1/messages/{channel}/{message_id}',
  'POST /v1/messages/{channel}/{message_id}/release',
  'POST /v1/messages/release',
  'GET /v1/deliveries',
  'GET /v1/deliveries/{id}',
  'POST /v1/deliveries/{id}/retry',
  'POST /v1/deliveries/retry',
  'GET /v1/doctor',
  'GET /v1/feed',
  'GET /v1/stats',
  'GET /v1/jobs',
  'GET /v1/jobs/{id}',
  'POST /v1/jobs/{id}/cancel',
  'GET /v1/channels/{name}/probe',
  'DELETE /v1/channels/{name}/probe',
  'POST /v1/channels/{name}/preview',
  'POST /v1/channels/{name}/probe',
  'POST /v1/targets/{id}/preview',
];
/** Its answer does not end: see feed.test.ts. */
const ENDLESS = 'GET /v1/feed';

describe('/healthz and /readyz', () => {
  it('require no token', async () => {
    const { url } = await startLocal();
    for (const path of ['/healthz', '/readyz']) expect((await fetch(url + path)).status).toBe(200);
  });

  it('distinguish a store that refuses writes from a dead process, and recover with the store', async () => {
    const clock = steppedClock();
    const gateway = await startLocal({ effects: clock });
    const refused = refuseWrites(gateway.folder);
    expectProblem(await gateway.call('GET', '/readyz'), 503, 'GW_STORE_UNAVAILABLE');
    expectProblem(await gateway.call('POST', '/v1/targets', ANY_TARGET), 503, 'GW_STORE_UNAVAILABLE');
    expect((await gateway.call('GET', '/healthz')).status).toBe(200);
    expect((await gateway.call('GET', '/v1/targets')).body['data']).toEqual([]);
    refused.end();
    clock.step(1000);
    expect((await gateway.call('GET', '/readyz')).status).toBe(200);
    expect((await gateway.call('POST', '/v1/targets', ANY_TARGET)).status).toBe(201);
  });

  it('write at most once a second, however often anyone asks', async () => {
    const clock = steppedClock();
    const gateway = await startLocal({ effects: clock });
    const probedAt = probes(gateway.folder);
    const ask = async () =>
      await Promise.all(Array.from({ length: 20 }, async () => await fetch(`${gateway.url}/readyz`)));
    expect((await ask()).map(({ status }) => status)).toEqual(Array(20).fill(200));
    const first = probedAt();
    clock.step(999);
    await ask();
    expect(probedAt()).toBe(first);
    clock.step(1);
    await ask();
    expect(probedAt()).toBeGreaterThan(first);
  });
});

/** A monotonic clock that moves only when it is told to, beside a real one, so that probes differ in time. */
function steppedClock() {
  let monotonic = 0;
  let now = Date.now();
  return { monotonic: () => monotonic, now: () => (now += 1), step: (ms: number) => void (monotonic += ms) };
}

/** Reads when the store was last probed. */
function probes(folder: string): () => number {
  const db = retainForever(new Database(join(folder, 'gateway.db'), { readonly: true }));
  onTestFinished(() => void db.close());
  const read = db.prepare<[], { value: string }>("SELECT value FROM meta WHERE key = 'probed_at'");
  return () => Number(read.get()?.value);
}

describe('a request without a matching route', () => {
  it('is answered with a 404 problem', async () => {
    const gateway = await startLocal();
    expectProblem(await gateway.call('GET', '/v1/nothing'), 404, 'GW_NOT_FOUND');
    expectProblem(await gateway.call('PUT', '/v1/channels', {}), 404, 'GW_NOT_FOUND');
    expectProblem(await gateway.call('POST', '/healthz'), 404, 'GW_NOT_FOUND');
  });

  it('is answered with a 400 problem if its path is not a valid URL', async () => {
    const gateway = await startLocal();
    expectProblem(await gateway.call('GET', '/v1/channels/%zz'), 400, 'GW_BAD_REQUEST');
  });
});

describe('/openapi.json', () => {
  it('is OpenAPI 3.1 and requires no token', async () => {
    const { url } = await startLocal();
    const document = (await (await fetch(`${url}/openapi.json`)).json()) as OpenApi;
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
    expect(document.info).toMatchObject({ title: 'whapi-resync-gateway', version: expect.any(String) as unknown });
    for (const { path, operation } of routesOf(document)) {
      const inPath = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      expect(inPath.map(({ name, required }) => `{${name}}${required ? '' : '?'}`)).toEqual(
        path.match(/\{\w+\}/g) ?? [],
      );
      expect(Object.keys(operation.responses).join()).toMatch(/^([1-5]\d\d(,|$))+(default)?$/);
      for (const { description } of Object.values(responsesOf(document, operation))) expect(description).toMatch(/\S/);
    }
  });

  it('is serialized once', async () => {
    const { url } = await startLocal();
    await fetch(`${url}/openapi.json`);
    const stringify = vi.spyOn(JSON, 'stringify');
    const text = await (await fetch(`${url}/openapi.json`)).text();
    expect(stringify.mock.calls.filter(([value]) => isDocument(value))).toEqual([]);
    stringify.mockRestore();
    expect(isDocument(JSON.parse(text))).toBe(true);
  });

  it('lists every route of /v1, with a summary and the admin token as its security', async () => {
    const document = await openApiOf(await startLocal());
    const listed = routesOf(document).filter(({ path }) => path.startsWith('/v1'));
    expect(listed.map(({ route }) => route).sort()).toEqual([...ROUTES].sort());
    for (const { operation } of listed) {
      expect(operation.summary).toMatch(/\S/);
      const [scheme = ''] = Object.keys((operation.security ?? document.security)[0] ?? {});
      expect([scheme, document.components.securitySchemes[scheme]]).toMatchObject([
        'admin',
        { type: 'http', scheme: 'bearer' },
      ]);
    }
  });

  it('lists the routes that need no admin token', async () => {
    const document = await openApiOf(await startLocal());
    const schemesOf = ({ operation }: Route) => (operation.security ?? document.security).flatMap(Object.keys);
    const schemes = new Map(routesOf(document).map((each) => [each.route, schemesOf(each)]));
    for (const path of ['/healthz', '/readyz', '/openapi.json']) expect(schemes.get(`GET ${path}`)).toEqual([]);
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      for (const suffix of ['', '/{suffix}']) {
        expect(schemes.get(`${method} /webhooks/{channel}${suffix}`)).toEqual(['webhookSecret']);
        expect(schemes.get(`${method} /webhooks/{channel}/s/{webhook_secret}${suffix}`)).toEqual([]);
      }
    }
    expect(schemes.get('GET /whapi/messages/{message_id}')).toEqual(['channelToken', 'channelTokenInQuery']);
    expect(schemes.get('POST /whapi/{path}')).toEqual(['channelToken', 'channelTokenInQuery']);
  });

  it('contains only valid JSON schemas', async () => {
    const document = await openApiOf(await startLocal());
    const ajv = new Ajv2020({ strict: false });
    const schemas = routesOf(document).flatMap(({ operation }) => schemasOf(document, operation));
    expect(schemas.length).toBeGreaterThan(50);
    for (const schema of [...schemas, ...Object.values(document.components.schemas)]) {
      expect([schema, ajv.validateSchema(schema)]).toEqual([schema, true]);
    }
  });

  it('matches the successful answers of every route of /v1', async () => {
    const gateway = await startApi();
    const document = await openApiOf(gateway);
    const told = await everyRoute(gateway);
    expect([...told.keys(), ENDLESS].sort()).toEqual([...ROUTES].sort());
    for (const [route, answer] of told) {
      expect([route, Math.floor(answer.status / 100)]).toEqual([route, 2]);
      expect([route, faultsOf(document, route, answer)]).toEqual([route, []]);
    }
  });

  it('matches error answers and their content type', async () => {
    const gateway = await startApi();
    const document = await openApiOf(gateway);
    const refused = async (method: string, path: string, body?: unknown, headers = {}) =>
      await gateway.call(method, path, body, headers);
    const answers: [string, Answer][] = [
      ['POST /v1/channels', await refused('POST', '/v1/channels', { nonsense: 1 })],
      ['GET /v1/channels', await refused('GET', '/v1/channels', undefined, { authorization: '' })],
      ['GET /v1/targets/{id}', await refused('GET', '/v1/targets/tgt_none')],
      ['GET /v1/resyncs', await refused('GET', '/v1/resyncs?limit=0')],
      ...(await refusalsOf(gateway)),
    ];
    for (const [route, answer] of answers) {
      expect([route, answer.status >= 400]).toEqual([route, true]);
      expect([route, faultsOf(document, route, answer)]).toEqual([route, []]);
    }
  });

  it('marks a body as required only if the route needs one', async () => {
    const gateway = await startApi();
    const document = await openApiOf(gateway);
    const v1 = routesOf(document).filter(({ path }) => path.startsWith('/v1'));
    const required = v1.filter(({ operation }) => operation.requestBody?.required === true);
    expect(required.map(({ route }) => route).sort()).toEqual([
      'PATCH /v1/channels/{name}',
      'PATCH /v1/targets/{id}',
      'POST /v1/audits',
      'POST /v1/channels',
      'POST /v1/channels/{name}/preview',
      'POST /v1/channels/{name}/probe',
      'POST /v1/deliveries/retry',
      'POST /v1/items/release',
      'POST /v1/judge',
      'POST /v1/messages/release',
      'POST /v1/resyncs',
      'POST /v1/targets',
      'POST /v1/targets/{id}/preview',
    ]);
  });

  it('names the admin token for every route of /v1, and each route requires it', async () => {
    const gateway = await startApi();
    const withoutToken = { authorization: '' };
    for (const route of ROUTES) {
      const [method = '', path = ''] = route.split(' ');
      const { status } = await gateway.call(method, path, undefined, withoutToken);
      expect([route, [401, 429].includes(status)]).toEqual([route, true]); // 429 from the 21st on.
    }
  });
});

describe('secrets', () => {
  it('appear in no answer after the one that created them', async () => {
    const { gateway, secrets } = await busyProcess();
    const document = await openApiOf(gateway.client);
    const texts: string[] = [];
    for (const { route, path } of routesOf(document)) {
      if (route.startsWith('GET ') && !/^\/(whapi|session|metrics|v1\/feed)/.test(path))
        texts.push(...(await allAnswersOf(gateway.client, path)));
    }
    expect(texts.length).toBeGreaterThan(12);
    expect(texts.join('\n')).toContain('ECONNREFUSED'); // The answers that were checked do include other values.
    for (const [name, secret] of Object.entries(secrets))
      expect([name, texts.filter((text) => text.includes(secret))]).toEqual([name, []]);
  });

  it('appear in no log line at LOG_LEVEL=trace, even when requests fail', async () => {
    const { gateway, secrets } = await busyProcess();
    await gateway.end('SIGTERM');
    const log = gateway.log.join('\n');
    for (const said of ['listening', '/webhooks/…', 'GW_BAD_JSON', 'stopped']) expect(log).toContain(said);
    for (const [name, secret] of Object.entries(secrets))
      expect([name, gateway.log.filter((line) => line.includes(secret))]).toEqual([name, []]);
  });

  it('are masked in logged paths that resemble a webhook path', async () => {
    const gateway = await startProcess({ LOG_LEVEL: 'trace' });
    await gateway.client.addChannel();
    const paths = [
      `/gateway/webhooks/main/s/${WEBHOOK_SECRET}`, // For example when a proxy keeps its prefix.
      `//webhooks/main/s/${WEBHOOK_SECRET}`,
      `/WEBHOOKS/main/s/${WEBHOOK_SECRET}`,
      `/webhooks/main/s/${WEBHOOK_SECRET}/%zz`,
    ];
    for (const path of paths) {
      const response = await fetch(gateway.client.url + path, { method: 'POST', body: textWebhook('a') });
      expect([path, response.status >= 400]).toEqual([path, true]);
    }
    await gateway.end('SIGTERM');
    expect(gateway.log.filter((line) => line.includes(WEBHOOK_SECRET))).toEqual([]);
  });

  it('are encrypted on disk', async () => {
    const gateway = await startApi();
    await gateway.call('PATCH', '/v1/channels/main', { whapi_token: 'the-token-of-whapi' });
    const { secret } = await gateway.addTarget({ name: 'the-name-of-a-target', ...(await unreachableTarget()) });
    await gateway.webhook(textWebhook('a'));
    const files = readdirSync(gateway.folder).filter((name) => name.startsWith('gateway.db'));
    const bytes = Buffer.concat(files.map((name) => readFileSync(join(gateway.folder, name))));
    expect(files).toEqual(expect.arrayContaining(['gateway.db', 'gateway.db-wal']));
    expect(bytes.includes('the-name-of-a-target')).toBe(true);
    const secrets = { token: 'the-token-of-whapi', webhook: WEBHOOK_SECRET, target: secret.slice('whsec_'.length) };
    for (const [name, text] of Object.entries(secrets)) expect([name, bytes.includes(text)]).toEqual([name, false]);
    for (const name of ['admin-token', 'encryption-key'])
      expect(bytes.includes(readFileSync(join(gateway.folder, name), 'utf8').trim())).toBe(false);
  });
});

function isDocument(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'openapi' in value;
}

const ANY_TARGET = { name: 'bot', url: 'http://127.0.0.1:9' };

/** Makes the store refuse every write of these tests until it is ended. */
function refuseWrites(folder: string): { end(): void } {
  const db = retainForever(new Database(join(folder, 'gateway.db')));
  onTestFinished(() => void db.close());
  const tables = ['meta', 'targets'];
  for (const table of tables)
    db.exec(`CREATE TRIGGER no_${table} BEFORE INSERT ON ${table} BEGIN SELECT RAISE(ABORT, 'no'); END`);
  return { end: () => tables.forEach((table) => db.exec(`DROP TRIGGER no_${table}`)) };
}

type AnyAnswer = Answer<{ id?: string } | null>;

/** Calls every route of /v1 once with success. */
async function everyRoute(gateway: Client): Promise<Map<string, AnyAnswer>> {
  const told = new Map<string, AnyAnswer>();
  const bot = await startBot();
  const call = async (route: string, path = route.replace(/^\w+ /, ''), body?: unknown) => {
    const answer: AnyAnswer = await gateway.call(route.split(' ', 1)[0] ?? '', path, body);
    told.set(route, answer);
    return answer.body?.id ?? '';
  };
  const whapi = await startSimulator();
  onTestFinished(async () => await whapi.close());
  const shop = { name: 'shop', whapi_token: whapi.token, whapi_base_url: whapi.url };
  await call('POST /v1/channels', '/v1/channels', shop);
  await call('GET /v1/channels');
  await call('GET /v1/channels/{name}', '/v1/channels/shop');
  await call('PATCH /v1/channels/{name}', '/v1/channels/shop', { late_after_seconds: 60 });
  await call('POST /v1/channels/{name}/connect', '/v1/channels/shop/connect', { public_url: gateway.url });
  await call('GET /v1/doctor');
  await call('GET /v1/stats');
  await call('GET /v1/webhooks');
  await call('POST /v1/channels/{name}/preview', '/v1/channels/shop/preview', { changes: { late_after_seconds: 1 } });
  await call('POST /v1/channels/{name}/probe', '/v1/channels/shop/probe', { message_id: 'lost', consent: true });
  await call('GET /v1/channels/{name}/probe', '/v1/channels/shop/probe');
  await call('DELETE /v1/channels/{name}/probe', '/v1/channels/shop/probe');
  await call('POST /v1/channels/{name}/disconnect', '/v1/channels/shop/disconnect');
  await call('DELETE /v1/channels/{name}', '/v1/channels/shop?force=true'); // the probe is under way
  const target = await call('POST /v1/targets', '/v1/targets', { name: 'bot', url: bot.url });
  const resync = await call('POST /v1/resyncs', '/v1/resyncs', { channel: 'main', message_ids: ['lost', 'more'] });
  await gateway.webhook(textWebhook('lost', 'a'));
  await gateway.settled();
  const [delivery] = await deliveriesOf(gateway);
  const message = '/v1/messages/main/lost';
  await call('POST /v1/messages/{channel}/{message_id}/release', `${message}/release`);
  await call('GET /v1/messages/{channel}/{message_id}', message);
  await call('GET /v1/messages', '/v1/messages?limit=1');
  await callOnItems(gateway, call);
  await call('POST /v1/judge', '/v1/judge', { channel: 'main', body: textWebhook('b') });
  await call('GET /v1/deliveries', '/v1/deliveries?limit=1');
  await call('GET /v1/deliveries/{id}', `/v1/deliveries/${delivery?.id ?? ''}`);
  await call('POST /v1/deliveries/{id}/retry', `/v1/deliveries/${delivery?.id ?? ''}/retry`);
  const job = await call('POST /v1/deliveries/retry', '/v1/deliveries/retry', { status: 'dead' });
  await call('POST /v1/messages/release', '/v1/messages/release', { channel: 'main', dry_run: true });
  await call('POST /v1/items/release', '/v1/items/release', { event: 'messages', dry_run: true });
  await call('GET /v1/jobs');
  await call('GET /v1/jobs/{id}', `/v1/jobs/${job}`);
  await call('POST /v1/jobs/{id}/cancel', `/v1/jobs/${job}/cancel`);
  await call('GET /v1/resyncs');
  await call('GET /v1/resyncs/{id}', `/v1/resyncs/${resync}`);
  await call('GET /v1/resyncs/{id}/messages', `/v1/resyncs/${resync}/messages`);
  await call('GET /v1/resyncs/{id}/report', `/v1/resyncs/${resync}/report`);
  await call('POST /v1/resyncs/{id}/cancel', `/v1/resyncs/${resync}/cancel`);
  const audit = await call('POST /v1/audits', '/v1/audits', { channel: 'main', since: '2026-01-01T00:00:00Z' });
  await call('GET /v1/audits');
  await call('GET /v1/audits/{id}', `/v1/audits/${audit}`);
  await call('GET /v1/audits/{id}/messages', `/v1/audits/${audit}/messages`);
  await call('POST /v1/audits/{id}/cancel', `/v1/audits/${audit}/cancel`);
  await call('POST /v1/audits/{id}/release', `/v1/audits/${audit}/release`, { dry_run: true });
  await call('POST /v1/channels/{name}/seed', '/v1/channels/main/seed');
  await call('GET /v1/targets');
  await call('GET /v1/targets/{id}', `/v1/targets/${target}`);
  await call('POST /v1/targets/{id}/preview', `/v1/targets/${target}/preview`, { changes: { deliver: ['new'] } });
  await call('POST /v1/targets/{id}/test', `/v1/targets/${target}/test`);
  await call('POST /v1/targets/{id}/rotate-secret', `/v1/targets/${target}/rotate-secret`, {});
  await call('PATCH /v1/targets/{id}', `/v1/targets/${target}`, { rate_per_second: 5 });
  await call('DELETE /v1/targets/{id}', `/v1/targets/${target}`);
  return told;
}

/** Errors of many kinds, each with the route that gave it. */
async function refusalsOf(gateway: Client): Promise<[string, Answer][]> {
  const call = async (route: string, path: string, body?: unknown, headers = {}): Promise<[string, Answer]> => [
    route,
    await gateway.call(route.split(' ', 1)[0] ?? '', path, body, headers),
  ];
  const resync = { channel: 'main', message_ids: ['a'] };
  await call('POST /v1/resyncs', '/v1/resyncs', resync, { 'idempotency-key': 'key' });
  const other = { ...resync, message_ids: ['b'] };
  const unknown = [...ROUTES].filter((route) => /\{(id|name)\}/.test(route));
  return [
    ...(await Promise.all(unknown.map(async (route) => await call(route, pathOfNothing(route), bodyFor(route))))),
    await call('POST /v1/resyncs', '/v1/resyncs', other, { 'idempotency-key': 'key' }),
    await call('POST /v1/resyncs', '/v1/resyncs', 'x=1', { 'content-type': 'application/x-www-form-urlencoded' }),
    await call('POST /v1/channels', '/v1/channels', { name: 'main', whapi_token: 'x' }),
    await call('POST /v1/targets', '/v1/targets', { name: 'a'.repeat(2_000_000), url: 'http://127.0.0.1' }),
    await call('POST /v1/channels/{name}/connect', '/v1/channels/main/connect'),
    await call('POST /v1/deliveries/retry', '/v1/deliveries/retry', { status: 'dead', target: 'tgt_none' }),
    await call('POST /v1/messages/{channel}/{message_id}/release', '/v1/messages/main/none/release'),
  ];
}

/** A path of the route for an object that does not exist. */
function pathOfNothing(route: string): string {
  return route.replace(/^\w+ /, '').replace(/\{\w+\}/g, 'none');
}

function bodyFor(route: string): unknown {
  if (route === 'PATCH /v1/channels/{name}') return { late_after_seconds: 60 };
  return route === 'PATCH /v1/targets/{id}' ? { max_attempts: 3 } : undefined;
}

/** The routes of single items and webhooks. */
async function callOnItems(
  gateway: Client,
  call: (route: string, path: string, body?: unknown) => Promise<string>,
): Promise<void> {
  await call('GET /v1/items', '/v1/items?held=true&limit=1');
  await gateway.webhook(textWebhook('a')); // A duplicate, so that something is held.
  const { body } = await gateway.call<{ data: { id: string; webhook: string }[] }>('GET', '/v1/items?held=true');
  await call('GET /v1/webhooks/{id}', `/v1/webhooks/${body.data[0]?.webhook ?? ''}`);
  await call('POST /v1/items/{id}/release', `/v1/items/${body.data[0]?.id ?? ''}/release`);
}

async function unreachableTarget() {
  return { url: await unreachableUrl() };
}

/** A process with the most verbose log, after many requests that carry a secret or are refused for one. */
async function busyProcess() {
  const gateway = await startProcess({ LOG_LEVEL: 'trace' });
  const { client, folder } = gateway;
  const header = 'the-secret-of-a-header';
  await client.addChannel({ whapi_token: 'the-token-of-whapi', whapi_base_url: await unreachableUrl() });
  const made = await client.call<{ webhook_secret: string }>('POST', '/v1/channels', {
    name: 'shop',
    whapi_token: 'the-token-of-the-shop',
  });
  const { id, secret } = await client.addTarget({
    ...(await unreachableTarget()),
    headers: { authorization: `Bearer ${header}` },
    max_attempts: 1,
  });
  await client.call('POST', '/v1/resyncs', { channel: 'main', message_ids: ['lost'] });
  await client.call('POST', `/v1/targets/${id}/test`);
  await client.call('PATCH', `/v1/targets/${id}`, { secret: `${secret}!` });
  for (const suffix of ['', '/messages/post', '/%2e%2e/x'])
    await client.webhook(textWebhook('a'), { suffix: `/s/${WEBHOOK_SECRET}${suffix}`, secret: '' });
  await client.webhook('no json', { suffix: `/s/${WEBHOOK_SECRET}` });
  await client.webhook(textWebhook('b'));
  await client.webhook(textWebhook('c'), { channel: 'nobody', suffix: `/s/${WEBHOOK_SECRET}` });
  await fetch(`${client.url}/webhooks/main/s/${WEBHOOK_SECRET}`);
  await client.call('GET', '/v1/channels', undefined, { authorization: `Bearer ${WEBHOOK_SECRET}` });
  await client.settled();
  const secrets = {
    'the Whapi token': 'the-token-of-whapi',
    'the Whapi token of the second channel': 'the-token-of-the-shop',
    'the webhook secret': WEBHOOK_SECRET,
    'the webhook secret that was made': made.body.webhook_secret,
    'the secret of the target': secret.slice('whsec_'.length),
    'the secret in a header of the target': header,
    'the admin token': adminTokenOf(folder),
    'the encryption key': readFileSync(join(folder, 'encryption-key'), 'utf8').trim(),
  };
  return { gateway, secrets };
}

/** All texts that a path can show. A path with `{…}` is read for each existing object. */
async function allAnswersOf(client: Client, path: string): Promise<string[]> {
  const idsOf = async (list: string, ...keys: string[]) => {
    const { body } = await client.call<{ data: Record<string, string>[] }>('GET', list);
    return body.data.map((entry) => keys.map((key) => encodeURIComponent(entry[key] ?? '')).join('/'));
  };
  const [ownList = ''] = path.split('/{', 1);
  const ownKeys = (path.match(/(?<=\{)\w+(?=\})/g) ?? []) as string[];
  // Webhooks have no list of their own, but items name them.
  const [list, keys] = ownList === '/v1/webhooks' ? ['/v1/items', ['webhook']] : [ownList, ownKeys];
  const ids = keys.length === 0 ? [''] : await idsOf(list, ...keys);
  const paths = ids.map((id) => path.replace(/\{.*\}/, id));
  return await Promise.all(
    paths.map(async (each) => {
      const { status, body } = await client.call('GET', each);
      expect([each, status]).toEqual([each, path.endsWith('/probe') ? 404 : 200]); // no probe was made
      return JSON.stringify(body);
    }),
  );
}
