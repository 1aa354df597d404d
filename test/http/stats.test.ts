import { describe, expect, it } from 'vitest';
import type { Stats } from '../../src/contract/stats.js';
import { expectProblem, startApi } from '../support/api.js';
import { startBot } from '../support/bot.js';
import type { LocalGateway } from '../support/gateway.js';
import { startLocal } from '../support/gateway.js';
import { until } from '../support/intervals.js';
import { textWebhook } from '../support/texts.js';

async function statsOf(gateway: LocalGateway, query = ''): Promise<Stats> {
  return (await gateway.call<Stats>('GET', `/v1/stats${query}`)).body;
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

/** A gateway with a target that fails once, after a new message, a duplicate and a refused webhook. */
async function busyGateway() {
  const gateway = await startApi({ intervals: { retryDelaysMs: [1] } });
  const bot = await startBot();
  bot.answers.push(503);
  const { id } = await gateway.addTarget({ url: bot.url });
  for (const body of [textWebhook('a'), textWebhook('a'), 'no json']) await gateway.webhook(body);
  await gateway.settled();
  return { gateway, id };
}

describe('GET /v1/stats', () => {
  it('counts what came for a channel and what went to a target, in sum and over time', async () => {
    const { gateway, id } = await busyGateway();
    await until(async () => {
      const { channels, targets, series } = await statsOf(gateway);
      const items = { new: 1, late: 0, restored: 0, duplicate: 1, event: 0 };
      expect(channels).toMatchObject([{ channel: 'main', webhooks: 2, refused: 1, items, held: 1 }]);
      expect(Date.parse(channels[0]?.last_webhook_at ?? '')).toBeGreaterThan(0);
      const attempts = { attempts: 2, failed_attempts: 1, delivered: 1, dead: 0, expired: 0, pending: 0 };
      expect(targets).toMatchObject([{ target: id, enabled: true, ...attempts, breaker: { state: 'closed' } }]);
      expect(targets[0]?.latency_ms?.p99).toBeGreaterThan(0);
      expect(targets[0]?.lag_ms?.p50).toBeGreaterThan(0);
      const sums = [series.webhooks, series.new, series.duplicate, series.held, series.attempts, series.delivered];
      expect(sums.map(sum)).toEqual([2, 1, 1, 1, 2, 1]);
      expect(series.latency_ms.p50.some((ms) => ms !== null)).toBe(true);
    });
  });

  it('keeps its counts over a restart', async () => {
    const { gateway } = await busyGateway();
    await gateway.close();
    const restarted = await startLocal({ folder: gateway.folder });
    const { channels, targets } = await statsOf(restarted);
    expect(channels).toMatchObject([{ webhooks: 2, refused: 1, held: 1 }]);
    expect(targets).toMatchObject([{ attempts: 2, delivered: 1 }]);
  });

  it.each([
    [1, 10, 7],
    [60, 10, 361],
    [61, 300, 14],
    [1440, 300, 289],
    [1441, 3600, 26],
    [129_600, 3600, 2161],
  ])('of %d minutes has steps of %d s, and one entry for each', async (minutes, seconds, entries) => {
    const now = Date.UTC(2026, 0, 5, 12);
    const gateway = await startLocal({ effects: { now: () => now } });
    const { series, from, to } = await statsOf(gateway, `?minutes=${minutes}`);
    expect([series.step_seconds, series.from, to]).toEqual([seconds, from, new Date(now).toISOString()]);
    expect([series.webhooks, series.dead, series.latency_ms.p99].map(({ length }) => length)).toEqual(
      Array(3).fill(entries),
    );
  });

  it('of one channel or target shows that one', async () => {
    const { gateway, id } = await busyGateway();
    await gateway.addChannel({ name: 'other' });
    const other = await statsOf(gateway, '?channel=other');
    expect(other).toMatchObject({ channels: [{ channel: 'other', webhooks: 0 }], targets: [] });
    expect(sum(other.series.webhooks)).toBe(0);
    const target = await statsOf(gateway, `?target=${id}`);
    expect([target.channels.length, target.targets.length]).toEqual([0, 1]);
    expect(sum(target.series.webhooks)).toBe(0);
    expectProblem(await gateway.call('GET', '/v1/stats?channel=none'), 404, 'GW_NOT_FOUND');
    expectProblem(await gateway.call('GET', '/v1/stats?target=none'), 404, 'GW_NOT_FOUND');
    expectProblem(await gateway.call('GET', '/v1/stats?minutes=0'), 400, 'GW_BAD_REQUEST');
  });
});
