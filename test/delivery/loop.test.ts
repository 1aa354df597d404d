import type { ServerResponse } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Breakers } from '../../src/delivery/breakers.js';
import { startDeliveryLoop } from '../../src/delivery/loop.js';
import type { DeliveryLoop, DeliveryOptions } from '../../src/delivery/loop.js';
import type { Sender } from '../../src/delivery/send.js';
import { systemEffects } from '../../src/effects.js';
import type { Target } from '../../src/model.js';
import { startBot } from '../support/bot.js';
import type { Bot, BotRequest } from '../support/bot.js';
import { startClock } from '../support/clock.js';
import type { TestClock } from '../support/clock.js';
import { deliveryOf, idsSentTo, requestTo, startDelivery } from '../support/delivery.js';
import type { DeliveryJson, DeliveryStage } from '../support/delivery.js';
import { startLocal } from '../support/gateway.js';
import type { LocalGateway, LocalOptions } from '../support/gateway.js';
import { QUICK_BREAKER, QUICK_RETRIES_MS, until } from '../support/intervals.js';
import { SILENT } from '../support/sender.js';
import { textWebhook } from '../support/texts.js';
import type { Delivery } from '../../src/store/outbox.js';

const intervals = { retryDelaysMs: QUICK_RETRIES_MS };

interface Stage extends DeliveryStage {
  /** Resolves when the loop has polled all targets since: a delivery of another channel has reached another bot. */
  turn(): Promise<void>;
}

/** A stage that shows that the loop could have sent something and did not. */
async function stage(settings: Record<string, unknown> = {}, options: LocalOptions = {}): Promise<Stage> {
  const { gateway, bot, target } = await startDelivery({ channels: ['main'], ...settings }, options);
  const witness = await startBot();
  await gateway.addChannel({ name: 'other' });
  await gateway.addTarget({ url: witness.url, channels: ['other'] });
  const turn = async (): Promise<void> => {
    const seen = witness.requests.length;
    await gateway.webhook(textWebhook(`turn-${seen}`), { channel: 'other' });
    await witness.received(seen + 1);
  };
  return { gateway, bot, target, turn };
}

/** Texts `m-1` … `m-<count>`, each in its own chat. */
async function sendTexts(gateway: LocalGateway, count: number): Promise<void> {
  for (let number = 1; number <= count; number += 1) await gateway.webhook(textWebhook(`m-${number}`));
}

/** A bot that leaves requests open until the test answers them. */
function hold(bot: Bot): { readonly waiting: ServerResponse[]; most: number } {
  const held = { waiting: [] as ServerResponse[], most: 0 };
  bot.otherwise = (_request, response) => {
    held.waiting.push(response);
    held.most = Math.max(held.most, held.waiting.length);
  };
  return held;
}

/** A bot that answers 500 to requests that match `isRefused`. */
function refuse(bot: Bot, isRefused: (request: BotRequest) => boolean): void {
  bot.otherwise = (request, response) => response.writeHead(isRefused(request) ? 500 : 200).end();
}

/** For messages that are named after their chat. */
function ofChat(ids: readonly string[], chat: string): string[] {
  return ids.filter((id) => id.startsWith(chat));
}

async function settledAs(gateway: LocalGateway, id: string, status: string): Promise<DeliveryJson> {
  return await until(async () => {
    const delivery = await deliveryOf(gateway, id);
    expect(delivery.status).toBe(status);
    return delivery;
  });
}

