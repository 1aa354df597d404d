import { expect, onTestFinished } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import type { GatewayErrorCode } from '../../src/errors.js';
import { decode } from '../../src/intake/decode.js';
import type { Channel, DeliveryStatus, IncomingWebhook, Sealed, Target, Verdict } from '../../src/model.js';
import type { BulkWork, JobView } from '../../src/store/jobs.js';
import type { Claimed, Delivery, Settlement } from '../../src/store/outbox.js';
import type { Page } from '../../src/store/paging.js';
import type { ResyncCall, ResyncRequest, ResyncView } from '../../src/store/resyncs.js';
import type { Store, StoreEffects } from '../../src/store/store.js';
import type { Retention } from '../../src/store/upkeep.js';

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** The start time of every manual clock. */
export const START = Date.UTC(2026, 0, 5, 12);

/** A clock that stands still until a test moves it, forward or back. */
export interface Clock {
  now(): number;
  advance(ms: number): void;
}

export function manualClock(): Clock {
  let now = START;
  return { now: () => now, advance: (ms) => void (now += ms) };
}

/** Opens the store of one test, each time with the same data, so that a second call is a restart. */
export type OpenStore = (effects: StoreEffects) => Store | Promise<Store>;

/** A handle on a store of the engine under test, as one gateway process has it. It is closed after the test. */
export interface StoreFixture {
  /** The time of the store. All handles on one store share it. */
  readonly clock: Clock;
  /** The open store, a new one after a restart. */
  readonly store: Store;
  /** Closes it and opens it again. Claimed or taken work stays unsettled, as after a crash. */
  restart(): Promise<void>;
  /** Sets the clock back while the store is open, and has the store notice. */
  setClockBack(byMs: number): Promise<void>;
  /** Records a webhook and returns the verdicts of its items. */
  record(body: unknown, options?: Partial<IncomingWebhook>): Promise<readonly Verdict[]>;
  /** Claims everything that is due for every enabled target, as the delivery loop does. */
  claim(options?: { limit?: number; leaseMs?: number }): Promise<Claimed>;
  /** Claims and expects exactly one due delivery. */
  claimOne(): Promise<Delivery>;
  /** Settles with an attempt, which succeeded for `delivered` and otherwise failed. A retry is due at `dueAt`. */
  settle(claimed: Pick<Delivery, 'id' | 'lease'>, outcome: DeliveryStatus, dueAt?: number): Promise<boolean>;
  /** Claims and settles as delivered until nothing is due. Returns the deliveries in order. */
  deliverAll(): Promise<readonly Delivery[]>;
}

export type OpenFixture = () => Promise<StoreFixture>;
export type TwoHandles = readonly [StoreFixture, StoreFixture];
export type OpenTwo = () => Promise<TwoHandles>;

/** What an engine gives to the contract suite. Every call is for an empty store. */
export interface EngineUnderTest {
  readonly open: OpenFixture;
  /** Two handles on one store, with one clock. An engine for one process gives the same handle twice. */
  readonly openTwo: OpenTwo;
}

export const LEASE = 2 * MINUTE;

/** @param clock the one of another handle on the same store */
export async function openFixture(open: OpenStore, clock: Clock = manualClock()): Promise<StoreFixture> {
  const effects = { ...systemEffects, now: clock.now };
  let store = await open(effects);
  onTestFinished(async () => await store.close());

  const claim: StoreFixture['claim'] = async ({ limit = 100, leaseMs = LEASE } = {}) => {
    const enabled = (await store.registry.targets()).filter((target) => target.enabled);
    return await store.outbox.claim(
      enabled.map(({ id }) => ({ targetId: id, limit })),
      leaseMs,
    );
  };
  const settle: StoreFixture['settle'] = async (claimed, outcome, dueAt) =>
    await store.outbox.settle(settlement(claimed, outcome, dueAt));
  return {
    clock,
    get store() {
      return store;
    },
    restart: async () => {
      await store.close();
      store = await open(effects);
    },
    setClockBack: async (byMs) => {
      clock.advance(-byMs);
      await store.upkeep.clockSetBack(byMs);
    },
    record: async (body, options) => (await record(store, body, options)).verdicts,
    claim,
    claimOne: async () => only((await claim()).deliveries),
    settle,
    deliverAll: async () => {
      const made: Delivery[] = [];
      for (;;) {
        const { deliveries } = await claim();
        if (deliveries.length === 0) return made;
        for (const delivery of deliveries) await settle(delivery, 'delivered');
        made.push(...deliveries);
      }
    },
  };
}

