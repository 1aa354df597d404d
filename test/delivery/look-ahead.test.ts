import type { ServerResponse } from 'node:http';
import { describe, expect, it, vi } from 'vitest';
import { answerLater } from '../support/api.js';
import { startBot } from '../support/bot.js';
import type { Bot } from '../support/bot.js';
import { startClock } from '../support/clock.js';
import type { TestClock } from '../support/clock.js';
import { startLoopStage } from '../support/delivery-loop.js';
import type { LoopStage } from '../support/delivery-loop.js';
import { idsSentTo } from '../support/delivery.js';
import { until } from '../support/intervals.js';
import { message, messages, record, target } from '../support/store.js';
import type { Sender } from '../../src/delivery/send.js';
import type { Target } from '../../src/model.js';

const MINUTE = 60_000;

/** Leaves requests open until the test answers them. */
function hold(bot: Bot): ServerResponse[] {
  const waiting: ServerResponse[] = [];
  bot.otherwise = (_request, response) => void waiting.push(response);
  return waiting;
}

/** `count` ids in chats of their own. */
function ids(count: number, name = 'm'): string[] {
  return Array.from({ length: count }, (_, index) => `${name}${index}-1`);
}

interface QuickStage extends LoopStage {
  readonly clock: TestClock;
  readonly waiting: ServerResponse[];
}

/** A stage whose queue looks ahead, because its target has answered at once, and whose bot now leaves requests open. */
async function quick(settings: Partial<Target> = {}): Promise<QuickStage> {
  const clock = startClock({ stopped: true });
  const stage = await startLoopStage({ concurrency: 1, ...settings }, clock.effects);
  await stage.record('quick-1', 'quick-2');
  await stage.bot.received(2);
  await until(async () => expect((await stage.store.outbox.loadOf('bot')).pending).toBe(0));
  stage.bot.requests.length = 0;
  return { ...stage, clock, waiting: hold(stage.bot) };
}

/** A quick stage with one delivery in flight and nine queued, so that the store has none to hand out. */
async function queued(settings: Partial<Target> = {}): Promise<QuickStage> {
  const stage = await quick(settings);
  await stage.record(...ids(10));
  await stage.bot.received(1);
  await untilAllQueued(stage);
  expect(stage.bot.requests).toHaveLength(1);
  return stage;
}

async function untilAllQueued({ store, errors }: LoopStage): Promise<void> {
  await until(async () => {
    const { targetIds } = await store.outbox.due();
    expect({ due: targetIds.size, errors }).toEqual({ due: 0, errors: [] });
  });
}

/** Waits until the store has these deliveries to hand out. They are claimed for a millisecond only. */
async function untilReturned(stage: LoopStage, expected: readonly string[]): Promise<void> {
  const found = new Set<string>();
  await until(async () => {
    for (const id of await stage.claimable()) found.add(id);
    expect([...found].sort()).toEqual([...expected].sort());
  });
}

describe('a slot', () => {
  it("is free with the bot's answer, before the outcome is committed, for up to four outcomes", async () => {
    const stage = await startLoopStage({ concurrency: 1 });
    const settle = stage.holdSettlements();
    await stage.record(...ids(6));
    await stage.bot.received(4);
    await expect(stage.store.outbox.loadOf('bot')).resolves.toMatchObject({ pending: 6 });
    expect(stage.bot.requests).toHaveLength(4);
    settle();
    await stage.bot.received(6);
  });

  it('goes to another chat until the outcome is committed, which frees the chat (I6)', async () => {
    const stage = await startLoopStage({ concurrency: 2 });
    const settle = stage.holdSettlements();
    await stage.record('a-1', 'a-2', 'b-1');
    await stage.bot.received(2);
    expect(idsSentTo(stage.bot)).toEqual(['a-1', 'b-1']);
    settle();
    await stage.bot.received(3);
    expect(idsSentTo(stage.bot)).toEqual(['a-1', 'b-1', 'a-2']);
  });

  it('is not free after a 410 until the target is disabled', async () => {
    const stage = await quick();
    stage.bot.otherwise = 410;
    const settle = stage.holdSettlements();
    await stage.record(...ids(10));
    await stage.bot.received(1);
    await until(async () => expect((await stage.store.registry.target('bot'))?.enabled).toBe(false));
    settle();
    await untilReturned(stage, ids(10));
    expect(stage.bot.requests).toHaveLength(1);
  });
});