describe('the order of a chat (I6)', () => {
  it('is kept while the first delivery of a chat fails, and other chats proceed', async () => {
    const { gateway, bot } = await startDelivery({ max_attempts: 100 });
    refuse(bot, ({ ids }) => ids.includes('a-1') && !idsSentTo(bot).includes('b-2'));
    for (const id of ['a-1', 'a-2', 'b-1', 'a-3', 'b-2'])
      await gateway.webhook(textWebhook({ id, chat: id.slice(0, 1) }));
    await gateway.settled();
    const sent = idsSentTo(bot);
    expect(ofChat(sent, 'b')).toEqual(['b-1', 'b-2']);
    expect(sent.slice(sent.lastIndexOf('a-1'))).toEqual(['a-1', 'a-2', 'a-3']);
    expect(sent.indexOf('a-2')).toBeGreaterThan(sent.lastIndexOf('a-1'));
    expect(sent.lastIndexOf('a-1')).toBeGreaterThan(sent.indexOf('b-2'));
  });

  it('continues after a dead delivery', async () => {
    const { gateway, bot } = await startDelivery({ max_attempts: 2 });
    refuse(bot, ({ ids }) => ids.includes('a-1'));
    for (const id of ['a-1', 'a-2', 'a-3']) await gateway.webhook(textWebhook({ id, chat: 'a' }));
    await gateway.settled();
    expect(idsSentTo(bot)).toEqual(['a-1', 'a-1', 'a-2', 'a-3']);
    expect(await deliveryOf(gateway, 'a-1')).toMatchObject({ status: 'dead', attempts: 2 });
  });

  it('continues after an expired delivery', async () => {
    const clock = startClock();
    const { gateway, bot } = await startDelivery({ max_age_seconds: 60 }, { effects: clock.effects, intervals });
    const fresh = Math.floor(clock.now() / 1000);
    await gateway.webhook(textWebhook({ id: 'a-1', chat: 'a' }));
    await gateway.webhook(textWebhook({ id: 'a-2', chat: 'a', at: fresh }));
    await gateway.settled();
    expect(idsSentTo(bot)).toEqual(['a-2']);
    expect((await deliveryOf(gateway, 'a-1')).status).toBe('expired');
  });

  it('holds for a webhook with messages of several chats, which waits for all of them and blocks all of them', async () => {
    const { gateway, bot } = await startDelivery({ max_attempts: 100 });
    refuse(bot, ({ ids }) => ids.includes('a-1') && bot.requests.length < 3);
    await gateway.webhook(textWebhook({ id: 'a-1', chat: 'a' }));
    await gateway.webhook(textWebhook({ id: 'a-2', chat: 'a' }, { id: 'b-2', chat: 'b' }));
    await gateway.webhook(textWebhook({ id: 'b-3', chat: 'b' }));
    await gateway.settled();
    expect(idsSentTo(bot)).toEqual(['a-1', 'a-1', 'a-1', 'a-2', 'b-2', 'b-3']);
  });

  it('is separate for each target', async () => {
    const { gateway, bot } = await startDelivery({ max_attempts: 100 });
    const healthy = await startBot();
    await gateway.addTarget({ url: healthy.url });
    refuse(bot, () => healthy.requests.length < 2);
    for (const id of ['a-1', 'a-2']) await gateway.webhook(textWebhook({ id, chat: 'a' }));
    await gateway.settled();
    expect(idsSentTo(healthy)).toEqual(['a-1', 'a-2']);
    expect(idsSentTo(bot).slice(-2)).toEqual(['a-1', 'a-2']);
    expect(idsSentTo(bot).indexOf('a-2')).toBe(idsSentTo(bot).length - 1);
  });

  it('is kept with many chats, many failures and one request per chat at a time', async () => {
    const { gateway, bot } = await startDelivery({ max_attempts: 100, concurrency: 32 });
    const seen = failEveryThird(bot);
    const sent = Array.from({ length: 60 }, (_, number) => `${'abcdef'.charAt(number % 6)}-${number}`);
    await Promise.all(sent.map(async (id) => await gateway.webhook(textWebhook({ id, chat: id.slice(0, 1) }))));
    await gateway.settled();
    expect(seen.overlaps).toEqual([]);
    expect([...seen.delivered].sort()).toEqual([...sent].sort());
    for (const chat of 'abcdef') expect(ofChat(seen.delivered, chat)).toEqual(await recorded(gateway, chat));
  });
});

/**
 * A bot that answers a moment later, 500 to every third request, and watches for two requests of one chat at a time.
 */
