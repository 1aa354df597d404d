import { describe, expect, it } from 'vitest';
import { startApi, unreachableUrl } from '../support/api.js';
import { OTHER, startConnect } from '../support/connect.js';
import { deliveryOf, startDelivery } from '../support/delivery.js';
import { startLocal } from '../support/gateway.js';
import type { LocalGateway, LogLine } from '../support/gateway.js';
import { until } from '../support/intervals.js';
import { finished, lose, resync, startResyncs } from '../support/resync.js';
import { textWebhook } from '../support/texts.js';

const INFO = 30;
const WARN = 40;

async function line({ logs }: LocalGateway, msg: string): Promise<LogLine> {
  return await until(() => {
    const found = logs.find((each) => each.msg === msg);
    if (!found) throw new Error(`No line says "${msg}".`);
    return found;
  });
}

describe('the log reports', () => {
  it('a permanently failed delivery with its attempts and the reason', async () => {
    const { gateway, bot, target } = await startDelivery({ max_attempts: 2 });
    bot.otherwise = 500;
    await gateway.webhook(textWebhook('A'));
    const { id: delivery } = await deliveryOf(gateway, 'A');
    expect(await line(gateway, 'delivery dead')).toMatchObject({
      ...{ level: WARN, target: target.id, delivery, channel: 'main', event: 'messages.post', attempts: 2 },
      error: expect.stringContaining('500') as unknown,
    });
  });

  it('a target that its 410 disabled', async () => {
    const { gateway, bot, target } = await startDelivery();
    bot.otherwise = 410;
    await gateway.webhook(textWebhook('A'));
    const reason = expect.stringContaining('410') as unknown;
    expect(await line(gateway, 'target disabled')).toMatchObject({ level: WARN, target: target.id, reason });
  });

  it('a circuit breaker that opened and closed', async () => {
    const { gateway, bot, target } = await startDelivery();
    bot.otherwise = 503;
    for (let i = 0; i < 6; i += 1) await gateway.webhook(textWebhook(`m-${i}`));
    expect(await line(gateway, 'circuit breaker opened, probing with one delivery')).toMatchObject({
      ...{ level: WARN, target: target.id, consecutive_failures: 5 },
      next_probe_at: expect.stringMatching(/Z$/) as unknown,
    });
    bot.otherwise = 200;
    const closed = await line(gateway, 'circuit breaker closed, deliveries resumed');
    expect(closed).toMatchObject({ level: INFO, target: target.id });
  });

  it('a resync that paused, resumed and finished', async () => {
    const { gateway, whapi } = await startResyncs({ faults: { healthText: 'QR' }, intervals: { checksMs: [2000] } });
    lose(whapi, ['m-1']);
    const { id } = await resync(gateway, ['m-1']);
    expect(await line(gateway, 'resync paused')).toMatchObject({ level: WARN, channel: 'main', code: 'not_ready' });
    whapi.faults.healthText = 'AUTH';
    await finished(gateway, id);
    expect(await line(gateway, 'resync resumed')).toMatchObject({ level: INFO, channel: 'main' });
    expect(await line(gateway, 'resync finished')).toMatchObject({ level: INFO, resync: id, restored: 1, failed: 0 });
  });

  it('the changed fields of a channel or target without their values', async () => {
    const gateway = await startApi();
    const { id } = await gateway.addTarget({ url: 'http://127.0.0.1:9' });
    const change = { url: 'http://127.0.0.1:9/a-new-url', headers: { authorization: 'a-secret-header' } };
    await gateway.call('PATCH', `/v1/targets/${id}`, change);
    await gateway.call('PATCH', '/v1/channels/main', { whapi_token: 'a-secret-token' });
    const fields = ['url', 'headers'];
    expect(await line(gateway, 'target changed')).toMatchObject({ level: INFO, target: id, fields });
    const ofChannel = { level: INFO, channel: 'main', fields: ['whapi_token'] };
    expect(await line(gateway, 'channel changed')).toMatchObject(ofChannel);
    expect(JSON.stringify(gateway.logs)).not.toMatch(/a-secret|a-new-url/);
  });

  it('an unreachable Whapi without a stack', async () => {
    const gateway = await startLocal();
    await gateway.addChannel({ whapi_base_url: await unreachableUrl() });
    const headers = { authorization: 'Bearer a-whapi-token' };
    expect((await fetch(`${gateway.url}/whapi/health`, { headers })).status).toBe(502);
    const failed = await line(gateway, 'request failed');
    expect(failed).toMatchObject({ level: WARN, code: 'GW_WHAPI_UNAVAILABLE' });
    expect(JSON.stringify(gateway.logs)).not.toMatch(/stack|\.js:\d+/);
  });
});

describe("a client's PATCH /whapi/settings", () => {
  const DROPPED = "a client's PATCH /settings dropped the gateway's webhook at Whapi";

  it.each([
    ['sets webhooks without it', { webhooks: [OTHER] }, true],
    ['removes all webhooks', { webhooks: [] }, true],
    ['changes something else', { callback_persist: true }, false],
  ])("that %s is logged if it drops the gateway's webhook", async (_, settings, isDropped) => {
    const stage = await startConnect();
    await stage.connect();
    const headers = { authorization: `Bearer ${stage.whapi.token}`, 'content-type': 'application/json' };
    const init = { method: 'PATCH', headers, body: JSON.stringify(settings) };
    expect((await fetch(`${stage.gateway.url}/whapi/settings`, init)).status).toBe(200);
    const lines = stage.gateway.logs.filter(({ msg }) => msg === DROPPED);
    const fix = expect.stringContaining('channels connect main') as unknown;
    expect(lines).toMatchObject(isDropped ? [{ level: WARN, channel: 'main', fix }] : []);
  });

  it("that keeps the gateway's webhook is not logged", async () => {
    const stage = await startConnect();
    await stage.connect();
    const { webhooks = [] } = await stage.settings();
    const headers = { authorization: `Bearer ${stage.whapi.token}`, 'content-type': 'application/json' };
    const init = { method: 'PATCH', headers, body: JSON.stringify({ webhooks }) };
    expect((await fetch(`${stage.gateway.url}/whapi/settings`, init)).status).toBe(200);
    expect(stage.gateway.logs.filter(({ msg }) => msg === DROPPED)).toEqual([]);
  });
});
