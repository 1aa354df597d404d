import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { adminTokenOf, expectProblem, startApi } from '../support/api.js';
import { startBot } from '../support/bot.js';
import { openPage } from '../support/browser.js';
import { startLocal } from '../support/gateway.js';
import type { LocalGateway } from '../support/gateway.js';
import { until } from '../support/intervals.js';
import { textWebhook } from '../support/texts.js';

const DOCS = new URL('../../docs/', import.meta.url);
const NAMES = [
  ...['gw_build_info', 'gw_webhooks_total', 'gw_items_total', 'gw_webhook_commit_seconds', 'gw_webhook_pending_bytes'],
  ...['gw_http_refusals_total', 'gw_deliveries_total', 'gw_delivery_attempts_total', 'gw_delivery_attempt_seconds'],
  ...['gw_delivery_lag_seconds', 'gw_deliveries_pending', 'gw_deliveries_oldest_pending_age_seconds'],
  ...['gw_target_breaker_state', 'gw_target_info', 'gw_messages_held', 'gw_resync_calls_total', 'gw_resync_messages'],
  ...['gw_channel_paused', 'gw_channel_last_webhook_timestamp_seconds', 'gw_store_commit_seconds'],
  ...['gw_store_size_bytes', 'gw_replays_total', 'gw_replayed_messages_total'],
];