describe('queued deliveries', () => {
  it('are sent in order, each once, as slots become free', async () => {
    const { bot, waiting } = await queued();
    for (let count = 1; count <= 10; count += 1) {
      await bot.received(count);
      waiting[count - 1]?.writeHead(200).end();
    }
    await until(() => expect(idsSentTo(bot)).toEqual(ids(10)));
  });

  it('go to the URL that the target has when they start', async () => {
    const { store, bot, waiting } = await queued();
    const moved = await startBot();
    await store.registry.changeTarget('bot', { url: `${moved.url}/new` });
    waiting[0]?.writeHead(200).end();
    await moved.received(9);
    expect(idsSentTo(bot)).toEqual(ids(1));
    expect(idsSentTo(moved)).toEqual(ids(10).slice(1));
    expect(new Set(moved.requests.map(({ url }) => url))).toEqual(new Set(['/new']));
  });

  it('follow a change of concurrency at once', async () => {
    const { store, loop, bot } = await queued();
    await store.registry.changeTarget('bot', { concurrency: 4 });
    loop.wake();
    await bot.received(4);
    expect(bot.requests).toHaveLength(4);
  });

  it('are returned when their target is disabled, and sent once it is enabled', async () => {
    const stage = await queued();
    await stage.store.registry.changeTarget('bot', { enabled: false });
    stage.loop.wake();
    await untilReturned(stage, ids(10).slice(1));
    stage.bot.otherwise = 200;
    stage.waiting[0]?.writeHead(200).end();
    stage.clock.advance(10); // the leases of this test have run out
    await stage.store.registry.changeTarget('bot', { enabled: true });
    stage.loop.wake();
    await until(() => expect([...idsSentTo(stage.bot)].sort()).toEqual(ids(10)));
  });

  it('end as dead when their target is removed, and none is sent', async () => {
    const { store, loop, bot, waiting, errors } = await queued();
    await store.registry.removeTarget('bot');
    loop.wake();
    while ((await store.jobs.step()) !== null);
    waiting[0]?.writeHead(200).end();
    await until(async () => {
      const { data } = await store.outbox.deliveries({}, { limit: 20, cursor: null });
      expect(data.slice(0, 9).map(({ status }) => status)).toEqual(Array.from({ length: 9 }, () => 'dead'));
    });
    expect([bot.requests.length, errors]).toEqual([1, []]);
  });

  it('wait for the rate once the target has one', async () => {
    const { store, bot, waiting, clock } = await queued();
    await store.registry.changeTarget('bot', { ratePerSecond: 1 });
    bot.otherwise = 200;
    waiting[0]?.writeHead(200).end();
    await bot.received(2);
    for (let count = 3; count <= 5; count += 1) {
      clock.advance(1000);
      await bot.received(count);
    }
    expect(bot.requests).toHaveLength(5);
  });

  it('expire in the queue, and none of them is sent', async () => {
    const { store, bot, waiting } = await queued();
    await store.registry.changeTarget('bot', { maxAgeSeconds: 60 });
    waiting[0]?.writeHead(200).end();
    await until(async () => {
      const { data } = await store.outbox.deliveries({ status: 'expired' }, { limit: 20, cursor: null });
      expect(data).toHaveLength(9);
    });
    expect(bot.requests).toHaveLength(1);
  });

  it('are returned without an attempt when the breaker opens', async () => {
    const stage = await quick({ concurrency: 5 });
    await stage.record(...ids(30));
    await stage.bot.received(5);
    await untilAllQueued(stage);
    stage.bot.otherwise = 503;
    for (const response of stage.waiting) response.writeHead(503).end();
    await until(async () => {
      const { data } = await stage.store.outbox.deliveries({}, { limit: 30, cursor: null });
      expect(data.filter(({ waitsFor }) => waitsFor === 'breaker').length).toBeGreaterThan(20);
    });
    const { data } = await stage.store.outbox.deliveries({}, { limit: 30, cursor: null });
    expect(data.filter(({ attempts }) => attempts === 0).length).toBeGreaterThan(20);
  });

  it('are returned when nothing has started for seconds, so that no lease runs out in the queue (I5)', async () => {
    const stage = await queued({ timeoutMs: 10 * MINUTE });
    stage.clock.advance(5001);
    await untilReturned(stage, ids(10).slice(1));
    expect(stage.bot.requests).toHaveLength(1);
  });

  it('are not sent once their leases have run out, because another process may have sent them (I5, I6)', async () => {
    const { store, bot, clock, waiting } = await queued();
    const settle = vi.mocked(store.outbox.settle).mockClear();
    clock.jump(6 * MINUTE); // the process stood still
    const { deliveries } = await store.outbox.claim([{ targetId: 'bot', limit: 20 }], 10 * MINUTE);
    waiting[0]?.writeHead(200).end();
    await until(() => expect(settle).toHaveBeenCalledTimes(deliveries.length));
    expect([deliveries.length, bot.requests.length]).toEqual([10, 1]);
  });

  it('are returned when the clock is set back', async () => {
    const stage = await queued();
    stage.clock.advance(-60 * MINUTE);
    await stage.store.upkeep.clockSetBack(60 * MINUTE);
    stage.loop.wake();
    await untilReturned(stage, ids(10).slice(1));
  });

  it('are returned when the gateway stops, and attempts in flight get the grace period', async () => {
    const stage = await queued();
    const stopped = stage.loop.stop(MINUTE);
    await untilReturned(stage, ids(10).slice(1));
    stage.waiting[0]?.writeHead(200).end();
    await stopped;
    const { data } = await stage.store.outbox.deliveries({ status: 'delivered' }, { limit: 20, cursor: null });
    expect(data).toHaveLength(3);
    expect(stage.bot.requests).toHaveLength(1);
  });
});

