import { describe, expect, it } from 'vitest';
import { adminTokenOf, expectProblem, startApi } from '../support/api.js';
import { startBot } from '../support/bot.js';
import { openPage } from '../support/browser.js';
import { readFeed } from '../support/event-stream.js';
import type { FeedReader } from '../support/event-stream.js';
import { startLocal } from '../support/gateway.js';
import type { LocalGateway } from '../support/gateway.js';
import { textWebhook } from '../support/texts.js';

async function feedOf(gateway: LocalGateway, query = '', headers: Record<string, string> = {}): Promise<FeedReader> {
  const authorization = `Bearer ${adminTokenOf(gateway.folder)}`;
  return await readFeed(`${gateway.url}/v1/feed${query}`, { authorization, ...headers });
}

describe('GET /v1/feed', () => {
  it('tells of a recorded webhook and of its delivery, without the text or the sender', async () => {
    const gateway = await startApi();
    const bot = await startBot();
    const target = await gateway.addTarget({ url: bot.url });
    const feed = await feedOf(gateway);
    expect([feed.status, feed.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    await gateway.webhook(textWebhook('a'));
    const [webhook] = await feed.some('webhook');
    expect(webhook?.data).toMatchObject({ channel: 'main', event: 'messages.post', deliveries: 1, total: 1 });
    expect(webhook?.data['items']).toEqual([{ position: 0, verdict: 'new', rule: 10, held: false }]);
    const [delivery] = await feed.some('delivery');
    expect(delivery?.data).toMatchObject({ target: target.id, status: 'delivered', attempts: 1, http_status: 200 });
    const { id } = webhook?.data ?? {};
    expect((await gateway.call('GET', `/v1/webhooks/${String(id)}`)).status).toBe(200);
    expect(JSON.stringify(feed.events)).not.toMatch(/text|from|chat|@/);
  });

  it('names held items, and those of a filter only', async () => {
    const gateway = await startApi();
    await gateway.addTarget({ url: 'http://127.0.0.1:9/hook', enabled: false });
    const [duplicates, others] = await Promise.all([
      feedOf(gateway, '?verdict=duplicate'),
      feedOf(gateway, '?channel=other'),
    ]);
    await gateway.webhook(textWebhook('a'));
    await gateway.webhook(textWebhook('a'));
    const [event] = await duplicates.some('webhook');
    expect(event?.data['items']).toEqual([{ position: 0, verdict: 'duplicate', rule: 8, held: true }]);
    expect([duplicates.events.length, others.events.length]).toEqual([2, 1]); // with the hello
  });

  it('tells of a circuit breaker that opens', async () => {
    const gateway = await startApi();
    const bot = await startBot();
    bot.otherwise = 503;
    const target = await gateway.addTarget({ url: bot.url, max_attempts: 1 });
    const feed = await feedOf(gateway, `?target=${target.id}`);
    for (let n = 0; n < 30; n += 1) await gateway.webhook(textWebhook(`m${n}`));
    expect((await feed.some('breaker'))[0]?.data).toMatchObject({ target: target.id, state: 'open' });
  });

  it('goes on after a broken connection where it was, and after a restart with a gap', async () => {
    const gateway = await startApi();
    const first = await feedOf(gateway);
    await gateway.webhook(textWebhook('a'));
    const lastId = (await first.some('webhook'))[0]?.id ?? '';
    first.close();
    await gateway.webhook(textWebhook('b'));
    const again = await feedOf(gateway, '', { 'last-event-id': lastId });
    await gateway.webhook(textWebhook('c'));
    await again.some('webhook', 2);
    expect(again.events.map(({ kind }) => kind)).toEqual(['hello', 'webhook', 'webhook']);
    await gateway.close();
    const restarted = await startLocal({ folder: gateway.folder });
    const later = await feedOf(restarted, `?last_event_id=${again.events.at(-1)?.id ?? ''}`);
    await later.some('gap');
    expect(later.events.map(({ kind }) => kind)).toEqual(['hello', 'gap']);
  });

  it('takes the cookie of the dashboard, and nothing without a login', async () => {
    const gateway = await startApi();
    const page = openPage(gateway.url);
    await page.logIn(adminTokenOf(gateway.folder));
    expect((await readFeed(`${gateway.url}/v1/feed`, { cookie: page.cookie() })).status).toBe(200);
    expectProblem(await gateway.call('GET', '/v1/feed', undefined, { authorization: '' }), 401, 'GW_UNAUTHORIZED');
    expectProblem(await gateway.call('GET', '/v1/feed?verdict=odd'), 400, 'GW_BAD_REQUEST');
  });

  it('ends when the gateway stops, which does not wait for its reader', async () => {
    const gateway = await startApi();
    const feed = await feedOf(gateway);
    await feed.some('hello');
    await gateway.close();
    await feed.ended;
  });
});
