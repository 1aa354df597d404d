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
/** A channel that is away is not looked at again by itself while a test runs. */
const NO_CHECKS = { checksMs: [HOUR] };

function asked(whapi: Simulator): (string | undefined)[] {
  return whapi.calls.filter((call) => call.resync).map(({ messageId }) => messageId);
}

function checks(whapi: Simulator): number {
  return whapi.calls.filter(({ path }) => path === '/health').length;
}

describe('a run whose channel cannot resync', () => {
  it.each([
    ['QR', { healthText: 'QR' }, 'not_ready', 'QR code'],
    ['SYNC_ERROR', { healthText: 'SYNC_ERROR' }, 'not_ready', 'SYNC_ERROR'],
    ['STOP', { healthText: 'STOP' }, 'not_ready', 'stopped'],
    ['401', { restStatus: 401 } as const, 'not_ready', '401 Need channel authorization'],
    ['a wrong token', { channelNotFound: true }, 'wrong_token', 'PATCH /v1/channels/main'],
    ['its quota is used up', { restStatus: 402 } as const, 'quota', '402 Trial version limit exceeded'],
  ])('%s: pauses with the reason, asks for nothing and fails nothing', async (_, faults, code, words) => {
    const { gateway, whapi } = await startResyncs({ faults, intervals: NO_CHECKS });
    lose(whapi, ['m-1', 'm-2']);
    const { id } = await resync(gateway, ['m-1', 'm-2']);
    const run = await pausedWith(gateway, id, code, words);
    expect(run).toMatchObject({ status: 'running', counts: { queued: 2 }, eta_seconds: null });
    expect(Date.parse(run.pause?.next_check_at ?? '')).toBeGreaterThan(Date.parse(run.pause?.since ?? ''));
    expect(asked(whapi)).toEqual([]);
  });

  it('goes on by itself when a look finds it well, and asks for every id once', async () => {
    const { gateway, whapi } = await startResyncs({ faults: { healthText: 'QR' } });
    lose(whapi, ['m-1', 'm-2']);
    const { id } = await resync(gateway, ['m-1', 'm-2']);
    await pausedWith(gateway, id, 'not_ready');
    whapi.faults.healthText = 'AUTH'; // without a webhook about it
    expect(await finished(gateway, id)).toMatchObject({ counts: { restored: 2 }, pause: null });
    expect(asked(whapi)).toEqual(['m-1', 'm-2']);
  });

  it('goes on at once when a webhook says that it is back, long before it would be looked at', async () => {
    const { gateway, whapi } = await startResyncs({ faults: { healthText: 'QR' }, intervals: NO_CHECKS });
    lose(whapi, ['m-1']);
    const { id } = await resync(gateway, ['m-1']);
    await pausedWith(gateway, id, 'not_ready');
    whapi.setHealth('AUTH');
    expect((await finished(gateway, id)).counts).toMatchObject({ restored: 1 });
    expect(checks(whapi)).toBe(2);
  });

  it('goes on at once when its token is set right', async () => {
    const { gateway, whapi } = await startResyncs({ intervals: NO_CHECKS });
    lose(whapi, ['m-1']);
    await gateway.call('PATCH', '/v1/channels/main', { whapi_token: 'of-another-channel' });
    const { id } = await resync(gateway, ['m-1']);
    await pausedWith(gateway, id, 'wrong_token');
    await gateway.call('PATCH', '/v1/channels/main', { whapi_token: whapi.token });
    expect(await finished(gateway, id)).toMatchObject({ counts: { restored: 1, failed: 0 }, pause: null });
  });

  it('pauses on after a restart, and goes on from there', async () => {
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

describe('a phone that goes offline in the middle of a run', () => {
  it('what was asked for since it was last seen well, and has not come, is asked for again when it is back', async () => {
    const { gateway, whapi } = await startResyncs({ intervals: { ...NO_CHECKS, pollsMs: [HOUR] } });
    lose(whapi, ['m-1', 'm-2']);
    await resync(gateway, ['m-1']);
    await messageIs(gateway, 'm-1', { status: 'restored' });
    whapi.faults.healthText = 'LAUNCH'; // nobody is told yet
    const { id } = await resync(gateway, ['m-2']);
    await messageIs(gateway, 'm-2', { status: 'waiting' });
    whapi.setHealth('QR');
    expect(await pausedWith(gateway, id, 'not_ready')).toMatchObject({ counts: { queued: 1 } });
    whapi.setHealth('AUTH');
    await finished(gateway, id);
    expect(asked(whapi)).toEqual(['m-1', 'm-2', 'm-2']);
  });

  it('and came back before anybody looked: it is asked for again all the same', async () => {
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

  it('without a word from anybody: after some looks in vain the id is asked for again', async () => {
    const { gateway, whapi } = await startResyncs({ intervals: { askAgainAfterPolls: [2] } });
    const { id } = await resync(gateway, ['m-1']);
    await until(async () => expect((await runOf(gateway, id)).counts).toMatchObject({ waiting: 1 }));
    lose(whapi, ['m-1']);
    expect((await finished(gateway, id)).counts).toMatchObject({ restored: 1 });
    expect(asked(whapi)).toEqual(['m-1', 'm-1']);
  });
});

describe('the pace of a channel', () => {
  it('keeps its spacing between two calls, whatever they are', async () => {
    const { gateway, whapi } = await startResyncs({ faults: { resyncTakesMs: 1 } });
    await gateway.call('PATCH', '/v1/channels/main', { resync_spacing_ms: 60 });
    lose(whapi, ['m-1', 'm-2', 'm-3', 'm-4']);
    const { id } = await resync(gateway, ['m-1', 'm-2', 'm-3', 'm-4']);
    await finished(gateway, id);
    const times = whapi.calls.map(({ at }) => at);
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(gaps.length).toBeGreaterThanOrEqual(4);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(59); // clocks of two timers
  });

  it('a daily budget ends the calls of a day, over a restart too, and midnight UTC begins it anew', async () => {
    const clock = startClock();
    const { gateway, whapi } = await startResyncs({ effects: clock.effects, intervals: { pollsMs: [90 * HOUR] } });
    await gateway.call('PATCH', '/v1/channels/main', { daily_call_budget: 3 });
    lose(whapi, ['m-1', 'm-2', 'm-3']);
    const { id } = await resync(gateway, ['m-1', 'm-2', 'm-3']);
    await pausedWith(gateway, id, 'budget', '3 calls a day');
    await whapi.idle(); // its webhooks are answered: none is on its way to a gateway that is gone
    await gateway.close();
    const again = await startLocal({ folder: gateway.folder, effects: clock.effects, intervals: intervalsWith() });
    sendWebhooksTo(again, whapi);
    const { pause } = await pausedWith(again, id, 'budget');
    expect([whapi.calls.length, pause?.next_check_at.slice(10)]).toEqual([3, 'T00:00:00.000Z']);
    clock.advance(24 * HOUR);
    expect((await finished(again, id)).counts).toMatchObject({ restored: 3 });
  });

  it('goes on at once when the budget is raised', async () => {
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
  it('goes on to the bots as ever', async () => {
    const { gateway, whapi, bot } = await startResyncs();
    whapi.setHealth('QR');
    await whapi.idle();
    await gateway.settled();
    expect(bot.requests.map(({ url }) => url)).toEqual(['/channel']);
    expect(idsSentTo(bot)).toEqual([]);
  });
});