function failEveryThird(bot: Bot): { readonly overlaps: string[]; readonly delivered: string[] } {
  const underWay = new Set<string>();
  const seen = { overlaps: [] as string[], delivered: [] as string[] };
  bot.otherwise = ({ ids: [id = ''] }, response) => {
    const chat = id.slice(0, 1);
    const isRefused = bot.requests.length % 3 === 0;
    if (underWay.has(chat)) seen.overlaps.push(id);
    underWay.add(chat);
    setImmediate(() => {
      underWay.delete(chat);
      if (!isRefused) seen.delivered.push(id);
      response.writeHead(isRefused ? 500 : 200).end();
    });
  };
  return seen;
}

/** The messages of a chat in the order in which they were recorded. */
async function recorded(gateway: LocalGateway, chat: string): Promise<string[]> {
  const { body } = await gateway.call<{ data: { message_id: string }[] }>('GET', '/v1/messages?limit=500');
  return ofChat(body.data.map(({ message_id }) => message_id).reverse(), chat);
}

describe('the number of requests in flight', () => {
  it("never exceeds the target's concurrency, and reaches it while there is enough to do", async () => {
    const { gateway, bot, turn } = await stage({ concurrency: 3 });
    const held = hold(bot);
    await sendTexts(gateway, 8);
    for (let answered = 0; answered < 8; answered += 1) {
      await until(() => expect(held.waiting).toHaveLength(Math.min(3, 8 - answered)));
      await turn();
      held.waiting.shift()?.writeHead(200).end();
    }
    await gateway.settled();
    expect(held.most).toBe(3);
    expect(idsSentTo(bot).sort()).toEqual(Array.from({ length: 8 }, (_, number) => `m-${number + 1}`));
  });

  it('follows a change of concurrency while requests are in flight', async () => {
    const clock = startClock();
    const { gateway, bot, target, turn } = await stage({ concurrency: 1 }, { effects: clock.effects, intervals });
    const held = hold(bot);
    await sendTexts(gateway, 4);
    await turn();
    expect(bot.requests).toHaveLength(1);
    await gateway.call('PATCH', `/v1/targets/${target.id}`, { concurrency: 3 });
    await turn();
    await bot.received(3);
    expect(held.most).toBe(3);
  });

  it('of a slow target does not affect another target', async () => {
    const { gateway, bot } = await startDelivery({ concurrency: 2 });
    hold(bot);
    const quick = await startBot();
    await gateway.addTarget({ url: quick.url });
    await sendTexts(gateway, 20);
    await quick.received(20);
    expect(new Set(idsSentTo(quick)).size).toBe(20);
    expect(bot.requests).toHaveLength(2);
  });

  it('is one in total when the same webhook arrives many times at the same instant (I3)', async () => {
    const { gateway, bot } = await startDelivery();
    const copies = Array.from({ length: 20 }, async () => await gateway.webhook(textWebhook('m-1')));
    const verdicts = (await Promise.all(copies)).map(({ body }) => Object.keys(body.verdicts).join());
    await gateway.settled();
    expect(verdicts.filter((verdict) => verdict === 'new')).toHaveLength(1);
    expect(idsSentTo(bot)).toEqual(['m-1']);
  });
});

describe('rate_per_second', () => {
  it("allows one second's worth at once, then the rate per second", async () => {
    const clock = startClock({ stopped: true });
    const { gateway, bot, turn } = await stage({ rate_per_second: 5 }, { effects: clock.effects, intervals });
    await sendTexts(gateway, 12);
    const sent: number[] = [];
    for (const expected of [5, 10, 12]) {
      await bot.received(expected);
      await turn();
      sent.push(bot.requests.length);
      clock.advance(1000);
    }
    expect(sent).toEqual([5, 10, 12]);
  });

  it('may be less than one: one request every other second', async () => {
    const clock = startClock({ stopped: true });
    const { gateway, bot, turn } = await stage({ rate_per_second: 0.5 }, { effects: clock.effects, intervals });
    await sendTexts(gateway, 3);
    await bot.received(1);
    clock.advance(1000);
    await turn();
    expect(bot.requests).toHaveLength(1);
    clock.advance(1000);
    await bot.received(2);
  });

  it('counts failed attempts too', async () => {
    const clock = startClock({ stopped: true });
    const { gateway, bot, turn } = await stage({ rate_per_second: 2 }, { effects: clock.effects, intervals });
    bot.otherwise = 500;
    await sendTexts(gateway, 2);
    await bot.received(2);
    clock.advance(100);
    await turn();
    expect(bot.requests).toHaveLength(2);
    clock.advance(1000);
    await bot.received(4);
  });
});

