import { describe, expect, it } from 'vitest';
import type { Simulator } from '../../src/simulator/simulator.js';
import { startClock } from '../support/clock.js';
import { idsSentTo } from '../support/delivery.js';
import { startLocal } from '../support/gateway.js';
import { until } from '../support/intervals.js';
import {
  finished,
  lose,
  messageIs,
  intervalsWith,
  pausedWith,
  resync,
  runOf,
  sendWebhooksTo,
  startResyncs,
} from '../support/resync.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** A channel that is away is not checked again by itself while a test runs. */
const NO_CHECKS = { checksMs: [HOUR] };

function asked(whapi: Simulator): (string | undefined)[] {
  return whapi.calls.filter((call) => call.resync).map(({ messageId }) => messageId);
}

function checks(whapi: Simulator): number {
  return whapi.calls.filter(({ path }) => path === '/health').length;
}

describe('a resync on a channel that is not ready', () => {
  it.each([
    ['QR', { healthText: 'QR' }, 'not_ready', 'QR code'],
    ['SYNC_ERROR', { healthText: 'SYNC_ERROR' }, 'not_ready', 'SYNC_ERROR'],
    ['STOP', { healthText: 'STOP' }, 'not_ready', 'stopped'],
    ['401', { restStatus: 401 } as const, 'not_ready', '401 Need channel authorization'],
    ['a wrong token', { channelNotFound: true }, 'wrong_token', 'PATCH /v1/channels/main'],
    ['its quota is used up', { restStatus: 402 } as const, 'quota', '402 Trial version limit exceeded'],
  ])('%s: pauses with the reason, makes no call and fails no message', async (_, faults, code, words) => {
    const { gateway, whapi } = await startResyncs({ faults, intervals: NO_CHECKS });
    lose(whapi, ['m-1', 'm-2']);
    const { id } = await resync(gateway, ['m-1', 'm-2']);
    const run = await pausedWith(gateway, id, code, words);
    expect(run).toMatchObject({ status: 'running', counts: { queued: 2 }, eta_seconds: null });
    expect(Date.parse(run.pause?.next_check_at ?? '')).toBeGreaterThan(Date.parse(run.pause?.since ?? ''));
    expect(asked(whapi)).toEqual([]);
  });

  it('resumes when a health check succeeds, and asks for every id once', async () => {
    const { gateway, whapi } = await startResyncs({ faults: { healthText: 'QR' } });
    lose(whapi, ['m-1', 'm-2']);
    const { id } = await resync(gateway, ['m-1', 'm-2']);
    await pausedWith(gateway, id, 'not_ready');
    whapi.faults.healthText = 'AUTH'; // No webhook about it.
    expect(await finished(gateway, id)).toMatchObject({ counts: { restored: 2 }, pause: null });
    expect(asked(whapi)).toEqual(['m-1', 'm-2']);
  });

  it('resumes at once when a webhook reports the channel ready, long before the next health check', async () => {
    const { gateway, whapi } = await startResyncs({ faults: { healthText: 'QR' }, intervals: NO_CHECKS });
    lose(whapi, ['m-1']);
    const { id } = await resync(gateway, ['m-1']);
    await pausedWith(gateway, id, 'not_ready');
    whapi.setHealth('AUTH');
    expect((await finished(gateway, id)).counts).toMatchObject({ restored: 1 });
    expect(checks(whapi)).toBe(2);
  });

  it('resumes at once when its token is corrected', async () => {
    const { gateway, whapi } = await startResyncs({ intervals: NO_CHECKS });
    lose(whapi, ['m-1']);
    await gateway.call('PATCH', '/v1/channels/main', { whapi_token: 'of-another-channel' });
    const { id } = await resync(gateway, ['m-1']);
    await pausedWith(gateway, id, 'wrong_token');
    await gateway.call('PATCH', '/v1/channels/main', { whapi_token: whapi.token });
    expect(await finished(gateway, id)).toMatchObject({ counts: { restored: 1, failed: 0 }, pause: null });
  });

  it('stays paused after a restart and resumes from there', async () => {
    const { gateway, whapi } = await startResyncs({ faults: { healthText: 'QR' }, intervals: NO_CHECKS });
    lose(whapi, ['m-1']);
    const { id } = await resync(gateway, ['m-1']);
    const before = await pausedWith(gateway, id, 'not_ready');
    await gateway.close();
    const again = await startLocal({ folder: gateway.folder, intervals: intervalsWith(NO_CHECKS) });
    sendWebhooksTo(again, whapi);
    expect((await runOf(again, id)).pause).toEqual(before.pause);
    expect(checks(whapi)).toBe(1);
    whapi.setHealth('AUTH');
    expect((await finished(again, id)).counts).toMatchObject({ restored: 1 });
  });
});

