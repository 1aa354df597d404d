import { createServer } from 'node:http';
import { runInThisContext } from 'node:vm';
import express from 'express';
import { describe, expect, it } from 'vitest';
import { startLocal } from '../support/gateway.js';
import type { LocalOptions } from '../support/gateway.js';
import { explain } from '../support/resync.js';
import { faultsOf, openApiOf } from '../support/openapi.js';
import { sectionOf } from '../support/readme.js';
import { listening } from '../support/sockets.js';
import { textWebhook } from '../support/texts.js';

const TOKEN = 'the-token-of-the-channel';
const PATH = '/claims/m-1';

async function startClaims(options: LocalOptions = {}) {
  const gateway = await startLocal({
    ...options,
    env: { METRICS_TOKEN: 'a-metrics-token-that-is-long', ...options.env },
  });
  await gateway.addChannel({ whapi_token: TOKEN });
  const send = async (method: string, path: string, body?: unknown, token = TOKEN) =>
    await gateway.call(method, path, body, { authorization: `Bearer ${token}` });
  return { gateway, send, claim: async (owner: string, path = PATH) => await send('POST', path, { owner }) };
}

describe('POST /claims/{message_id}', () => {
  it('is 201 for the first owner and again for the same one, and 409 with the holder for others', async () => {
    const { claim } = await startClaims();
    const first = await claim('one');
    expect(first).toMatchObject({ status: 201, body: { channel: 'main', message_id: 'm-1', owner: 'one' } });
    expect(await claim('one')).toMatchObject({ status: 201 });
    const { claimed_at: claimedAt } = first.body;
    expect(await claim('two')).toMatchObject({
      status: 409,
      body: {
        code: 'GW_CLAIMED',
        holder: { owner: 'one', claimed_at: claimedAt, expires_at: expect.any(String) as string },
      },
    });
  });

  it('lets exactly one of many replicas through that ask at the same instant', async () => {
    const { claim } = await startClaims();
    const answers = await Promise.all(Array.from({ length: 20 }, async (_, index) => await claim(`replica-${index}`)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array.from({ length: 19 }, () => 409)]);
  });

  it('takes any id that a URL can carry, and keeps ids apart', async () => {
    const { claim } = await startClaims();
    const ids = ['a/b', 'a%2Fb', 'ä b', 'p.w30M7fgwWD4XwHu.g4CA-gNcCzMdVPg'];
    for (const id of ids) {
      const { status, body } = await claim('one', `/claims/${encodeURIComponent(id)}`);
      expect([status, body['message_id']]).toEqual([201, id]);
    }
  });

  it('refuses a claim without an id, which would be one for all messages', async () => {
    const { claim, send } = await startClaims();
    const { status, body: problem } = await claim('one', '/claims/');
    expect([status, problem['errors']]).toMatchObject([400, [{ path: '/message_id' }]]);
    expect((await send('DELETE', '/claims/?owner=one')).status).toBe(400);
  });

  it.each([
    [{}, ''],
    [{ owner: '' }, '/owner'],
    [{ owner: 'x'.repeat(101) }, '/owner'],
    [{ owner: 'half an emoji: \ud83d' }, '/owner'],
    [{ owner: 'one', ttl_seconds: 0 }, '/ttl_seconds'],
    [{ owner: 'one', ttl_seconds: 604_801 }, '/ttl_seconds'],
    [{ owner: 'one', ttl: 60 }, '/ttl'],
  ])('refuses %j and names the field', async (body, path) => {
    const { send } = await startClaims();
    const { status, body: problem } = await send('POST', PATH, body);
    expect([status, problem['code']]).toEqual([400, 'GW_BAD_REQUEST']);
    expect(problem['errors']).toMatchObject([{ path }]);
  });
});

describe('DELETE /claims/{message_id}', () => {
  it('gives a claim back, for its owner only, and is 204 when there is none', async () => {
    const { claim, send } = await startClaims();
    await claim('one');
    expect(await send('DELETE', `${PATH}?owner=two`)).toMatchObject({
      status: 409,
      body: { holder: { owner: 'one' } },
    });
    expect((await send('DELETE', `${PATH}?owner=one`)).status).toBe(204);
    expect((await send('DELETE', `${PATH}?owner=one`)).status).toBe(204);
    expect((await claim('two')).status).toBe(201);
  });

  it('needs the owner, and ignores the content type that a client sends without a body', async () => {
    const { gateway, send } = await startClaims();
    expect((await send('DELETE', PATH)).body).toMatchObject({ code: 'GW_BAD_REQUEST' });
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    expect((await gateway.call('DELETE', `${PATH}?owner=one`, undefined, headers)).status).toBe(204);
  });
});

