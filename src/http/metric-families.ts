import { BUCKETS_MS } from '../histogram.js';
import type { Histogram } from '../histogram.js';
import { ChannelCounts, TargetCounts } from '../metrics.js';
import type { Metrics } from '../metrics.js';
import { BREAKER_STATES } from '../model.js';
import { printable } from '../printable.js';
import type { Readings } from '../readings.js';

/** What `/metrics` shows: names, help texts and samples. */

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
  /** `_bucket`, `_sum` or `_count` of a histogram; left out: the name itself. */
  readonly suffix?: string;
}

export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly samples: () => Sample[];
}

/** What is counted, and what was read a moment ago. */
export interface MetricSources {
  readonly metrics: Metrics;
  readonly readings: () => Readings;
  readonly version: string;
}

type Numbers = Readonly<Record<string, number>>;

const sample = (value: number, labels: Labels = {}): Sample => ({ labels, value });

/** One sample for each number, with its name as a label. */
const each = (label: string, numbers: Numbers, labels: Labels): Sample[] =>
  Object.entries(numbers).map(([name, value]) => sample(value, { ...labels, [label]: name }));

/** Buckets in seconds, each with everything below it. */
function histogram({ counts, sumMs }: Pick<Histogram, 'counts' | 'sumMs'>, labels: Labels = {}): Sample[] {
  let total = 0;
  const buckets = [...counts].map((count, bucket) => {
    total += count;
    const le = BUCKETS_MS[bucket] === undefined ? '+Inf' : String(BUCKETS_MS[bucket] / 1000);
    return { labels: { ...labels, le }, value: total, suffix: '_bucket' };
  });
  return [...buckets, { labels, value: sumMs / 1000, suffix: '_sum' }, { labels, value: total, suffix: '_count' }];
}

function withZeros<T>(counts: ReadonlyMap<string, T>, names: readonly string[], make: new () => T): Map<string, T> {
  return new Map([...names.map((name): [string, T] => [name, new make()]), ...counts]);
}

export function familiesOf(sources: MetricSources): readonly Family[] {
  return [
    ...webhookFamilies(sources),
    ...targetFamilies(sources),
    ...targetLevelFamilies(sources),
    ...channelFamilies(sources),
    ...ownFamilies(sources),
  ];
}

function webhookFamilies({ metrics, readings }: MetricSources): Family[] {
  // Those without a count are zero: an alert on an increase would miss the first one of a series that begins with it.
  const channels = () => [
    ...withZeros(
      metrics.channels,
      readings().channels.map(({ channel }) => channel),
      ChannelCounts,
    ),
  ];
  return [
    {
      ...{ name: 'gw_webhooks_total', type: 'counter', help: 'Webhooks by the HTTP status of their answer.' },
      samples: () =>
        channels().flatMap(([channel, { webhooks, refused }]) => [
          sample(webhooks, { channel, status: '200' }),
          ...each('status', Object.fromEntries(refused), { channel }),
        ]),
    },
    {
      ...{ name: 'gw_items_total', type: 'counter', help: 'Items of recorded webhooks by verdict.' },
      samples: () => channels().flatMap(([channel, { verdicts }]) => each('verdict', verdicts, { channel })),
    },
    {
      ...{ name: 'gw_claims_total', type: 'counter', help: 'Requests to /claims by result.' },
      samples: () => channels().flatMap(([channel, { claims }]) => each('result', claims, { channel })),
    },
    {
      ...{ name: 'gw_replays_total', type: 'counter' },
      help: 'Times that many unrequested old messages came together.',
      samples: () => channels().map(([channel, { replays }]) => sample(replays, { channel })),
    },
    {
      ...{ name: 'gw_replayed_messages_total', type: 'counter', help: 'Messages of these replays.' },
      samples: () => channels().map(([channel, { replayed }]) => sample(replayed, { channel })),
    },
    {
      ...{ name: 'gw_webhook_commit_seconds', type: 'histogram' },
      help: 'Time that a webhook waited for its commit.',
      samples: () => histogram(metrics.webhookCommit),
    },
    {
      ...{ name: 'gw_webhook_pending_bytes', type: 'gauge', help: 'Bytes of webhooks that wait for their commit.' },
      samples: () => [sample(readings().pendingBytes)],
    },
    {
      ...{ name: 'gw_http_refusals_total', type: 'counter', help: 'Requests answered with an error, by its code.' },
      samples: () => each('code', metrics.refusals, {}),
    },
  ];
}

