import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Breakers } from '../../src/delivery/breakers.js';
import { startDeliveryLoop } from '../../src/delivery/loop.js';
import type { DeliveryLoop } from '../../src/delivery/loop.js';
import { systemEffects } from '../../src/effects.js';
import type { Effects } from '../../src/effects.js';
import { GatewayError } from '../../src/errors.js';
import { openSqliteStore } from '../../src/store/sqlite/engine.js';
import type { Target } from '../../src/model.js';
import { answerLater } from '../support/api.js';
import { startBot } from '../support/bot.js';
import type { Bot } from '../support/bot.js';
import { startClock } from '../support/clock.js';
import { temporaryFolder } from '../support/files.js';
import { channel, message, messages, record, target } from '../support/store.js';
import { QUICK_BREAKER, QUICK_RETRIES_MS, until } from '../support/intervals.js';
import { SILENT, startSender } from '../support/sender.js';
import type { DeliveryView } from '../../src/store/deliveries.js';
import type { Store } from '../../src/store/store.js';

const GRACE_MS = 8000;
const LEASE_MS = 300_000;

interface Stage {
  readonly bot: Bot;
  readonly store: Store;
  readonly loop: DeliveryLoop;
  /** While true, the store refuses settlements, but accepts claims and webhooks. */
  isFull: boolean;
  /** The refused settlements. */
  refused: number;
  readonly errors: unknown[];
  /** The only deliveries, oldest first. */
  deliveries(): Promise<readonly DeliveryView[]>;
}

/** The delivery loop on a real store and a real bot, with a store that refuses settlements on request. */
async function startStage(settings: Partial<Target> = {}, own: Partial<Effects> = {}): Promise<Stage> {
  const bot = await startBot();
  const effects = { ...systemEffects, ...own };
  const store = openSqliteStore(join(temporaryFolder(), 'gateway.db'), effects);
  await store.registry.addChannel(channel('main'));
  await store.registry.addTarget(target('bot', { url: bot.url, ...settings }));
  const errors: unknown[] = [];
  const settle = store.outbox.settle.bind(store.outbox);
  vi.spyOn(store.outbox, 'settle').mockImplementation(async (settlement) => {
    if (!stage.isFull) return await settle(settlement);
    stage.refused += 1;
    throw new GatewayError('GW_STORE_UNAVAILABLE', 'The disk is full.');
  });
  const onError = (error: unknown): void => void errors.push(error);
  const breakers = await Breakers.load({ store, intervals: QUICK_BREAKER, effects, onChange: () => undefined });
  const loop = startDeliveryLoop({
    ...{ store, sender: startSender('private'), breakers, effects, onError },
    delaysMs: QUICK_RETRIES_MS,
    notices: SILENT,
  });
  onTestFinished(async () => {
    await loop.stop(0);
    await store.close();
  });
  const deliveries = async (): Promise<readonly DeliveryView[]> =>
    (await store.outbox.deliveries({}, { limit: 50, cursor: null })).data;
  const stage: Stage = { bot, store, loop, isFull: true, refused: 0, errors, deliveries };
  return stage;
}

/** Records messages of different chats and waits until the store has refused a settlement for each. */
async function refuse(stage: Stage, ...ids: string[]): Promise<void> {
  for (const id of ids) stage.loop.handOver(await record(stage.store, messages(message(id, `chat of ${id}`))));
  stage.loop.wake();
  await until(() => expect(stage.refused).toBeGreaterThanOrEqual(ids.length));
}