describe('rate_per_second and max_age_seconds', () => {
  it('an expired delivery does not count towards the rate, so that a fresh message does not wait behind it', async () => {
    const clock = startClock({ stopped: true });
    const settings = { rate_per_second: 1, max_age_seconds: 60 };
    const { gateway, bot } = await startDelivery(settings, { effects: clock.effects, intervals });
    await sendTexts(gateway, 5);
    await gateway.webhook(textWebhook({ id: 'fresh', at: Math.floor(clock.now() / 1000) }));
    await gateway.settled();
    expect(idsSentTo(bot)).toEqual(['fresh']);
  });
});

describe('a disabled target', () => {
  it('is sent nothing and loses nothing, and is sent everything in order once it is enabled (I4)', async () => {
    const { gateway, bot, target, turn } = await stage({ enabled: false });
    for (const id of ['a-1', 'a-2', 'a-3']) await gateway.webhook(textWebhook({ id, chat: 'a' }));
    await turn();
    expect(bot.requests).toEqual([]);
    expect((await deliveryOf(gateway, 'a-1')).status).toBe('pending');
    await gateway.call('PATCH', `/v1/targets/${target.id}`, { enabled: true });
    await gateway.settled();
    expect(idsSentTo(bot)).toEqual(['a-1', 'a-2', 'a-3']);
  });
});

describe('a removed target', () => {
  it('leaves its pending deliveries dead with a reason, and is sent nothing more', async () => {
    const { gateway, bot, target, turn } = await stage({ max_attempts: 100 });
    bot.otherwise = 500;
    for (const id of ['a-1', 'a-2']) await gateway.webhook(textWebhook({ id, chat: 'a' }));
    await bot.received(2);
    expect((await gateway.call('DELETE', `/v1/targets/${target.id}?force=true`)).status).toBe(204);
    const sent = bot.requests.length;
    await turn();
    expect(bot.requests.length).toBeLessThanOrEqual(sent + 1);
    for (const id of ['a-1', 'a-2'])
      expect(await deliveryOf(gateway, id)).toMatchObject({ status: 'dead', last_error: 'The target was removed.' });
  });

  it('ends a request in flight without an error', async () => {
    const { gateway, bot, target, turn } = await stage();
    const held = hold(bot);
    await gateway.webhook(textWebhook('m-1'));
    await bot.received(1);
    await gateway.call('DELETE', `/v1/targets/${target.id}?force=true`);
    held.waiting.shift()?.writeHead(500).end();
    await turn();
    expect(await deliveryOf(gateway, 'm-1')).toMatchObject({ status: 'dead', last_error: 'The target was removed.' });
  });
});

describe('a delivery that keeps failing', () => {
  it('is dead after max_attempts, with all attempts in its log', async () => {
    const { gateway, bot } = await startDelivery({ max_attempts: 3 });
    bot.otherwise = 503;
    await gateway.webhook(textWebhook('m-1'));
    const { attempts, log, last_error, next_attempt_at } = await settledAs(gateway, 'm-1', 'dead');
    expect({ attempts, last_error, next_attempt_at }).toEqual({
      attempts: 3,
      last_error: 'The target answered 503.',
      next_attempt_at: null,
    });
    expect(log.map(({ status }) => status)).toEqual([503, 503, 503]);
    expect(bot.requests).toHaveLength(3);
  });

  it('is sent again by a manual retry, under the same webhook-id and with new attempts (I5)', async () => {
    const { gateway, bot } = await startDelivery({ max_attempts: 2 });
    bot.answers.push(500, 500, 500);
    await gateway.webhook(textWebhook('m-1'));
    const { id } = await settledAs(gateway, 'm-1', 'dead');
    expect((await gateway.call('POST', `/v1/deliveries/${id}/retry`)).status).toBe(202);
    await settledAs(gateway, 'm-1', 'delivered');
    expect(bot.requests.map(({ headers }) => headers['webhook-id'])).toEqual([id, id, id, id]);
  });
});