/** A store with the channel `main` and, by default, one target `bot` with the default settings. */
export async function stage(open: OpenFixture, targets: readonly Target[] = [target('bot')]): Promise<StoreFixture> {
  return await furnish(await open(), targets);
}

/** The same with two handles on the store. */
export async function stageTwo(openTwo: OpenTwo, targets: readonly Target[] = [target('bot')]): Promise<TwoHandles> {
  const handles = await openTwo();
  await furnish(handles[0], targets);
  return handles;
}

async function furnish(fixture: StoreFixture, targets: readonly Target[]): Promise<StoreFixture> {
  const added = targets.map(async (each) => await fixture.store.registry.addTarget(each));
  await Promise.all([fixture.store.registry.addChannel(channel('main')), ...added]);
  return fixture;
}

/** `body` is a buffer of raw bytes, or any value that is sent as JSON. */
export async function record(
  store: Store,
  body: unknown,
  options: Partial<IncomingWebhook> = {},
): ReturnType<Store['intake']['record']> {
  const webhook: IncomingWebhook = {
    channel: 'main',
    method: 'POST',
    suffix: '',
    contentType: 'application/json',
    body: Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body)),
    ...options,
  };
  return await store.intake.record(webhook, decode(webhook.body, webhook));
}

export function sealed(text: string): Sealed {
  return text as Sealed;
}

export function channel(name: string, settings: Partial<Channel> = {}): Channel {
  return {
    name,
    channelId: null,
    whapiToken: sealed(`token of ${name}`),
    webhookSecret: sealed(`secret of ${name}`),
    whapiBaseUrl: 'https://whapi.example',
    lateAfterSeconds: 900,
    resyncSpacingMs: null,
    dailyCallBudget: null,
    autoResync: false,
    onReplay: 'deliver',
    replayAfterSeconds: 432_000,
    replayMessages: 20,
    createdAt: START,
    ...settings,
  };
}

export function target(id: string, settings: Partial<Target> = {}): Target {
  return {
    id,
    name: `the ${id}`,
    url: `https://bots.example/${id}`,
    channels: ['*'],
    events: ['*'],
    deliver: ['new', 'late', 'event'],
    mode: 'as_received',
    split: 'none',
    headers: sealed('{}'),
    secret: sealed(`secret of ${id}`),
    previousSecrets: [],
    timeoutMs: 15_000,
    maxAttempts: 10,
    retryDelaysSeconds: null,
    maxAgeSeconds: null,
    concurrency: 16,
    ratePerSecond: null,
    backlogPolicy: 'all',
    backlogAfterSeconds: 600,
    backlogRatePerMinute: null,
    skipAnswered: false,
    enabled: true,
    disabledReason: null,
    createdAt: START,
    ...settings,
  };
}

/** One element of `messages`. Equal arguments give equal bytes. */
export function message(id: string, chat = 'alice', fields: Record<string, unknown> = {}): Record<string, unknown> {
  return { id, type: 'text', chat_id: chat, timestamp: START / SECOND, text: { body: `This is ${id}` }, ...fields };
}

/** A webhook of messages. A string stands for the message with that id. */
export function messages(...items: (string | Record<string, unknown>)[]): Record<string, unknown> {
  return {
    messages: items.map((item) => (typeof item === 'string' ? message(item) : item)),
    event: { type: 'messages', event: 'post' },
  };
}

/** A webhook that revises messages. */
export function revisions(...items: Record<string, unknown>[]): Record<string, unknown> {
  return { messages: items, event: { type: 'messages', event: 'put' } };
}