function targetFamilies({ metrics, readings }: MetricSources): Family[] {
  const known = () => readings().targets;
  const targets = () => [
    ...withZeros(
      metrics.targets,
      known().map(({ target }) => target),
      TargetCounts,
    ),
  ];
  return [
    {
      ...{ name: 'gw_deliveries_total', type: 'counter', help: 'Settled deliveries by how they ended.' },
      samples: () => targets().flatMap(([target, { ended }]) => each('status', ended, { target })),
    },
    {
      ...{ name: 'gw_delivery_attempts_total', type: 'counter', help: 'HTTP requests to targets by result.' },
      samples: () => targets().flatMap(([target, { results }]) => each('result', results, { target })),
    },
    {
      ...{ name: 'gw_delivery_attempt_seconds', type: 'histogram' },
      help: 'Time from the request to the answer of the target.',
      samples: () => targets().flatMap(([target, { latency }]) => histogram(latency, { target })),
    },
    {
      ...{ name: 'gw_delivery_lag_seconds', type: 'histogram' },
      help: 'Time from the commit of a webhook to its successful delivery.',
      samples: () => targets().flatMap(([target, { lag }]) => histogram(lag, { target })),
    },
  ];
}

function targetLevelFamilies({ readings }: MetricSources): Family[] {
  const known = () => readings().targets;
  return [
    {
      ...{ name: 'gw_deliveries_pending', type: 'gauge' },
      help: 'Pending deliveries by what their target waits for; turn: their time, or an earlier delivery of the chat.',
      samples: () => known().map(({ target, pending, waitsFor }) => sample(pending, { target, waits_for: waitsFor })),
    },
    {
      ...{ name: 'gw_deliveries_oldest_pending_age_seconds', type: 'gauge' },
      help: 'Age of the oldest pending delivery; 0: none waits.',
      samples: () => known().map(({ target, oldestAgeMs }) => sample(oldestAgeMs / 1000, { target })),
    },
    {
      ...{ name: 'gw_target_breaker_state', type: 'gauge', help: 'Circuit breaker: 1 for the state that it is in.' },
      samples: () =>
        known().flatMap(({ target, breaker }) =>
          BREAKER_STATES.map((state) => sample(Number(state === breaker), { target, state })),
        ),
    },
    {
      ...{ name: 'gw_target_info', type: 'gauge', help: 'The name of a target, to join with its id.' },
      samples: () =>
        known().map(({ target, name, enabled }) =>
          sample(1, { target, name: printable(name), enabled: String(enabled) }),
        ),
    },
  ];
}

function channelFamilies({ metrics, readings }: MetricSources): Family[] {
  return [
    {
      ...{ name: 'gw_messages_held', type: 'gauge', help: 'Held items, counted at most once a minute.' },
      samples: () => readings().held.map(({ channel, verdict, count }) => sample(count, { channel, verdict })),
    },
    {
      ...{ name: 'gw_resync_calls_total', type: 'counter', help: 'Calls to Whapi that resyncs made.' },
      samples: () => metrics.resyncCalls().map(({ count, ...labels }) => sample(count, labels)),
    },
    {
      ...{ name: 'gw_resync_messages', type: 'gauge' },
      help: 'Messages of resyncs under way, counted at most once a minute.',
      samples: () => readings().resyncMessages.map(({ channel, status, count }) => sample(count, { channel, status })),
    },
    {
      ...{ name: 'gw_channel_paused', type: 'gauge', help: 'Why the gateway makes no calls to Whapi for a channel.' },
      samples: () =>
        readings().channels.flatMap(({ channel, pause }) =>
          pause === null ? [] : [sample(1, { channel, code: pause })],
        ),
    },
    {
      ...{ name: 'gw_channel_last_webhook_timestamp_seconds', type: 'gauge' },
      help: 'When the last webhook was recorded.',
      samples: () =>
        readings().channels.flatMap(({ channel, lastWebhookAt }) =>
          lastWebhookAt === null ? [] : [sample(lastWebhookAt / 1000, { channel })],
        ),
    },
  ];
}

function ownFamilies({ readings, version }: MetricSources): Family[] {
  return [
    {
      ...{ name: 'gw_build_info', type: 'gauge', help: 'Version of the gateway, its store, and its schema.' },
      samples: () => [sample(1, { version, store: readings().engine, schema: String(readings().schemaVersion) })],
    },
    {
      ...{ name: 'gw_replicas', type: 'gauge', help: 'Gateway processes that share the store.' },
      samples: () => [sample(readings().replicas)],
    },
    {
      ...{ name: 'gw_store_commit_seconds', type: 'histogram', help: 'Time that transactions of the store took.' },
      samples: () => histogram(readings().commits),
    },
    {
      ...{ name: 'gw_store_size_bytes', type: 'gauge', help: 'Size of the files of the store.' },
      samples: () => each('file', readings().fileBytes, {}),
    },
  ];
}
