import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { systemEffects } from '../../src/effects.js';
import { openStore } from '../../src/store/open.js';
import type { Sealed } from '../../src/model.js';
import { createCallScheduler } from '../../src/whapi/scheduler.js';
import { startResyncWorker } from '../../src/resync/worker.js';
import type { WhapiClient } from '../../src/whapi/client.js';
import { startSimulator } from '../../src/simulator/simulator.js';
import type { Simulator } from '../../src/simulator/simulator.js';
import { startBareWhapi } from '../support/bot.js';
import type { Bot, BotAnswer } from '../support/bot.js';
import type { Client } from '../support/client.js';
import { startClock } from '../support/clock.js';
import type { TestClock } from '../support/clock.js';
import { idsSentTo } from '../support/delivery.js';
import { temporaryFolder } from '../support/files.js';
import { startLocal } from '../support/gateway.js';
import type { LocalGateway } from '../support/gateway.js';
import { QUICK_RESYNC, until } from '../support/intervals.js';
import { startProcess } from '../support/process.js';
import {
  callsOf,
  addWhapi,
  explain,
  finished,
  lose,
  messageIs,
  messageOf,
  intervalsWith,
  pausedWith,
  resync,
  sendWebhooksTo,
  startResyncs,
} from '../support/resync.js';
import { textWebhook } from '../support/texts.js';

const MINUTE = 60_000;
/** Polls and retries that do not happen while a test runs. */
const NEVER = { pollsMs: [MINUTE * 60], backoffMs: [MINUTE * 60] };

/** The verdict on a message that arrives now. */
async function verdictOf(gateway: LocalGateway, id: string, channel = 'main'): Promise<string> {
  const { body } = await gateway.webhook(textWebhook(id), { channel });
  return Object.keys(body.verdicts).join();
}

function resyncCalls(whapi: Simulator): (string | undefined)[] {
  return whapi.calls.filter((call) => call.resync).map(({ messageId }) => messageId);
}

/** A bare server in place of Whapi, and a gateway with a channel on it. */
async function startBare(answer: BotAnswer, intervals = {}): Promise<{ gateway: LocalGateway; whapi: Bot }> {
  const gateway = await startLocal({ intervals: intervalsWith({ ...NEVER, ...intervals }) });
  const whapi = await startBareWhapi();
  whapi.otherwise = answer;
  await gateway.addChannel({ whapi_base_url: whapi.url });
  return { gateway, whapi };
}

function ids(count: number): string[] {
  return Array.from({ length: count }, (_, number) => `m-${number + 1}`);
}

describe('registered before asked (I2)', () => {
  it('has the id registered, marked as asked and its window open when the call reaches Whapi', async () => {
    const { gateway, whapi } = await startBare(404);
    const atArrival = new Promise((resolve) => {
      whapi.otherwise = (_request, response) =>
        void Promise.all([messageOf(gateway, 'm-1'), verdictOf(gateway, 'm-1')])
          .then(resolve)
          .finally(() => response.writeHead(404).end());
    });
    await resync(gateway, ['m-1']);
    const asked = { status: 'requesting', calls: 1, asked_at: expect.any(String) as unknown };
    expect(await atArrival).toMatchObject([asked, 'restored']);
  });

  it('registers every id of a resync before the 202, long before its own call', async () => {
    const { gateway } = await startResyncs({ faults: { resyncHangs: true } });
    await resync(gateway, ids(1000));
    expect(await verdictOf(gateway, 'm-1000')).toBe('restored');
    expect(await verdictOf(gateway, 'm-1001')).toBe('new');
  });

  it.each<[string, BotAnswer, string]>([
    ['200', 200, 'waiting'],
    ['404', 404, 'waiting'],
    ['no answer at all', () => undefined, 'waiting'],
    ['401', 401, 'queued'],
    ['403', 403, 'failed'],
    ['429', 429, 'queued'],
    ['500', 500, 'queued'],
    ['a reset', (_request, { socket }) => socket?.resetAndDestroy(), 'queued'],
  ])('keeps the registration after the result %s', async (_name, answer, status) => {
    const { gateway } = await startBare(answer, { callTimeoutMs: 100, proofMs: MINUTE });
    await resync(gateway, ['m-1']);
    await messageIs(gateway, 'm-1', { status, calls: 1 });
    expect(await verdictOf(gateway, 'm-1')).toBe('restored');
    expect(await messageOf(gateway, 'm-1')).toMatchObject({ status: 'restored', error: null });
  });

  it.each(['.', '..'])('refuses the id %j, whose call would reach another path of Whapi', async (id) => {
    const { gateway, whapi } = await startBare(200);
    const { status } = await gateway.call('POST', '/v1/resyncs', { channel: 'main', message_ids: [id] });
    expect({ status, calls: whapi.requests.length }).toEqual({ status: 400, calls: 0 });
  });
});