describe('a target that stalls', () => {
  it('does not delay another one, whatever is queued for it', async () => {
    const stage = await queued();
    const other = await startBot();
    await stage.store.registry.addTarget(target('other', { url: other.url }));
    await stage.record(...ids(20, 'n'));
    await other.received(20);
    expect(idsSentTo(other)).toEqual(ids(20, 'n'));
    expect(stage.bot.requests).toHaveLength(1);
  });
});

describe('a retry', () => {
  it('gets every fourth slot while first attempts fill the queue', async () => {
    const stage = await quick();
    const later = answerLater();
    stage.bot.otherwise = 200;
    stage.bot.answers.push(422, later.answer);
    await stage.record('retry-1');
    await until(async () => expect((await stage.store.outbox.loadOf('bot')).lastError).not.toBeNull());
    stage.clock.advance(100);
    await stage.record(...ids(40));
    await stage.bot.received(2);
    await untilAllQueued(stage);
    later.give(200);
    await stage.bot.received(42);
    expect(idsSentTo(stage.bot).lastIndexOf('retry-1')).toBeLessThan(12);
  });
});

it('offers no place that is taken, also when a delivery is handed over after the offer was renewed', async () => {
  const answers: (() => void)[] = [];
  const took = { startedAt: 0, durationMs: MINUTE, status: 200, error: null }; // so slow that nothing is read ahead
  const sender: Sender = {
    send: async () => {
      await new Promise<void>((answer) => answers.push(answer));
      return { outcome: { kind: 'answered', status: 200, retryAfter: null }, attempt: took };
    },
    whyRefused: () => null,
    destroy: async () => {
      for (const answer of answers) answer();
      await Promise.resolve();
    },
  };
  const { store, loop, record: recordAndHandOver } = await startLoopStage({ concurrency: 2 }, {}, sender);
  const offered = vi.spyOn(store.outbox, 'offer');
  const lastOffer = (): unknown => offered.mock.lastCall?.[1].count;
  await recordAndHandOver('x-1');
  await until(() => expect(answers).toHaveLength(1));
  answers[0]?.();
  await until(() => expect(lastOffer()).toBe(2));

  const early = await record(store, messages(message('a-1', 'a')));
  expect(early.leased).toHaveLength(1);
  const { data } = await store.outbox.deliveries({ status: 'delivered' }, { limit: 1, cursor: null });
  await store.outbox.retry(data[0]?.id ?? '');
  loop.wake();
  await until(() => expect([answers.length, lastOffer()]).toEqual([2, 1]));
  loop.handOver(early);
  await until(() => expect(answers).toHaveLength(3));
  loop.wake();
  await until(() => expect(lastOffer()).toBe(0));
  expect((await record(store, messages(message('b-1', 'b')))).leased).toEqual([]);
});