describe('a target that answers 410', () => {
  it('is disabled with a reason, and its deliveries wait and are sent once it is enabled (I4)', async () => {
    const { gateway, bot, target, turn } = await stage();
    bot.answers.push(410);
    for (const id of ['a-1', 'a-2']) await gateway.webhook(textWebhook({ id, chat: 'a' }));
    const off = await until(async () => {
      const { body } = await gateway.call('GET', `/v1/targets/${target.id}`);
      expect(body).toMatchObject({ enabled: false });
      return body;
    });
    expect(off['disabled_reason']).toMatch(/^The target answered 410 \(Gone\) at /);
    await turn();
    expect(idsSentTo(bot)).toEqual(['a-1']);
    const { body } = await gateway.call('PATCH', `/v1/targets/${target.id}`, { enabled: true });
    expect(body).toMatchObject({ enabled: true, disabled_reason: null });
    await gateway.settled();
    expect(idsSentTo(bot)).toEqual(['a-1', 'a-1', 'a-2']);
  });
});

describe('retry_delays_seconds', () => {
  it('replaces the default schedule of the target', async () => {
    const clock = startClock({ stopped: true });
    const settings = { retry_delays_seconds: [100, 1000], max_attempts: 100 };
    const { gateway, bot } = await startDelivery(settings, {
      effects: { ...clock.effects, random: () => 0.5 },
      intervals,
    });
    bot.otherwise = 500;
    await gateway.webhook(textWebhook('m-1'));
    const begun = clock.now();
    for (const [attempts, pause] of [
      [1, 100_000],
      [2, 1_000_000],
      [3, 1_000_000],
    ] as const) {
      const { next_attempt_at } = await until(async () => {
        const delivery = await deliveryOf(gateway, 'm-1');
        expect(delivery.log).toHaveLength(attempts);
        return delivery;
      });
      expect(Date.parse(next_attempt_at ?? '') - clock.now()).toBe(pause);
      clock.advance(pause);
    }
    await bot.received(4);
    expect(clock.now() - begun).toBe(2_100_000);
  });
});

describe('max_age_seconds', () => {
  it('prevents an older message from being sent at all', async () => {
    const { gateway, bot, turn } = await stage({ max_age_seconds: 60 });
    const fresh = Math.floor(systemEffects.now() / 1000);
    await gateway.webhook(textWebhook('old'));
    await gateway.webhook(textWebhook({ id: 'fresh', at: fresh }));
    const { attempts, log, last_error } = await settledAs(gateway, 'old', 'expired');
    expect({ attempts, log }).toEqual({ attempts: 0, log: [] });
    expect(last_error).toMatch(/^Not sent: its newest message was \d+ s old, max_age_seconds is 60\.$/);
    await turn();
    await settledAs(gateway, 'fresh', 'delivered');
    expect(idsSentTo(bot)).toEqual(['fresh']);
  });

  it('is checked at each attempt, so that a message can expire between attempts', async () => {
    const clock = startClock();
    const { gateway, bot } = await startDelivery({ max_age_seconds: 60 }, { effects: clock.effects, intervals });
    bot.otherwise = (_request, response) => {
      clock.advance(61_000);
      response.writeHead(500).end();
    };
    await gateway.webhook(textWebhook({ id: 'm-1', at: Math.floor(clock.now() / 1000) }));
    const { log } = await settledAs(gateway, 'm-1', 'expired');
    expect(log.map(({ status }) => status)).toEqual([500]);
    expect(bot.requests).toHaveLength(1);
  });

  it('does not apply to a manual retry of an expired delivery', async () => {
    const { gateway, bot } = await startDelivery({ max_age_seconds: 60 });
    await gateway.webhook(textWebhook('old'));
    const { id } = await settledAs(gateway, 'old', 'expired');
    bot.answers.push(500);
    await gateway.call('POST', `/v1/deliveries/${id}/retry`);
    await settledAs(gateway, 'old', 'delivered');
    expect(idsSentTo(bot)).toEqual(['old', 'old']);
  });

  it('does not apply to events without a message', async () => {
    const { gateway, bot } = await startDelivery({ max_age_seconds: 60 });
    const old = '{"statuses":[{"id":"m-1","status":"read","timestamp":"1712995245"}]}';
    await gateway.webhook(old);
    expect((await requestTo(bot)).body.toString()).toBe(old);
  });
});