describe('a typical resync', () => {
  it('answered 404 is restored and held when the webhook comes, and the bot gets only the next live message', async () => {
    const { gateway, whapi, bot } = await startResyncs();
    lose(whapi, ['m-1', 'm-2']);
    const { id } = await resync(gateway, ['m-1', 'm-2']);
    const { status, counts } = await finished(gateway, id);
    await whapi.idle();
    expect({ status, restored: counts['restored'] }).toEqual({ status: 'finished', restored: 2 });
    expect((await explain(gateway, 'm-1')).sightings).toMatchObject([{ verdict: 'restored', rule: 3, held: true }]);
    await gateway.webhook(textWebhook('live'));
    await gateway.settled();
    expect(idsSentTo(bot)).toEqual(['live']);
  });

  it('answered 200 at once is restored too, with or without a webhook', async () => {
    const { gateway, whapi } = await startResyncs({ faults: { resyncAnswers: 200, resyncSendsWebhook: false } });
    lose(whapi, ['m-1']);
    const { id } = await resync(gateway, ['m-1']);
    expect((await finished(gateway, id)).counts).toMatchObject({ restored: 1 });
    expect(await messageOf(gateway, 'm-1')).toMatchObject({ calls: 1, polls: 1, error: null });
  });

  it('without a webhook is restored by a poll, and a later webhook is still held', async () => {
    const { gateway, whapi, bot } = await startResyncs({ faults: { resyncSendsWebhook: false } });
    lose(whapi, ['m-1']);
    const { id } = await resync(gateway, ['m-1']);
    expect((await finished(gateway, id)).counts).toMatchObject({ restored: 1 });
    const { calls, polls, restored_at } = await messageOf(gateway, 'm-1');
    expect({ calls, isPolled: polls > 0, isDated: restored_at !== null }).toEqual({
      ...{ calls: 1, isPolled: true, isDated: true },
    });
    expect(await verdictOf(gateway, 'm-1')).toBe('restored');
    expect(bot.requests).toEqual([]);
  });

  it('whose webhook comes before its call ends is not changed by the answer', async () => {
    const { gateway, whapi } = await startResyncs({ faults: { restoredAfterMs: 1, resyncTakesMs: 100_000 } });
    lose(whapi, ['m-1']);
    await resync(gateway, ['m-1']);
    await messageIs(gateway, 'm-1', { status: 'restored' });
    await until(() => expect(callsOf(whapi)).toMatchObject([{ resync: true, status: 404 }]));
    await resync(gateway, ['m-2']);
    await messageIs(gateway, 'm-2', { calls: 1 });
    expect(await messageOf(gateway, 'm-1')).toMatchObject({ status: 'restored', error: null, polls: 0 });
  });

  it('with several webhooks, each sent more than once, holds them all', async () => {
    const { gateway, whapi, bot } = await startResyncs({ faults: { resyncWebhooks: 3, duplicateWebhooks: 1 } });
    lose(whapi, ['m-1']);
    const { id } = await resync(gateway, ['m-1']);
    await finished(gateway, id);
    await whapi.idle();
    const { sightings, deliveries } = await explain(gateway, 'm-1');
    expect(sightings.map(({ verdict, held }) => ({ verdict, held }))).toEqual(
      Array.from({ length: 6 }, () => ({ verdict: 'restored', held: true })),
    );
    expect([deliveries, bot.requests]).toEqual([[], []]);
  });

  it('holds the chats.patch that makes a restored message the last one of its chat', async () => {
    const { gateway, whapi, bot } = await startResyncs({ faults: { resyncSideEffect: true } });
    lose(whapi, ['m-1']);
    const { id } = await resync(gateway, ['m-1']);
    await finished(gateway, id);
    await whapi.idle();
    const { sightings } = await explain(gateway, 'm-1');
    expect(sightings.map(({ carrier, verdict, held }) => ({ carrier, verdict, held }))).toEqual(
      expect.arrayContaining([{ carrier: 'chats_updates', verdict: 'restored', held: true }]),
    );
    expect(bot.requests).toEqual([]);
  });

  it('whose message is still a placeholder at Whapi is polled until the real message is there', async () => {
    const { gateway, whapi } = await startBare(200, { pollsMs: [5], proofMs: 5 });
    const message = { type: 'unknown' };
    whapi.otherwise = (_request, response) => response.writeHead(200).end(JSON.stringify(message));
    const { id } = await resync(gateway, ['m-1']);
    await until(async () => expect((await messageOf(gateway, 'm-1')).polls).toBeGreaterThan(2));
    expect(await messageOf(gateway, 'm-1')).toMatchObject({ status: 'waiting' });
    message.type = 'text';
    expect((await finished(gateway, id)).counts).toMatchObject({ restored: 1 });
  });

  it('of an id that two resyncs share is restored in both with one call', async () => {
    const { gateway, whapi, bot } = await startResyncs({ intervals: NEVER });
    lose(whapi, ['m-1']);
    const [first, second] = [await resync(gateway, ['m-1']), await resync(gateway, ['m-1'])];
    for (const { id } of [first, second]) expect((await finished(gateway, id)).counts).toMatchObject({ restored: 1 });
    expect(first.id).not.toBe(second.id);
    expect(resyncCalls(whapi)).toEqual(['m-1']);
    expect(bot.requests).toEqual([]);
  });

  it("calls Whapi with the channel's token, and only once", async () => {
    const { gateway, whapi } = await startResyncs();
    lose(whapi, ids(3));
    const { id } = await resync(gateway, ids(3));
    await finished(gateway, id);
    expect(resyncCalls(whapi)).toEqual(ids(3));
  });
});

