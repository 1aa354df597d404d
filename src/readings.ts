import { stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { atMostEvery } from './at-most-every.js';
import type { StoreLocation } from './config.js';
import type { Breakers } from './delivery/breakers.js';
import { MINUTE_MS, SECOND_MS } from './durations.js';
import type { Effects } from './effects.js';
import { nextTurn } from './event-loop.js';
import { OTHER } from './metrics.js';
import type { Breaker, DeliveryWait, PauseCode } from './model.js';
import type { HeldCount, Levels, ResyncMessageCount } from './store/levels.js';
import { filesOf } from './store/open.js';
import type { Store } from './store/store.js';
import { budgetPause } from './whapi/policy.js';

/** What a scrape shows of the state of the gateway, besides its counters. */
export interface Readings extends Pick<Levels, 'schemaVersion' | 'commits'> {
  readonly engine: string;
  /** Names this process among those that share the store; null: no other can. */
  readonly replica: string | null;
  /** Processes that are alive. */
  readonly replicas: number;
  readonly pendingBytes: number;
  readonly targets: readonly TargetReading[];
  readonly channels: readonly ChannelReading[];
  readonly held: readonly HeldCount[];
  readonly resyncMessages: readonly ResyncMessageCount[];
  /** By file: `db`, `wal` … */
  readonly fileBytes: Readonly<Record<string, number>>;
}

export interface TargetReading {
  readonly target: string;
  readonly name: string;
  readonly enabled: boolean;
  readonly pending: number;
  readonly waitsFor: Exclude<DeliveryWait, 'earlier_delivery'> | 'turn';
  readonly oldestAgeMs: number;
  readonly breaker: Breaker['state'];
}

export interface ChannelReading {
  readonly channel: string;
  readonly lastWebhookAt: number | null;
  readonly pause: PauseCode | null;
}

export interface ReadingsOptions {
  readonly store: Pick<Store, 'registry' | 'outbox' | 'calls' | 'traffic' | 'levels' | 'replicas'>;
  readonly location: StoreLocation;
  readonly breakers: Pick<Breakers, 'of'>;
  readonly onError: (error: unknown) => void;
  readonly effects: Pick<Effects, 'now' | 'monotonic'>;
}

/** Several monitors may scrape at once. */
const READ_EVERY_MS = 5 * SECOND_MS;
/** What is counted row by row is counted this often, in the background: a scrape shows the last count. */
const COUNT_EVERY_MS = MINUTE_MS;
const MOST_NAMED = 200;

/** Reads the state for a scrape, at most once in five seconds. */
export function createReadings(options: ReadingsOptions): () => Promise<Omit<Readings, 'pendingBytes'>> {
  const { store, location, effects, onError } = options;
  let held: readonly HeldCount[] = [];
  let resyncMessages: readonly ResyncMessageCount[] = [];
  const count = atMostEvery(COUNT_EVERY_MS, effects, async () => {
    held = summed(await store.levels.heldItems(), 'verdict');
    resyncMessages = summed(await store.levels.resyncMessages(), 'status');
  });
  return atMostEvery(READ_EVERY_MS, effects, async () => {
    void count().catch(onError);
    const { schemaVersion, commits } = store.levels;
    return {
      ...{ schemaVersion, commits, engine: location.engine },
      replica: location.engine === 'sqlite' ? null : hostname(),
      replicas: store.replicas.alive(),
      targets: await readTargets(options),
      channels: await readChannels(options),
      fileBytes: await sizesOf(location),
      ...{ held, resyncMessages },
    };
  });
}

async function readTargets({ store, breakers, effects }: ReadingsOptions): Promise<TargetReading[]> {
  const readings: TargetReading[] = [];
  for (const { id, name, enabled } of (await store.registry.targets()).slice(0, MOST_NAMED)) {
    const { pending, oldestPendingAt } = await store.outbox.pendingOf(id);
    const breaker = breakers.of(id).state;
    const waitsFor = !enabled ? 'target_enabled' : breaker === 'closed' ? 'turn' : 'breaker';
    const oldestAgeMs = oldestPendingAt === null ? 0 : Math.max(0, effects.now() - oldestPendingAt);
    readings.push({ target: id, name, enabled, pending, waitsFor, oldestAgeMs, breaker });
    await nextTurn();
  }
  return readings;
}

async function readChannels({ store, effects }: ReadingsOptions): Promise<ChannelReading[]> {
  const readings: ChannelReading[] = [];
  for (const { name } of (await store.registry.channels()).slice(0, MOST_NAMED)) {
    const { lastWebhookAt } = await store.traffic.of(name);
    const state = await store.calls.stateOf(name);
    const pause = state === null ? null : (state.pause ?? budgetPause(state, effects.now()));
    readings.push({ channel: name, lastWebhookAt, pause: pause?.code ?? null });
    await nextTurn();
  }
  return readings;
}

/** By channel and `by`; the channels beyond the first are one. */
function summed<Key extends string, Row extends { channel: string; count: number } & Record<Key, string>>(
  rows: readonly Row[],
  by: Key,
): Row[] {
  const names = new Set<string>();
  const sums = new Map<string, Row>();
  for (const row of rows) {
    if (names.size < MOST_NAMED) names.add(row.channel);
    const channel = names.has(row.channel) ? row.channel : OTHER;
    const key = `${channel} ${row[by]}`;
    sums.set(key, { ...row, channel, count: row.count + (sums.get(key)?.count ?? 0) });
  }
  return [...sums.values()];
}

/** A file that does not exist at the moment is left out. */
async function sizesOf(location: StoreLocation): Promise<Record<string, number>> {
  const sizes: Record<string, number> = {};
  const [database = '', ...others] = filesOf(location);
  for (const file of [database, ...others.filter((name) => !name.includes('-lock', database.length))]) {
    const found = await stat(file).catch(() => null);
    if (found) sizes[file.slice(database.length).replace('-', '') || 'db'] = found.size;
  }
  return sizes;
}