describe('a phone that goes offline during a resync', () => {
  it('has messages that were asked for since its last good health check, and are still missing, asked for again', async () => {
    const { gateway, whapi } = await startResyncs({ intervals: { ...NO_CHECKS, pollsMs: [HOUR] } });
    lose(whapi, ['m-1', 'm-2']);
    await resync(gateway, ['m-1']);
    await messageIs(gateway, 'm-1', { status: 'restored' });
    whapi.faults.healthText = 'LAUNCH'; // No webhook about it yet.
    const { id } = await resync(gateway, ['m-2']);
    await messageIs(gateway, 'm-2', { status: 'waiting' });
    whapi.setHealth('QR');
    expect(await pausedWith(gateway, id, 'not_ready')).toMatchObject({ counts: { queued: 1 } });
    whapi.setHealth('AUTH');
    await finished(gateway, id);
    expect(asked(whapi)).toEqual(['m-1', 'm-2', 'm-2']);
  });

  it('and returns before a health check has messages asked for again too', async () => {
    const { gateway, whapi } = await startResyncs({ intervals: { pollsMs: [HOUR] } });
    lose(whapi, ['m-1', 'm-2']);
    await resync(gateway, ['m-1']);
    await messageIs(gateway, 'm-1', { status: 'restored' });
    Object.assign(whapi.faults, { healthText: 'QR', resyncTakesMs: 200_000 });
    const { id } = await resync(gateway, ['m-2']);
    await until(() => expect(asked(whapi)).toEqual(['m-1', 'm-2']));
    whapi.setHealth('QR');
    whapi.setHealth('AUTH');
    expect((await finished(gateway, id)).counts).toMatchObject({ restored: 1 });
    expect([asked(whapi), checks(whapi)]).toEqual([['m-1', 'm-2', 'm-2'], 2]);
  });

  it('without a webhook about it has an id asked for again after several unsuccessful polls', async () => {
    const { gateway, whapi } = await startResyncs({ intervals: { askAgainAfterPolls: [2] } });
    const { id } = await resync(gateway, ['m-1']);
    await until(async () => expect((await runOf(gateway, id)).counts).toMatchObject({ waiting: 1 }));
    lose(whapi, ['m-1']);
    expect((await finished(gateway, id)).counts).toMatchObject({ restored: 1 });
    expect(asked(whapi)).toEqual(['m-1', 'm-1']);
  });
});

describe('the call rate of a channel', () => {
  it('keeps its spacing between any two calls', async () => {
    const { gateway, whapi } = await startResyncs({ faults: { resyncTakesMs: 1 } });
    await gateway.call('PATCH', '/v1/channels/main', { resync_spacing_ms: 60 });
    lose(whapi, ['m-1', 'm-2', 'm-3', 'm-4']);
    const { id } = await resync(gateway, ['m-1', 'm-2', 'm-3', 'm-4']);
    await finished(gateway, id);
    const times = whapi.calls.map(({ at }) => at);
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(gaps.length).toBeGreaterThanOrEqual(4);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(59); // The clocks of two timers.
  });

  it('stops at the daily budget, also across a restart, until midnight UTC', async () => {
    const clock = startClock();
    const { gateway, whapi } = await startResyncs({ effects: clock.effects, intervals: { pollsMs: [90 * HOUR] } });
    await gateway.call('PATCH', '/v1/channels/main', { daily_call_budget: 3 });
    lose(whapi, ['m-1', 'm-2', 'm-3']);
    const { id } = await resync(gateway, ['m-1', 'm-2', 'm-3']);
    await pausedWith(gateway, id, 'budget', '3 calls a day');
    await whapi.idle(); // Its webhooks are answered, so that none is on its way to a gateway that has stopped.
    await gateway.close();
    const again = await startLocal({ folder: gateway.folder, effects: clock.effects, intervals: intervalsWith() });
    sendWebhooksTo(again, whapi);
    const { pause } = await pausedWith(again, id, 'budget');
    expect([whapi.calls.length, pause?.next_check_at.slice(10)]).toEqual([3, 'T00:00:00.000Z']);
    clock.advance(24 * HOUR);
    expect((await finished(again, id)).counts).toMatchObject({ restored: 3 });
  });

  it('resumes at once when the budget is raised', async () => {
    const { gateway, whapi } = await startResyncs();
    await gateway.call('PATCH', '/v1/channels/main', { daily_call_budget: 1 });
    lose(whapi, ['m-1']);
    const { id } = await resync(gateway, ['m-1']);
    await pausedWith(gateway, id, 'budget');
    await gateway.call('PATCH', '/v1/channels/main', { daily_call_budget: null });
    expect((await finished(gateway, id)).counts).toMatchObject({ restored: 1 });
  });
});

describe('a webhook about the channel', () => {
  it('is forwarded to the bots as usual', async () => {
    const { gateway, whapi, bot } = await startResyncs();
    whapi.setHealth('QR');
    await whapi.idle();
    await gateway.settled();
    expect(bot.requests.map(({ url }) => url)).toEqual(['/channel']);
    expect(idsSentTo(bot)).toEqual([]);
  });
});