describe('a resync with deliver_unseen', () => {
  it('sends a message that no webhook delivered to the bot exactly once', async () => {
    const { gateway, whapi, bot } = await startResyncs({ faults: { resyncWebhooks: 3, duplicateWebhooks: 2 } });
    lose(whapi, ids(5));
    const { id } = await resync(gateway, ids(5), { deliver_unseen: true });
    await finished(gateway, id);
    await whapi.idle();
    await gateway.settled();
    expect(idsSentTo(bot).sort()).toEqual(ids(5));
    expect(bot.requests.map(({ headers }) => headers['x-gateway-verdicts'])).toEqual(ids(5).map(() => 'restored'));
  });

  it('does not send a message that the bot already has', async () => {
    const { gateway, whapi, bot } = await startResyncs();
    await gateway.webhook(textWebhook('m-1'));
    lose(whapi, ['m-1']);
    const { id } = await resync(gateway, ['m-1'], { deliver_unseen: true });
    await finished(gateway, id);
    await whapi.idle();
    await gateway.settled();
    expect(idsSentTo(bot)).toEqual(['m-1']);
  });
});

describe('a call that Whapi refuses', () => {
  it.each([
    ['400', { restStatus: 400 } as const, '400 Wrong request parameters'],
    ['403', { restStatus: 403 } as const, '403 It is forbidden to send to this group/recipient'],
  ])(
    "%s: fails the message with Whapi's own reason, and frees the id after 15 minutes",
    async (_name, faults, words) => {
      const clock = startClock();
      const { gateway, bot } = await startResyncs({ faults, effects: clock.effects });
      const { id } = await resync(gateway, ['m-1', 'm-2']);
      expect((await finished(gateway, id)).counts).toMatchObject({ failed: 2 });
      const { error, asked_at, window_closes_at } = await messageOf(gateway, 'm-1');
      expect(error).toBe(words);
      const openMs = Date.parse(window_closes_at ?? '') - Date.parse(asked_at ?? '');
      expect(Math.round(openMs / MINUTE)).toBe(15);
      clock.advance(14 * MINUTE);
      expect(await verdictOf(gateway, 'm-1')).toBe('restored');
      clock.advance(2 * MINUTE);
      expect(await verdictOf(gateway, 'm-2')).toBe('new');
      await gateway.settled();
      expect(idsSentTo(bot)).toEqual(['m-2']);
    },
  );

  it('is made again by a new resync of the same id', async () => {
    const { gateway, whapi } = await startResyncs({ faults: { restStatus: 403 } });
    lose(whapi, ['m-1']);
    await resync(gateway, ['m-1']);
    await messageIs(gateway, 'm-1', { status: 'failed' });
    whapi.faults.restStatus = null;
    const { id } = await resync(gateway, ['m-1']);
    expect((await finished(gateway, id)).counts).toMatchObject({ restored: 1 });
  });
});