/** A webhook that reports a message as read. */
export function status(id: string, chat = 'alice', event = 'post'): Record<string, unknown> {
  return {
    statuses: [{ id, code: 4, status: 'read', recipient_id: chat, timestamp: '1712995378' }],
    event: { type: 'statuses', event },
  };
}

/** The argument of `store.outbox.settle`. */
export function settlement(
  { id, lease }: Pick<Delivery, 'id' | 'lease'>,
  outcome: DeliveryStatus,
  dueAt?: number,
): Settlement {
  const error = outcome === 'delivered' ? null : 'The target answered 500.';
  const attempt = { startedAt: START, durationMs: 12, status: error === null ? 200 : 500, error };
  return { id, lease, status: outcome, ...(dueAt !== undefined && { dueAt }), attempt };
}

/** The first element of a non-empty list. */
export function first<T>([item]: readonly T[]): T {
  if (item === undefined) throw new Error('There is none.');
  return item;
}

/** The only element of a list. */
export function only<T>(list: readonly T[]): T {
  if (list.length !== 1) throw new Error(`There are ${list.length} instead of one.`);
  return first(list);
}

/** The ids of the messages in bodies, in order. */
export function idsIn(deliveries: readonly Pick<Delivery, 'body'>[]): string[] {
  return deliveries.flatMap(({ body }) => {
    const { messages: list = [] } = JSON.parse(body.toString()) as { messages?: { id: string }[] };
    return list.map(({ id }) => id);
  });
}

/** Claims and settles everything that is due for `bot`. Returns the ids of the messages, sorted. */
export async function deliveredIds(store: Store): Promise<string[]> {
  const ids: string[] = [];
  for (;;) {
    const { deliveries } = await store.outbox.claim([{ targetId: 'bot', limit: 50 }], LEASE);
    if (deliveries.length === 0) return ids.sort();
    ids.push(...idsIn(deliveries));
    await Promise.all(deliveries.map(async (delivery) => await store.outbox.settle(settlement(delivery, 'delivered'))));
  }
}

/** Every verdict on a message with its rule, oldest first: `new 10`. */
export async function judgements(fixture: StoreFixture, id: string, channelName = 'main'): Promise<string[]> {
  const explained = await fixture.store.items.explain(channelName, id);
  return (explained?.sightings ?? []).map(({ verdict, rule }) => `${verdict} ${rule}`);
}

/** All pages of a list, in order. */
export async function allPages<T>(
  limit: number,
  get: (page: { limit: number; cursor: string | null }) => Promise<Page<T>>,
): Promise<T[]> {
  const data: T[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<T> = await get({ limit, cursor });
    data.push(...page.data);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return data;
}

/** Registers ids of the channel `main` with a window of one hour. */
export async function register(
  fixture: StoreFixture,
  messageIds: readonly string[],
  options: Partial<ResyncRequest> = {},
): Promise<ResyncView> {
  return await fixture.store.resyncs.register({
    channel: 'main',
    messageIds,
    deliverUnseen: false,
    windowSeconds: HOUR / SECOND,
    idempotency: null,
    ...options,
  });
}

/** Creates a job, runs all of its steps and returns its final state. */
export async function runJob({ store }: StoreFixture, work: BulkWork): Promise<JobView> {
  const { id } = await store.jobs.add(work);
  while ((await store.jobs.step()) !== null);
  const job = await store.jobs.get(id);
  if (!job) throw new Error('The job is gone.');
  return job;
}

/** The error of a refused operation. */
export function refusal(code: GatewayErrorCode): unknown {
  return expect.objectContaining({ name: 'GatewayError', code });
}

/** A complete sweep. */
export async function prune({ store, clock }: StoreFixture, retention: Retention): Promise<void> {
  while (await store.upkeep.prune(retention, clock.now()));
}

/** The call to Whapi that is due now, a resync before a poll. */
export async function takeCall({ store }: StoreFixture, leaseMs = LEASE): Promise<ResyncCall> {
  const call = await store.resyncs.takeCall('main', 'resync', leaseMs);
  if (!call) throw new Error('No call is due.');
  return call;
}