describe('a gateway that stops', () => {
  it('continues after a restart under the same webhook-id (I4, I5)', async () => {
    const clock = startClock();
    const slowly = { effects: clock.effects, intervals: { retryDelaysMs: [60_000] } };
    const { gateway, bot } = await startDelivery({}, slowly);
    bot.answers.push(500);
    for (const id of ['a-1', 'a-2']) await gateway.webhook(textWebhook({ id, chat: 'a' }));
    await until(async () => expect((await deliveryOf(gateway, 'a-1')).attempts).toBe(1));
    await gateway.close();
    const again = await startLocal({ folder: gateway.folder, ...slowly });
    clock.advance(75_000);
    await again.settled();
    expect(idsSentTo(bot)).toEqual(['a-1', 'a-1', 'a-2']);
    expect(bot.requests[1]?.headers['webhook-id']).toBe(bot.requests[0]?.headers['webhook-id']);
  });

  it('waits for the answer of a request in flight, which is then not sent again', async () => {
    const { gateway, bot } = await startDelivery();
    const held = hold(bot);
    await gateway.webhook(textWebhook({ id: 'a-1', chat: 'a' }));
    await bot.received(1);
    const closed = gateway.close();
    held.waiting.shift()?.writeHead(200).end();
    await closed;
    bot.otherwise = 200;
    const again = await startLocal({ folder: gateway.folder, intervals });
    await again.webhook(textWebhook({ id: 'a-2', chat: 'a' }));
    await again.settled();
    expect(idsSentTo(bot)).toEqual(['a-1', 'a-2']);
  });

  it('aborts a request without an answer in time, which is due again and costs no attempt (I4)', async () => {
    const clock = startClock();
    const { gateway, bot } = await startDelivery({ max_attempts: 1 }, { effects: clock.effects, intervals });
    hold(bot);
    await gateway.webhook(textWebhook('m-1'));
    await bot.received(1);
    clock.endSleeps();
    await gateway.close();
    bot.otherwise = 200;
    const again = await startLocal({ folder: gateway.folder, intervals });
    await again.settled();
    const [first, second] = bot.requests.map(({ headers }) => headers['webhook-id']);
    expect(second).toBe(first);
    expect(await deliveryOf(again, 'm-1')).toMatchObject({ status: 'delivered', attempts: 1 });
  });
});

describe('the delivery loop', () => {
  it('sends a recorded delivery at once, without waiting for the next poll', async () => {
    const patient = async (_ms: number, signal?: AbortSignal): Promise<void> =>
      await new Promise((resolve) => {
        if (signal?.aborted) resolve();
        signal?.addEventListener('abort', () => resolve());
      });
    const { gateway, bot } = await startDelivery({}, { effects: { sleep: patient }, intervals });
    await gateway.webhook(textWebhook('m-1'));
    expect((await requestTo(bot)).ids).toEqual(['m-1']);
  });

  it('reports a failed claim and retries it', async () => {
    const clock = startClock();
    const fakes = await startLoopOn({ brokenClaims: 1, brokenSettlements: 0 }, clock);
    await until(() => expect(fakes.errors).toEqual([new Error('the disk is full')]));
    clock.advance(1000);
    await until(() => expect(fakes.settled).toEqual(['dlv_1', 'dlv_2', 'dlv_3']));
    expect(fakes.errors).toHaveLength(1);
  });

  it('leaves a delivery that it could not settle to its lease, and continues with the others', async () => {
    const clock = startClock();
    const fakes = await startLoopOn({ brokenClaims: 0, brokenSettlements: 1 }, clock);
    await until(() => expect(fakes.sent).toEqual(['dlv_1', 'dlv_2', 'dlv_3']));
    await until(() => expect(fakes.settled).toEqual(['dlv_2', 'dlv_3']));
    expect(fakes.errors).toEqual([new Error('the disk is full')]);
  });

  it('claims nothing more once it is stopped', async () => {
    const clock = startClock();
    const fakes = await startLoopOn({ brokenClaims: 0, brokenSettlements: 0 }, clock);
    await until(() => expect(fakes.settled).toHaveLength(3));
    await fakes.loop.stop(0);
    const { claims } = fakes;
    fakes.loop.wake();
    clock.advance(10_000);
    const another = await startLoopOn({ brokenClaims: 0, brokenSettlements: 0 }, clock);
    await until(() => expect(another.settled).toHaveLength(3));
    expect(fakes.claims).toBe(claims);
  });
});