describe('/claims', () => {
  it('takes the Whapi token of the channel, as a bearer or in the query, and no other', async () => {
    const { gateway, send } = await startClaims();
    const body = { owner: 'one' };
    expect(await send('POST', PATH, body, 'wrong')).toMatchObject({ status: 401, body: { code: 'GW_UNAUTHORIZED' } });
    expect((await gateway.call('POST', PATH, body)).status).toBe(401); // the admin token
    const inQuery = await fetch(`${gateway.url}${PATH}?token=${TOKEN}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(inQuery.status).toBe(201);
    expect(JSON.stringify(gateway.logs)).not.toContain(TOKEN);
  });

  it('answers an unknown token before it looks at the request', async () => {
    const { send } = await startClaims();
    expect((await send('POST', PATH, {}, 'wrong')).status).toBe(401);
  });

  it('keeps channels apart', async () => {
    const { gateway, claim, send } = await startClaims();
    await gateway.addChannel({ name: 'other', whapi_token: 'another-token' });
    await claim('one');
    expect((await send('POST', PATH, { owner: 'two' }, 'another-token')).body).toMatchObject({ channel: 'other' });
  });

  it('is limited per channel by API_RATE_PER_MINUTE', async () => {
    const { claim } = await startClaims({ env: { API_RATE_PER_MINUTE: '3' } });
    for (const owner of ['one', 'two', 'three']) await claim(owner);
    const { status, headers, body } = await claim('one');
    expect([status, body['code']]).toEqual([429, 'GW_RATE_LIMITED']);
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('is explained, and counted in the metrics', async () => {
    const { gateway, claim, send } = await startClaims();
    await gateway.webhook(textWebhook('m-1'));
    for (const owner of ['one', 'one', 'two']) await claim(owner);
    expect(await explain(gateway, 'm-1')).toMatchObject({
      claim: { owner: 'one' },
      timeline: expect.arrayContaining([
        {
          kind: 'claimed',
          at: expect.any(String) as string,
          text: expect.stringMatching(/^claimed by "one" until /) as string,
        },
      ]) as unknown,
    });
    await send('DELETE', `${PATH}?owner=one`);
    const metrics = await metricsOf(gateway.url);
    for (const result of ['granted', 'renewed', 'refused', 'released'])
      expect(metrics).toContain(`gw_claims_total{channel="main",result="${result}"} 1`);
  });

  it('is as the OpenAPI document describes it', async () => {
    const { gateway, claim, send } = await startClaims();
    const document = await openApiOf(gateway);
    for (const owner of ['one', 'two'])
      expect(faultsOf(document, 'POST /claims/{message_id}', await claim(owner))).toEqual([]);
    for (const owner of ['two', 'one'])
      expect(faultsOf(document, 'DELETE /claims/{message_id}', await send('DELETE', `${PATH}?owner=${owner}`))).toEqual(
        [],
      );
  });
});

describe('the example of the README', () => {
  it('lets one of two replicas answer each message', async () => {
    const { gateway } = await startClaims();
    const [, code = ''] = /```js\n(.*?)```/s.exec(sectionOf('One answer per message')) ?? [];
    expect(code.trim().split('\n')).toHaveLength(10);
    const answered: string[] = [];
    for (const replica of ['replica-1', 'replica-2']) {
      const app = express().use(express.json());
      const answer = ({ id }: { id: string }) => void answered.push(id);
      const bot = { app, fetch, answer, hostname: () => replica, GATEWAY: gateway.url, WHAPI_TOKEN: TOKEN };
      (runInThisContext(`(({ ${Object.keys(bot).join()} }) => { ${code} })`) as (names: typeof bot) => void)(bot);
      const { port } = await listening(createServer(app));
      await gateway.addTarget({ url: `http://127.0.0.1:${port}/hook/messages`, events: ['messages.post'] });
    }
    for (const id of ['m-1', 'm-2', 'm-3']) await gateway.webhook(textWebhook(id));
    await gateway.settled();
    expect(answered.sort()).toEqual(['m-1', 'm-2', 'm-3']);
  });
});

async function metricsOf(url: string): Promise<string> {
  const headers = { authorization: 'Bearer a-metrics-token-that-is-long' };
  return await (await fetch(`${url}/metrics`, { headers })).text();
}