describe('a Whapi that cannot take the call now', () => {
  it.each([
    [429, '429 Too many requests'],
    [500, '500 Internal Error'],
  ] as const)('is asked again until it can: %i', async (restStatus, error) => {
    const { gateway, whapi } = await startResyncs({ faults: { restStatus } });
    const { id } = await resync(gateway, ['m-1']);
    await pausedWith(gateway, id, 'busy', error);
    lose(whapi, ['m-1']);
    whapi.faults.restStatus = null;
    expect((await finished(gateway, id)).counts).toMatchObject({ restored: 1 });
    expect((await messageOf(gateway, 'm-1')).error).toBeNull();
  });

  it('is asked again until it is reachable', async () => {
    const { gateway, whapi } = await startResyncs();
    const port = Number(new URL(whapi.url).port);
    await whapi.close();
    const { id } = await resync(gateway, ['m-1']);
    await pausedWith(gateway, id, 'busy', 'ECONNREFUSED');
    const back = await startSimulator({ timeScale: 1000, port, token: whapi.token });
    onTestFinished(async () => await back.close());
    lose(back, ['m-1']);
    expect((await finished(gateway, id)).counts).toMatchObject({ restored: 1 });
  });

  it('pauses its whole channel until the pause is over, while other channels continue', async () => {
    const clock = startClock({ stopped: true });
    const intervals = { backoffMs: [MINUTE] };
    const { gateway, whapi } = await startResyncs({ faults: { restStatus: 429 }, intervals, effects: clock.effects });
    const other = await addWhapi(gateway, 'other');
    const { id } = await resync(gateway, ids(3));
    await pausedWith(gateway, id, 'busy', '429 Too many requests');
    await resync(gateway, ['o-1'], { channel: 'other' });
    await until(() => expect(resyncCalls(other)).toEqual(['o-1']));
    expect(whapi.calls.map(({ path }) => path)).toEqual(['/health']);
    whapi.faults.restStatus = null;
    clock.advance(1.2 * MINUTE);
    await until(() => expect(resyncCalls(whapi)).toEqual(ids(3)));
  });

  it('causes a first, short pause after a poll it answers 429, however many polls succeeded before', async () => {
    const intervals = { pollsMs: [5], backoffMs: [20, 20, 20, 60 * MINUTE] };
    const { gateway, whapi } = await startResyncs({ intervals });
    await resync(gateway, ['nowhere']);
    await until(async () => expect((await messageOf(gateway, 'nowhere')).polls).toBeGreaterThan(2));
    whapi.faults.restStatus = 429;
    await until(() => expect(whapi.calls.at(-1)?.status).toBe(429));
    whapi.faults.restStatus = null;
    await resync(gateway, ['m-1']);
    await until(() => expect(resyncCalls(whapi)).toEqual(['nowhere', 'm-1']));
  });

  it('and never answers counts as asked at the timeout, and is polled from then on', async () => {
    const faults = { resyncHangs: true, resyncSendsWebhook: false };
    const { gateway, whapi } = await startResyncs({ faults, intervals: { callTimeoutMs: 100 } });
    lose(whapi, ['m-1']);
    const { id } = await resync(gateway, ['m-1']);
    expect((await finished(gateway, id)).counts).toMatchObject({ restored: 1 });
    const { calls, asked_at } = await messageOf(gateway, 'm-1');
    expect({ calls, isAsked: asked_at !== null }).toEqual({ calls: 1, isAsked: true });
    expect(callsOf(whapi)[0]).toMatchObject({ resync: true, status: null });
  });

  it('and never answers blocks neither the next id of its channel nor another channel', async () => {
    const { gateway, whapi } = await startResyncs({ faults: { resyncHangs: true }, intervals: { callTimeoutMs: 100 } });
    const other = await addWhapi(gateway, 'other');
    lose(other, ['o-1']);
    await resync(gateway, ids(2));
    await resync(gateway, ['o-1'], { channel: 'other' });
    await messageIs(gateway, 'o-1', { status: 'restored' }, 'other');
    await until(() => expect(resyncCalls(whapi)).toEqual(ids(2)));
  });
});