async function scrape(gateway: LocalGateway, token = adminTokenOf(gateway.folder)): Promise<string> {
  const response = await fetch(`${gateway.url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
  ]);
  return await response.text();
}

/** The value of a sample; null: there is none. */
function valueOf(text: string, sample: string): number | null {
  const line = text.split('\n').find((each) => each.startsWith(`${sample} `));
  return line === undefined ? null : Number(line.slice(sample.length + 1));
}

/** A clock that a test can move, so that a scrape reads anew. */
function steppedTime() {
  let ahead = 0;
  const effects = { monotonic: () => performance.now() + ahead };
  return { effects, step: (ms: number) => void (ahead += ms) };
}

/** A gateway after a new message, a held duplicate, a refused webhook, a failed attempt and a delivery. */
async function busyGateway() {
  const { effects, step } = steppedTime();
  const gateway = await startApi({ effects, intervals: { retryDelaysMs: [1] } });
  const bot = await startBot();
  bot.answers.push(503);
  const { id } = await gateway.addTarget({ url: bot.url, name: 'a "bot"' });
  await gateway.call('POST', '/v1/resyncs', { channel: 'main', message_ids: ['lost'] });
  for (const body of [textWebhook('a'), textWebhook('a'), 'no json']) await gateway.webhook(body);
  await gateway.settled();
  return { gateway, id, step };
}

describe('a name of a target in GET /metrics', () => {
  it('has no characters that control a terminal or change the direction of text', async () => {
    const gateway = await startApi();
    await gateway.addTarget({ name: 'a\u202eb\u001bc', url: 'http://127.0.0.1:9', enabled: false });
    expect(await scrape(gateway)).toContain('name="a\ufffdb\ufffdc"');
  });
});

describe('GET /metrics', () => {
  it('shows what was counted and what there is, by channel and target', async () => {
    const { gateway, id, step } = await busyGateway();
    await scrape(gateway); // begins the counts that are made in the background
    await until(async () => {
      step(60_000);
      const text = await scrape(gateway);
      const values = Object.fromEntries(Object.keys(WANTED(id)).map((sample) => [sample, valueOf(text, sample)]));
      expect(values).toEqual(WANTED(id));
    });
  });

  it('has every name, and passes the linter of Prometheus', async () => {
    const { gateway } = await busyGateway();
    const text = await scrape(gateway);
    const types = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = '', type = '']) => [name, type] as const);
    expect(types.map(([name]) => name)).toEqual(expect.arrayContaining(NAMES));
    expect(new Set(types.map(([name]) => name)).size).toBe(types.length);
    for (const [name, type] of types) expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter']);
    const files = [...text.matchAll(/^gw_store_size_bytes\{file="(\w+)"\} [1-9]/gm)].map(([, file]) => file);
    expect(files.sort()).toEqual(['db', 'shm', 'wal']);
    expect(text).toMatch(/^process_cpu_seconds_total /m);
    expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds /m);
    expect(lint(['check', 'metrics'], text)).toBe('');
  });

  it('takes METRICS_TOKEN or the admin token, and no cookie; METRICS_TOKEN opens nothing else', async () => {
    const token = 'the-token-of-a-monitor';
    const gateway = await startLocal({ env: { METRICS_TOKEN: token } });
    await scrape(gateway, token);
    await scrape(gateway);
    const as = async (bearer: string, path: string) =>
      await gateway.call('GET', path, undefined, { authorization: `Bearer ${bearer}` });
    expectProblem(await as('wrong-token', '/metrics'), 401, 'GW_UNAUTHORIZED');
    expectProblem(await as(token, '/v1/targets'), 401, 'GW_UNAUTHORIZED');
    const page = openPage(gateway.url);
    await page.logIn(adminTokenOf(gateway.folder));
    expect((await page.request('GET', '/metrics')).status).toBe(401);
  });

  it('names at most 200 channels in what it counts; the others are "other"', async () => {
    const { Metrics } = await import('../../src/metrics.js');
    const metrics = new Metrics();
    const recorded = {
      webhook: '',
      judgements: [],
      held: new Set([0]),
      verdicts: ['new'] as const,
      replay: null,
      deliveries: 0,
      leased: [],
    };
    for (let n = 0; n < 300; n += 1)
      metrics.onRecorded({ channel: `c${n}`, event: { type: 'messages', method: 'post' }, recorded, commitMs: 1 });
    expect(metrics.channels.size).toBe(201);
    expect(metrics.channels.get('other')).toMatchObject({ webhooks: 100, held: 100 });
  });

  it('shows no secret', async () => {
    const { gateway } = await busyGateway();
    const text = await scrape(gateway);
    for (const secret of ['a-whapi-token', adminTokenOf(gateway.folder), 'the-secret-of-the-webhook'])
      expect(text).not.toContain(secret);
  });
});

describe('what is shipped for monitoring', () => {
  it('docs/grafana.json and docs/alerts.yml use no name that /metrics does not have', async () => {
    const { gateway } = await busyGateway();
    const text = await scrape(gateway);
    const served = new Set([...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name = '']) => name));
    for (const file of ['grafana.json', 'alerts.yml']) {
      const used = readFileSync(new URL(file, DOCS), 'utf8').match(/\b(gw|process|nodejs)_[a-z0-9_]+/g) ?? [];
      expect(used.length).toBeGreaterThan(5);
      const unknown = used.filter((name) => !served.has(name) && !served.has(name.replace(/_(bucket|sum|count)$/, '')));
      expect([file, unknown]).toEqual([file, []]);
    }
  });

  it('the alerts fire when they should, and not before', () => {
    expect(lint(['test', 'rules', 'alerts.test.yml'])).toBe('');
  });
});

/** Samples with their values after `busyGateway`. */
const WANTED = (target: string): Record<string, number> => ({
  'gw_webhooks_total{channel="main",status="200"}': 2,
  'gw_webhooks_total{channel="main",status="400"}': 1,
  'gw_items_total{channel="main",verdict="new"}': 1,
  'gw_items_total{channel="main",verdict="duplicate"}': 1,
  gw_webhook_commit_seconds_count: 2,
  'gw_webhook_commit_seconds_bucket{le="+Inf"}': 2,
  gw_webhook_pending_bytes: 0,
  'gw_http_refusals_total{code="GW_BAD_JSON"}': 1,
  'gw_http_refusals_total{code="GW_INTERNAL"}': 0,
  [`gw_deliveries_total{target="${target}",status="delivered"}`]: 1,
  [`gw_deliveries_total{target="${target}",status="dead"}`]: 0,
  [`gw_delivery_attempts_total{target="${target}",result="2xx"}`]: 1,
  [`gw_delivery_attempts_total{target="${target}",result="5xx"}`]: 1,
  [`gw_delivery_attempt_seconds_count{target="${target}"}`]: 2,
  [`gw_delivery_lag_seconds_count{target="${target}"}`]: 1,
  [`gw_deliveries_pending{target="${target}",waits_for="turn"}`]: 0,
  [`gw_deliveries_oldest_pending_age_seconds{target="${target}"}`]: 0,
  [`gw_target_breaker_state{target="${target}",state="closed"}`]: 1,
  [`gw_target_breaker_state{target="${target}",state="open"}`]: 0,
  [`gw_target_info{target="${target}",name="a \\"bot\\"",enabled="true"}`]: 1,
  'gw_messages_held{channel="main",verdict="duplicate"}': 1,
  'gw_resync_messages{channel="main",status="queued"}': 1,
  'gw_channel_paused{channel="main",code="busy"}': 1,
});

/** What promtool says against it; '' where promtool is not installed. */
function lint(args: readonly string[], input = ''): string {
  try {
    execFileSync('promtool', [...args], { cwd: DOCS, input, stdio: 'pipe' });
    return '';
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: string; stdout?: Buffer; stderr?: Buffer };
    return code === 'ENOENT' ? '' : `${String(stdout)}${String(stderr)}`;
  }
}
