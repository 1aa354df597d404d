import { describe, expect, it, onTestFinished } from 'vitest';
import { createWhapiClient } from '../../src/whapi/client.js';
import type { WhapiFailure } from '../../src/whapi/answers.js';
import type { WhapiClient } from '../../src/whapi/client.js';
import { startSimulator } from '../../src/simulator/simulator.js';
import type { Simulator } from '../../src/simulator/simulator.js';
import { unreachableUrl } from '../support/api.js';
import { guardOf } from '../support/guard.js';
import { startBot } from '../support/bot.js';
import { requestTo } from '../support/delivery.js';

const IN_TIME = { timeoutMs: 5000 };
const WEBHOOK = { url: 'https://bot.example/hook', mode: 'path', events: [], headers: { 'x-key': 'its own' } } as const;

async function stage(): Promise<{ client: WhapiClient; whapi: Simulator; access: { baseUrl: string; token: string } }> {
  const whapi = await startSimulator({ timeScale: 1000 });
  const client = createWhapiClient(guardOf('private'));
  onTestFinished(async () => {
    await client.destroy();
    await whapi.close();
  });
  return { client, whapi, access: { baseUrl: whapi.url, token: whapi.token } };
}

describe('the settings of a channel at Whapi', () => {
  it('are read completely, including unknown fields', async () => {
    const { client, access } = await stage();
    const answer = await client.getSettings(access, IN_TIME);
    expect(answer).toMatchObject({ kind: 'found', body: { callback_persist: true, pdo_sync: true, webhooks: [] } });
  });

  it('are changed in the given fields only, and the result shows them before and after', async () => {
    const { client, access } = await stage();
    const answer = await client.patchSettings(access, { webhooks: [WEBHOOK] }, IN_TIME);
    expect(answer).toMatchObject({
      kind: 'found',
      body: { before_update: { webhooks: [] }, after_update: { webhooks: [WEBHOOK] }, changes: ['webhooks'] },
    });
  });

  it("are refused with Whapi's reason if Whapi does not accept them", async () => {
    const { client, access } = await stage();
    const headers = Object.fromEntries(['1', '2', '3', '4', '5', '6'].map((name) => [name, 'a header']));
    const answer = await client.patchSettings(access, { webhooks: [{ ...WEBHOOK, headers }] }, IN_TIME);
    expect(answer).toEqual({ kind: 'refused', reason: '400 Wrong settings format' });
  });

  it.each<[WhapiFailure['kind'], number, string]>([
    ['refused', 404, '{"error":{"code":404,"message":"Channel not found"}}'],
    ['busy', 503, 'a page'],
    ['missing', 200, 'a page'],
    ['missing', 200, '[]'],
  ])('are "%s" if the answer is %i %s', async (kind, status, body) => {
    const { client } = await stage();
    const whapi = await startBot();
    whapi.otherwise = (_request, response) => response.writeHead(status).end(body);
    const answer = await client.getSettings({ baseUrl: whapi.url, token: 'secret-token' }, IN_TIME);
    expect(answer).toMatchObject({ kind, reason: expect.stringMatching(/\S/) as unknown });
    expect(JSON.stringify(answer)).not.toContain('secret-token');
  });

  it('are unreachable if the connection is refused', async () => {
    const { client } = await stage();
    const access = { baseUrl: await unreachableUrl(), token: 'secret-token' };
    expect(await client.getSettings(access, IN_TIME)).toMatchObject({ kind: 'unreachable' });
  });
});

describe('the health of a channel at Whapi', () => {
  it("is read without starting a stopped channel, and includes Whapi's clock", async () => {
    const { client } = await stage();
    const whapi = await startBot();
    whapi.otherwise = (_request, response) => {
      response.writeHead(200, { date: 'Sun, 06 Nov 1994 08:49:37 GMT' }).end('{"status":{"code":4,"text":"AUTH"}}');
    };
    const answer = await client.getHealth({ baseUrl: whapi.url, token: 'token' }, IN_TIME);
    expect((await requestTo(whapi)).url).toBe('/health?wakeup=false');
    expect(answer).toMatchObject({ body: { status: { text: 'AUTH' } }, date: Date.UTC(1994, 10, 6, 8, 49, 37) });
  });
});

describe('a webhook test at Whapi', () => {
  it('is sent by Whapi to the URL with the headers', async () => {
    const { client, access } = await stage();
    const bot = await startBot();
    const test = {
      url: bot.url,
      type: 'presences',
      mode: 'body',
      headers: { authorization: 'Bearer its secret' },
    } as const;
    expect(await client.testWebhook(access, test, IN_TIME)).toMatchObject({ kind: 'found', body: { success: true } });
    expect((await requestTo(bot)).headers.authorization).toBe('Bearer its secret');
  });
});
