import { getStats } from '../contract/operations/live.js';
import type { Stats } from '../contract/stats.js';
import { MINUTE_MS } from '../durations.js';
import type { Effects } from '../effects.js';
import { noSuchChannel } from '../errors.js';
import { nextTurn } from '../event-loop.js';
import { BUCKET_COUNT, quantilesOf } from '../histogram.js';
import type { Quantiles } from '../histogram.js';
import { ALL, channelSubject, targetSubject } from '../metrics.js';
import { SETTLED_STATUSES, VERDICTS } from '../model.js';
import type { Channel, Target } from '../model.js';
import type { Outbox } from '../store/outbox.js';
import type { Registry } from '../store/registry.js';
import type { Replicas } from '../store/replicas.js';
import type { Figures, RollupRange, Rollups, RollupStep } from '../store/rollups.js';
import type { Traffic } from '../store/traffic.js';
import type { App } from './app.js';
import { iso, isoOrNull } from './schemas.js';
import { breakerJson } from './target-json.js';
import { mustHave } from './targets.js';
import type { BreakersOfTargets } from './targets.js';

export interface StatsOptions {
  readonly store: {
    readonly rollups: Pick<Rollups, 'sums' | 'series'>;
    readonly registry: Pick<Registry, 'channels' | 'channel' | 'targets' | 'target'>;
    readonly outbox: Pick<Outbox, 'pendingOf'>;
    readonly traffic: Pick<Traffic, 'of'>;
    readonly replicas: Pick<Replicas, 'list'>;
  };
  readonly breakers: Pick<BreakersOfTargets, 'of'>;
  /** Saves what was counted since the last time. */
  readonly saveCounts: () => Promise<void>;
  readonly effects: Pick<Effects, 'now'>;
  readonly log: { debug(fields: object, msg: string): void };
}

const DEFAULT_MINUTES = 60;
const DAY_MINUTES = 1440;
/** Channels or targets that one turn of the event loop reads. */
const PER_TURN = 50;

/** `/v1/stats`: how much came and went, and how that changed over time. */
export async function statsRoutes(app: App, options: StatsOptions): Promise<void> {
  const { store, saveCounts, effects, log } = options;
  app.get('/stats', { schema: getStats }, async ({ query }): Promise<Stats> => {
    const { minutes = DEFAULT_MINUTES, channel, target } = query;
    const channels = await channelsOf(store.registry, query);
    const targets = await targetsOf(store.registry, query);
    // A store that takes no writes can still be read: the last seconds are missing then.
    await saveCounts().catch((error: unknown) => log.debug({ err: error }, 'counts not saved'));
    const now = effects.now();
    const range = rangeOf(minutes, now);
    const subject =
      channel === undefined ? (target === undefined ? ALL : targetSubject(target)) : channelSubject(channel);
    return {
      from: iso(range.from),
      to: iso(now),
      minutes,
      channels: await channelStats(channels, range, options),
      targets: await targetStats(targets, range, options),
      series: seriesJson(await pointsOf(store.rollups, subject, range), range, now),
      replicas: (await store.replicas.list()).map(({ id, startedAt, seenAt }) => ({
        ...{ id, started_at: iso(startedAt), seen_at: iso(seenAt) },
      })),
    };
  });
  await Promise.resolve();
}

interface Selection {
  readonly channel?: string;
  readonly target?: string;
}

async function channelsOf(registry: StatsOptions['store']['registry'], { channel, target }: Selection) {
  if (channel === undefined) return target === undefined ? await registry.channels() : [];
  const found = await registry.channel(channel);
  if (!found) throw noSuchChannel(channel);
  return [found];
}

async function targetsOf(registry: StatsOptions['store']['registry'], { channel, target }: Selection) {
  if (target !== undefined) return [await mustHave(registry, target)];
  return channel === undefined ? await registry.targets() : [];
}

/** From a whole step on, so that the sums are those of the series. */
function rangeOf(minutes: number, now: number): RollupRange {
  const stepMs: RollupStep = minutes <= DEFAULT_MINUTES ? 10_000 : minutes <= DAY_MINUTES ? 300_000 : 3_600_000;
  const from = now - minutes * MINUTE_MS;
  return { from: from - (from % stepMs), stepMs };
}

const NOTHING: Figures = {};