describe('a settlement that the store refuses', () => {
  it.each([
    ['delivered', 200, {}, 1],
    ['dead', 400, { maxAttempts: 1 }, 1],
    ['expired', 200, { maxAgeSeconds: 60 }, 0],
  ] as const)(
    'as %s is retried until the store takes it, and the bot is sent nothing twice',
    async (status, answer, own, sent) => {
      const stage = await startStage(own);
      stage.bot.otherwise = answer;
      await refuse(stage, 'm-1');
      await until(() => expect(stage.refused).toBeGreaterThan(2));
      stage.isFull = false;
      await until(async () => expect(await stage.deliveries()).toMatchObject([{ status, attempts: sent }]));
      expect(stage.bot.requests).toHaveLength(sent);
    },
  );

  it('as pending keeps its attempt, and the next one follows the schedule', async () => {
    const stage = await startStage();
    stage.bot.answers.push(500);
    await refuse(stage, 'm-1');
    stage.isFull = false;
    await until(async () => expect(await stage.deliveries()).toMatchObject([{ status: 'delivered', attempts: 2 }]));
    expect(stage.bot.requests).toHaveLength(2);
  });

  it('is logged once, however many there are and however often they are retried', async () => {
    const stage = await startStage();
    await refuse(stage, 'm-1', 'm-2', 'm-3');
    await until(() => expect(stage.refused).toBeGreaterThan(8));
    stage.isFull = false;
    await until(async () => expect((await stage.deliveries()).map(({ status }) => status)).toEqual(DELIVERED_THRICE));
    expect(stage.errors).toMatchObject([{ code: 'GW_STORE_UNAVAILABLE' }]);
  });

  it('causes no leak warning, however many wait at once', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    onTestFinished(() => void process.off('warning', onWarning));
    const stage = await startStage();
    await refuse(stage, ...Array.from({ length: 16 }, (_, index) => `m-${index}`));
    await until(() => expect(stage.refused).toBeGreaterThan(40));
    expect(warnings).toEqual([]);
  });

  it('keeps its slot, so that no more is sent than can be settled', async () => {
    const stage = await startStage({ concurrency: 2 });
    await refuse(stage, 'm-1', 'm-2');
    stage.loop.handOver(await record(stage.store, messages(message('m-3', 'another chat'))));
    stage.loop.wake();
    await until(() => expect(stage.refused).toBeGreaterThan(5));
    expect(stage.bot.requests).toHaveLength(2);
    stage.isFull = false;
    await stage.bot.received(3);
  });

  it('is dropped when its lease ends, and the delivery is due again (I5)', async () => {
    const clock = startClock();
    const stage = await startStage({}, clock.effects);
    await refuse(stage, 'm-1');
    clock.advance(LEASE_MS);
    const [, again] = await stage.bot.received(2);
    stage.isFull = false;
    await until(async () => expect(await stage.deliveries()).toMatchObject([{ status: 'delivered', attempts: 1 }]));
    expect(again?.headers['webhook-id']).toBe(stage.bot.requests[0]?.headers['webhook-id']);
  });

  it('is tried once more when the gateway stops, at the end of its grace period', async () => {
    const stage = await startStage({}, { sleep: sleepThrough });
    await refuse(stage, 'm-1');
    expect(stage.refused).toBe(1);
    stage.isFull = false;
    await stage.loop.stop(GRACE_MS);
    expect(await stage.deliveries()).toMatchObject([{ status: 'delivered', attempts: 1 }]);
  });

  it('does not delay a stop when the store still refuses', async () => {
    const stage = await startStage({}, { sleep: sleepThrough });
    await refuse(stage, 'm-1');
    await stage.loop.stop(GRACE_MS);
    expect(stage.refused).toBe(2);
    expect(await stage.deliveries()).toMatchObject([{ status: 'pending', attempts: 0 }]);
  });
});

describe('a lease (I5)', () => {
  it('outlasts the longest attempt of 120 s by more than a minute, so that nothing is sent twice', async () => {
    const clock = startClock();
    const stage = await startStage({ timeoutMs: 120_000 }, clock.effects);
    const late = answerLater();
    stage.isFull = false;
    stage.bot.answers.push(late.answer);
    stage.loop.handOver(await record(stage.store, messages(message('m-1', 'one chat'))));
    stage.loop.wake();
    await stage.bot.received(1);
    clock.advance(190_000);
    stage.loop.handOver(await record(stage.store, messages(message('m-2', 'another chat'))));
    stage.loop.wake();
    expect((await stage.bot.received(2)).map(({ ids }) => ids)).toEqual([['m-1'], ['m-2']]);
    late.give(200);
    await until(async () => expect((await stage.deliveries()).map(({ attempts }) => attempts)).toEqual([1, 1]));
  });
});

const DELIVERED_THRICE = ['delivered', 'delivered', 'delivered'];

/** The grace period ends at once, and every other pause lasts until it is aborted. */
async function sleepThrough(ms: number, signal?: AbortSignal): Promise<void> {
  if (ms === GRACE_MS) return;
  await new Promise<void>((resolve) => {
    if (signal?.aborted) resolve();
    signal?.addEventListener('abort', () => resolve());
  });
}