describe('a resync of many ids', () => {
  it('asks for one at a time, in the given order, and restores them all', async () => {
    const faults = { resyncTakesMs: 1000, restoredAfterMs: 2000 };
    const { gateway, whapi, bot } = await startResyncs({ faults });
    lose(whapi, ids(200));
    const { id } = await resync(gateway, ids(200));
    expect((await finished(gateway, id)).counts).toMatchObject({ restored: 200 });
    await whapi.idle();
    expect(resyncCalls(whapi)).toEqual(ids(200));
    expect(whapi.mostCallsAtOnce).toBe(1);
    expect(bot.requests).toEqual([]);
  });

  it('runs in parallel with one of another channel', async () => {
    const { gateway, whapi } = await startResyncs({ faults: { resyncHangs: true } });
    const other = await addWhapi(gateway, 'other');
    other.faults.resyncHangs = true;
    await resync(gateway, ids(2));
    await resync(gateway, ids(2), { channel: 'other' });
    await until(() => expect([resyncCalls(whapi), resyncCalls(other)]).toEqual([['m-1'], ['m-1']]));
    expect([callsOf(whapi)[0]?.status, callsOf(other)[0]?.status]).toEqual([null, null]);
  });

  it('still asks for one at a time with two resyncs in the channel', async () => {
    const { gateway, whapi } = await startResyncs({ faults: { resyncTakesMs: 2000 } });
    lose(whapi, ids(20));
    const resyncs = await Promise.all([resync(gateway, ids(20).slice(0, 10)), resync(gateway, ids(20).slice(10))]);
    for (const { id } of resyncs) expect((await finished(gateway, id)).counts).toMatchObject({ restored: 10 });
    expect(whapi.mostCallsAtOnce).toBe(1);
  });

  it('alternates new calls with polls for earlier ones', async () => {
    const faults = { resyncTakesMs: 2000, restoredAfterMs: 500_000, resyncSendsWebhook: false };
    const { gateway, whapi } = await startResyncs({ faults, intervals: { pollsMs: [1] } });
    lose(whapi, ids(20));
    await resync(gateway, ids(20));
    await until(() => expect(resyncCalls(whapi)).toHaveLength(20));
    const kinds = callsOf(whapi).map((call) => (call.resync ? 'new' : 'poll'));
    expect(kinds.indexOf('poll')).toBeLessThan(5);
    expect(kinds.slice(0, kinds.lastIndexOf('new')).join()).not.toMatch(/new,new,new,new|poll,poll,poll,poll/);
  });
});