interface Fakes {
  readonly loop: DeliveryLoop;
  claims: number;
  readonly sent: string[];
  readonly settled: string[];
  readonly errors: unknown[];
}

/** The loop on a store with injected failures and three deliveries for a target with concurrency 1. */
async function startLoopOn(
  broken: { brokenClaims: number; brokenSettlements: number },
  clock: TestClock,
): Promise<Fakes> {
  const target = {
    id: 'tgt_1',
    enabled: true,
    concurrency: 1,
    ratePerSecond: null,
    maxAgeSeconds: null,
    retryDelaysSeconds: null,
  } as Target;
  const event = { type: 'messages', method: 'post' } as const;
  const due = ['dlv_1', 'dlv_2', 'dlv_3'];
  const seen = { claims: 0, sent: [] as string[], settled: [] as string[], errors: [] as unknown[] };
  const registry: DeliveryOptions['store']['registry'] = {
    targets: async () => await Promise.resolve([target]),
    disableTarget: async () => await Promise.resolve(true),
  };
  const outbox: DeliveryOptions['store']['outbox'] = {
    due: async () => await Promise.resolve({ targetIds: new Set(due.length > 0 ? [target.id] : []), nextDueAt: null }),
    claim: async ([want]) => {
      seen.claims += 1;
      if (seen.claims <= broken.brokenClaims) throw new Error('the disk is full');
      const ids = due.splice(0, want?.limit ?? 0);
      const deliveries = ids.map(
        (id) => ({ id, target, event, attempts: 0, newestMessageAt: null, body: Buffer.of() }) as Delivery,
      );
      return await Promise.resolve({ deliveries, nextDueAt: null });
    },
    offer: () => undefined,
    chatFacts: async () => await Promise.reject(new Error('no policy depends on facts')),
    settle: async ({ id }) => {
      if (seen.sent.length <= broken.brokenSettlements) throw new Error('the disk is full');
      seen.settled.push(id);
      return await Promise.resolve(true);
    },
  };
  const send: Sender['send'] = async ({ id }) => {
    seen.sent.push(id);
    const attempt = { startedAt: 0, durationMs: 0, status: 200, error: null };
    return await Promise.resolve({ outcome: { kind: 'answered', status: 200, retryAfter: null }, attempt });
  };
  const effects = { ...systemEffects, ...clock.effects };
  const none = { isMade: true, stored: { targetId: 'bot', version: 0, breaker: null, probeUntil: null } };
  const nothing = {
    all: async () => await Promise.resolve([]),
    change: async () => await Promise.resolve(none),
    takeProbe: async () => await Promise.resolve(none),
  };
  const breakers = await Breakers.load({
    store: { breakers: nothing },
    intervals: QUICK_BREAKER,
    effects,
    onChange: () => undefined,
  });
  const loop = startDeliveryLoop({
    store: { outbox, registry, replicas: { alive: () => 1 } },
    sender: { send, destroy: async () => await Promise.resolve() },
    breakers,
    delaysMs: QUICK_RETRIES_MS,
    effects,
    onError: (error) => seen.errors.push(error),
    notices: SILENT,
  });
  onTestFinished(async () => await loop.stop(0));
  return Object.assign(seen, { loop });
}