async function channelStats(
  channels: readonly Channel[],
  range: RollupRange,
  { store }: StatsOptions,
): Promise<Stats['channels']> {
  const sums = channels.length > 0 ? await store.rollups.sums(channelSubject(''), range) : new Map<string, Figures>();
  const all: Stats['channels'] = [];
  for (const [index, { name }] of channels.entries()) {
    if (index % PER_TURN === PER_TURN - 1) await nextTurn();
    const figures = sums.get(channelSubject(name)) ?? NOTHING;
    const { lastWebhookAt } = await store.traffic.of(name);
    const items = Object.fromEntries(VERDICTS.map((verdict) => [verdict, figures[verdict] ?? 0]));
    all.push({
      ...{ channel: name, last_webhook_at: isoOrNull(lastWebhookAt) },
      ...{ webhooks: figures['webhooks'] ?? 0, refused: figures['refused'] ?? 0 },
      items: items as Stats['channels'][number]['items'],
      held: figures['held'] ?? 0,
    });
  }
  return all;
}

async function targetStats(
  targets: readonly Target[],
  range: RollupRange,
  { store, breakers }: StatsOptions,
): Promise<Stats['targets']> {
  const sums = targets.length > 0 ? await store.rollups.sums(targetSubject(''), range) : new Map<string, Figures>();
  const all: Stats['targets'] = [];
  for (const [index, { id, name, enabled }] of targets.entries()) {
    if (index % PER_TURN === PER_TURN - 1) await nextTurn();
    const figures = sums.get(targetSubject(id)) ?? NOTHING;
    const { pending, oldestPendingAt } = await store.outbox.pendingOf(id);
    all.push({
      ...{ target: id, name, enabled, pending, oldest_pending_at: isoOrNull(oldestPendingAt) },
      breaker: breakerJson(breakers.of(id)),
      ...{ attempts: figures['attempts'] ?? 0, failed_attempts: figures['failed_attempts'] ?? 0 },
      ...settledIn(figures),
      ...{ latency_ms: quantilesIn(figures, 'latency'), lag_ms: quantilesIn(figures, 'lag') },
    });
  }
  return all;
}

function settledIn(figures: Figures): Record<(typeof SETTLED_STATUSES)[number], number> {
  const counts = SETTLED_STATUSES.map((status) => [status, figures[status] ?? 0] as const);
  return Object.fromEntries(counts) as Record<(typeof SETTLED_STATUSES)[number], number>;
}

function quantilesIn(figures: Figures, name: string): Quantiles | null {
  return quantilesOf(Array.from({ length: BUCKET_COUNT }, (_, bucket) => figures[`${name}.${bucket}`] ?? 0));
}

/** One entry for each step, from the first to the current one. */
async function pointsOf(
  rollups: Pick<Rollups, 'series'>,
  subject: string,
  range: RollupRange,
): Promise<ReadonlyMap<number, Figures>> {
  return new Map((await rollups.series(subject, range)).map(({ start, figures }) => [start, figures]));
}

function seriesJson(points: ReadonlyMap<number, Figures>, { from, stepMs }: RollupRange, now: number): Stats['series'] {
  const steps = Array.from({ length: Math.floor((now - from) / stepMs) + 1 }, (_, at) =>
    points.get(from + at * stepMs),
  );
  const counts = (name: string): number[] => steps.map((figures) => figures?.[name] ?? 0);
  const latency = steps.map((figures) => (figures === undefined ? null : quantilesIn(figures, 'latency')));
  return {
    from: iso(from),
    step_seconds: stepMs / 1000,
    ...{ webhooks: counts('webhooks'), refused: counts('refused') },
    ...{ new: counts('new'), late: counts('late'), restored: counts('restored') },
    ...{ duplicate: counts('duplicate'), event: counts('event'), held: counts('held') },
    ...{ attempts: counts('attempts'), failed_attempts: counts('failed_attempts') },
    ...{ delivered: counts('delivered'), dead: counts('dead'), expired: counts('expired') },
    ...{ superseded: counts('superseded'), answered: counts('answered'), withheld: counts('withheld') },
    latency_ms: {
      p50: latency.map((each) => each?.p50 ?? null),
      p95: latency.map((each) => each?.p95 ?? null),
      p99: latency.map((each) => each?.p99 ?? null),
    },
  };
}