describe('a cancelled resync', () => {
  it('makes no more calls, frees the ids not asked for yet and still holds the others', async () => {
    const { gateway, whapi, bot } = await startResyncs({ faults: { resyncHangs: true } });
    const { id } = await resync(gateway, ids(3));
    await until(() => expect(resyncCalls(whapi)).toEqual(['m-1']));
    const { body } = await gateway.call('POST', `/v1/resyncs/${id}/cancel`);
    expect(body).toMatchObject({ status: 'cancelled', counts: { cancelled: 3, queued: 0, requesting: 0 } });
    expect([await verdictOf(gateway, 'm-1'), await verdictOf(gateway, 'm-2')]).toEqual(['restored', 'new']);
    await gateway.settled();
    expect(idsSentTo(bot)).toEqual(['m-2']);
  });

  it('is not revived by the answer to a call in flight', async () => {
    const { gateway, whapi } = await startResyncs({ faults: { resyncTakesMs: 100_000 } });
    const { id } = await resync(gateway, ids(2));
    await until(() => expect(resyncCalls(whapi)).toEqual(['m-1']));
    await gateway.call('POST', `/v1/resyncs/${id}/cancel`);
    await until(() => expect(callsOf(whapi)[0]?.status).toBe(404));
    await resync(gateway, ['m-3']);
    await messageIs(gateway, 'm-3', { calls: 1 });
    expect(await messageOf(gateway, 'm-1')).toMatchObject({ status: 'cancelled', polls: 0 });
    expect(resyncCalls(whapi)).toEqual(['m-1', 'm-3']);
  });

  it('of a removed channel does not affect other channels', async () => {
    const { gateway, whapi } = await startResyncs({ faults: { resyncTakesMs: 50_000 } });
    const other = await addWhapi(gateway, 'other');
    lose(other, ['o-1']);
    const { id } = await resync(gateway, ids(2));
    await until(() => expect(resyncCalls(whapi)).toEqual(['m-1']));
    expect((await gateway.call('DELETE', '/v1/channels/main?force=true')).status).toBe(204);
    await resync(gateway, ['o-1'], { channel: 'other' });
    await messageIs(gateway, 'o-1', { status: 'restored' }, 'other');
    expect((await finished(gateway, id)).status).toBe('cancelled');
    expect(resyncCalls(whapi)).toEqual(['m-1']);
  });
});

describe('a window', () => {
  it('that ends leaves the message not restored, and a later webhook is a duplicate that is held', async () => {
    const clock = startClock();
    const { gateway, bot } = await startResyncs({ effects: clock.effects, intervals: NEVER });
    const { id } = await resync(gateway, ['m-1'], { window_seconds: 60 });
    await messageIs(gateway, 'm-1', { status: 'waiting' });
    clock.advance(61_000);
    expect((await finished(gateway, id)).counts).toMatchObject({ not_restored: 1 });
    expect(await verdictOf(gateway, 'm-1')).toBe('duplicate');
    expect((await explain(gateway, 'm-1')).sightings).toMatchObject([{ held: true }]);
    expect(bot.requests).toEqual([]);
  });

  it('stays open after the message is restored, and then its id is a duplicate', async () => {
    const clock = startClock();
    const { gateway, whapi, bot } = await startResyncs({ effects: clock.effects });
    lose(whapi, ['m-1']);
    const { id } = await resync(gateway, ['m-1'], { window_seconds: 60 });
    await finished(gateway, id);
    await whapi.idle();
    expect(await verdictOf(gateway, 'm-1')).toBe('restored');
    clock.advance(61_000);
    expect(await verdictOf(gateway, 'm-1')).toBe('duplicate');
    expect(await messageOf(gateway, 'm-1')).toMatchObject({ status: 'restored' });
    expect(bot.requests).toEqual([]);
  });

  it('of a message that only a poll found ends with its id as a duplicate too', async () => {
    const clock = startClock();
    const faults = { resyncSendsWebhook: false };
    const { gateway, whapi } = await startResyncs({ faults, effects: clock.effects });
    lose(whapi, ['m-1']);
    const { id } = await resync(gateway, ['m-1'], { window_seconds: 60 });
    await finished(gateway, id);
    clock.advance(61_000);
    await until(async () => expect((await explain(gateway, 'm-1')).ledger).toMatchObject({ first_seen_at: null }));
    expect(await verdictOf(gateway, 'm-1')).toBe('duplicate');
  });

  it('that has just ended does not make the message new before the window is marked as closed', async () => {
    const clock = startClock();
    const { gateway, bot } = await startResyncs({ effects: clock.effects, intervals: NEVER });
    await resync(gateway, ['m-1'], { window_seconds: 60 });
    await messageIs(gateway, 'm-1', { status: 'waiting' });
    clock.jump(61_000);
    expect(await verdictOf(gateway, 'm-1')).toMatch(/^(restored|duplicate)$/);
    await gateway.settled();
    expect(bot.requests).toEqual([]);
  });

  it('starts at the last call, so that an id in a long queue keeps its window', async () => {
    const clock = startClock();
    const { gateway } = await startResyncs({ faults: { resyncHangs: true }, effects: clock.effects });
    await resync(gateway, ids(2), { window_seconds: 60 });
    await messageIs(gateway, 'm-1', { status: 'requesting' });
    clock.advance(3600_000);
    expect(await verdictOf(gateway, 'm-2')).toBe('restored');
  });
});

describe('a gateway that stops', () => {
  it('resumes a resync after its restart', async () => {
    const { gateway, whapi } = await startResyncs();
    lose(whapi, ids(30));
    const { id } = await resync(gateway, ids(30));
    await until(() => expect(resyncCalls(whapi).length).toBeGreaterThan(5));
    await gateway.close();
    expect(resyncCalls(whapi).length).toBeLessThan(30);
    const again = await startLocal({ folder: gateway.folder, intervals: intervalsWith() });
    sendWebhooksTo(again, whapi);
    expect((await finished(again, id)).counts).toMatchObject({ restored: 30 });
    expect(resyncCalls(whapi)).toEqual(ids(30));
  });

  it("repeats an aborted call, and the message's webhook is held meanwhile (I2)", async () => {
    const clock = startClock();
    const { gateway, whapi } = await startResyncs({ faults: { resyncHangs: true }, effects: clock.effects });
    await resync(gateway, ['m-1']);
    await until(() => expect(resyncCalls(whapi)).toEqual(['m-1']));
    clock.endSleeps();
    await gateway.close();
    whapi.faults.resyncHangs = false;
    const again = await startLocal({ folder: gateway.folder, intervals: intervalsWith(NEVER) });
    await until(() => expect(resyncCalls(whapi)).toEqual(['m-1', 'm-1']));
    expect(await verdictOf(again, 'm-1')).toBe('restored');
  });
});

describe('a store that cannot settle a call', () => {
  it('does not block the id forever, because the call is repeated when its lease ends', async () => {
    const clock = startClock();
    const worker = await startWorkerWhoseFirstResultIsLost(clock.effects);
    await until(() => expect(worker.errors).toEqual([new Error('the disk is full')]));
    expect(worker.calls).toEqual(['m-1']);
    clock.advance(10 * MINUTE);
    await until(() => expect(worker.calls).toEqual(['m-1', 'm-1']));
  });
});

/** A worker with one registered id, on a real store that fails to settle the first call. */
async function startWorkerWhoseFirstResultIsLost(
  time: TestClock['effects'],
): Promise<{ readonly calls: string[]; readonly errors: unknown[] }> {
  const calls: string[] = [];
  const errors: unknown[] = [];
  const effects = { ...systemEffects, ...time };
  const store = await openStore({ engine: 'sqlite', file: join(temporaryFolder(), 'gateway.db') }, effects);
  onTestFinished(async () => await store.close());
  await store.registry.addChannel(CHANNEL);
  await store.resyncs.register({ channel: 'main', messageIds: ['m-1'], deliverUnseen: false, ...REGISTRATION });
  const settleCall = store.resyncs.settleCall.bind(store.resyncs);
  vi.spyOn(store.resyncs, 'settleCall').mockImplementation(async (...of) => {
    if (errors.length === 0) throw new Error('the disk is full');
    await settleCall(...of);
  });
  const getMessage: WhapiClient['getMessage'] = async (_access, id) => {
    calls.push(id);
    return await Promise.resolve({ kind: 'missing', reason: '' });
  };
  const whapi = {
    getMessage,
    getHealth: async () => await Promise.resolve({ kind: 'missing', reason: '' } as const),
    destroy: async () => await Promise.resolve(),
  };
  const intervals = { ...QUICK_RESYNC, ...NEVER };
  const onError = (error: unknown): void => void errors.push(error);
  const common = { whapi, openSecret: String, intervals, holder: 'one', effects, onError };
  const scheduler = createCallScheduler({ ...common, store });
  const worker = startResyncWorker({ ...common, store, scheduler });
  onTestFinished(async () => {
    await Promise.all([worker.stop(), scheduler.stop(0, Promise.resolve())]);
  });
  return { calls, errors };
}

const REGISTRATION = { windowSeconds: 86_400, idempotency: null };
const CHANNEL = {
  ...{ name: 'main', channelId: null, whapiBaseUrl: 'http://whapi.example', lateAfterSeconds: 900, createdAt: 0 },
  ...{ onReplay: 'deliver' as const, replayAfterSeconds: 432_000, replayMessages: 20 },
  ...{ resyncSpacingMs: null, dailyCallBudget: null },
  ...{ autoResync: false },
  ...{ whapiToken: 'sealed' as Sealed, webhookSecret: 'sealed' as Sealed },
};

describe('the token of a channel', () => {
  it('appears in no log line, even when calls fail', async () => {
    const token = 'a-token-that-nobody-may-read';
    const { client, log } = await startProcess({ LOG_LEVEL: 'trace' });
    const whapi = await startSimulator({ timeScale: 1000, token });
    onTestFinished(async () => await whapi.close());
    const channels = { taken: { token }, refused: { token: `${token}-wrong` }, nowhere: { token, url: NOBODY } };
    for (const [name, { token: whapi_token, url = whapi.url }] of Object.entries<{ token: string; url?: string }>(
      channels,
    )) {
      await client.addChannel({ name, whapi_token, whapi_base_url: url });
      await client.call('POST', '/v1/resyncs', { channel: name, message_ids: ['m-1'] });
    }
    const statuses = ['waiting', 'queued', 'queued'];
    await until(async () => expect(await statusesOf(client, Object.keys(channels))).toEqual(statuses));
    expect(log.length).toBeGreaterThan(0);
    expect(log.filter((line) => line.includes(token))).toEqual([]);
  });
});

/** Nothing listens there: the port is one that ordinary programs do not use. */
const NOBODY = 'http://127.0.0.1:1';

async function statusesOf(client: Client, channels: readonly string[]): Promise<(string | undefined)[]> {
  return await Promise.all(
    channels.map(async (channel) => {
      const path = `/v1/messages/${channel}/m-1`;
      return (await client.call<{ resyncs: { status: string }[] }>('GET', path)).body.resyncs[0]?.status;
    }),
  );
}
